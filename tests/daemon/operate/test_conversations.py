"""One conversation as operators see it, and the conversations in which Majlis is silent."""

from __future__ import annotations

from typing import cast

import pytest

from actors.counted import ActorView, Phase
from actors.errors import Conflict, Missing, Unavailable
from actors.identity import Conversation
from actors.messages import Message, Waiting
from tests.daemon.operate.conftest import answered
from tests.support.ledgers import DEMO
from tests.support.operators import Operators


def view(conversation: Conversation = DEMO, phase: str = "waiting", *texts: str) -> ActorView:
    waiting = tuple(
        Waiting(seq, seq, Message(conversation.instance, conversation.contact, f"M{seq}", text, 1_000))
        for seq, text in enumerate(texts, 1)
    )
    return ActorView(conversation, cast(Phase, phase), waiting, None, 0, 0, 4.0, "window open")


async def test_a_conversation_shows_what_waits_and_what_was_answered(operators: Operators) -> None:
    turn = await answered(operators)
    operators.actors.show(view(DEMO, "waiting", "and a towel?"))
    operators.fences = {DEMO.partition(operators.settings.partitions): 3}
    shown = await operators.conversations.show(DEMO)
    assert (shown.conversation, shown.state, shown.epoch) == (operators.feed.label(DEMO), "waiting", 3)
    assert [message.text for message in shown.waiting] == ["and a towel?"]
    assert [one.id for one in shown.turns] == [turn.id]
    assert shown.taken_over is None and shown.escalated is None


async def test_an_escalation_is_shown_and_can_be_ended(operators: Operators) -> None:
    await answered(operators, escalation="asks_for_human")
    shown = await operators.conversations.show(DEMO)
    assert shown.escalated is not None and shown.escalated.why == "asks_for_human"
    assert (await operators.takeovers.end(DEMO)).escalated
    assert (await operators.conversations.show(DEMO)).escalated is None


async def _unrecorded(value: object) -> None:
    """Nothing is written of it."""


async def test_operators_read_the_rule_of_an_escalation_that_others_are_told_by_another_name(
    operators: Operators,
) -> None:
    names = "{asks_for_human: user_request, low_quality: low}"
    changed = await operators.in_force.set("escalation.reason_names", names, None, "me", _unrecorded)
    assert changed.value == names
    await answered(operators, escalation="user_request")
    shown = await operators.conversations.show(DEMO)
    assert shown.escalated is not None and shown.escalated.why == "asks_for_human"
    [listed] = (await operators.conversations.silent(None, 10)).conversations
    assert listed.escalated == shown.escalated


async def test_a_silence_to_a_machine_is_shown_listed_and_ended_by_its_label(operators: Operators) -> None:
    await answered(operators)
    await operators.db.fetch(
        "INSERT INTO majlis_machines (instance, contact, until, signs)"
        " VALUES ('demo', $1, now() + interval '1 hour', '{instant,same}')",
        DEMO.contact,
    )
    label = operators.feed.label(DEMO)
    shown = await operators.conversations.show(label)
    assert shown.machine is not None and shown.machine.signs == ["instant", "same"] and shown.machine.heeded
    [listed] = (await operators.conversations.silent(None, 10)).conversations
    assert listed.machine == shown.machine
    assert (await operators.status.now()).machines == 1
    ended = await operators.takeovers.end(await operators.takeovers.find(label))
    assert (ended.machine, ended.taken_over) == (True, False)
    assert operators.feed.counters["conversation.handed_back"] == 1
    assert (await operators.conversations.show(DEMO)).machine is None


async def test_a_number_is_found_under_either_address(operators: Operators) -> None:
    old, new = Conversation("demo", "553196348800"), Conversation("demo", "5531996348800")
    with pytest.raises(Missing):
        await operators.conversations.show(new)
    operators.actors.show(view(old, "waiting", "hello"))
    assert (await operators.conversations.show(new)).contact == old.contact
    operators.actors.show()
    await answered(operators, conversation=old)
    assert (await operators.conversations.show(new)).contact == old.contact
    begun = await operators.takeovers.begin(await operators.takeovers.find(new), 60)
    assert begun.conversation == operators.feed.label(old)
    assert (await operators.takeovers.end(await operators.takeovers.find(new))).taken_over
    await answered(operators, conversation=new)
    assert (await operators.conversations.show(new)).contact == new.contact, (
        "it has a conversation of its own"
    )


async def test_a_silence_without_effect_is_listed_as_such(operators: Operators) -> None:
    """With its flag off, Majlis answers anyway."""
    await answered(operators, escalation="asks_for_human")
    await operators.takeovers.begin(DEMO, 60)
    for flag in ("takeover", "escalation"):
        await operators.flags.set(flag, False, "demo", "uid 7")
    [listed] = (await operators.conversations.silent(None, 10)).conversations
    assert listed.taken_over and not listed.taken_over.heeded
    assert listed.escalated and not listed.escalated.heeded
    assert (await operators.conversations.silent("silent", 10)).matching == 0
    assert (await operators.conversations.silent("demo", 0)).matching == 1
    await operators.flags.set("takeover", True, "demo", "uid 7")
    shown = await operators.conversations.show(DEMO)
    assert shown.taken_over and shown.taken_over.heeded
    assert shown.escalated and not shown.escalated.heeded


async def test_a_flush_closes_a_window_and_nothing_else(operators: Operators) -> None:
    operators.actors.show(view(DEMO, "waiting", "one", "two"))
    flushed = await operators.conversations.flush(DEMO)
    assert (flushed.conversation, flushed.messages) == (operators.feed.label(DEMO), 2)
    assert operators.actors.flushed == [DEMO]
    operators.actors.show(view(DEMO, "idle"))
    with pytest.raises(Conflict, match="its last burst is already answered"):
        await operators.conversations.flush(DEMO)
    operators.actors.show()
    with pytest.raises(Conflict, match="there is nothing to flush"):
        await operators.conversations.flush(DEMO)


async def test_an_unknown_conversation_is_unavailable_until_the_start_is_over(operators: Operators) -> None:
    """During the start, memory is empty and there are no labels: what does not exist cannot be known."""
    starting = Operators(operators.db, operators.settings, started=False)
    for ref in (DEMO, "0123456789"):
        with pytest.raises(Unavailable, match="not ready yet"):
            await starting.conversations.show(ref)
    for act in (starting.conversations.flush, starting.takeovers.end):
        with pytest.raises(Unavailable, match="not ready yet"):
            await act(DEMO)
    starting.health.started()
    with pytest.raises(Missing, match="There is no conversation"):
        await starting.conversations.show(DEMO)
    with pytest.raises(Missing, match="No active conversation is labelled"):
        await starting.conversations.show("0123456789")
