"""The dashboard as the settings name it, open for as long as the daemon runs, or not at all."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from actors.errors import Conflict, LedgerUnavailable
from daemon import package_version
from daemon.config import Settings
from daemon.dashboard.access import Access, Link
from daemon.dashboard.door import DashboardDoor, SessionView
from daemon.dashboard.guard import Guard
from daemon.dashboard.pages import Pages
from daemon.dashboard.playground import Playground, Receive
from daemon.gateways.playground import Chats
from daemon.ledger import Records
from daemon.observe.feed import EventFeed
from daemon.operate import AdminApi
from daemon.operate.call import Caller
from daemon.operate.levels import Level
from daemon.operate.login import DashboardView, LoginLink
from daemon.run.engine import Parts
from daemon.stores.postgres import LedgerError
from daemon.web.http1 import HttpServer, Limits, Request, Response, open_tcp_listeners, split_address

LIMITS = Limits(max_connections=256, max_connections_per_address=256, max_body_bytes=64 * 1024)
"""Browsers open six connections for each of their windows, and behind a web server all come from one address."""
CLOSE_SECONDS = 1.0
MAX_STORED = 1_000
"""Instances that stand in the database alone; the page offers so many of them."""
_SHOWN = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}
"""Where a browser of this machine finds what listens everywhere."""


class Dashboard:
    """`chats` exist also while it is off: what is for the playground's customers never leaves the daemon."""

    def __init__(
        self,
        settings: Settings,
        feed: EventFeed,
        receive: Receive,
        starting: Callable[[Request], Awaitable[Response]],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        """`starting` answers what is asked of the admin interface before there is one."""
        self.chats = Chats()
        self._settings = settings
        self._feed = feed
        self._receive = receive
        self._starting = starting
        self._on_error = on_error
        own = settings.dashboard
        self._access = Access(own.login_seconds, own.session_seconds, trio.current_time)
        self._address = ""
        self._problem = ""
        self._api: AdminApi | None = None
        self._node_id = ""
        self._records: Records | None = None
        self._door: DashboardDoor | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen, where that is configured and the address can be had; answers matter more than the page."""
        listeners = await self._listeners()
        if not listeners:
            yield
            return
        port = listeners[0].socket.getsockname()[1]
        name, _ = split_address(self._settings.dashboard.listen or "")
        self._address = f"http://{_SHOWN.get(name, f'[{name}]' if ':' in name else name)}:{port}"
        self._door = DashboardDoor(
            guard=Guard(name, port, self._settings.dashboard.hosts),
            pages=Pages(),
            access=self._access,
            admin=self._ask,
            view=self._view_for,
            feed=self._feed,
            session_seconds=self._settings.dashboard.session_seconds,
            has_playground=self._settings.dashboard.playground,
        )
        server = HttpServer(self._door.handle, LIMITS, self._on_error, "dashboard")
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, listeners, name="dashboard door")
            yield
            with trio.move_on_after(CLOSE_SECONDS):
                await server.drain()  # ends the streams
            nursery.cancel_scope.cancel()

    def join(self, api: AdminApi, node_id: str, parts: Parts) -> None:
        """The daemon's parts are up: from here on there is something to show."""
        self._api = api
        self._node_id = node_id
        self._records = parts.records
        if self._door is not None and self._settings.dashboard.playground:
            self._door.playground = Playground(
                self.chats,
                receive=self._receive,
                window=self._settings.window,
                label=self._feed.label,
                owns=parts.ownership.owns,
                knows=self._knows,
            )

    def new(self, level: Level, asked_by: str) -> LoginLink:
        """A fresh login link. Raises: Conflict."""
        if not self._address:
            raise Conflict(f"The dashboard is not served: {self._problem or 'dashboard.listen is null.'}")
        fragment = f"/#login={self._access.link(Link(level, asked_by))}"
        return LoginLink(
            url=self._address + fragment,
            others=[f"https://{host}{fragment}" for host in self._settings.dashboard.hosts],
            level=level,
            seconds=self._settings.dashboard.login_seconds,
        )

    def view(self) -> DashboardView | None:
        """For the status; None: it is off."""
        if self._settings.dashboard.listen is None:
            return None
        return DashboardView(address=self._address, problem=self._problem, sessions=self._access.sessions)

    def greeting(self, with_link: bool) -> str:
        """What the banner says of it. No link where many may read what is printed."""
        if self._problem:
            return f"No dashboard: {self._problem}"
        if not self._address:
            return ""
        if not with_link:
            return f"The dashboard: {self._address} (`majlis dashboard` prints a link)"
        return f"The dashboard, by a link that is good once: {self.new(self._settings.dashboard.level, 'start').url}"

    async def _listeners(self) -> list[trio.SocketListener]:
        listen = self._settings.dashboard.listen
        if listen is None:
            return []
        try:
            return await open_tcp_listeners(listen)
        except OSError as error:
            self._problem = _why_not(listen, error)
            self._feed.emit("dashboard.unavailable", problem=self._problem)
            return []

    async def _ask(self, request: Request, caller: Caller) -> Response:
        return await (self._starting(request) if self._api is None else self._api.answer(request, caller))

    async def _view_for(self, level: Level) -> SessionView:
        return SessionView(
            level=level,
            node=self._node_id,
            version=package_version(),
            instances=sorted({*self._settings.instances, *await self._stored()}),
            playground=self._settings.dashboard.playground,
            can_reveal=level == "admin",
        )

    async def _stored(self) -> Sequence[str]:
        """Instances that the database alone names; none while it cannot be asked."""
        if self._records is None:
            return ()
        try:
            return (await self._records.stored_instances(self._settings.instances, MAX_STORED)).names
        except (LedgerUnavailable, LedgerError):
            return ()

    async def _knows(self, instance: str) -> bool:
        if instance in self._settings.instances:
            return True
        return self._records is not None and await self._records.knows_instance(instance)


def _why_not(listen: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{listen} is taken by another program: stop it, or set dashboard.listen to a free port."
    if error.errno == errno.EACCES:
        return f"this user may not listen on {listen}: set dashboard.listen to a port above 1023."
    return f"{listen} cannot be listened on ({error.strerror}): set dashboard.listen to an address of this machine."
