"""The realtime door as configured, open for as long as the daemon runs, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio

from daemon.config import Settings
from daemon.config.sections import RealtimeClient
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.couriers import Couriers
from daemon.gateways.realtime import delivering_clients
from daemon.observe.feed import EventFeed
from daemon.operate.status import RealtimeView
from daemon.realtime.clients import Client, Clients
from daemon.realtime.server import Admission, RealtimeServer
from daemon.realtime.session import ReceivePush, SessionLimits
from daemon.run.lifecycle import CannotStart, cannot_listen
from daemon.web.http1 import BodyBytes, address_of, open_tcp_listeners

CLOSE_SECONDS = 2.0


class RealtimeDoor:
    """`couriers` exist even while the door is off: a gateway that needs one just finds none."""

    def __init__(
        self,
        settings: Settings,
        live: LiveSettings,
        feed: EventFeed,
        receive: ReceivePush,
        on_serving: Callable[[], None],
        on_error: Callable[[str, BaseException], None],
        bodies: BodyBytes,
    ) -> None:
        self.couriers = Couriers()
        self._settings = settings
        self._feed = feed
        self._delivering: frozenset[str] = frozenset()
        live.follow(lambda: self._follow(live))
        self.listening: tuple[str, ...] = ()
        """The addresses; none while it is off."""
        realtime = settings.realtime
        self._server = RealtimeServer(
            Clients([_client(client, self._delivers) for client in realtime.clients]),
            receive=receive,
            feed=feed,
            couriers=self.couriers,
            on_serving=on_serving,
            on_error=on_error,
            admission=Admission(
                allowed_origins=frozenset(realtime.allowed_origins),
                max_connections=realtime.max_connections,
                max_frame_bytes=realtime.max_frame_bytes,
                auth_seconds=realtime.auth_seconds,
            ),
            limits=SessionLimits(
                max_queued_events=realtime.max_queued_events,
                max_pushes_in_flight=realtime.max_pushes_in_flight,
                write_seconds=realtime.write_seconds,
                ping_seconds=realtime.ping_seconds,
                pong_seconds=realtime.pong_seconds,
                idle_seconds=realtime.idle_seconds,
                bodies=bodies,
            ),
        )

    def _follow(self, live: LiveSettings) -> None:
        self._delivering = delivering_clients(own.gateway for own in live.every())

    def _delivers(self, client: str) -> bool:
        return client in self._delivering

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen, where that is configured; at the end every client gets a close frame that says why.

        Raises:
          CannotStart: the address is not available.
        """
        listen = self._settings.realtime.listen
        if listen is None:
            yield
            return
        try:
            listeners = await open_tcp_listeners(listen)
        except (OSError, ValueError) as error:
            words = cannot_listen(listen, error)
            raise CannotStart(words.replace("ingress.listen", "realtime.listen")) from error
        self.listening = tuple(map(address_of, listeners))
        async with trio.open_nursery() as nursery:
            await nursery.start(self._server.serve, listeners, name="realtime door")
            yield
            with trio.move_on_after(CLOSE_SECONDS):
                await self._server.close()
            nursery.cancel_scope.cancel()

    def view(self) -> RealtimeView | None:
        """For the status; None: it is off."""
        if not self.listening:
            return None
        connected = Counter(session.client.name for session in self._server.sessions)
        return RealtimeView(listen=self.listening[0], connected=dict(connected), latest_event=self._feed.seq)


def _client(client: RealtimeClient, delivers: Callable[[str], bool]) -> Client:
    return Client(
        name=client.name,
        tokens=tuple(token.get_secret_value() for token in client.token),
        instances=None if client.instances == "all" else frozenset(client.instances),
        may_push=client.may_push,
        may_watch=client.may_watch,
        delivers=partial(delivers, client.name),
    )
