"""One person with two addresses, against a real Postgres: what is known under the one holds under the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from actors.errors import EarlierTurnUnfinished, TakenOver
from actors.identity import Conversation, number_forms
from actors.instance import InstanceRecord
from actors.messages import Answer
from actors.outcome import Sent
from actors.ports import Reply, Turn
from daemon.ledger import PostgresLedger
from tests.actors.test_identity import ALONE, IN_TWO_FORMS
from tests.support.ledgers import (
    LID,
    PARTITIONS,
    LedgerWorld,
    batch,
    look,
    new_token,
    open_postgres,
    open_world,
    until,
)

OLD, NEW = "553196348800", "5531996348800"
UNDER_OLD, UNDER_NEW = Conversation("demo", OLD), Conversation("demo", NEW)


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def answered(ledger: PostgresLedger, who: Conversation, text: str, number: int = 1) -> Turn:
    turn = await ledger.begin(batch(text, number=number, conversation=who), 1)
    turn = await ledger.answer(turn, 1, Reply(Answer("one", "p"), ("one",)))
    await ledger.claim(turn, 1, 0, False, new_token())
    await ledger.settle(turn, 1, 0, Sent(f"G{turn.id}"))
    await ledger.finish(turn, 1)
    return turn


async def test_both_languages_agree_on_what_is_one_number(world: LedgerWorld) -> None:
    """The twins: what one of them links, so does the other, and both ways."""
    numbers = [number for pair in IN_TWO_FORMS for number in pair] + ALONE
    rows = await world.rows("SELECT n, majlis_number_forms(n) AS forms FROM unnest($1::text[]) n", numbers)
    assert {row["n"]: tuple(row["forms"]) for row in rows} == {one: number_forms(one) for one in numbers}


async def test_a_number_of_our_own_is_known_under_either_address(world: LedgerWorld) -> None:
    await world.records.store_numbers({"other": NEW})
    sql = "SELECT majlis_is_own_number('demo', $1)"
    assert await world.db.value(sql, OLD) and await world.db.value(sql, NEW)
    await world.rows("INSERT INTO majlis_unlinked VALUES ('demo')")
    assert not await world.db.value(sql, OLD) and await world.db.value(sql, NEW)


@pytest.mark.parametrize("stored", [OLD, f"+{NEW}", f"{OLD}@s.whatsapp.net"])
async def test_a_conversation_of_other_software_is_found_under_either_address(
    world: LedgerWorld, stored: str
) -> None:
    await world.rows(
        "INSERT INTO whatsapp_conversations (instance_id, user_phone, status, last_activity)"
        " SELECT id, $1, 'active', now() FROM whatsapp_instances",
        stored,
    )
    first = await answered(world.ledger, UNDER_OLD, "price?")
    second = await world.ledger.begin(batch("and the size?", conversation=UNDER_NEW), 1)
    assert first.conversation_id == second.conversation_id
    [row] = await world.rows("SELECT user_phone FROM whatsapp_conversations")
    assert row["user_phone"] == stored, "never re-keyed"
    asked, record = batch("and the size?", conversation=UNDER_NEW), InstanceRecord(escalation_enabled=True)
    history = await look(world.lookups, second, asked, "history")
    assert [entry.text for entry in history] == ["price?", "one"]
    said = await look(world.lookups, second, asked, "interactions", record=record)
    assert [one.text for one in said] == ["price?"]


async def test_a_message_that_comes_again_under_the_other_address_is_a_duplicate(world: LedgerWorld) -> None:
    """I2: it has its end already; while it has none, that one comes first."""
    once = batch("price?", conversation=UNDER_OLD, id_prefix="M")
    again = batch("price?", conversation=UNDER_NEW, id_prefix="M")
    turn = await world.ledger.begin(once, 1)
    with pytest.raises(EarlierTurnUnfinished):
        await world.ledger.begin(again, 1)
    await world.ledger.suppress(turn, 1, "taken_over")
    assert (await world.ledger.begin(again, 1)).rule == "duplicate"
    both = batch("price?", "and now?", number=2, conversation=UNDER_NEW, id_prefix="M")
    assert (await world.ledger.begin(both, 1)).repeated == ("M0",)


async def test_the_first_steps_of_both_addresses_wait_for_each_other(
    world: LedgerWorld, migrated_postgres_dsn: str
) -> None:
    """Two actors, two turns: which of them heard a message is decided one after the other."""
    async with open_postgres(migrated_postgres_dsn) as other:
        ledger, turns = PostgresLedger(other, PARTITIONS), []

        async def begin() -> None:
            turns.append(await ledger.begin(batch("hi", conversation=UNDER_NEW), 1))

        async with world.db.session() as session, trio.open_nursery() as nursery:
            await session.fetch("BEGIN")
            await session.fetch("SELECT majlis_lock_contact('demo', $1)", OLD)
            nursery.start_soon(begin)
            await until(
                world.db, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            )
            assert turns == []
            await session.fetch("COMMIT")
        assert len(turns) == 1


async def test_a_take_over_and_an_escalation_hold_for_both(world: LedgerWorld) -> None:
    turn = await world.ledger.begin(batch("a person, please", conversation=UNDER_NEW), 1)
    turn = await world.ledger.answer(
        turn, 1, Reply(Answer("one", "escalation"), ("one",), rule="escalated", escalation="asks_for_human")
    )
    await world.db.value("SELECT majlis_take_over('demo', $1, '', 'H1', 'I am here', 0, 3600)", OLD)
    with pytest.raises(TakenOver):
        await world.ledger.claim(turn, 1, 0, False, new_token())
    asked = batch("hello?", conversation=UNDER_OLD)
    other = await world.ledger.begin(asked, 1)
    standing = await look(world.lookups, other, asked, "takeover")
    assert (standing.taken_over, standing.escalated) == (True, True)
    assert (await world.records.silence(UNDER_NEW, 3600)).taken_over is not None
    ended = await world.records.hand_back(UNDER_NEW)
    assert (ended.escalations, ended.takeovers) == (1, 1)
    assert await world.db.value("SELECT majlis_is_taken_over('demo', $1)", OLD) is False


async def test_a_lid_joins_the_conversation_of_its_number_under_either_address(world: LedgerWorld) -> None:
    first = await answered(world.ledger, UNDER_OLD, "price?")
    await world.ledger.begin(batch("from the LID", conversation=Conversation("demo", LID)), 1)
    linked = await world.ledger.begin(batch("both", number=2, conversation=UNDER_NEW, lid=LID), 1)
    assert linked.conversation_id == first.conversation_id
    rows = await world.rows("SELECT DISTINCT conversation_id FROM whatsapp_messages")
    assert len(rows) == 1
    assert set(await world.db.value("SELECT majlis_names('demo', $1)", OLD)) >= {OLD, NEW, f"+{NEW}", LID}


async def test_an_instance_may_keep_them_apart_and_change_its_mind(world: LedgerWorld) -> None:
    linked = {"demo": False}
    ledger = PostgresLedger(world.db, PARTITIONS, linked.__getitem__)
    first = await answered(ledger, UNDER_OLD, "price?")
    apart = batch("price?", conversation=UNDER_NEW, id_prefix=f"{OLD}-1-")
    second = await ledger.begin(apart, 1)
    assert second.rule == ""
    assert second.conversation_id != first.conversation_id
    await world.db.value("SELECT majlis_take_over('demo', $1, '', 'H1', 'I am here', 0, 3600)", OLD)
    assert not await world.db.value("SELECT majlis_is_taken_over('demo', $1)", NEW)
    linked["demo"] = True
    await ledger.begin(batch("now?", number=2, conversation=UNDER_NEW), 1)
    assert await world.db.value("SELECT majlis_is_taken_over('demo', $1)", NEW)
