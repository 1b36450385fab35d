"""The gateways' own feeds (`gateway.feed: websocket`), one for each instance that has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

import trio

from daemon.config import Settings
from daemon.gateways.kind import FeedView, InstanceFeed
from daemon.gateways.kinds import GATEWAYS
from daemon.observe.feed import EventFeed
from daemon.web.http1 import Response
from daemon.web.tls import tls_context

RESTART_SECONDS = 5.0


class PayloadSink(Protocol):
    """Takes one payload of the named instance, as the webhook door does."""

    def __call__(self, body: bytes, instance: str) -> Awaitable[Response]: ...


class GatewayFeeds:
    def __init__(
        self,
        settings: Settings,
        feed: EventFeed,
        receive: PayloadSink,
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._on_error = on_error
        tls = tls_context(settings.tls.ca_file)
        self._feeds: list[InstanceFeed] = []
        for name in settings.instances:
            gateway = settings.for_instance(name).gateway
            if gateway.feed == "websocket":
                # Named, so that the payload is read as this instance's gateway writes it, whatever the default is.
                own = partial(receive, instance=name)
                listener = GATEWAYS[gateway.kind].feed(gateway, name, own, feed, tls)
                if listener is not None:
                    self._feeds.append(listener)

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
        return [feed.view() for feed in self._feeds]

    async def _run(self, feed: InstanceFeed) -> None:
        """A bug in one feed stops neither the other feeds nor the daemon."""
        while True:
            try:
                await feed.run()
            except* Exception as group:
                self._on_error("gateway feed", group)
            await trio.sleep(RESTART_SECONDS)
