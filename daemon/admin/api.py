"""The admin door: lets the right ones in, finds the route, and turns every failure into a sentence.

Laws of the admin door:
- Only the daemon's own user and root are answered, by the kernel's word on who is at the other end.
- Nothing changes, and nothing masked is revealed, without an audit entry written first.
- An error is one sentence that says what to do; what broke inside goes to the log, by its class alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from actors.errors import MajlisError, Overloaded, Unavailable
from daemon.admin.call import BadQuery, Call, Desk
from daemon.admin.operations import Conflict, NotFound, Operations
from daemon.admin.routes import ROUTES
from daemon.feed import EventFeed
from daemon.http1 import Request, Response, json_response

_REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadQuery: (400, "bad_query"),
    NotFound: (404, "not_found"),
    Conflict: (409, "conflict"),
}
"""Replies, not failures: the error's text is the sentence for the operator."""


class AdminApi:
    """Answers the requests of the admin socket."""

    def __init__(self, operations: Operations, feed: EventFeed) -> None:
        self._desk = Desk(operations, feed)
        self._feed = feed
        self._allowed_uids = {0, os.geteuid()}

    async def handle(self, request: Request) -> Response:
        """The handler for `HttpServer`."""
        if request.peer.uid not in self._allowed_uids:
            return _error(
                403, "forbidden", "only the user that runs the daemon, and root, may use this socket"
            )
        try:
            return await self._dispatch(request)
        except (BadQuery, NotFound, Conflict) as error:
            status, reason = next(word for kind, word in _REFUSALS.items() if isinstance(error, kind))
            return _error(status, reason, str(error))
        except (Unavailable, Overloaded) as error:
            return _error(503, "unavailable", f"this cannot be done now, try again: {error}")
        except MajlisError as error:
            return _error(503, "refused", f"this cannot be done, see `majlis doctor`: {error}")
        except Exception as error:
            name = type(error).__name__
            self._feed.emit("admin.failed", path=_pattern(request), error=name)
            return _error(500, "failed", f"the daemon failed ({name}); see the event admin.failed in its log")

    async def _dispatch(self, request: Request) -> Response:
        methods = []
        for route in ROUTES:
            named = route.match(request.segments)
            if named is None:
                continue
            if route.method == request.method:
                return await route.run(self._desk, Call(request, named))
            methods.append(route.method)
        if methods:
            return _error(405, "method", f"use {' or '.join(methods)} here", {"Allow": ", ".join(methods)})
        return _error(404, "no_route", "there is nothing here; GET /v1 lists all routes")


def _pattern(request: Request) -> str:
    """The route without what the caller put into it: a path may hold a phone number."""
    found = (route.path for route in ROUTES if route.match(request.segments) is not None)
    return next(found, "unknown")


def _error(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response(status, {"status": "error", "reason": reason, "message": message}, headers)
