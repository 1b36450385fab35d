"""Turn slots are bounded and fair between instances. I8, I9."""

from __future__ import annotations

import pytest
import trio

from actors.fairness import FairSlots


async def _hold(slots: FairSlots, instance: str, order: list[str]) -> None:
    async with slots.hold(instance):
        order.append(instance)
        await trio.sleep(1)


async def test_limit_holds_and_flood_waits_behind_itself(autojump_clock: trio.abc.Clock) -> None:
    """I9: ten turns of a flooding instance are queued first; the other one is served next all the same."""
    slots, order = FairSlots(1), list[str]()
    async with trio.open_nursery() as nursery:
        for instance in ["flood"] * 10 + ["calm"] * 2:
            nursery.start_soon(_hold, slots, instance, order)
            await trio.testing.wait_all_tasks_blocked()
        assert slots.held == 1
    assert order[:5] == ["flood", "flood", "calm", "flood", "calm"]
    assert slots.held == 0


async def test_never_more_than_the_limit_at_once(autojump_clock: trio.abc.Clock) -> None:
    """I8."""
    slots, most = FairSlots(3), 0

    async def hold(instance: str) -> None:
        nonlocal most
        async with slots.hold(instance):
            most = max(most, slots.held)
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(hold, str(number % 4))
    assert most == 3


async def test_a_cancelled_waiter_frees_its_place(autojump_clock: trio.abc.Clock) -> None:
    slots, order = FairSlots(1), list[str]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_hold, slots, "a", order)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.1):
            async with slots.hold("b"):
                raise AssertionError("the slot is taken")
        nursery.start_soon(_hold, slots, "c", order)
    assert order == ["a", "c"]


@pytest.mark.parametrize("first", ["granted", "cancelled"])
async def test_a_slot_granted_at_the_moment_of_cancellation_is_passed_on(first: str) -> None:
    slots = FairSlots(1)
    await slots._acquire("a")
    got = trio.Event()

    async def wait_for_it(scope: trio.CancelScope) -> None:
        with scope:
            async with slots.hold("b"):
                got.set()

    scope = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_it, scope)
        await trio.testing.wait_all_tasks_blocked()
        if first == "granted":
            slots._release("a")
            scope.cancel()
        else:
            scope.cancel()
            slots._release("a")
    assert slots.held == 0
    assert not got.is_set() or first == "granted"
    async with slots.hold("c"):
        assert slots.held == 1
