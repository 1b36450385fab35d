"""Which gateway sends, and how many calls run at once."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import NoRecord, NotSent, SendEvidence, SendOutcome, Sent
from actors.ports import Gateway, MaySend, at_any_time
from daemon.gateways.router import MAX_WAIT_SECONDS, NO_GATEWAY, BoundedGateway, RoutedGateway, ServerPlaces
from daemon.schema.in_use import InUse


class HeldGateway:
    """Holds every call until it is released, and counts."""

    def __init__(self) -> None:
        self.release = trio.Event()
        self.calls = 0
        self.origins: list[str] = []
        self.running = 0
        self.most = 0

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        self.origins.append(origin)
        await self._call()
        return Sent(text)

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        self.origins.append(origin)
        await self._call()
        return NoRecord()

    async def _call(self) -> None:
        self.calls += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.release.wait()
        finally:
            self.running -= 1


def routed(own: dict[str, HeldGateway], default: HeldGateway | None = None) -> RoutedGateway[HeldGateway]:
    """The gateways are their own settings, each on a server of its own."""
    servers = InUse[Hashable, ServerPlaces](lambda server: ServerPlaces(4, 2))
    return RoutedGateway(lambda name: own.get(name, default), InUse(lambda made: made), servers, id)


def guest(instance: str = "demo") -> Conversation:
    return Conversation(instance, "5511900001095")


async def test_an_instances_own_gateway_is_used_else_the_default() -> None:
    own, default = HeldGateway(), HeldGateway()
    router: Gateway = routed({"demo": own}, default)
    own.release.set()
    default.release.set()
    await router.send(guest("demo"), "a")
    assert (own.calls, default.calls) == (1, 0)
    await router.find(guest("demo"), "a", 0, frozenset())
    assert (own.calls, default.calls) == (2, 0)
    await router.send(guest("other"), "b")
    await router.find(guest("other"), "b", 0, frozenset())
    assert (own.calls, default.calls) == (2, 2)


async def test_the_origin_reaches_the_gateway() -> None:
    held = HeldGateway()
    held.release.set()
    router: Gateway = routed({"demo": held})
    await router.send(guest(), "a", at_any_time, "https://other.example.com")
    await router.find(guest(), "a", 0, frozenset(), "https://other.example.com")
    await router.send(guest(), "a")
    assert held.origins == ["https://other.example.com", "https://other.example.com", ""]


async def test_calls_to_a_gateway_are_bounded(autojump_clock: MockClock) -> None:
    """I8: the rest is answered "not sent, hold" within a bounded wait."""
    held = HeldGateway()
    bounded = BoundedGateway(held, ServerPlaces(3, 2))
    outcomes: list[SendOutcome] = []

    async def send(instance: str) -> None:
        outcomes.append(await bounded.send(guest(instance), "hello"))

    async with trio.open_nursery() as nursery:
        for instance in ("a", "a", "b", "b", "c"):
            nursery.start_soon(send, instance)
        await trio.sleep(MAX_WAIT_SECONDS + 1)
        assert outcomes == [NotSent("gateway_busy", "hold")] * 2
        held.release.set()
    assert held.most == 3
    assert outcomes.count(Sent("hello")) == 3


async def test_one_instance_cannot_take_the_places_of_others(autojump_clock: MockClock) -> None:
    """I9: an instance whose calls hang fills its own places only."""
    held = HeldGateway()
    bounded = BoundedGateway(held, ServerPlaces(3, 2))
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(bounded.send, guest("flood"), "hello")
        await wait_all_tasks_blocked()
        assert held.running == 2
        nursery.start_soon(bounded.send, guest("other"), "hello")
        await wait_all_tasks_blocked()
        assert held.running == 3
        held.release.set()


async def test_a_lookup_without_a_free_place_is_held_not_answered(autojump_clock: MockClock) -> None:
    """I6."""
    held = HeldGateway()
    bounded = BoundedGateway(held, ServerPlaces(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bounded.send, guest(), "hello")
        await wait_all_tasks_blocked()
        with pytest.raises(GatewayHeld):
            await bounded.find(guest(), "hello", 0, frozenset())
        held.release.set()
        assert await bounded.find(guest(), "hello", 0, frozenset()) == NoRecord()


async def test_a_cancelled_call_frees_its_place(autojump_clock: MockClock) -> None:
    """I8: neither one that runs nor one that waits keeps a place."""
    held = HeldGateway()
    bounded = BoundedGateway(held, ServerPlaces(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bounded.send, guest(), "runs")
        nursery.start_soon(bounded.send, guest("other"), "waits")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    held.release.set()
    assert await bounded.send(guest(), "hello") == Sent("hello")
    assert await bounded.send(guest("other"), "hello") == Sent("hello")


class Switch:
    """Settings that may change; each text is a gateway of its own, on the server before its colon."""

    def __init__(self, now: str | None) -> None:
        self.now = now
        self.made: dict[str, HeldGateway] = {}
        self.senders = InUse[str, Gateway](lambda key: self.made.setdefault(key, HeldGateway()))
        self.places = InUse[Hashable, ServerPlaces](lambda server: ServerPlaces(2, 2))
        self.router: Gateway = RoutedGateway(
            lambda name: self.now, self.senders, self.places, lambda key: key.partition(":")[0]
        )

    def to(self, now: str | None) -> None:
        self.now = now
        self.senders.keep({now} if now else ())
        self.places.keep({now.partition(":")[0]} if now else ())


async def test_a_send_ends_in_the_gateway_that_it_began_in_and_the_next_takes_the_new_one() -> None:
    switch = Switch("old:")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(switch.router.send, guest(), "first")
        await wait_all_tasks_blocked()
        switch.to("new:")
        nursery.start_soon(switch.router.send, guest(), "second")
        await wait_all_tasks_blocked()
        assert [switch.made[key].running for key in ("old:", "new:")] == [1, 1]
        assert len(switch.senders) == len(switch.places) == 2
        for held in switch.made.values():
            held.release.set()
    assert [switch.made[key].calls for key in ("old:", "new:")] == [1, 1]
    assert len(switch.senders) == len(switch.places) == 1, "the old one is gone"


async def test_another_key_of_the_same_server_shares_its_places(autojump_clock: MockClock) -> None:
    """I8: else a server would take as many calls at once as it has tenants."""
    switch = Switch("server: key 1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(switch.router.send, guest("a"), "hello")
        nursery.start_soon(switch.router.send, guest("b"), "hello")
        await wait_all_tasks_blocked()
        switch.to("server: key 2")
        assert await switch.router.send(guest("c"), "hello") == NotSent("gateway_busy", "hold")
        nursery.cancel_scope.cancel()


async def test_nothing_is_sent_while_it_is_not_known_which_gateway_is_meant() -> None:
    """A part of the settings is left out: the default gateway may be another tenant's."""
    switch = Switch(None)
    assert await switch.router.send(guest(), "hello") == NotSent(NO_GATEWAY, "hold")
    with pytest.raises(GatewayHeld, match=NO_GATEWAY):
        await switch.router.find(guest(), "hello", 0, frozenset())
    assert not switch.made
