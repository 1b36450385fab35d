"""The dashboard as operators see it, and the link to log in to it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

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


class DashboardLogin:
    """`new_link` makes a link for a level and a user; it raises `Conflict` when no dashboard is served."""

    def __init__(self, new_link: Callable[[Level, str], LoginLink]) -> None:
        self.new_link = new_link


async def _log_in(login: DashboardLogin, call: AdminCall, asked: Parameters) -> Response:
    """Make a link that opens the dashboard once, with the caller's level."""
    caller = call.caller
    if caller.origin:  # or a session could prolong itself for ever
        raise Forbidden("links are made only over the admin socket: run `majlis dashboard` on the host")
    await call.audit("dashboard-login", f"level {caller.level}")
    return json_response(200, login.new_link(caller.level, f"uid {call.peer.uid}"))


ROUTES = (Route("POST", "/v1/dashboard/login", DashboardLogin, _log_in, "read", LoginLink),)
