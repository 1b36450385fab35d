"""Turns as operators see them."""

from __future__ import annotations

import pytest

from actors.errors import Missing
from actors.messages import Answer
from actors.outcome import Sent
from tests.daemon.operate.conftest import WATERFALL, answered
from tests.support.ledgers import DEMO, batch, new_token, reply_of
from tests.support.operators import Operators


async def test_a_turn_is_shown_with_its_parts_tokens_and_cost(operators: Operators) -> None:
    turn = await answered(operators)
    shown = await operators.turns.turn(turn.id)
    assert (shown.conversation, shown.contact) == (operators.feed.label(DEMO), DEMO.contact)
    assert (shown.turn.provider, shown.turn.cost, shown.turn.confidence) == ("main", 0.412, 0.75)
    assert shown.waterfall == list(WATERFALL)
    assert (shown.messages[0].text, shown.messages[0].sent_at) == (
        "how much is it",
        "1970-01-01T00:16:40.000Z",
    )
    with pytest.raises(Missing):
        await operators.turns.turn(turn.id + 1)


async def test_the_latest_turns_are_listed_with_their_ends(operators: Operators) -> None:
    """The newest first, of one instance or of all."""
    ledger, turns = operators.world.ledger, operators.turns
    turn = await ledger.begin(batch("one", "two", id_prefix="M"), 1)
    turn = await ledger.answer(turn, 1, reply_of(Answer("hello", "main"), "hello"))
    await ledger.claim(turn, 1, 0, False, new_token())
    (claimed,) = (await turns.turn(turn.id)).turn.parts
    assert claimed.claimed_at and not claimed.settled_at
    await ledger.settle(turn, 1, 0, Sent("3EB0"))
    await ledger.finish(turn, 1)
    later = await ledger.begin(batch("three", number=2, id_prefix="N"), 1)
    newest, first = (await turns.latest("demo", 10)).turns
    assert (newest.id, newest.state, newest.ended_at, newest.took_ms) == (later.id, "started", "", None)
    assert (first.id, first.state, first.messages, first.provider) == (turn.id, "done", 2, "main")
    assert first.took_ms is not None and first.took_ms > 0 and first.ended_at > first.started_at
    assert (first.instance, first.contact) == DEMO
    assert [head.id for head in (await turns.latest(None, 1)).turns] == [later.id]
    assert (await turns.latest("shop", 10)).turns == []
    (part,) = (await turns.turn(turn.id)).turn.parts
    assert part.settled_at >= part.claimed_at == claimed.claimed_at >= first.started_at
