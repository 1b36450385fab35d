"""Which gateway sends for which instance, and how many calls run at once.

There are two limits per gateway, for two reasons. The gateway is one single-threaded server: beyond
`max_concurrent_calls`, a burst only makes every call slower, up to time-outs with an unknown outcome. And an instance
whose phone is offline can hold each call for the whole time-out: `max_concurrent_calls_per_instance` keeps it from
taking all places, so that other instances' replies still leave in time.

A call waits for a place at most `MAX_WAIT_SECONDS`, because the right to send was checked just before and must not
become stale in a queue. After that the answer is "not sent, hold", which is proven, and the turn tries again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import NotSent, SendEvidence, SendOutcome
from actors.ports import Gateway, MaySend, at_any_time

MAX_WAIT_SECONDS = 2.0


class BoundedGateway:
    """A gateway that takes a bounded number of calls at once, in all and per instance."""

    def __init__(
        self, gateway: Gateway, *, max_concurrent_calls: int = 64, max_concurrent_calls_per_instance: int = 8
    ) -> None:
        self._gateway = gateway
        self._places = trio.CapacityLimiter(max_concurrent_calls)
        self._per_instance = max_concurrent_calls_per_instance
        self._places_of: dict[str, trio.CapacityLimiter] = {}

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        try:
            async with self._place(conversation.instance):
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
            async with self._place(conversation.instance):
                return await self._gateway.find(conversation, text, since_ms, known_ids, origin)
        except _Busy:
            raise GatewayHeld("too many calls to the gateway are in progress") from None

    @asynccontextmanager
    async def _place(self, instance: str) -> AsyncIterator[None]:
        own = self._places_of.setdefault(instance, trio.CapacityLimiter(self._per_instance))
        # The instance's own place first: a call that waits for it must not hold one of the shared places.
        borrower = object()
        held: list[trio.CapacityLimiter] = []
        try:
            with trio.move_on_after(MAX_WAIT_SECONDS):
                for places in (own, self._places):
                    await places.acquire_on_behalf_of(borrower)
                    held.append(places)
            if len(held) < 2:
                raise _Busy
            yield
        finally:
            for places in held:
                places.release_on_behalf_of(borrower)


class _Busy(Exception):
    pass


class RoutedGateway:
    """The instance's own gateway if it has one, else the default."""

    def __init__(self, default: Gateway, by_instance: Mapping[str, Gateway]) -> None:
        self._default = default
        self._by_instance = dict(by_instance)

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        return await self._for(conversation).send(conversation, text, may_send, origin, key)

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        return await self._for(conversation).find(conversation, text, since_ms, known_ids, origin)

    def _for(self, conversation: Conversation) -> Gateway:
        return self._by_instance.get(conversation.instance, self._default)
