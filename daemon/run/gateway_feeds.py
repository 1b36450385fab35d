"""The gateways' own feeds (`gateway.feed: websocket`), one for each instance that has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from daemon.config import Settings
from daemon.gateways.evolution.feed import EvolutionFeed
from daemon.observe.feed import EventFeed
from daemon.operate.status import FeedView
from daemon.web.http1 import Response

RESTART_SECONDS = 5.0
NO_REPLAY = "what happens while it is away never comes: keep the webhook as well, or accept that"


class GatewayFeeds:
    def __init__(
        self,
        settings: Settings,
        feed: EventFeed,
        receive: Callable[[bytes], Awaitable[Response]],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._on_error = on_error
        self._feeds = []
        for name in settings.instances:
            gateway = settings.for_instance(name).gateway
            if gateway.feed == "websocket":
                # Seen to when the settings were read.
                assert gateway.base_url is not None and gateway.api_key is not None
                key = gateway.api_key.get_secret_value()
                self._feeds.append(EvolutionFeed(gateway.base_url, key, name, receive, feed))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen to all of them."""
        async with trio.open_nursery() as nursery:
            for feed in self._feeds:
                nursery.start_soon(self._run, feed, name="gateway feed")
            yield
            nursery.cancel_scope.cancel()
        for feed in self._feeds:
            feed.give_up()

    def views(self) -> list[FeedView]:
        """For the status."""
        return [
            FeedView(
                instance=state.instance,
                connected=state.connected,
                received=state.received,
                lost=state.lost,
                connections=state.connections,
                note=NO_REPLAY,
            )
            for state in (feed.state() for feed in self._feeds)
        ]

    async def _run(self, feed: EvolutionFeed) -> None:
        """A bug in one feed stops neither the others nor the daemon."""
        while True:
            try:
                await feed.run()
            except* Exception as group:
                self._on_error("gateway feed", group)
            await trio.sleep(RESTART_SECONDS)
