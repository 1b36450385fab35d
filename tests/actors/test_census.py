"""What is counted as it changes is what a walk over all actors finds."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from actors.census import Census
from actors.errors import MirrorUnavailable, TurnFailed
from actors.identity import Conversation
from tests.support.memory import clock_ms
from tests.support.world import World


def _check(world: World) -> None:
    views = world.supervisor.views()
    assert world.supervisor.phases() == Counter(view.phase for view in views)
    assert world.supervisor.open_windows() == sum(bool(view.waiting) for view in views)
    assert world.supervisor.waiting_messages() == sum(
        len(view.waiting) + view.batch_messages for view in views
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_counts_are_those_of_the_actors(
    autojump_clock: MockClock, nursery: trio.Nursery, seed: int
) -> None:
    """Through bursts, failures, crashes, parked actors, lost leases and a stop."""
    chance, world = random.Random(seed), World(concurrency=3)

    async def trouble(operation: str) -> None:
        await trio.sleep(chance.random())
        if chance.random() < 0.05:
            raise RuntimeError("a bug") if chance.random() < 0.5 else MirrorUnavailable("away")

    world.mirror.fault = None
    world.ledger.fault = trouble
    world.responder.delay_seconds = 2
    world.responder.script = [TurnFailed("overloaded")] * 5
    await world.start(nursery)
    for step in range(200):
        contact = f"5511{chance.randrange(15):04}"
        await world.say(f"{step}", conversation=Conversation("demo", contact))
        if chance.random() < 0.1:
            world.supervisor.flush(Conversation("demo", contact))
        if chance.random() < 0.1:
            world.supervisor.nudge(Conversation("demo", contact), check_ledger=chance.random() < 0.5)
        await trio.sleep(chance.random())
        _check(world)
    world.ledger.fault = None
    for _ in range(200):
        await trio.sleep(1)
        world.supervisor.resume_held()
        _check(world)
    assert world.supervisor.oldest_seconds() is None, "all has ended"
    world.supervisor.stop()
    await trio.sleep(1)
    _check(world)


async def test_the_oldest_message_is_known_wherever_it_is(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """While it waits, is queued, is answered, is tried again and is parked; and after a restart."""
    world, failing = World(concurrency=1), True

    async def poison(operation: str) -> None:
        if failing and operation == "begin":
            raise RuntimeError("a bug")

    world.ledger.fault = poison
    await world.start(nursery)
    began = trio.current_time()
    await world.say("old")
    for seconds in (1, 5, 10, 20, 60):
        await trio.sleep_until(began + seconds)
        await world.say("new", conversation=Conversation("demo", f"55119{seconds}"))
        assert world.supervisor.oldest_seconds() == pytest.approx(seconds, abs=0.1)
    world.supervisor.stop()
    await trio.sleep(0.1)
    assert world.supervisor.oldest_seconds() is None
    world.restart()
    await world.start(nursery)
    await trio.sleep(1)
    # Of a batch that was frozen before, the time of the freeze is known until it is read.
    assert world.supervisor.oldest_seconds() == pytest.approx(61, abs=9)
    failing = False
    await trio.sleep(200)
    assert world.supervisor.oldest_seconds() is None


async def test_the_age_is_by_the_mirrors_clock(autojump_clock: MockClock) -> None:
    """Which may be hours from ours, and be set."""
    census, one, two = Census(), Conversation("demo", "1"), Conversation("demo", "2")
    now = clock_ms() - 7_200_000
    census.clock(now, trio.current_time())
    census.note_oldest(one, now - 3_000)
    census.note_oldest(two, now - 2_000)
    assert census.oldest_seconds(trio.current_time()) == pytest.approx(3)
    await trio.sleep(1)
    assert census.oldest_seconds(trio.current_time()) == pytest.approx(4)
    census.note_oldest(one, None)
    assert census.oldest_seconds(trio.current_time()) == pytest.approx(3)
    census.clock(now - 60_000, trio.current_time())
    assert census.oldest_seconds(trio.current_time()) == 0.0, (
        "a clock that was set back makes nobody younger than nothing"
    )


async def test_what_is_over_takes_no_room(autojump_clock: MockClock) -> None:
    census = Census()
    for turn in range(20_000):
        census.note_oldest(Conversation("demo", str(turn % 10)), turn)
    assert len(census._heap) < 2_000
    assert census.oldest_seconds(trio.current_time()) is not None and census._heap[0][0] == 19_990
