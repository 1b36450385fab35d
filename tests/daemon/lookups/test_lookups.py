"""Duplicates and history against Postgres; the token budget of the history as a pure function."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.instance import ContextTerms, Terms
from actors.messages import Answer, Batch, Context, HistoryEntry
from actors.outcome import Sent
from actors.ports import Reply, Turn
from daemon.lookups import PostgresLookups
from daemon.lookups.history import BYTES_PER_TOKEN, within
from tests.support.ledgers import LedgerWorld, batch, look, new_token, open_world, reply_of


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def answered(
    world: LedgerWorld, asked: Batch | str, number: int = 1, rule: str = "", provider: str = "p"
) -> Turn:
    """A turn whose reply left and arrived."""
    asked = batch(asked, number=number) if isinstance(asked, str) else asked
    turn = await world.ledger.begin(asked, 1)
    turn = await world.ledger.answer(turn, 1, Reply(Answer("well", provider), ("well",), rule=rule))
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, Sent(f"g{turn.id}"))
    await world.ledger.finish(turn, 1)
    return turn


async def is_duplicate(world: LedgerWorld, asked: Batch, seconds: float = 300.0) -> bool:
    turn = await world.ledger.begin(asked, 1)
    terms = Terms(duplicate_seconds=seconds)
    return bool(await look(world.lookups, turn, asked, "duplicate", terms=terms))


def said(asked: Batch, **changes: object) -> Batch:
    """The batch with these members of each of its messages."""
    entries = tuple(
        msgspec.structs.replace(entry, message=msgspec.structs.replace(entry.message, **changes))
        for entry in asked.entries
    )
    return msgspec.structs.replace(asked, entries=entries)


async def now(world: LedgerWorld) -> int:
    return int(await world.db.value("SELECT floor(extract(epoch FROM now()))::bigint"))


async def left_ago(world: LedgerWorld, seconds: float) -> None:
    """The reply left so long ago."""
    await world.rows("UPDATE majlis_outbox SET claimed_at = now() - make_interval(secs => $1)", seconds)


async def test_only_a_text_that_a_responder_answered_is_a_duplicate(world: LedgerWorld) -> None:
    """I2: whoever got no answer may repeat his question, also while he waits for it."""
    dead = await world.ledger.begin(batch("hello", number=1), 1)
    await world.ledger.bury(dead, 1, "garbage", "")
    silent = await world.ledger.begin(batch("hello", number=2), 1)
    await world.ledger.suppress(silent, 1, "inactive_instance")
    await answered(world, "hello", 3, rule="budget_reached", provider="fallback")
    await answered(world, "hello", 4, rule="escalated", provider="escalation")
    assert not await is_duplicate(world, batch("hello", number=5))
    failed = await answered(world, "hello", 6)
    await world.rows("SELECT majlis_fail_later('demo', $1, 'error')", f"g{failed.id}")
    assert not await is_duplicate(world, batch("hello", number=7)), "it never arrived"
    await answered(world, "hello", 8)
    assert await is_duplicate(world, batch("hello", number=9))
    assert not await is_duplicate(world, batch("hello!", number=10))


async def test_what_was_written_after_the_answer_left_is_a_new_question(world: LedgerWorld) -> None:
    await answered(world, "yes", 1)
    await left_ago(world, 5)
    for number, ago, suppressed in (
        (2, (6.0,), True),
        (3, (4.0,), False),
        (4, (6.0, 6.0), True),
        (5, (6.0, 4.0), False),
    ):
        asked = said(batch(*("yes" for _ in ago), number=number), sent_at=0)
        arrived = (asked.frozen_at_ms - round(1000 * seconds) for seconds in ago)
        entries = (
            msgspec.structs.replace(entry, at_ms=at) for entry, at in zip(asked.entries, arrived, strict=True)
        )
        asked = msgspec.structs.replace(asked, entries=tuple(entries))
        assert await is_duplicate(world, asked) is suppressed, ago


async def test_the_gateways_time_counts_where_it_leaves_no_doubt(world: LedgerWorld) -> None:
    """A webhook that came late; but the gateway knows whole seconds only, and its clock may be behind."""
    await answered(world, "yes", 1)
    await left_ago(world, 30)
    for number, ago, suppressed in (
        (2, 45, True),
        (3, 35, False),
        (4, 30, False),
        (5, 10, False),
        (6, 0, False),
    ):
        asked = said(batch("yes", number=number), sent_at=await now(world) - ago)
        entry = msgspec.structs.replace(asked.entries[0], at_ms=asked.frozen_at_ms)
        asked = msgspec.structs.replace(asked, entries=(entry,))
        assert await is_duplicate(world, asked) is suppressed, ago


async def test_a_duplicate_expires(world: LedgerWorld) -> None:
    await answered(world, "hello", 1)
    await left_ago(world, 600)
    assert not await is_duplicate(world, batch("hello", number=2))
    assert await is_duplicate(world, batch("hello", number=3), seconds=1200)
    assert not await is_duplicate(world, batch("hello", number=4), seconds=0)


async def test_what_is_said_several_times_is_said_once(world: LedgerWorld) -> None:
    """Impatient, he writes it twice while he waits; or he had written it twice to begin with."""
    await answered(world, "where is it", 1)
    assert await is_duplicate(world, batch("where is it", "where is it ", number=2))
    await answered(world, batch("a", "b", "a", number=3))
    assert await is_duplicate(world, batch("a", "b", number=4))
    assert not await is_duplicate(world, batch("b", "a", number=5))


QUOTE = (Context("quote", "rose"),)
ALIKE: tuple[tuple[dict[str, object], dict[str, object], bool], ...] = (
    ({"kind": "image"}, {"kind": "image"}, False),
    ({"kind": "voice"}, {"kind": "voice"}, False),
    ({"kind": "sticker", "media_hash": "h"}, {"kind": "sticker", "media_hash": "h"}, True),
    ({"kind": "image", "media_hash": "h"}, {"kind": "image", "media_hash": "i"}, False),
    ({"kind": "image", "media_hash": "h"}, {"kind": "image"}, False),
    ({"kind": "image"}, {}, False),
    ({"kind": "button"}, {"kind": "button"}, True),
    ({"kind": "button"}, {}, False),
    ({"kind": "of the future"}, {"kind": "of the future"}, False),
    ({"context": QUOTE}, {"context": QUOTE}, True),
    ({"context": QUOTE}, {"context": (Context("quote", "musk"),)}, False),
    ({"context": (Context("product", id="1"),)}, {}, False),
)


async def test_texts_that_look_alike_are_not_the_same_thing(world: LedgerWorld) -> None:
    """Law 12: files are the same by their hash, words only if of the same kind and about the same."""
    for number, (first, second, suppressed) in enumerate(ALIKE):
        text = f"how much is {number}?"
        await answered(world, said(batch(text, number=2 * number + 1), **first))
        again = said(batch(text, number=2 * number + 2), **second)
        assert await is_duplicate(world, again) is suppressed, (first, second)


async def test_a_replayed_dead_letter_is_no_duplicate(world: LedgerWorld) -> None:
    await answered(world, "hello", 1)
    assert not await is_duplicate(world, batch("hello", number=2, id_prefix="dead-7-"))


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


async def test_no_more_history_is_read_than_fits_and_no_less(world: LedgerWorld) -> None:
    """Beside all of it, of both sides, of a third one, in two scripts, with brackets that are told as others."""
    turn = await world.ledger.begin(batch("hello"), 1)
    await world.rows(
        "INSERT INTO whatsapp_messages (conversation_id, sender_type, content, created_at)"
        " SELECT $1::text::bigint, (ARRAY['user', 'assistant', 'system', ' Bot '])[n % 4 + 1],"
        " (ARRAY['【the price', 'السلام عليكم', 'x', 'a kilo'])[n % 4 + 1], now() - n * interval '1 minute'"
        " FROM generate_series(1, 120) n",
        turn.conversation_id,
    )
    everything = [
        (row["sender_type"], row["content"].replace("【", "("))
        for row in await world.rows("SELECT * FROM majlis_history($1, 100, 3000)", turn.id)
    ]
    terms = Terms(context=ContextTerms(clock=False, customer_name=False))
    for tokens in (0, 4, 40, 200, 1_000):
        short = PostgresLookups(world.db, history_tokens=tokens)
        found = await look(short, turn, batch("hello"), "history", terms=terms)
        assert found == within(everything, tokens), tokens
    read = await world.rows("SELECT FROM majlis_told_history($1, 100, 120, 300)", turn.id)
    assert len(read) < 25


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
