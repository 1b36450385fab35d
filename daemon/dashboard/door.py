"""The dashboard's HTTP handler: static pages for everyone, everything else only with a session.

Laws of this file:
- Only the session's cookie identifies a client, and only the level of its login link says what it may do. Everything
  under `/v1` goes to the admin interface with that level, and is audited with the origin `dashboard`.
- Every response is limited in time and says in a sentence what went wrong; stopping the daemon waits for no client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import msgspec
import trio

from actors.errors import Unavailable
from daemon.dashboard.access import Access, DashboardSession
from daemon.dashboard.guard import (
    SAFE_METHODS,
    Guard,
    cross_site_refusal,
    error_response,
    with_security_headers,
)
from daemon.dashboard.pages import Pages
from daemon.dashboard.playground import InstanceChoice, NewMessage, Playground
from daemon.dashboard.streams import EventStreams
from daemon.observe.feed import EventFeed
from daemon.operate.call import Caller
from daemon.operate.levels import Level, suffices
from daemon.web.http1 import Request, Response, json_response

HANDLER_SECONDS = 30.0
"""More than the admin interface's own limit, which has a sentence of its own."""
ORIGIN = "dashboard"
_COOKIE = "majlis_session_"

BodyT = TypeVar("BodyT")


class AdminHandler(Protocol):
    """The admin interface; answers 503 until the daemon has started."""

    def __call__(self, request: Request, caller: Caller) -> Awaitable[Response]: ...


class LoginRequest(msgspec.Struct, frozen=True):
    token: str


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    level: Level
    node: str
    version: str
    instances: Sequence[str]
    playground: bool
    can_reveal: bool
    """Whether it may see phone numbers and texts."""


class BadBody(Exception):
    """The body of the request is invalid."""


class DashboardDoor:
    """`handle` is the handler of the dashboard's HTTP server."""

    def __init__(
        self,
        *,
        guard: Guard,
        pages: Pages,
        access: Access,
        admin: AdminHandler,
        view: Callable[[Level], Awaitable[SessionView]],
        feed: EventFeed,
        session_seconds: float,
        playground: Callable[[], Playground | None] | None,
    ) -> None:
        """`playground`: None where it is disabled; returns None until the stores run."""
        self._guard = guard
        self._pages = pages
        self._access = access
        self._admin = admin
        self._view = view
        self._feed = feed
        self._session_seconds = session_seconds
        self._playground = playground
        self._streams = EventStreams(access.is_open)

    def gate(self, request: Request) -> str:
        """Who asked for its session. Without one it keeps its connection only while there is room."""
        session = self._session_of(request)
        return "" if session is None else session.asked_by

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        response = self._guard.refusal(request)
        return with_security_headers(response if response is not None else await self._answer(request))

    async def _answer(self, request: Request) -> Response:
        """Every failure becomes an error with a sentence."""
        try:
            with trio.fail_after(HANDLER_SECONDS):
                return await self._route(request)
        except BadBody as error:
            return error_response(400, "bad_body", str(error))
        except Unavailable as error:
            return error_response(503, "unavailable", f"this is not possible now, try again: {error}")
        except trio.TooSlowError:
            words = f"this took longer than {HANDLER_SECONDS:.0f} s; `majlis status` shows which service is unavailable"
            return error_response(503, "too_slow", words)
        except Exception as error:
            # Only the class: the text may quote a customer.
            name = type(error).__name__
            self._feed.emit("admin.failed", path="dashboard", error=name)
            words = f"the daemon failed ({name}); see the event admin.failed in its log"
            return error_response(500, "failed", words)

    async def _route(self, request: Request) -> Response:
        match request.segments:
            case ("",):
                return _unless_get(request) or self._pages.index(request)
            case ("static", name):
                return _unless_get(request) or self._pages.file(name, request) or _not_found()
            case ("session",):
                return cross_site_refusal(request) or await self._session(request)
            case ("playground", *rest):
                return cross_site_refusal(request) or await self._play(request, tuple(rest))
            case ("v1", *_):
                return cross_site_refusal(request) or await self._ask(request)
        return _not_found()

    # Sessions

    async def _session(self, request: Request) -> Response:
        match request.method:
            case "POST":
                return await self._log_in(request)
            case "DELETE":
                return self._log_out(request)
            case "GET" | "HEAD":
                session = self._session_of(request)
                return (
                    _no_session() if session is None else json_response(200, await self._view(session.level))
                )
        return _method("GET, POST, DELETE")

    async def _log_in(self, request: Request) -> Response:
        opened = self._access.open(_body(request, LoginRequest).token)
        if opened is None:
            return self._wrong_token()
        cookie, session = opened
        self._access.log_out(_cookie(request))  # one session per browser
        self._feed.emit(
            "dashboard.opened", session=session.name, may=session.level, asked_by=session.asked_by
        )
        headers = {"Set-Cookie": _set_cookie(request, cookie, round(self._session_seconds))}
        return json_response(200, await self._view(session.level), headers)

    def _wrong_token(self) -> Response:
        if self._access.has_many_failures():
            words = "too many invalid links: wait a minute, then get a new one with `majlis dashboard`"
            return error_response(429, "too_many_attempts", words, {"Retry-After": "60"})
        self._feed.emit("dashboard.refused", reason="login_invalid")
        words = "this link has been used already or has expired: get a new one with `majlis dashboard`"
        return error_response(401, "login_invalid", words)

    def _log_out(self, request: Request) -> Response:
        session = self._access.log_out(_cookie(request))
        if session is not None:
            self._feed.emit("dashboard.closed", session=session.name, by="its user")
        return Response(204, headers={"Set-Cookie": _set_cookie(request, "", 0)})

    def _session_of(self, request: Request) -> DashboardSession | None:
        return self._access.of(_cookie(request))

    # The admin interface

    async def _ask(self, request: Request) -> Response:
        session = self._session_of(request)
        if session is None:
            return _no_session()
        caller = Caller(session.level, origin=ORIGIN, session=session.name)
        if request.segments == ("v1", "tail"):
            return await self._streams.open(session, partial(self._admin, request, caller))
        return await self._admin(request, caller)

    # The playground

    async def _play(self, request: Request, rest: tuple[str, ...]) -> Response:
        session = self._session_of(request)
        if session is None:
            return _no_session()
        if self._playground is None:
            words = "the playground is disabled: see dashboard.playground in config.yaml"
            return error_response(404, "no_playground", words)
        if not suffices(session.level, "operate"):
            words = f"the playground needs access level operate; this session has {session.level}"
            return error_response(403, "forbidden", words)
        playground = self._playground()
        if playground is None:
            return error_response(
                503, "starting", "Majlis is starting: try again in a moment", {"Retry-After": "5"}
            )
        return await _answer_playground(playground, session, request, rest)


