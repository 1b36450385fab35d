"""A turn that ended stays as it ended, whatever fails around it; over in-memory ports and a mock clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.actor_services import TurnPolicy
from actors.errors import ConversationFull, LedgerUnavailable, Overloaded
from actors.identity import Conversation
from actors.outcome import NotSent, Sent
from tests.support.memory import MemoryMirror
from tests.support.world import DEMO, World


async def until(condition: Callable[[], bool], seconds: float = 2000) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  the clock is a mock one
            await trio.sleep(0.05)


def lose_the_answer(world: World, step: str, after_seconds: float) -> None:
    """The step takes effect once, and its caller learns for long that the ledger is away."""
    call = getattr(world.ledger, step)

    async def lossy(*args: Any, **more: Any) -> Any:
        await call(*args, **more)
        await trio.sleep(after_seconds)
        raise LedgerUnavailable("postgres_timeout")

    setattr(world.ledger, step, lossy)


async def test_a_turn_that_was_done_when_its_time_was_up_is_answered_and_no_dead_letter(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2: it finished, the answer of the ledger was lost, and meanwhile the batch waited for too long."""
    world = World(turn_policy=TurnPolicy(max_hold_seconds=600))
    lose_the_answer(world, "settle_last", 0)
    lose_the_answer(world, "finish", 700)
    await world.start(nursery)
    await world.say("x")
    await until(lambda: bool(world.mirror.outcomes))
    assert world.mirror.outcomes == [("answered", ("x",))]
    assert (world.ledger.states(), world.ledger.dead()) == (["done"], [])
    assert world.replies == ["Heard 1: x"]
    assert "actor.crashed" not in world.feed.names()


@pytest.mark.parametrize("end", ["suppressed", "moved"])
async def test_a_turn_that_was_ended_by_rule_when_its_time_was_up_is_no_dead_letter(
    autojump_clock: MockClock, nursery: trio.Nursery, end: str
) -> None:
    """I2."""
    world = World(turn_policy=TurnPolicy(max_hold_seconds=600))
    lose_the_answer(world, "suppress", 700)
    who = Conversation("nobody", "1") if end == "suppressed" else Conversation("demo", "777@lid")
    world.known_phones["demo", "777@lid"] = DEMO.contact
    await world.start(nursery)
    await world.say("x", conversation=who)
    await until(lambda: world.mirror.buffers[who].done > 0)
    assert (end, ("x",)) in world.mirror.outcomes
    assert world.ledger.states()[0] == end
    assert not {"turn.dead", "actor.crashed"} & set(world.feed.names())


@pytest.mark.parametrize("empty", ["", " \n ", "\x00\n"])
async def test_an_empty_answer_is_asked_for_again_and_ends_as_a_dead_letter(
    autojump_clock: MockClock, nursery: trio.Nursery, empty: str
) -> None:
    """Silence is a choice, and not the model's: a turn without parts is never called answered."""
    world = World()
    world.responder.script = [empty] * 3
    await world.start(nursery)
    await world.say("x")
    await until(lambda: bool(world.mirror.outcomes))
    assert world.mirror.outcomes == [("dead", ("x",))]
    assert world.ledger.dead() == ["garbage"]
    assert len(world.responder.prompts) == 3
    world.responder.script = [empty]
    await world.say("y")
    await until(lambda: bool(world.replies))
    assert world.replies == ["Heard 1: y"]


@pytest.mark.parametrize("full", [Overloaded("too many wait"), ConversationFull("too many wait")])
async def test_a_move_to_the_phone_waits_while_the_mirror_takes_no_more(
    autojump_clock: MockClock, nursery: trio.Nursery, full: Overloaded
) -> None:
    """39, I2: what was acknowledged under the LID arrives, and only then is the LID's turn over."""
    mirror, lid = MemoryMirror(), Conversation("demo", "777@lid")
    is_full, append = True, mirror.append

    async def fill_up(message: Any, policy: Any, at_ms: int | None = None) -> Any:
        if is_full and message.contact == DEMO.contact:
            raise full
        return await append(message, policy, at_ms)

    mirror.append = fill_up  # type: ignore[method-assign]
    world = World(mirror=mirror)
    world.known_phones["demo", "777@lid"] = DEMO.contact
    await world.start(nursery)
    for text in ("one", "two"):
        await world.say(text, conversation=lid)
    await trio.sleep(60)
    [view] = world.supervisor.views()
    assert (view.conversation, view.phase) == (lid, "holding")
    assert world.ledger.states() == ["started"]
    is_full = False
    await until(lambda: sorted(world.ledger.states()) == ["done", "moved"])
    assert world.replies == ["Heard 2: one\ntwo"]


async def test_a_moved_message_is_answered_as_soon_as_if_it_had_come_to_the_phone(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """39, I7: the window counts from its arrival, not from the move."""
    world = World()
    lid = Conversation("demo", "777@lid")
    await world.start(nursery)
    await world.say("from lid", conversation=lid)
    await trio.sleep(5)
    world.known_phones["demo", "777@lid"] = DEMO.contact
    assert world.supervisor.flush(lid)
    await trio.sleep(2.9)
    assert world.replies == []
    await trio.sleep(0.2)
    assert world.replies == ["Heard 1: from lid"]


async def test_a_part_that_was_settled_is_not_looked_for_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: its proof is stored; a gateway whose records cannot be read holds nothing up."""
    world = World()
    world.responder.script = ["\n\n".join(letter * 3000 for letter in "ab")]
    world.gateway.script = [(True, Sent("1")), (False, NotSent("overloaded", "retry"))]
    asked = 0
    find = world.gateway.find

    async def count(*args: Any, **more: Any) -> Any:
        nonlocal asked
        asked += 1
        return await find(*args, **more)

    world.gateway.find = count  # type: ignore[method-assign]
    await world.start(nursery)
    await world.say("x")
    await until(lambda: world.ledger.states() == ["done"])
    assert [text[0] for text in world.replies] == ["a", "b"]
    assert asked == 0
