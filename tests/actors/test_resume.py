"""Turns that the ledger has begun and the mirror has lost: their actor ends them, before anything else."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from actors.actor_services import TurnPolicy
from actors.errors import LedgerUnavailable, TurnFailed, TurnRefused
from actors.identity import Conversation
from actors.outcome import NotSent
from tests.support.memory import Buffer, clock_ms
from tests.support.world import DEMO, PHONE, World

HELD = (False, NotSent("connection_closed", "hold"))
LID = "168500000006331@lid"
OF_LID = Conversation("demo", LID)


async def _until(condition: Callable[[], bool], seconds: float = 600) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  the clock is a mock one
            await trio.sleep(0.05)


async def _die_at(world: World, operation: str, *, said: str = "x") -> None:
    """Live until the ledger or the gateway is asked for `operation`; then the process is gone."""
    dying = trio.Event()

    async def die(asked: str) -> None:
        if asked == operation and not dying.is_set():
            dying.set()
            await trio.sleep_forever()

    world.ledger.fault = world.gateway.fault = die
    async with trio.open_nursery() as process:
        await world.start(process)
        await world.say(said)
        await dying.wait()
        process.cancel_scope.cancel()
    world.ledger.fault = world.gateway.fault = None
    world.restart()


@pytest.mark.parametrize("copy_of", ["nothing", "what waited"])
@pytest.mark.parametrize("step", ["history", "answer", "claim", "send", "settle", "finish"])
async def test_a_mirror_without_its_tail_costs_no_reply_and_doubles_none(
    autojump_clock: MockClock, step: str, copy_of: str
) -> None:
    """I2, I6: begun, answered, claimed or sent: one reply, whether the messages wait there once more or not."""
    world = World()
    copied: dict[Conversation, Buffer] = {}
    if copy_of == "what waited":
        world.mirror.on_appended = None
        await world.say("x")
        copied = copy.deepcopy(world.mirror.buffers)
    await _die_at(world, step)
    world.mirror.buffers = copied
    world.mirror.outcomes.clear()
    await trio.sleep(1)  # batches are numbered by the clock
    async with trio.open_nursery() as process:
        await world.start(process)
        await _until(lambda: world.ledger.states()[0] == "done")
        await world.say("x")  # the gateway, or a person's phone, repeats it
        await _until(lambda: world.mirror.outcomes == [("suppressed", ("x",))])
        process.cancel_scope.cancel()
    assert world.replies == ["Heard 1: x"]
    assert world.ledger.states() == ["done", "suppressed"]
    assert {row.turn.rule for row in world.ledger.rows.values()} == {"", "duplicate"}
    # The last step was done whole, only its answer was lost.
    assert world.feed.names().count("turn.resumed") == (step != "finish")


async def test_it_ends_before_what_came_later(autojump_clock: MockClock) -> None:
    """I4: the order of a conversation stands, also when the earlier turn has to wait for its gateway."""
    world = World()
    await _die_at(world, "claim", said="first")
    world.mirror.buffers.clear()
    world.gateway.script = [HELD] * 6
    async with trio.open_nursery() as process:
        await world.start(process)
        await world.say("second")
        await _until(lambda: len(world.replies) == 2)
        process.cancel_scope.cancel()
    assert world.replies == ["Heard 1: first", "Heard 1: second"]
    assert world.mirror.outcomes == [("answered", ("second",))], "nothing of the first is committed there"


async def test_a_batch_of_old_and_new_messages_is_about_the_new_ones(autojump_clock: MockClock) -> None:
    """I2, I6: the earlier turn ends first, although its messages came once more with another one."""
    world = World()
    await _die_at(world, "claim", said="old")
    world.mirror.buffers.clear()
    async with trio.open_nursery() as process:
        await process.start(world.supervisor.run)  # and no recovery: what names the turn is T1
        await world.say("old")
        await world.say("new")
        await _until(lambda: len(world.replies) == 2)
        process.cancel_scope.cancel()
    assert world.replies == ["Heard 1: old", "Heard 1: new"]
    assert world.mirror.outcomes == [("answered", ("old", "new"))], "the whole batch is over"
    assert [prompt.text for prompt in world.responder.prompts] == ["old", "new"]


async def test_the_frozen_batch_and_its_retry_are_left_to_the_mirror(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: what the mirror holds is not run beside it, and no retry comes early."""
    world = World()
    world.responder.script = [TurnFailed("overloaded", retry_after_seconds=60)]
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: "turn.failed" in world.feed.names())
    for _ in range(10):
        world.supervisor.nudge(DEMO, check_ledger=True)
        await trio.sleep(1)
    assert len(world.responder.prompts) == 1
    await _until(lambda: world.mirror.outcomes == [("answered", ("x",))])
    assert "turn.resumed" not in world.feed.names()


