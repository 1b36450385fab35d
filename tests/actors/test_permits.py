"""What a turn holds while it works and while it waits. I8, I9."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.fairness import FairSlots
from actors.permits import TurnPermits, aside


def _permits(work: int) -> TurnPermits:
    return TurnPermits(FairSlots(1_000), FairSlots(work))


async def test_without_a_turn_nobody_steps_aside(autojump_clock: MockClock) -> None:
    async with aside():
        pass
    async with aside(at_once=True):
        pass


async def test_who_steps_aside_leaves_his_place_and_has_one_again_after_it(autojump_clock: MockClock) -> None:
    permits, held = _permits(1), list[int]()
    async with permits.at_work("a"):
        async with aside():
            held.append(permits.work.held)
            async with permits.at_work("b"):
                held.append(permits.work.held)
        held.append(permits.work.held)
    assert (held, permits.work.held) == ([0, 1, 1], 0)


@pytest.mark.parametrize("failure", [ValueError, trio.TooSlowError])
async def test_a_failure_comes_back_as_well(autojump_clock: MockClock, failure: type[Exception]) -> None:
    permits = _permits(1)
    async with permits.at_work("a"):
        with pytest.raises(failure):
            async with aside():
                raise failure
        assert permits.work.held == 1
    assert permits.work.held == 0


async def test_of_several_tasks_aside_the_last_one_back_takes_the_place(autojump_clock: MockClock) -> None:
    """Two lookups of one turn wait for vectors; a third asks the ledger meanwhile."""
    permits, seen = _permits(1), list[tuple[float, int]]()

    async def lookup(seconds: float) -> None:
        async with aside():
            await trio.sleep(seconds)
        seen.append((seconds, permits.work.held))

    async with permits.at_work("a"), trio.open_nursery() as nursery:
        nursery.start_soon(lookup, 1)
        nursery.start_soon(lookup, 2)
    assert seen == [(1, 0), (2, 1)] and permits.work.held == 0


async def test_one_that_steps_aside_while_another_comes_back_keeps_no_place(
    autojump_clock: MockClock,
) -> None:
    permits, seen = _permits(1), list[int]()

    async def lookup(after: float, seconds: float) -> None:
        await trio.sleep(after)
        async with aside():
            await trio.sleep(seconds)

    async def other() -> None:
        await trio.sleep(0.5)
        async with permits.at_work("b"):
            await trio.sleep(2)
        await trio.sleep(0.1)
        seen.append(permits.work.held)

    async with trio.open_nursery() as outer:
        outer.start_soon(other)
        async with permits.at_work("a"), trio.open_nursery() as nursery:
            nursery.start_soon(lookup, 0, 1)  # comes back at 1, and must wait until 2.5
            nursery.start_soon(lookup, 2, 5)
    assert seen == [0] and permits.work.held == 0


async def test_a_fact_waits_for_no_place(autojump_clock: MockClock) -> None:
    """What the gateway said is stored at once, whoever is at work; then nobody else begins until the limit is kept."""
    permits, order = _permits(1), list[str]()

    async def sends() -> None:
        async with permits.at_work("a"):
            async with aside(at_once=True):
                await trio.sleep(1)
            order.append(f"outcome at {trio.current_time():g}, {permits.work.held} at work")
            await trio.sleep(4)
        order.append("settled")

    async def stores(name: str, seconds: float) -> None:
        async with permits.at_work(name):
            order.append(f"{name} begins")
            await trio.sleep(seconds)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sends)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(stores, "slow", 3)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(stores, "next", 1)
    assert order == ["slow begins", f"outcome at {start + 1:g}, 2 at work", "settled", "next begins"]
    assert permits.work.held == 0


async def test_a_turn_that_is_cancelled_aside_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    permits = _permits(1)
    for at_once in (False, True):
        with trio.move_on_after(1):
            async with permits.at_work("a"), aside(at_once=at_once):
                await trio.sleep_forever()
        assert permits.work.held == 0
    async with trio.open_nursery() as nursery:  # and one that is cancelled on its way back
        nursery.start_soon(_works_for, permits, 0.5, 9)
        with trio.move_on_after(2):
            async with permits.at_work("a"), aside():
                await trio.sleep(1)
        assert permits.work.held == 1
    assert permits.work.held == 0


async def _works_for(permits: TurnPermits, after: float, seconds: float) -> None:
    await trio.sleep(after)
    async with permits.at_work("b"):
        await trio.sleep(seconds)


async def test_a_task_that_outlives_its_turn_takes_no_place_of_others(autojump_clock: MockClock) -> None:
    """It has inherited the turn's place by name, and must neither give back nor take what is not its own."""
    permits = _permits(2)

    async def later() -> None:
        await trio.sleep(5)
        async with aside():
            assert permits.work.held == 1
        assert permits.work.held == 1

    async with trio.open_nursery() as nursery:
        async with permits.at_work("a"):
            nursery.start_soon(later)
        async with permits.at_work("b"):
            await trio.sleep(9)
    assert permits.work.held == 0
