"""How actors begin, crash, wait and leave, over in-memory ports and a mock clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from actors.conversation import IDLE_SECONDS
from actors.errors import MirrorUnavailable, StaleEpoch
from actors.identity import Conversation
from actors.supervisor import RESTART_BACKOFF_SECONDS
from tests.support.world import DEMO, World


def crashing_while(is_ill: Callable[[], bool], operation: str) -> Callable[[str], Awaitable[None]]:
    async def fault(name: str) -> None:
        await trio.lowlevel.checkpoint()
        if name == operation and is_ill():
            raise RuntimeError("a bug")

    return fault


def times(world: World, event: str) -> list[float]:
    """When the event happened, on the mock clock; `world.feed` must be a clock's feed (`timed`)."""
    return [float(str(fields["at"])) for name, _, fields in world.feed.events if name == event]


def timed(world: World) -> World:
    """Let each event carry its time."""
    emit = world.feed.emit

    def emit_with_time(event: str, conversation: Conversation | None = None, **fields: object) -> None:
        emit(event, conversation, **fields, at=trio.current_time())

    world.feed.emit = emit_with_time  # type: ignore[method-assign]
    return world


# Recovery and deliveries


@pytest.mark.parametrize("known", ["loaded", "only the name"])
async def test_a_second_recovery_leaves_living_actors_alone(
    autojump_clock: MockClock, nursery: trio.Nursery, known: str
) -> None:
    """Law 4: Redis came back and every partition is fenced again, while the actors live: one turn at a time."""
    world = World()
    world.responder.delay_seconds = 5
    await world.start(nursery)
    await world.say("x")
    await trio.sleep(9)
    snapshot = await world.mirror.load(DEMO)
    count = (
        world.supervisor.recover([snapshot]) if known == "loaded" else world.supervisor.recover([], [DEMO])
    )
    assert count == 0
    await trio.sleep(60)
    assert world.replies == ["Heard 1: x"]
    assert len(world.responder.prompts) == 1
    assert world.feed.names().count("actor.started") == 1


