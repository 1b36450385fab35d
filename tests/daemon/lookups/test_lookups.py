"""Duplicates and history against Postgres; the token budget of the history as a pure function."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.instance import ContextTerms, Terms
from actors.messages import Answer, Batch, HistoryEntry
from actors.outcome import Sent
from actors.ports import Reply, Turn
from daemon.lookups import PostgresLookups
from daemon.lookups.history import BYTES_PER_TOKEN, within
from tests.support.ledgers import LedgerWorld, batch, look, new_token, open_world, reply_of


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def answered(world: LedgerWorld, text: str, number: int) -> Turn:
    turn = await world.ledger.begin(batch(text, number=number), 1)
    turn = await world.ledger.answer(turn, 1, reply_of(Answer("", "p")))
    await world.ledger.finish(turn, 1)
    return turn


async def is_duplicate(lookups: PostgresLookups, turn: Turn, asked: Batch) -> bool:
    return bool(await look(lookups, turn, asked, "duplicate"))


async def test_only_an_answered_text_is_a_duplicate(world: LedgerWorld) -> None:
    """I2: a customer whose message became a dead letter may repeat it."""
    dead = await world.ledger.begin(batch("hello", number=1), 1)
    await world.ledger.bury(dead, 1, "garbage", "")
    silent = await world.ledger.begin(batch("hello", number=2), 1)
    await world.ledger.suppress(silent, 1, "inactive_instance")
    asked = batch("hello", number=3)
    turn = await world.ledger.begin(asked, 1)
    assert not await is_duplicate(world.lookups, turn, asked)
    await answered(world, "hello", 3)
    again = batch("hello", number=4)
    turn = await world.ledger.begin(again, 1)
    assert await is_duplicate(world.lookups, turn, again)
    other = batch("hello!", number=5)
    assert not await is_duplicate(world.lookups, await world.ledger.begin(other, 1), other)


async def test_a_text_answered_only_by_the_fallback_is_no_duplicate(world: LedgerWorld) -> None:
    """Over a limit, or taken over half way: the question is still unanswered."""
    turn = await world.ledger.begin(batch("hello", number=1), 1)
    said = Reply(Answer("later", "fallback"), (), rule="budget_reached")
    turn = await world.ledger.answer(turn, 1, said)
    await world.ledger.finish(turn, 1)
    again = batch("hello", number=2)
    assert not await is_duplicate(world.lookups, await world.ledger.begin(again, 1), again)


async def test_a_duplicate_expires(world: LedgerWorld) -> None:
    await answered(world, "hello", 1)
    again = batch("hello", number=2)
    turn = await world.ledger.begin(again, 1)
    await world.rows(
        "UPDATE majlis_turns SET finished_at = now() - interval '10 minutes' WHERE state = 'done'"
    )
    assert not await is_duplicate(world.lookups, turn, again)
    patient = PostgresLookups(world.db, duplicate_window_seconds=1200)
    assert await is_duplicate(patient, turn, again)


async def test_a_replayed_dead_letter_is_no_duplicate(world: LedgerWorld) -> None:
    await answered(world, "hello", 1)
    replay = batch("hello", number=2, id_prefix="dead-7-")
    assert not await is_duplicate(world.lookups, await world.ledger.begin(replay, 1), replay)


async def test_a_replayed_dead_letter_is_not_in_its_own_history(world: LedgerWorld) -> None:
    """Its messages are already stored; they are the question, not the history."""
    dead = await world.ledger.begin(batch("hello", id_prefix="m"), 1)
    await world.ledger.bury(dead, 1, "garbage", "")
    for number, prefix in ((2, "dead-7-m"), (3, "dead-8-dead-7-m")):
        replay = batch("hello", number=number, id_prefix=prefix)
        turn = await world.ledger.begin(replay, 1)
        assert turn.id != dead.id
        assert await look(world.lookups, turn, replay, "history") == ()
    assert await world.messages() == [("user", "hello")]


async def test_history_is_what_was_said_before_in_order(world: LedgerWorld) -> None:
    """I4"""
    first = await world.ledger.begin(batch("hello", "there"), 1)
    first = await world.ledger.answer(first, 1, reply_of(Answer("hi", "p"), "hi", "what is it?"))
    for part in (0, 1):
        await world.ledger.claim(first, 1, part, False, new_token())
        await world.ledger.settle(first, 1, part, Sent(f"g{part}"))
    await world.ledger.finish(first, 1)
    asked = batch("a question", number=2)
    turn = await world.ledger.begin(asked, 1)
    assert await look(world.lookups, turn, asked, "history") == (
        HistoryEntry("user", "hello"),
        HistoryEntry("user", "there"),
        HistoryEntry("assistant", "hi"),
        HistoryEntry("assistant", "what is it?"),
    )
    short = PostgresLookups(world.db, history_tokens=4)
    alone = Terms(context=ContextTerms(clock=False, customer_name=False))
    entries = await look(short, turn, asked, "history", terms=alone)
    assert [entry.text for entry in entries] == ["h", "what is it?"]


async def test_a_turn_without_a_conversation_has_no_history(world: LedgerWorld) -> None:
    await world.rows("UPDATE whatsapp_instances SET is_active = false")
    turn = await world.ledger.begin(batch("hello"), 1)
    assert await look(world.lookups, turn, batch("hello"), "history") == ()


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", " Bot "]), st.text())),
    st.integers(0, 50),
)
def test_history_keeps_to_its_budget(newest_first: list[tuple[str, str]], max_tokens: int) -> None:
    kept = within(newest_first, max_tokens)
    assert sum(len(entry.text.encode()) for entry in kept) <= max_tokens * BYTES_PER_TOKEN
    said = [text for sender, text in newest_first if sender != "system" and text]
    for entry, text in zip(reversed(kept), said, strict=False):
        assert text.startswith(entry.text)
