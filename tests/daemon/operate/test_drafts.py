"""A prompt before it is live: what the responder is given, and that nothing else changes."""

from __future__ import annotations

import pytest

from actors.errors import Conflict, Missing, TurnFailed
from actors.messages import Answer, Spent
from actors.ports import Reply, Turn
from daemon.operate.drafts import NewTrial
from tests.support.ledgers import DEMO, batch
from tests.support.operators import Operators

_TABLES = (
    "majlis_turns",
    "whatsapp_messages",
    "whatsapp_conversations",
    "majlis_outbox",
    "majlis_answer_cache",
)


async def answered(operators: Operators, said: str, number: int, rule: str = "") -> Turn:
    ledger = operators.world.ledger
    turn = await ledger.begin(batch(said, number=number), 1)
    reply = Reply(Answer(f"to {said}", "main", "small", 8, 6, 1_000), ("hello",), rule=rule)
    return await ledger.answer(turn, 1, reply)


async def rows(operators: Operators) -> list[int]:
    found = [await operators.db.fetch(f"SELECT count(*) AS n FROM {name}") for name in _TABLES]
    return [one[0]["n"] for one in found]


async def spent(operators: Operators) -> list[tuple[int, int]]:
    used = await operators.records.usage(1)
    return [(day.input_tokens + day.output_tokens, day.cost_micros) for day in used]


async def test_a_question_is_asked_with_the_draft_and_nothing_is_stored(operators: Operators) -> None:
    before = await rows(operators)
    tried = await operators.drafts.fresh("demo", NewTrial(["hello", "are you open?"], "Be brief."))
    assert (tried.answer, tried.provider, tried.cost) == ("Be brief.: hello\nare you open?", "main", 0.002)
    assert operators.prompts[-1].history == () and await rows(operators) == before
    live = await operators.drafts.fresh("demo", NewTrial(["hello"]))
    assert live.answer == "None: hello", "the prompt that is live: the provider's own"
    assert await spent(operators) == [(30, 4_000)], "it was paid for"
    with pytest.raises(Missing):
        await operators.drafts.fresh("nobody", NewTrial(["hello"]))


async def test_what_was_answered_is_asked_again_as_it_was_then(operators: Operators) -> None:
    """With what had been said until then, and nothing of what came later."""
    await answered(operators, "first question", 1)
    second = await answered(operators, "second question", 2)
    await answered(operators, "third question", 3)
    before = await rows(operators)
    tried = await operators.drafts.again(second.id, "Be kind.")
    assert tried.now.text == "Be kind.: second question" and tried.text == "second question"
    assert tried.before.text == "to second question" and tried.conversation == operators.feed.label(DEMO)
    told = " ".join(entry.text for entry in operators.prompts[-1].history)
    assert "first question" in told and "third question" not in told and "second question" not in told
    assert await rows(operators) == before
    with pytest.raises(Missing):
        await operators.drafts.again(second.id + 100, None)


async def test_a_turn_that_no_provider_answered_has_nothing_to_lay_a_draft_beside(
    operators: Operators,
) -> None:
    escalated = await answered(operators, "a human", 1, "escalated")
    with pytest.raises(Conflict):
        await operators.drafts.again(escalated.id, None)


async def test_what_cannot_be_answered_says_why_and_is_counted(operators: Operators) -> None:
    operators.ask_fails = TurnFailed("overloaded", spent=Spent(7, 0, 100))
    tried = await operators.drafts.fresh("demo", NewTrial(["hello"], "x"))
    assert (tried.answer, tried.failed) == ("", "overloaded") and await spent(operators) == [(7, 100)]


async def test_who_asks_for_a_person_is_shown(operators: Operators) -> None:
    await operators.db.fetch("UPDATE whatsapp_instances SET escalation_enabled = true")
    tried = await operators.drafts.fresh("demo", NewTrial(["I want to talk to a human"], "x"))
    assert tried.escalation == "asks_for_human"
