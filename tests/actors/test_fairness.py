"""Turn slots are bounded and fair between instances, by weight; within one, some go first. I8, I9."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.fairness import FIRST_IN_A_ROW, FairOrder, FairSlots, Waiter
from actors.instance import TurnShare


async def _hold(slots: FairSlots, instance: str, order: list[str], first: bool = False) -> None:
    async with slots.hold(instance, first):
        order.append(f"{instance}!" if first else instance)
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
    await slots.enter("a")
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
            slots.step_out("a")
            scope.cancel()
        else:
            scope.cancel()
            slots.step_out("a")
    assert slots.held == 0
    assert not got.is_set() or first == "granted"
    async with slots.hold("c"):
        assert slots.held == 1


async def test_those_who_go_first_leave_every_fourth_turn_to_the_others(
    autojump_clock: trio.abc.Clock,
) -> None:
    """I10: however many of them come, no other of the instance waits for good."""
    slots, order = FairSlots(1), list[str]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_hold, slots, "a", order)
        await trio.testing.wait_all_tasks_blocked()
        for first in [False] * 3 + [True] * 9:
            nursery.start_soon(_hold, slots, "a", order, first)
            await trio.testing.wait_all_tasks_blocked()
    assert order[1:] == [*["a!"] * FIRST_IN_A_ROW, "a"] * 3


async def test_who_comes_back_goes_before_all_who_are_new(autojump_clock: trio.abc.Clock) -> None:
    """And who is cancelled on the way holds a slot all the same, for it gives one back."""
    slots, order = FairSlots(1), list[str]()

    async def away_and_back(name: str, patience_seconds: float) -> None:
        await slots.enter(name)
        slots.step_out(name)
        await trio.sleep(0.5)
        with trio.move_on_after(patience_seconds) as patience:
            await slots.come_back(name)
        order.append(f"{name} {'gave up' if patience.cancelled_caught else 'is back'}")
        slots.step_out(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(away_and_back, "a", 9)
        nursery.start_soon(away_and_back, "b", 0.2)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(2):
            nursery.start_soon(_hold, slots, "new", order)
            await trio.testing.wait_all_tasks_blocked()
    assert order == ["new", "b gave up", "a is back", "new"]
    assert slots.held == 0


async def test_a_provider_takes_no_more_than_it_may_and_holds_up_nobody_else(
    autojump_clock: trio.abc.Clock,
) -> None:
    """I9: what its providers take bounds an instance; one with others is not behind it. Raised, more begin at once."""
    limit = 4
    places = {"busy": "one", "same": "one", "other": "two"}
    slots = FairSlots(1_000, share=lambda name: TurnShare(1.0, ((places[name], limit), *_spare[name])))
    _spare = {"busy": (), "same": (), "other": (("spare", 1),)}
    order = list[str]()
    async with trio.open_nursery() as nursery:
        for instance in ["busy"] * 6 + ["same"] * 6 + ["other"] * 6:
            nursery.start_soon(_hold, slots, instance, order)
            await trio.testing.wait_all_tasks_blocked()
        assert Counter(order) == {"busy": 3, "same": 1, "other": 4}, "three quarters are for one instance"
        assert (slots.at("one"), slots.at("two"), slots.at("spare")) == (4, 4, 0)
        limit = 8
        slots.look_again()
        await trio.testing.wait_all_tasks_blocked()
        assert slots.at("one") == 8
    assert slots.held == 0 and len(order) == 18


WEIGHTS = st.sampled_from((0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 10.0))


@settings(max_examples=60, deadline=None)
@given(st.lists(WEIGHTS, min_size=2, max_size=5), st.integers(20, 150), st.data())
def test_turns_are_shared_by_weight(weights: Sequence[float], served: int, data: st.DataObject) -> None:
    """I9: instances that always have some who wait get turns by weight, at every moment within one round of each other.
    One for which there is no place for a while loses its turns of that time, and no more."""
    by_name = {str(number): Fraction(weight) for number, weight in enumerate(weights)}
    order = FairOrder(lambda name: float(by_name[name]))
    for name in by_name:
        order.add(Waiter(name), False)
        order.add(Waiter(name), False)
    blocked, rounds = "0", dict.fromkeys(by_name, Fraction(0))
    blocked_for = data.draw(st.integers(0, served))
    for turn in range(served):
        out = {blocked} if turn < blocked_for and len(by_name) > 2 else set()
        waiter = order.pop(lambda name, out=out: None if name in out else "here")  # type: ignore[misc]
        assert waiter is not None and waiter.instance not in out
        rounds[waiter.instance] += 1 / by_name[waiter.instance]
        order.add(Waiter(waiter.instance), False)
        equals = [name for name in by_name if name != blocked or len(by_name) == 2 or not blocked_for]
        for one in equals:
            for other in equals:
                assert rounds[one] - rounds[other] <= 1 + 1 / by_name[one] + 1 / by_name[other], by_name


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60))
def test_each_of_an_instance_goes_in_the_order_of_its_coming(steps: list[tuple[str, bool, bool]]) -> None:
    """Nobody is lost, nobody goes twice, and nobody of a kind overtakes another."""
    order, waiting, number = FairOrder(lambda _name: 1.0), dict[Waiter, tuple[str, bool, int]](), 0
    for instance, first, comes in steps:
        if comes or not waiting:
            number += 1
            waiter = Waiter(instance)
            waiting[waiter] = (instance, first, number)
            order.add(waiter, first)
        elif first:
            popped = order.pop(lambda _name: "")
            assert popped is not None
            kind, mine = waiting[popped][:2], waiting[popped][2]
            assert all(mine <= at for *other, at in waiting.values() if tuple(other) == kind)
            del waiting[popped]
        else:
            leaves = next(iter(waiting))
            order.remove(leaves)
            del waiting[leaves]
    while waiting:
        popped = order.pop(lambda _name: "")
        assert popped is not None
        del waiting[popped]
    assert order.pop(lambda _name: "") is None
