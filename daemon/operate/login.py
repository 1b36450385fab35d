"""What the admin door needs of the dashboard, and what it tells of it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from daemon.operate.levels import Level


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
    """The same link under the names of web servers in front: one of them all is used up by its first use."""
    level: Level
    seconds: float
    """How long it waits to be used."""


class Links(Protocol):
    """Implemented by `daemon.dashboard.site`."""

    def new(self, level: Level, asked_by: str) -> LoginLink:
        """A fresh link. Raises `Conflict` when no dashboard is served."""
