"""Where the dashboard is served, and the links that open it."""

from __future__ import annotations

import errno

import trio

from actors.errors import Conflict
from daemon.dashboard.access import Access, LoginGrant
from daemon.observe.feed import EventFeed
from daemon.operate.levels import Level
from daemon.operate.login import DashboardView, LoginLink
from daemon.web.http1 import address_of, open_tcp_listeners, split_address

_SHOWN = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}
"""Where a browser of this machine finds what listens everywhere."""


class DashboardSite:
    """Opens the address, and makes the links while it is open.

    Args:
      listen: as configured; None: the dashboard is off.
      hosts: names of web servers in front of it.
      login_seconds: how long a link waits to be used.
    """

    def __init__(
        self,
        listen: str | None,
        hosts: tuple[str, ...],
        login_seconds: float,
        access: Access,
        feed: EventFeed,
    ) -> None:
        self._listen = listen
        self._hosts = hosts
        self._login_seconds = login_seconds
        self._access = access
        self._feed = feed
        self.listening: tuple[str, ...] = ()
        """The addresses of its sockets; none while it is off."""
        self._address = ""
        self._problem = ""

    async def open(self) -> list[trio.SocketListener]:
        """Listen; none where it is off, or the address cannot be had: answers matter more than the page."""
        if self._listen is None:
            return []
        try:
            listeners = await open_tcp_listeners(self._listen)
        except OSError as error:
            self._problem = _why_not(self._listen, error)
            self._feed.emit("dashboard.unavailable", problem=self._problem)
            return []
        self.listening = tuple(map(address_of, listeners))
        name, _ = split_address(self._listen)
        port = listeners[0].socket.getsockname()[1]
        self._address = f"http://{_SHOWN.get(name, f'[{name}]' if ':' in name else name)}:{port}"
        return listeners

    def new(self, level: Level, asked_by: str) -> LoginLink:
        """A fresh login link. Raises: Conflict."""
        if not self._address:
            raise Conflict(f"The dashboard is not served: {self._problem or 'dashboard.listen is null.'}")
        fragment = f"/#login={self._access.link(LoginGrant(level, asked_by))}"
        return LoginLink(
            url=self._address + fragment,
            others=[f"https://{host}{fragment}" for host in self._hosts],
            level=level,
            seconds=self._login_seconds,
        )

    def view(self) -> DashboardView | None:
        """For the status; None: it is off."""
        if self._listen is None:
            return None
        return DashboardView(
            address=self._address, problem=self._problem, sessions=len(self._access.sessions)
        )

    def greeting(self, level: Level, with_link: bool) -> str:
        """What the banner says of it. No link where others may read what is printed."""
        if self._problem:
            return f"No dashboard: {self._problem}"
        if not self._address:
            return ""
        if not with_link:
            return f"The dashboard: {self._address} (`majlis dashboard` prints a link)"
        return f"The dashboard, by a link that works once: {self.new(level, 'start').url}"


def _why_not(listen: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{listen} is taken by another program: stop it, or set dashboard.listen to a free port."
    if error.errno == errno.EACCES:
        return f"this user may not listen on {listen}: set dashboard.listen to a port above 1023."
    return f"{listen} cannot be listened on ({error.strerror}): set dashboard.listen to an address of this machine."
