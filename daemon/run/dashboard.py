"""The dashboard as configured, open for as long as the daemon runs, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from actors.identity import Conversation
from actors.messages import WindowPolicy
from daemon import package_version
from daemon.config import Settings
from daemon.controls.live_settings import LiveSettings
from daemon.dashboard.access import Access, DashboardSession
from daemon.dashboard.door import DashboardDoor, SessionView
from daemon.dashboard.guard import Guard
from daemon.dashboard.pages import Pages
from daemon.dashboard.playground import Playground, Take
from daemon.dashboard.sessions import OpenSessions
from daemon.dashboard.site import DashboardSite
from daemon.gateways.playground import Chats
from daemon.observe.feed import EventFeed
from daemon.operate.instance_directory import InstanceDirectory
from daemon.operate.levels import Level
from daemon.run.inside import Inside
from daemon.run.late import Late
from daemon.run.lifecycle import AdminDoor
from daemon.web.http1 import HttpServer, Limits, split_address

LIMITS = Limits(max_connections=256, max_connections_per_address=256, max_body_bytes=64 * 1024)
"""Browsers open six connections for each of their windows, and behind a web server all come from one address."""
CLOSE_SECONDS = 1.0


class Dashboard:
    """`chats` exist even while it is off: a reply to a customer of the playground must never leave the daemon."""

    def __init__(
        self,
        settings: Settings,
        live: LiveSettings,
        feed: EventFeed,
        take: Take,
        admin: AdminDoor,
        inside: Late[Inside],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self.chats = Chats()
        self._settings = settings
        self._feed = feed
        self._take = take
        self._admin = admin
        self._inside = inside
        self._on_error = on_error
        own = settings.dashboard
        self._access = Access(own.login_seconds, own.session_seconds, trio.current_time, self._ended)
        self.sessions = OpenSessions(self._access, own.session_seconds, trio.current_time, feed)
        self.site = DashboardSite(own.listen, own.hosts, own.login_seconds, self._access, feed)
        self._instances = InstanceDirectory(lambda: live.names, inside.part(lambda it: it.parts.records))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen, if that is configured and the address is available."""
        listeners = await self.site.open()
        if not listeners:
            yield
            return
        own = self._settings.dashboard
        name, _ = split_address(own.listen or "")
        door = DashboardDoor(
            guard=Guard(name, listeners[0].socket.getsockname()[1], own.hosts),
            pages=Pages(),
            access=self._access,
            admin=self._admin.answer,
            view=self._view_for,
            feed=self._feed,
            session_seconds=own.session_seconds,
            playground=self._inside.part(lambda it: it.playground) if own.playground else None,
        )
        server = HttpServer(door.handle, LIMITS, self._on_error, "dashboard", gate=door.gate)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, listeners, name="dashboard door")
            yield
            with trio.move_on_after(CLOSE_SECONDS):
                await server.drain()  # ends the streams
            nursery.cancel_scope.cancel()

    def playground(
        self, owns: Callable[[Conversation], bool], window: Callable[[str], WindowPolicy]
    ) -> Playground:
        return Playground(
            self.chats,
            take=self._take,
            window=window,
            label=self._feed.label,
            owns=owns,
            knows=self._instances.knows,
        )

    def greeting(self, with_link: bool) -> str:
        return self.site.greeting(self._settings.dashboard.level, with_link)

    def _ended(self, session: DashboardSession) -> None:
        inside = self._inside.value
        if inside is not None:
            inside.playground.leave(session)

    async def _view_for(self, level: Level) -> SessionView:
        inside = self._inside.value
        return SessionView(
            level=level,
            node="" if inside is None else inside.node_id,
            version=package_version(),
            instances=await self._instances.names(),
            playground=self._settings.dashboard.playground,
            can_reveal=level == "admin",
        )
