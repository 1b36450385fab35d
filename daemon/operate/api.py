"""The admin interface: checks who asks, finds the route, and turns every failure into a sentence.

Laws of the admin interface:
- The kernel says who is at the other end, and that decides what they may do. A caller without a level learns only that.
- Every answer has a time limit. A stream has one for each piece, and a reader that is too slow is cut off.
- Nothing changes, and nothing masked is revealed, without an audit entry written first; then it gets its outcome. So
  does a change for which the caller's level is not enough.
- An error is one sentence that says what to do; what broke inside goes to the log, by its class alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import trio

from actors.errors import Conflict, MajlisError, Missing, Overloaded, Unavailable
from daemon.observe.feed import EventFeed
from daemon.operate.audit import AuditLog
from daemon.operate.call import AdminCall, Caller, Forbidden
from daemon.operate.levels import Levels, suffices
from daemon.operate.parameters import BadRequest, Parameters, read
from daemon.operate.route import Route
from daemon.operate.routes import ROUTES, Interface
from daemon.operate.tenants import target_of
from daemon.operate.unanswered import AsksFirst
from daemon.web.http1 import Request, Response, json_response

_REFUSALS: dict[type[Exception], tuple[int, str, str]] = {
    BadRequest: (400, "bad_query", "{}"),
    Forbidden: (403, "forbidden", "{}"),
    Missing: (404, "not_found", "{}"),
    AsksFirst: (409, "asks_first", "{}"),
    Conflict: (409, "conflict", "{}"),
    Unavailable: (503, "unavailable", "this cannot be done now, try again: {}"),
    Overloaded: (503, "unavailable", "this cannot be done now, try again: {}"),
    MajlisError: (503, "refused", "this cannot be done, see `majlis doctor`: {}"),
}
"""Refusals, not failures: the error's text is the sentence for the operator. The first match counts."""

HANDLER_SECONDS = 25.0
"""How long one answer may take: less than the command line waits for it."""


class AdminApi:
    """Answers the requests of the admin socket, and those that another door lets in."""

    def __init__(
        self,
        topics: Iterable[object],
        feed: EventFeed,
        log: AuditLog,
        levels: Levels | None = None,
        handler_seconds: float = HANDLER_SECONDS,
    ) -> None:
        """Needs one object for every topic that a route names.

        Without `levels`, only the daemon's own user and root have access, and they may do everything.
        """
        self._topics: Mapping[type[Any], Any] = {type(topic): topic for topic in (Interface(), *topics)}
        missing = {route.topic.__name__ for route in ROUTES if route.topic not in self._topics}
        if missing:
            raise TypeError(f"no object for {', '.join(sorted(missing))}")
        self._feed = feed
        self._log = log
        self._levels = levels or Levels()
        self._handler_seconds = handler_seconds

    async def handle(self, request: Request) -> Response:
        """The handler for the admin socket's `HttpServer`."""
        level = self._levels.of(request.peer)
        if level is None:
            return _error(
                403,
                "forbidden",
                "you may not use this socket: only root, the user that runs the daemon, and those named in "
                "admin.levels of its config.yaml may",
            )
        return await self.answer(request, Caller(level))

    async def answer(self, request: Request, caller: Caller) -> Response:
        """Answer a caller who is already known, whichever door they came through."""
        try:
            with trio.fail_after(self._handler_seconds):
                return await self._dispatch(request, caller)
        except trio.TooSlowError:
            return _error(
                503,
                "too_slow",
                f"this took longer than {self._handler_seconds:.0f} s and was stopped; "
                "`majlis status` says what is unavailable",
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
                await self._check_level(route, request, caller, named)
                asked = read(route.asks, named, request.query)
                reveal = _reveal(asked, caller)
                call = AdminCall(request, caller, self._feed, self._log, reveal, _body(route, request))
                return await self._run(route, call, asked)
            methods.append(route.method)
        if methods:
            return _error(405, "method", f"use {' or '.join(methods)} here", {"Allow": ", ".join(methods)})
        return _error(404, "no_route", "there is nothing here; GET /v1 lists all routes")

    async def _check_level(
        self, route: Route, request: Request, caller: Caller, named: Mapping[str, str]
    ) -> None:
        """Raises: Forbidden; of a change that is recorded."""
        if suffices(caller.level, route.level):
            return
        if route.method != "GET":
            target = target_of(named["instance"]) if "instance" in named else "daemon"
            call = AdminCall(request, caller, self._feed, self._log, False, None)
            await call.refused(f"{route.method} {route.path}", target, Forbidden.__name__)
        raise Forbidden(
            f"this needs level {route.level}, and yours is {caller.level}: {caller.where_levels_stand}"
        )

    async def _run(self, route: Route, call: AdminCall, asked: Parameters) -> Response:
        """Do it, and record what became of it."""
        try:
            response = await route.run(self._topics[route.topic], call, asked)
        except Exception as error:
            failure = error
        else:
            await call.end("done")
            return response
        is_refusal = isinstance(failure, tuple(_REFUSALS))
        await call.end("refused" if is_refusal else "failed", type(failure).__name__)
        raise failure


def _reveal(asked: Parameters, caller: Caller) -> bool:
    """Whether to show phone numbers and texts. Raises: Forbidden."""
    reveal = bool(getattr(asked, "reveal", False))
    if reveal and caller.level != "admin":
        raise Forbidden(
            f"only level admin may see phone numbers and texts, and yours is {caller.level}: "
            f"leave out --reveal, or {caller.where_levels_stand}"
        )
    return reveal


def _body(route: Route, request: Request) -> object:
    """The JSON of the request, as the struct that the route declares. Raises: BadRequest."""
    if route.body is None:
        return None
    try:
        return msgspec.json.decode(request.body, type=route.body)
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body cannot be read: {error}") from None


def _pattern(request: Request) -> str:
    """The route's pattern, without what the caller filled in: a path may hold a phone number."""
    found = (route.path for route in ROUTES if route.match(request.segments) is not None)
    return next(found, "unknown")


def _error(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response(status, {"status": "error", "reason": reason, "message": message}, headers)
