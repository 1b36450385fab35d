"""Which gateway sends for which instance, and how many calls run at once.

There are two limits per server, for two reasons. The gateway is one single-threaded server: beyond
`max_concurrent_calls`, a burst only makes every call slower, up to time-outs with an unknown outcome. And an instance
whose phone is offline can hold each call for the whole time-out: `max_per_instance` keeps it from taking all places, so
that other instances' replies still leave in time. Instances share the places of their server, whatever keys they have.

A call waits for a place at most `MAX_WAIT_SECONDS`, because the right to send was checked just before and must not
become stale in a queue. After that the answer is "not sent, hold", which is proven, and the turn tries again.

The gateway is chosen when a call begins, by the settings in force then, and the call ends in that one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Generic

import trio

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import NotSent, SendEvidence, SendOutcome
from actors.permits import aside
from actors.ports import Gateway, MaySend, at_any_time
from daemon.schema.in_use import InUse, KeyT

MAX_WAIT_SECONDS = 2.0
NO_GATEWAY = "gateway_settings_left_out"


class ServerPlaces:
    """The calls that one server takes at once, in all and per instance."""

    def __init__(self, max_concurrent_calls: int = 64, max_per_instance: int = 8) -> None:
        self._all = trio.Semaphore(max_concurrent_calls)
        self._max_per_instance = max_per_instance
        self._of: dict[str, trio.Semaphore] = {}

    @asynccontextmanager
    async def one(self, instance: str) -> AsyncIterator[None]:
        """A place for one call. Raises `_Busy`."""
        own = self._of.get(instance)
        if own is None:
            own = self._of[instance] = trio.Semaphore(self._max_per_instance)
        until = trio.current_time() + MAX_WAIT_SECONDS
        held: list[trio.Semaphore] = []
        try:
            # The instance's own place first: a call that waits for it must not hold one of the shared places.
            for places in (own, self._all):
                await _take(places, until)
                held.append(places)
            yield
        finally:
            for places in held:
                places.release()


async def _take(places: trio.Semaphore, until: float) -> None:
    with suppress(trio.WouldBlock):
        return places.acquire_nowait()  # who waits is served first: then there is none
    with trio.move_on_at(until):
        return await places.acquire()
    raise _Busy


class BoundedGateway:
    """A gateway that takes a bounded number of calls at once."""

    def __init__(self, gateway: Gateway, places: ServerPlaces) -> None:
        self._gateway = gateway
        self._places = places

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        try:
            async with self._places.one(conversation.instance):
                return await self._gateway.send(conversation, text, may_send, origin, key)
        except _Busy:
            return NotSent("gateway_busy", "hold")

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        try:
            async with self._places.one(conversation.instance):
                return await self._gateway.find(conversation, text, since_ms, known_ids, origin)
        except _Busy:
            raise GatewayHeld("too many calls to the gateway are in progress") from None


class _Busy(Exception):
    pass


class RoutedGateway(Generic[KeyT]):
    """The gateway of the instance's settings.

    Args:
      settings_of: those in force; None: it is not known which gateway is meant, so replies are held.
      senders: made of settings, unbounded.
      places: of the servers that `server_of` tells apart.
    """

    def __init__(
        self,
        settings_of: Callable[[str], KeyT | None],
        senders: InUse[KeyT, Gateway],
        places: InUse[Hashable, ServerPlaces],
        server_of: Callable[[KeyT], Hashable],
    ) -> None:
        self._settings_of = settings_of
        self._senders = senders
        self._places = places
        self._server_of = server_of

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        settings = self._settings_of(conversation.instance)
        if settings is None:
            await trio.lowlevel.checkpoint()
            return NotSent(NO_GATEWAY, "hold")
        with self._of(settings) as gateway:
            # What became of it is stored at once, whatever else is at work.
            async with aside(at_once=True):
                return await gateway.send(conversation, text, may_send, origin, key)

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        settings = self._settings_of(conversation.instance)
        if settings is None:
            raise GatewayHeld(NO_GATEWAY)
        with self._of(settings) as gateway:
            async with aside():
                return await gateway.find(conversation, text, since_ms, known_ids, origin)

    @contextmanager
    def _of(self, settings: KeyT) -> Iterator[Gateway]:
        with self._senders.call(settings) as sender, self._places.call(self._server_of(settings)) as places:
            yield BoundedGateway(sender, places)
