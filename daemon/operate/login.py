"""The dashboard as operators see it: the link to log in to it, and who is logged in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from actors.errors import Conflict, Missing
from daemon.operate.call import AdminCall, Forbidden
from daemon.operate.levels import Level
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response


class DashboardView(msgspec.Struct, frozen=True, kw_only=True):
    """The page for a browser."""

    address: str = ""
    """Where it is served, `http://127.0.0.1:8089`; empty: it is not, and `problem` says why."""
    problem: str = ""
    """A sentence that says what to change."""
    sessions: int = 0
    """Browsers that are logged in."""


class LoginLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link that opens the dashboard once. Its holder may do what its level allows."""

    url: str
    others: list[str] = []
    """The same link under the names of web servers in front; using one of them uses up all."""
    level: Level
    seconds: float
    """How long it stays valid if it is not used."""


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """One browser that is logged in at the dashboard."""

    session: str
    """Its name, as in the audit log and in events."""
    level: Level
    asked_by: str
    """Who asked for its link: `uid 1000`, or `start` for the link printed at startup."""
    open_seconds: float
    """Since it was logged in."""
    idle_seconds: float
    """Since it last asked for something."""
    seconds_left: float
    streams: int
    """How many of its pages follow the events."""
    is_yours: bool = False
    """It is the session that asks."""
    may_close: bool = False
    """Whether you may close it."""


class SessionPage(msgspec.Struct, frozen=True):
    sessions: list[LoggedIn]
    """The oldest first."""


class SessionsClosed(msgspec.Struct, frozen=True):
    closed: list[str]
    """Their names."""


class OneSession(Parameters, frozen=True, kw_only=True):
    session: Annotated[str, Meta(min_length=1, description="The session's name, as in the list of sessions.")]


class Sessions(Protocol):
    """Those that are open now."""

    def views(self) -> list[LoggedIn]: ...

    def close(self, names: Collection[str], by: str) -> list[str]: ...


class DashboardLogin:
    """`new_link` makes a link for a level and a user; it raises `Conflict` when no dashboard is served."""

    def __init__(self, new_link: Callable[[Level, str], LoginLink], sessions: Sessions) -> None:
        self.new_link = new_link
        self.sessions = sessions


async def _log_in(login: DashboardLogin, call: AdminCall, asked: Parameters) -> Response:
    """Make a link that opens the dashboard once, with the caller's level."""
    caller = call.caller
    if caller.origin:  # or a session could prolong itself for ever
        raise Forbidden("links are made only over the admin socket: run `majlis dashboard` on the host")
    await call.audit("dashboard-login", f"level {caller.level}")
    return json_response(200, login.new_link(caller.level, f"uid {call.peer.uid}"))


async def _list(login: DashboardLogin, call: AdminCall, asked: Parameters) -> Response:
    """Who is logged in at the dashboard."""
    found = [
        msgspec.structs.replace(
            view,
            is_yours=bool(call.caller.origin) and view.session == call.caller.session,
            may_close=_may_close(login, call, view),
        )
        for view in login.sessions.views()
    ]
    return await call.answer(SessionPage(found), "dashboard sessions")


async def _close(login: DashboardLogin, call: AdminCall, asked: OneSession) -> Response:
    """Log one session out of the dashboard. Level admin may close any, others those that they asked for."""
    found = next((view for view in login.sessions.views() if view.session == asked.session), None)
    if found is None:
        raise Missing(f"There is no session {asked.session}: see `majlis dashboard sessions`.")
    if not _may_close(login, call, found):
        raise Forbidden(
            f"only level admin may close the sessions of others, and yours is {call.caller.level}: "
            f"{call.caller.where_levels_stand}"
        )
    await call.audit("dashboard-close", f"session {found.session}")
    closed = login.sessions.close({found.session}, _who(call))
    if not closed:
        raise Conflict(f"Session {found.session} ended by itself at the same moment.")
    return json_response(200, SessionsClosed(closed))


async def _close_all(login: DashboardLogin, call: AdminCall, asked: Parameters) -> Response:
    """Log out of the dashboard every session that the caller may close: all for level admin, else his own."""
    names = {view.session for view in login.sessions.views() if _may_close(login, call, view)}
    await call.audit("dashboard-close", "all sessions" if call.caller.level == "admin" else "own sessions")
    return json_response(200, SessionsClosed(login.sessions.close(names, _who(call))))


def _may_close(login: DashboardLogin, call: AdminCall, view: LoggedIn) -> bool:
    if call.caller.level == "admin":
        return True
    if not call.caller.origin:
        return view.asked_by == _who(call)
    # Through the dashboard: whoever asked for the link of the caller's own session.
    asker = next((own.asked_by for own in login.sessions.views() if own.session == call.caller.session), None)
    return view.asked_by == asker


def _who(call: AdminCall) -> str:
    return f"session {call.caller.session}" if call.caller.origin else f"uid {call.peer.uid}"


_SESSIONS = "/v1/dashboard/sessions"
ROUTES = (
    Route("POST", "/v1/dashboard/login", DashboardLogin, _log_in, "read", LoginLink),
    Route("GET", _SESSIONS, DashboardLogin, _list, "read", SessionPage),
    Route("POST", f"{_SESSIONS}/close", DashboardLogin, _close_all, "read", SessionsClosed),
    Route(
        "POST", f"{_SESSIONS}/{{session}}/close", DashboardLogin, _close, "read", SessionsClosed, OneSession
    ),
)
