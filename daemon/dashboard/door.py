"""The dashboard's door: pages for everybody, and everything else for who is logged in.

Laws of this file:
- Who is at the other end is told by the session's cookie alone, and what it may do by the level of its link. Everything
  under `/v1` goes the way of the admin socket, with that level; what it records says that it came from here.
- Every answer is bounded in time and says in a sentence what went wrong; a stop waits for nobody here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import msgspec
import trio

from actors.errors import Unavailable
from daemon.dashboard.access import Access, Session
from daemon.dashboard.followers import Followers
from daemon.dashboard.guard import SAFE_METHODS, Guard, foreign, guarded, refused
from daemon.dashboard.pages import Pages
from daemon.dashboard.playground import Choice, Playground, Saying
from daemon.observe.feed import EventFeed
from daemon.operate.call import Caller
from daemon.operate.levels import Level, suffices
from daemon.web.http1 import Request, Response, json_response

HANDLER_SECONDS = 30.0
"""More than the admin interface takes, which has a bound and words of its own."""
ORIGIN = "dashboard"
_COOKIE = "majlis_session_"

BodyT = TypeVar("BodyT")


class Admin(Protocol):
    """The admin interface; says so while the daemon has not got far enough."""

    def __call__(self, request: Request, caller: Caller) -> Awaitable[Response]: ...


class Login(msgspec.Struct, frozen=True):
    token: str


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    level: Level
    node: str
    version: str
    instances: Sequence[str]
    playground: bool
    can_reveal: bool
    """Phone numbers and texts."""


class BadBody(Exception):
    """The request cannot be understood."""


class DashboardDoor:
    """`handle` is the handler of its server."""

    def __init__(
        self,
        *,
        guard: Guard,
        pages: Pages,
        access: Access,
        admin: Admin,
        view: Callable[[Level], Awaitable[SessionView]],
        feed: EventFeed,
        session_seconds: float,
        playground: Callable[[], Playground | None] | None,
    ) -> None:
        """`playground`: None where it is off; gives None until the stores run."""
        self._guard = guard
        self._pages = pages
        self._access = access
        self._admin = admin
        self._view = view
        self._feed = feed
        self._session_seconds = session_seconds
        self._playground = playground
        self._followers = Followers(access.is_open)

    async def handle(self, request: Request) -> Response:
        response = self._guard.refusal(request)
        return guarded(response if response is not None else await self._answer(request))

    async def _answer(self, request: Request) -> Response:
        """Every failure becomes a sentence."""
        try:
            with trio.fail_after(HANDLER_SECONDS):
                return await self._route(request)
        except BadBody as error:
            return refused(400, "bad_body", str(error))
        except Unavailable as error:
            return refused(503, "unavailable", f"this cannot be done now, try again: {error}")
        except trio.TooSlowError:
            words = f"this took longer than {HANDLER_SECONDS:.0f} s and was given up; `majlis status` says what is away"
            return refused(503, "too_slow", words)
        except Exception as error:
            # The class alone: its text may quote a customer.
            name = type(error).__name__
            self._feed.emit("admin.failed", path="dashboard", error=name)
            words = f"the daemon failed ({name}); see the event admin.failed in its log"
            return refused(500, "failed", words)

    async def _route(self, request: Request) -> Response:
        match request.segments:
            case ("",):
                return _reads(request) or self._pages.index(request)
            case ("static", name):
                return _reads(request) or self._pages.file(name, request) or _nothing_here()
            case ("session",):
                return foreign(request) or await self._session(request)
            case ("playground", *rest):
                return foreign(request) or await self._play(request, tuple(rest))
            case ("v1", *_):
                return foreign(request) or await self._ask(request)
        return _nothing_here()

    # Sessions

    async def _session(self, request: Request) -> Response:
        match request.method:
            case "POST":
                return await self._log_in(request)
            case "DELETE":
                return self._log_out(request)
            case "GET" | "HEAD":
                session = self._who(request)
                return _unknown() if session is None else json_response(200, await self._view(session.level))
        return _method("GET, POST, DELETE")

    async def _log_in(self, request: Request) -> Response:
        opened = self._access.open(_body(request, Login).token)
        if opened is None:
            return self._wrong_token()
        cookie, session, link = opened
        self._leave(self._access.close(_cookie(request)))  # one browser, one session
        self._feed.emit("dashboard.opened", session=session.name, may=session.level, asked_by=link.asked_by)
        headers = {"Set-Cookie": _set_cookie(request, cookie, round(self._session_seconds))}
        return json_response(200, await self._view(session.level), headers)

    def _wrong_token(self) -> Response:
        if self._access.is_guessed():
            words = "too many wrong links were tried: wait a minute, then ask for a new one with `majlis dashboard`"
            return refused(429, "too_many_attempts", words, {"Retry-After": "60"})
        self._feed.emit("dashboard.refused", reason="login_invalid")
        words = "this link was used already, or it is too old: `majlis dashboard` prints a new one"
        return refused(401, "login_invalid", words)

    def _log_out(self, request: Request) -> Response:
        session = self._access.close(_cookie(request))
        if session is not None:
            self._leave(session)
            self._feed.emit("dashboard.closed", session=session.name)
        return Response(204, headers={"Set-Cookie": _set_cookie(request, "", 0)})

    def _leave(self, session: Session | None) -> None:
        playground = None if self._playground is None else self._playground()
        if session is not None and playground is not None:
            playground.leave(session)

    def _who(self, request: Request) -> Session | None:
        return self._access.of(_cookie(request))

    # The admin interface

    async def _ask(self, request: Request) -> Response:
        session = self._who(request)
        if session is None:
            return _unknown()
        caller = Caller(session.level, origin=ORIGIN, session=session.name)
        if request.segments == ("v1", "tail"):
            return await self._followers.join(session, partial(self._admin, request, caller))
        return await self._admin(request, caller)

    # The playground

    async def _play(self, request: Request, rest: tuple[str, ...]) -> Response:
        session = self._who(request)
        if session is None:
            return _unknown()
        if self._playground is None:
            words = "the playground is off: see dashboard.playground in config.yaml"
            return refused(404, "no_playground", words)
        if not suffices(session.level, "operate"):
            words = f"the playground needs level operate, and this session has {session.level}"
            return refused(403, "forbidden", words)
        playground = self._playground()
        if playground is None:
            return refused(503, "starting", "Majlis is starting: try again in a moment", {"Retry-After": "5"})
        return await _played(playground, session, request, rest)


async def _played(
    playground: Playground, session: Session, request: Request, rest: tuple[str, ...]
) -> Response:
    match (request.method, rest):
        case ("GET", ()):
            return await playground.show(session, request.query.get("instance", ""))
        case ("POST", ()):
            return await playground.say(session, _body(request, Saying))
        case ("POST", ("new",)):
            return await playground.renew(session, _body(request, Choice).instance)
    return _method("GET, POST") if rest in ((), ("new",)) else _nothing_here()


def _body(request: Request, kind: type[BodyT]) -> BodyT:
    """Raises: BadBody."""
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.DecodeError as error:
        raise BadBody(f"the body cannot be read: {error}") from None


def _cookie(request: Request) -> str:
    name = _cookie_name(request)
    for pair in request.headers.get("cookie", "").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value
    return ""


def _cookie_name(request: Request) -> str:
    """Cookies do not know ports: another daemon of this host, or behind another tunnel, has one of another name."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return _COOKIE + (port if port.isascii() and port.isdigit() else "")


def _set_cookie(request: Request, value: str, max_age_seconds: int) -> str:
    # What says that it came over https is believed for this alone: a liar only harms himself.
    came_by = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    secure = "; Secure" if came_by == "https" else ""
    return f"{_cookie_name(request)}={value}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict{secure}"


def _reads(request: Request) -> Response | None:
    return None if request.method in SAFE_METHODS else _method("GET, HEAD")


def _unknown() -> Response:
    words = "you are not logged in here, or the daemon was restarted: `majlis dashboard` prints a new link"
    return refused(401, "no_session", words)


def _nothing_here() -> Response:
    return refused(404, "no_route", "there is nothing here")


def _method(allowed: str) -> Response:
    return refused(405, "method", f"use {allowed} here", {"Allow": allowed})