async def _answer_playground(
    playground: Playground, session: DashboardSession, request: Request, rest: tuple[str, ...]
) -> Response:
    match (request.method, rest):
        case ("GET", ()):
            return await playground.show(session, request.query.get("instance", ""))
        case ("POST", ()):
            return await playground.write(session, _body(request, NewMessage))
        case ("POST", ("new",)):
            return await playground.new_customer(session, _body(request, InstanceChoice).instance)
    return _method("GET, POST") if rest in ((), ("new",)) else _not_found()


def _body(request: Request, kind: type[BodyT]) -> BodyT:
    """Raises: BadBody."""
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.DecodeError as error:
        raise BadBody(f"the request body is invalid: {error}") from None


def _cookie(request: Request) -> str:
    name = _cookie_name(request)
    for pair in request.headers.get("cookie", "").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value
    return ""


def _cookie_name(request: Request) -> str:
    """With the port in its name: cookies are shared by all ports of a host, and other daemons may run there."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return _COOKIE + (port if port.isascii() and port.isdigit() else "")


def _set_cookie(request: Request, value: str, max_age_seconds: int) -> str:
    # X-Forwarded-Proto is trusted for nothing else: a client that lies harms only itself.
    scheme = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    secure = "; Secure" if scheme == "https" else ""
    return f"{_cookie_name(request)}={value}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict{secure}"


def _unless_get(request: Request) -> Response | None:
    return None if request.method in SAFE_METHODS else _method("GET, HEAD")


def _no_session() -> Response:
    words = "you are not logged in, or the daemon was restarted: get a new link with `majlis dashboard`"
    return error_response(401, "no_session", words)


def _not_found() -> Response:
    return error_response(404, "no_route", "there is no such page")


def _method(allowed: str) -> Response:
    return error_response(405, "method", f"use {allowed} here", {"Allow": allowed})
