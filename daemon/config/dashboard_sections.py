"""The section of the dashboard: the page that the daemon serves to a browser."""

from __future__ import annotations

from typing import Literal

from daemon.fields import Flag, Seconds, Section


class Dashboard(Section):
    listen: str | None = "127.0.0.1:8089"
    hosts: tuple[str, ...] = ()
    level: Literal["read", "operate", "admin"] = "operate"
    login_seconds: Seconds = 3_600.0
    session_seconds: Seconds = 43_200.0
    playground: Flag = True
