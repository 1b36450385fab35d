"""Turns with messages that no webhook brought, found in the gateway's records. In memory, on the mock clock.

I2: each of them has one visible end, and nobody is answered who was answered already, or hours too late.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from actors.actor_services import TurnPolicy
from actors.errors import LedgerUnavailable, TurnFailed
from actors.identity import Conversation
from actors.instance import InstanceRecord, Terms
from actors.messages import Swept
from actors.outbox import OutboxPolicy
from actors.outcome import Sent, Unknown
from actors.send_facts import Proof
from tests.support.memory import clock_ms
from tests.support.world import DEMO, PHONE, World

RECORD = InstanceRecord(
    escalation_enabled=True, escalated_message="a person comes", fallback_message="we will be back"
)
LID = "168500000006331@lid"
OF_LID = Conversation("demo", LID)
Burst = Sequence[tuple[str, Swept]]


def shop() -> World:
    world = World(term=Terms(notify_numbers=("966500000001",)), turn_policy=TurnPolicy(max_attempts=1))
    world.ledger.records["demo"] = RECORD
    return world


async def hear(world: World, burst: Burst, ends: int = 1, conversation: Conversation = DEMO) -> None:
    """One burst, to its end. Each message was sent a minute before the next one, the last one just now."""
    ended = len(world.mirror.outcomes)
    for place, (text, swept) in enumerate(burst):
        ago_seconds = 60 * (len(burst) - place - 1)
        id = f"{text}-{clock_ms()}-{place}"
        await world.say(text, id, conversation, swept=swept, ago_seconds=ago_seconds)
    with trio.fail_after(600):
        while len(world.mirror.outcomes) < ended + ends:  # noqa: ASYNC110  the clock is a mock one
            await trio.sleep(0.5)


def rules(world: World) -> list[object]:
    return [fields["rule"] for event, _, fields in world.feed.events if event == "turn.suppressed"]


@pytest.mark.parametrize(
    ("burst", "rule"),
    [
        ([("I want to talk to person please", "too_old")], "too_old"),
        ([("hello?", "already_answered")], "already_answered"),
        ([("hello?", "too_old"), ("thanks", "already_answered")], "already_answered"),
        ([("thanks", "already_answered"), ("hello?", "too_old")], "too_old"),
    ],
)
async def test_what_belongs_to_the_history_alone_ends_by_its_rule(
    autojump_clock: MockClock, nursery: trio.Nursery, burst: Burst, rule: str
) -> None:
    """I2: nobody is asked, called or told about it. What a lookup would say is not even asked."""
    asked: list[str] = []

    async def note(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        asked.append(operation)

    world = shop()
    world.ledger.fault = note
    await world.start(nursery)
    await hear(world, burst)
    assert rules(world) == [rule]
    assert world.ledger.states() == ["suppressed"]
    assert (world.replies, world.responder.prompts, world.ledger.notices) == ([], [], [])
    assert set(asked) - {"unfinished", "open_turns"} == {"begin", "instance", "suppress"}


async def test_a_turn_is_about_what_asks_for_an_answer(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """An old wish for a person escalates nothing, and the words that count are those of today."""
    world = shop()
    await world.start(nursery)
    old: Burst = [("I want to talk to person please", "too_old"), ("thanks", "already_answered")]
    await hear(world, [*old, ("do you deliver?", "missed"), ("to Riyadh", "")])
    assert [prompt.messages for prompt in world.responder.prompts] == [("do you deliver?", "to Riyadh")]
    assert (world.ledger.states(), world.ledger.notices, rules(world)) == (["done"], [], [])


async def test_a_missed_message_is_answered_whatever_an_earlier_one_said(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Messages are the same by id alone: this one was never heard."""
    world = shop()
    await world.start(nursery)
    await hear(world, [("hello", "")])
    await hear(world, [("hello", "missed")])
    assert (world.ledger.states(), rules(world)) == (["done", "done"], [])


async def test_a_missed_message_is_silent_where_a_person_speaks(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    world.ledger.taken_over.add(DEMO)
    await world.start(nursery)
    await hear(world, [("hello", "missed")])
    assert (world.replies, rules(world)) == ([], ["taken_over"])


async def test_a_missed_message_that_was_heard_leaves_the_others_their_end(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: the mirror forgot it, the ledger did not. What is left of the batch belongs to the history."""
    world = shop()
    await world.start(nursery)
    await world.say("hello", "M1")
    await hear(world, [])
    world.mirror.buffers[DEMO].seen.clear()
    await world.say("hello", "M1", swept="missed")
    await hear(world, [("long ago", "too_old")])
    assert world.ledger.states() == ["done", "suppressed"]
    assert rules(world) == ["too_old"]
    assert len(world.replies) == 1


async def test_what_belongs_to_the_history_gets_no_fallback_when_its_attempts_are_used_up(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2: nobody waits for an answer, so nobody is told that there is none."""
    refusals = [TurnFailed("odd")]

    async def refuse_once(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == "suppress" and refusals:
            raise refusals.pop()

    world = shop()
    world.ledger.fault = refuse_once
    await world.start(nursery)
    await hear(world, [("long ago", "too_old")])
    assert (world.replies, world.ledger.states(), rules(world)) == ([], ["suppressed"], ["too_old"])


async def test_it_moves_with_its_conversation_and_ends_there(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Found under a LID whose number is known by now: it is the number's history."""
    world = shop()
    world.known_phones["demo", LID] = PHONE
    await world.start(nursery)
    await hear(world, [("long ago", "too_old"), ("hello", "missed")], ends=2, conversation=OF_LID)
    assert world.ledger.states() == ["moved", "done"]
    assert [prompt.messages for prompt in world.responder.prompts] == [("hello",)]
    assert {message.text for message in world.ledger.rows[2].batch.messages} == {"long ago", "hello"}


async def test_a_crash_finds_the_same_turn(autojump_clock: MockClock) -> None:
    """I3: a batch of the history's messages has one turn, however often it is begun."""
    world = shop()
    away = [LedgerUnavailable("away")]

    async def refuse_once(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == "suppress" and away:
            raise away.pop()

    world.ledger.fault = refuse_once
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("long ago", swept="too_old")
        await trio.sleep(8.2)
        assert world.ledger.states() == ["started"]
        nursery.cancel_scope.cancel()
    world.restart()
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await hear(world, [])
        nursery.cancel_scope.cancel()
    assert (world.ledger.states(), world.replies) == (["suppressed"], [])


@pytest.mark.parametrize("settle_seconds", [0.0, 5.0])
async def test_a_send_that_is_proven_while_its_call_runs_is_not_repeated(
    autojump_clock: MockClock, nursery: trio.Nursery, settle_seconds: float
) -> None:
    """I6: the sweep finds the reply under an id; then the call ends without an answer. Nothing is a dead letter."""
    world = shop()
    world.outbox_policy = OutboxPolicy(settle_seconds=settle_seconds)

    async def find_it(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == "answer":
            [row] = world.ledger.rows.values()
            found = Sent(world.gateway.records[0].id)
            assert await world.ledger.prove(Proof(row.turn.id, 0, row.turn.parts[0].token, found))

    world.gateway.script = [(True, Unknown("timeout"))]
    world.gateway.fault = find_it
    await world.start(nursery)
    await hear(world, [("hello", "")])
    assert (world.ledger.states(), len(world.replies)) == (["done"], 1)
    assert [part.resends for part in world.ledger.rows[1].turn.parts] == [0]
