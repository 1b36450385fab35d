"""The turns of a message found by its id; dropped dead letters; stored pauses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors.identity import Conversation
from actors.messages import Answer, Message, Waiting
from daemon.ledger.stored_turns import StoredTurns, original_id
from tests.support.ledgers import DEMO, LedgerWorld, batch, new_token, open_world, reply_of

SHOP = Conversation("shop", "5511900000002")


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as opened:
        await opened.records.register_instances(["shop"])
        yield opened


def test_the_id_of_a_replay_contains_the_original_id() -> None:
    assert original_id("dead-17-dead-3-3EB0") == original_id("3EB0") == "3EB0"
    assert original_id("dead-end") == "dead-end"


async def test_a_message_is_found_with_its_turn_and_parts(world: LedgerWorld) -> None:
    turn = await world.ledger.begin(batch("one", "two", id_prefix="M"), 1)
    turn = await world.ledger.answer(turn, 1, reply_of(Answer("hello", "main", "small"), "hel", "lo"))
    await world.ledger.claim(turn, 1, 0, False, new_token())
    (found,) = await StoredTurns(world.db).turns_of("M1")
    assert (found.id, found.conversation, found.state, found.provider) == (turn.id, DEMO, "answered", "main")
    assert [message.id for message in found.messages] == ["M0", "M1"]
    assert [part.state for part in found.parts] == ["sending", "pending"]
    assert found.parts[0].claimed_at is not None and found.dead_letter is None
    assert await StoredTurns(world.db).turns_of("M1", "shop") == ()
    assert await StoredTurns(world.db).turns_of("M") == ()


async def test_replays_of_dead_letters_are_followed(world: LedgerWorld) -> None:
    """Any of the ids finds the turn of the original and those of every replay."""
    first = await world.ledger.begin(batch("help", id_prefix="M"), 1)
    await world.ledger.bury(first, 1, "overloaded", "")
    (letter,) = await world.records.dead_letters()
    replay = batch("help", number=2, id_prefix=f"dead-{letter.id}-M")
    second = await world.ledger.begin(replay, 1)
    await world.ledger.bury(second, 1, "overloaded", "")
    latest = (await world.records.dead_letters())[0]
    third = await world.ledger.begin(
        batch("help", number=3, id_prefix=f"dead-{latest.id}-dead-{letter.id}-M"), 1
    )
    for asked in ("M0", f"dead-{letter.id}-M0"):
        found = await StoredTurns(world.db).turns_of(asked)
        assert [turn.id for turn in found] == [first.id, second.id, third.id]
        assert [turn.dead_letter.id if turn.dead_letter else None for turn in found] == [
            letter.id,
            latest.id,
            None,
        ]


async def test_the_same_id_in_two_instances_is_distinguished(world: LedgerWorld) -> None:
    await world.ledger.begin(batch("one", id_prefix="M"), 1)
    entry = Waiting(1, 1, Message("shop", SHOP.contact, "M0", "two", 1))
    other = batch("x", conversation=SHOP)
    await world.ledger.begin(type(other)(SHOP, 1, 1, 1, "timeout", 0, 1, 2, (entry,)), 1)
    assert {turn.instance for turn in await StoredTurns(world.db).turns_of("M0")} == {"demo", "shop"}
    assert {turn.instance for turn in await StoredTurns(world.db).turns_of("M0", "shop")} == {"shop"}


async def test_a_message_that_came_again_leads_to_all_its_turns(world: LedgerWorld) -> None:
    """I2: to the repetition that was suppressed, and to a turn of before that another took its place."""
    first = await world.ledger.begin(batch("one", id_prefix="M"), 1)
    await world.ledger.suppress(first, 1, "taken_over")
    again = await world.ledger.begin(batch("one", number=2, id_prefix="M"), 1)
    assert again.rule == "duplicate"
    assert [turn.id for turn in await StoredTurns(world.db).turns_of("M0")] == [first.id, again.id]
    await world.rows("UPDATE majlis_heard SET turn_id = $1 WHERE message_id = 'M0'", again.id)
    assert [turn.id for turn in await StoredTurns(world.db).turns_of("M0")] == [first.id, again.id]


async def test_every_partition_is_listed_with_its_owner(world: LedgerWorld) -> None:
    await world.db.fetch(
        "UPDATE majlis_partitions SET owner = 'node-a', until = now() + interval '9 seconds' WHERE partition < 2"
    )
    rows = await StoredTurns(world.db).leases()
    assert [row.partition for row in rows] == list(range(8))
    assert [row.owner for row in rows if row.seconds_left > 0] == ["node-a", "node-a"]
    assert rows[0].epoch == 1 and 0 < rows[0].seconds_left <= 9


async def test_a_dropped_dead_letter_is_kept_and_not_open(world: LedgerWorld) -> None:
    turn = await world.ledger.begin(batch("help"), 1)
    await world.ledger.bury(turn, 1, "overloaded", "")
    (letter,) = await world.records.dead_letters()
    assert await world.records.mark_dropped(letter.id) is True
    assert await world.records.mark_dropped(letter.id) is False
    assert await world.records.dead_letters() == () and await world.records.open_dead_letters() == 0
    assert (await world.records.attention(60)).dead_letters == 0
    (kept,) = await world.records.dead_letters(with_retried=True)
    assert kept.dropped_at is not None and kept.retried_at is None


async def test_pauses_last_until_they_are_ended_or_expire(world: LedgerWorld) -> None:
    records = world.records
    await records.pause("demo", None)
    (pause,) = await records.pauses()
    await records.pause("demo", 3600)
    (longer,) = await records.pauses()
    assert longer.since == pause.since and pause.until is None and longer.until is not None
    await records.pause("", None)
    assert [one.instance for one in await records.pauses()] == ["", "demo"]
    await records.pause("demo", -1)  # over already
    await records.unpause("")
    assert await records.pauses() == ()
    await records.pause("demo", 3600)
    assert (await records.pauses())[0].since > pause.since