async def test_its_failures_count_and_end_in_a_dead_letter(autojump_clock: MockClock) -> None:
    """I2: three attempts in all with their backoff, a restart in between included; then it can be seen."""
    world = World()
    await _die_at(world, "history")
    world.mirror.buffers.clear()
    world.responder.script = [TurnFailed("overloaded")] * 6
    async with trio.open_nursery() as first:
        await world.start(first)
        await _until(lambda: len(world.responder.prompts) == 2)
        first.cancel_scope.cancel()
    world.restart()
    async with trio.open_nursery() as second:
        await world.start(second)
        await _until(lambda: bool(world.ledger.dead()))
        second.cancel_scope.cancel()
    assert world.ledger.dead() == ["overloaded"]
    assert len(world.responder.prompts) == 4, "the attempt that was cut off is not counted"
    assert world.mirror.outcomes == []


@pytest.mark.parametrize("step", ["history", "claim"])
async def test_one_that_is_too_old_becomes_a_dead_letter(autojump_clock: MockClock, step: str) -> None:
    """I2: no customer is surprised by an answer of yesterday."""
    world = World(turn_policy=TurnPolicy(max_hold_seconds=3600))
    await _die_at(world, step)
    world.mirror.buffers.clear()
    await trio.sleep(3601)
    async with trio.open_nursery() as process:
        await world.start(process)
        await _until(lambda: bool(world.ledger.dead()))
        process.cancel_scope.cancel()
    assert (world.ledger.dead(), world.replies) == (["mirror_lost"], [])


async def test_a_turn_under_the_lid_is_waited_for(autojump_clock: MockClock) -> None:
    """I6: the same message under the phone number is neither answered beside it nor dropped before its end."""
    world = World()
    world.gateway.script = [HELD] * 4
    async with trio.open_nursery() as process:
        await world.start(process)
        await world.say("x", id="same", conversation=OF_LID)
        await _until(lambda: bool(world.responder.prompts))
        await world.ledger.link("demo", LID, PHONE)
        await world.say("x", id="same")
        await _until(lambda: len(world.mirror.outcomes) == 2)
        process.cancel_scope.cancel()
    assert world.mirror.outcomes == [("answered", ("x",)), ("suppressed", ("x",))]
    assert world.replies == ["Heard 1: x"]


async def test_a_flush_does_not_wait_for_the_next_attempt_and_a_drain_leaves_it(
    autojump_clock: MockClock,
) -> None:
    world = World()
    await _die_at(world, "history")
    world.mirror.buffers.clear()
    world.responder.script = [TurnFailed("overloaded", retry_after_seconds=600)] * 2
    async with trio.open_nursery() as process:
        await world.start(process)
        await _until(lambda: world.supervisor.phases()["retrying"] == 1)
        view = world.supervisor.view(DEMO)
        assert view is not None and view.seconds_left is not None and view.seconds_left > 500
        before = clock_ms()
        assert world.supervisor.flush(DEMO)
        await _until(lambda: len(world.responder.prompts) == 2)
        assert clock_ms() - before < 1_000
        with trio.fail_after(5):
            await world.supervisor.drain()
        process.cancel_scope.cancel()
    assert world.ledger.states() == ["started"]


@pytest.mark.parametrize("step", ["open_turns", "claim", "bury"])
async def test_an_actor_that_crashes_over_it_comes_back_to_it(autojump_clock: MockClock, step: str) -> None:
    world = World()
    await _die_at(world, "history" if step == "bury" else "claim")
    world.mirror.buffers.clear()
    world.responder.script = [TurnRefused("refused")] if step == "bury" else []
    crashes = [RuntimeError("a bug")]

    async def crash(operation: str) -> None:
        if operation == step and crashes:
            raise crashes.pop()

    world.ledger.fault = crash
    async with trio.open_nursery() as process:
        await world.start(process)
        await _until(lambda: bool(world.replies))
        process.cancel_scope.cancel()
    assert not crashes
    assert world.ledger.states() == ["done"]


async def test_a_ledger_that_is_away_is_asked_again(autojump_clock: MockClock) -> None:
    world = World()
    await _die_at(world, "claim")
    world.mirror.buffers.clear()
    away_until = trio.current_time() + 100

    async def away(operation: str) -> None:
        if operation == "open_turns" and trio.current_time() < away_until:
            raise LedgerUnavailable("away")

    world.ledger.fault = away
    async with trio.open_nursery() as process:
        await world.start(process)
        await _until(lambda: bool(world.replies))
        process.cancel_scope.cancel()
    assert world.ledger.states() == ["done"]
