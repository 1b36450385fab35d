"""The admin door: lets the right ones in, finds the route, and turns every failure into a sentence.

Laws of the admin door:
- Who may do what is told by the kernel's word on who is at the other end; who has no level learns nothing but that.
- Every answer has its time; a stream has a time for each piece, and a reader that is too slow is cut off.
- Nothing changes, and nothing masked is revealed, without an audit entry written first.
- An error is one sentence that says what to do; what broke inside goes to the log, by its class alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import trio

from actors.errors import MajlisError, Overloaded, Unavailable
from daemon.observe.feed import EventFeed
from daemon.operate.call import BadQuery, Call, Caller, Desk, Forbidden
from daemon.operate.levels import Levels, suffices
from daemon.operate.login import Links
from daemon.operate.protocol import Conflict, NotFound, Operations
from daemon.operate.routes import ROUTES, Route
from daemon.web.http1 import Request, Response, json_response

_REFUSALS: dict[type[Exception], tuple[int, str, str]] = {
    BadQuery: (400, "bad_query", "{}"),
    Forbidden: (403, "forbidden", "{}"),
    NotFound: (404, "not_found", "{}"),
    Conflict: (409, "conflict", "{}"),
    Unavailable: (503, "unavailable", "this cannot be done now, try again: {}"),
    Overloaded: (503, "unavailable", "this cannot be done now, try again: {}"),
    MajlisError: (503, "refused", "this cannot be done, see `majlis doctor`: {}"),
}
"""Replies, not failures: the error's text is the sentence for the operator. The first that fits counts."""

HANDLER_SECONDS = 25.0
"""How long one answer may take; less than the command line waits for it."""


class AdminApi:
    """Answers the requests of the admin socket."""

    def __init__(
        self,
        operations: Operations,
        feed: EventFeed,
        levels: Levels | None = None,
        handler_seconds: float = HANDLER_SECONDS,
        links: Links | None = None,
    ) -> None:
        """Without `levels` the daemon's own user and root may do everything, and nobody else anything.

        Without `links` there is no dashboard.
        """
        self._desk = Desk(operations, feed, links)
        self._feed = feed
        self._levels = levels or Levels()
        self._handler_seconds = handler_seconds

    async def handle(self, request: Request) -> Response:
        """The handler for the admin socket's `HttpServer`."""
        level = self._levels.of(request.peer)
        if level is None:
            return _error(
                403,
                "forbidden",
                "you may not use this socket: the user that runs the daemon, and root, may, and whom they "
                "name in admin.levels of its config.yaml",
            )
        return await self.answer(request, Caller(level))

    async def answer(self, request: Request, caller: Caller) -> Response:
        """For who is known already, by whatever door they came."""
        try:
            with trio.fail_after(self._handler_seconds):
                return await self._dispatch(request, caller)
        except trio.TooSlowError:
            return _error(
                503,
                "too_slow",
                f"this took longer than {self._handler_seconds:.0f} s and was given up; "
                "`majlis status` says what is away",
            )
        except tuple(_REFUSALS) as error:
            status, reason, words = next(said for kind, said in _REFUSALS.items() if isinstance(error, kind))
            return _error(status, reason, words.format(error))
        except Exception as error:
            name = type(error).__name__
            self._feed.emit("admin.failed", path=_pattern(request), error=name)
            return _error(500, "failed", f"the daemon failed ({name}); see the event admin.failed in its log")

    async def _dispatch(self, request: Request, caller: Caller) -> Response:
        methods = []
        for route in ROUTES:
            named = route.match(request.segments)
            if named is None:
                continue
            if route.method == request.method:
                _check(route, request, caller)
                return await route.run(self._desk, Call(request, named, caller))
            methods.append(route.method)
        if methods:
            return _error(405, "method", f"use {' or '.join(methods)} here", {"Allow": ", ".join(methods)})
        return _error(404, "no_route", "there is nothing here; GET /v1 lists all routes")


def _check(route: Route, request: Request, caller: Caller) -> None:
    """Raises: Forbidden, BadQuery."""
    if not suffices(caller.level, route.level):
        raise Forbidden(
            f"this needs level {route.level}, and yours is {caller.level}: {caller.where_levels_stand}"
        )
    allowed = [name.name for name in route.query]
    for name in request.query:
        if name not in allowed:
            known = f"known here: {', '.join(allowed)}" if allowed else "none is known here"
            raise BadQuery(f"{name} is no parameter of this; {known}")


def _pattern(request: Request) -> str:
    """The route without what the caller put into it: a path may hold a phone number."""
    found = (route.path for route in ROUTES if route.match(request.segments) is not None)
    return next(found, "unknown")


def _error(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response(status, {"status": "error", "reason": reason, "message": message}, headers)
