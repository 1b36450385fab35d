"""The dashboard as operators see it, and the link that lets somebody in."""

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
    """Where it is served, `http://127.0.0.1:8089`; empty: it is not, for the `problem`."""
    problem: str = ""
    """A sentence that says what to change."""
    sessions: int = 0
    """Browsers that are logged in."""


class LoginLink(msgspec.Struct, frozen=True, kw_only=True):
    """Opens the dashboard, once. Whoever has it may do what its level allows."""

    url: str
    others: list[str] = []
    """The same link under the names of web servers in front: the first use of any of them uses it up."""
    level: Level
    seconds: float
    """How long it waits to be used."""


class DashboardLogin:
    """`new_link` makes one for a level and whoever asks; it raises `Conflict` when no dashboard is served."""

    def __init__(self, new_link: Callable[[Level, str], LoginLink]) -> None:
        self.new_link = new_link


async def _log_in(login: DashboardLogin, call: AdminCall, asked: Parameters) -> Response:
    """A link that opens the dashboard once, with the level of whoever asks."""
    caller = call.caller
    if caller.origin:  # or a session could have itself prolonged for ever
        raise Forbidden("a link is given out over the admin socket alone: run `majlis dashboard` on the host")
    await call.audit("dashboard-login", f"level {caller.level}")
    return json_response(200, login.new_link(caller.level, f"uid {call.peer.uid}"))


ROUTES = (Route("POST", "/v1/dashboard/login", DashboardLogin, _log_in, "read", LoginLink),)
