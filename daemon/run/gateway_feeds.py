"""The gateways' own feeds (`gateway.feed: websocket`), one for each instance whose settings in force have one.

Laws of this file:
1. An instance has one feed at most. When its settings change, the old one ends before the new one begins; what happens
   between them is found by the sweep of the records.
2. A bug in one feed stops neither the other feeds nor the daemon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import trio

from daemon.controls.live_settings import LiveSettings
from daemon.gateways.kind import FeedView, GatewaySettings, InstanceFeed
from daemon.gateways.kinds import GATEWAYS
from daemon.ingress.known_instances import KnownInstances
from daemon.observe.feed import EventFeed
from daemon.web.http1 import Response
from daemon.web.tls import tls_context

RESTART_SECONDS = 5.0
_FOR_SENDS = {
    key: field.default for key, field in GatewaySettings.model_fields.items() if key not in ("kind", "feed")
}
"""Keys of a gateway that a feed has no use for, at their defaults: their change is no reason to end it."""


class PayloadSink(Protocol):
    """Takes one payload of the named instance, as the webhook door does."""

    def __call__(self, body: bytes, instance: str) -> Awaitable[Response]: ...


class _Running(NamedTuple):
    settings: GatewaySettings
    feed: InstanceFeed
    scope: trio.CancelScope


class GatewayFeeds:
    def __init__(
        self,
        live: LiveSettings,
        known: KnownInstances,
        feed: EventFeed,
        receive: PayloadSink,
        on_error: Callable[[str, BaseException], None],
        ca_file: Path | None,
    ) -> None:
        self._live = live
        self._known = known
        self._events = feed
        self._receive = receive
        self._on_error = on_error
        self._tls = tls_context(ca_file)
        self._running: dict[str, _Running] = {}
        self._changed = trio.Event()
        live.follow(self._wake)
        known.follow(self._wake)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen to all of them."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow, name="gateway feeds")
            yield
            nursery.cancel_scope.cancel()

    def views(self) -> list[FeedView]:
        """For the status."""
        return [running.feed.view() for _, running in sorted(self._running.items())]

    def _wake(self) -> None:
        self._changed.set()

    async def _follow(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                wanted = dict(self._wanted())
                for name, running in self._running.items():
                    if wanted.pop(name, None) != running.settings:
                        running.scope.cancel()
                for name, settings in wanted.items():
                    if begun := self._begun(name, settings):
                        self._running[name] = begun
                        nursery.start_soon(self._run, name, begun, name="gateway feed")
                await self._changed.wait()

    def _wanted(self) -> Iterator[tuple[str, GatewaySettings]]:
        live = self._live
        stored = self._known.names if live.of_others.gateway.feed == "websocket" else ()
        for name in live.names.union(stored):
            gateway = live.gateway(name)
            if gateway is None or gateway.feed != "websocket":
                continue
            kind = GATEWAYS[gateway.kind]
            if kind.has_feed and not any(kind.instance_misfits(gateway, name, live.configured.realtime)):
                yield name, gateway.model_copy(update=_FOR_SENDS)

    def _begun(self, name: str, settings: GatewaySettings) -> _Running | None:
        # Named, so that the payload is read as this instance's gateway writes it, whatever the default is.
        own = partial(self._receive, instance=name)
        try:
            feed = GATEWAYS[settings.kind].feed(settings, name, own, self._events, self._tls)
        except Exception as error:
            self._on_error("gateway feed", error)
            return None
        return _Running(settings, feed, trio.CancelScope()) if feed is not None else None

    async def _run(self, name: str, running: _Running) -> None:
        """Until its settings are not in force any more."""
        try:
            with running.scope:
                while True:
                    try:
                        await running.feed.run()
                    except* Exception as group:
                        self._on_error("gateway feed", group)
                    await trio.sleep(RESTART_SECONDS)
        finally:
            del self._running[name]
            running.feed.give_up()
            self._wake()