async def test_a_message_of_a_partition_that_is_not_ours_is_left_to_its_owner(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I5: any daemon may store it, only the owner acts."""
    world = World()
    world.ownership.failure = StaleEpoch("not ours")
    await world.start(nursery)
    await world.say("x")
    assert world.supervisor.views() == []
    assert not world.supervisor.nudge(DEMO)
    await trio.sleep(60)
    assert world.supervisor.views() == []
    buffer = world.mirror.buffers[DEMO]
    assert (len(buffer.waiting), buffer.batch) == (1, None)


async def test_a_drain_ends_although_messages_and_the_due_poll_go_on(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I13: what comes during the drain is for the next start."""
    world = World()
    world.responder.delay_seconds = 3
    await world.start(nursery)
    await world.say("before")

    async def traffic() -> None:
        for number in range(100):
            other = Conversation("demo", str(number))
            await world.say("meanwhile", conversation=other)
            world.supervisor.nudge(other)
            await trio.sleep(0.5)

    nursery.start_soon(traffic)
    with trio.fail_after(10):
        await world.supervisor.drain()
    assert world.replies == ["Heard 1: before"]
    await trio.sleep(20)
    assert world.supervisor.views() == []
    waiting = [buffer for who, buffer in world.mirror.buffers.items() if who != DEMO]
    assert all(len(buffer.waiting) == 1 and buffer.batch is None for buffer in waiting)


# Leaving


async def test_a_message_that_comes_as_its_actor_leaves_is_answered_without_the_due_poll(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I3: leaving and being forgotten are one step; tried for many, as Trio runs what is due together in any order."""
    world = World()
    await world.start(nursery)
    everybody = [Conversation("demo", str(number)) for number in range(40)]
    for conversation in everybody:
        await world.say("first", conversation=conversation)
        assert world.supervisor.flush(conversation)
    leaves_at = trio.current_time() + IDLE_SECONDS
    await trio.sleep(0.01)
    assert len(world.replies) == 40

    async def write_as_it_leaves(conversation: Conversation, ticks: int) -> None:
        await trio.sleep_until(leaves_at)
        for _ in range(ticks):
            await trio.lowlevel.checkpoint()
        await world.say("second", conversation=conversation)

    await trio.sleep_until(leaves_at - 0.01)
    assert world.supervisor.phases() == {"idle": 40}
    async with trio.open_nursery() as writers:
        for number, conversation in enumerate(everybody):
            writers.start_soon(write_as_it_leaves, conversation, number % 4)
    await trio.sleep(8.1)
    assert world.replies[40:] == ["Heard 1: second"] * 40


async def test_an_actor_whose_messages_the_mirror_lost_asks_it_again_and_leaves(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """An empty freeze is no reason to freeze again and again."""
    world = World()
    freezes = 0

    async def count(operation: str) -> None:
        nonlocal freezes
        freezes += operation == "freeze"
        if freezes > 50:
            await trio.sleep_forever()

    world.mirror.fault = count
    await world.start(nursery)
    await world.say("x")
    world.mirror.buffers.clear()
    await trio.sleep(60)
    assert freezes == 1
    assert world.supervisor.views() == []
    assert world.replies == []


# Crashes


async def test_after_a_crash_the_mirror_is_believed_and_not_the_memory(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Law 3 of the supervisor: memory that differs from the mirror does not outlive the crash."""
    world = World()
    ill = True
    world.mirror.fault = crashing_while(lambda: ill, "freeze")
    await world.start(nursery)
    await world.say("lost")
    await trio.sleep(8.05)
    ill = False
    world.mirror.buffers.clear()  # the mirror came back from an older copy; the memory still has the message
    await trio.sleep(0.2)
    [view] = world.supervisor.views()
    assert (view.waiting, view.phase) == ((), "idle")
    await world.say("kept")
    await trio.sleep(9)
    assert world.replies == ["Heard 1: kept"]


async def test_an_actor_that_crashed_loads_before_it_freezes(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    ill, calls = True, list[str]()
    crash = crashing_while(lambda: ill, "freeze")

    async def fault(operation: str) -> None:
        calls.append(operation)
        await crash(operation)

    world.mirror.fault = fault
    await world.start(nursery)
    await world.say("x")
    await trio.sleep(8.05)
    ill = False
    await trio.sleep(1)
    assert calls[:4] == ["append", "freeze", "load", "freeze"]
    assert world.replies == ["Heard 1: x"]


async def test_the_pauses_after_crashes_grow_and_the_sixth_in_a_row_parks(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = timed(World())
    world.mirror.fault = crashing_while(lambda: True, "freeze")
    await world.start(nursery)
    await world.say("x")
    await trio.sleep(60)
    crashes, restarts = times(world, "actor.crashed"), times(world, "actor.restarted")
    pauses = [round(up - down, 3) for down, up in zip(crashes, restarts, strict=False)]
    assert pauses == list(RESTART_BACKOFF_SECONDS) == [0.1, 0.5, 1.0, 2.0, 4.0]
    assert len(crashes) == 6
    assert world.supervisor.phases() == {"parked": 1}


async def test_six_crashes_in_an_hour_park_nobody(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Only crashes in a row count: an actor that lives for long may crash now and then."""
    world = timed(World())
    ill = True
    world.mirror.fault = crashing_while(lambda: ill, "freeze")
    await world.start(nursery)
    for number in range(6):
        ill = True
        await world.say(f"{number}")
        await trio.sleep(8.05)
        assert len(times(world, "actor.crashed")) == number + 1
        ill = False
        for _ in range(40):  # it must live on: one that left would have a new count
            await trio.sleep(15)
            world.supervisor.nudge(DEMO)
    assert "actor.parked" not in world.feed.names()
    assert world.replies == [f"Heard 1: {number}" for number in range(6)]
    assert world.feed.names().count("actor.started") == 1
    first = [
        round(up - down, 3)
        for down, up in zip(times(world, "actor.crashed"), times(world, "actor.restarted"), strict=True)
    ]
    assert first == [0.1] * 6


async def test_what_is_parked_is_answered_from_the_mirror_after_a_flush(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I14: nothing of it is lost, also what came while it was parked."""
    world = World()
    world.mirror.fault = crashing_while(lambda: trio.current_time() < 50, "freeze")
    await world.start(nursery)
    await world.say("poison")
    await trio.sleep(60)
    assert world.supervisor.phases() == {"parked": 1}
    await world.say("later")
    await trio.sleep(30)
    assert world.replies == []
    assert world.supervisor.flush(DEMO)
    await trio.sleep(1)
    assert world.replies == ["Heard 2: poison\nlater"]


# Holds


async def test_a_hold_doubles_up_to_half_a_minute_and_starts_small_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    is_away = True

    async def away(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == "freeze" and is_away:
            raise MirrorUnavailable("away")

    world.mirror.fault = away
    await world.start(nursery)
    await world.say("x")
    await trio.sleep(200)
    held = [fields["seconds"] for event, _, fields in world.feed.events if event == "turn.held"]
    assert held[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    is_away = False
    world.supervisor.resume_held()
    await trio.sleep(1)
    assert world.replies == ["Heard 1: x"]
    assert [row.batch.held for row in world.ledger.rows.values()] == [True], (
        "its response time is no measure of us"
    )
    is_away = True
    await world.say("y")
    await trio.sleep(8.5)
    assert [fields["seconds"] for event, _, fields in world.feed.events if event == "turn.held"][-1] == 1.0


async def test_a_recovery_ends_every_hold(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """What was held may have waited for this very lease: with the fence it goes on, and not half a minute later."""
    world = World()
    world.ownership.uncertain = True
    await world.start(nursery)
    await world.say("x")
    await trio.sleep_until(50)
    assert world.supervisor.phases() == {"holding": 1}
    world.ownership.uncertain = False
    world.supervisor.recover([])
    await trio.sleep(0.1)
    assert world.replies == ["Heard 1: x"]


async def test_a_flush_cuts_a_hold_short(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = World()
    is_away = True

    async def away(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == "freeze" and is_away:
            raise MirrorUnavailable("away")

    world.mirror.fault = away
    await world.start(nursery)
    await world.say("x")
    await trio.sleep_until(41)
    is_away = False
    assert world.supervisor.flush(DEMO)
    await trio.sleep(0.1)
    assert world.replies == ["Heard 1: x"]


async def test_a_drain_waits_for_no_store_that_is_away(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I13: what is held is in the mirror, and the next start finds it there."""
    world = World()

    async def away(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation in ("freeze", "load"):
            raise MirrorUnavailable("away")

    world.mirror.fault = away
    await world.start(nursery)
    for number in range(3):
        await world.say("x", conversation=Conversation("demo", str(number)))
    await trio.sleep(20)
    assert world.supervisor.phases() == {"holding": 3}
    with trio.fail_after(1):
        await world.supervisor.drain()
    assert all(len(buffer.waiting) == 1 for buffer in world.mirror.buffers.values())
