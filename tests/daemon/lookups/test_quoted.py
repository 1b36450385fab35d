"""A message that is quoted by its id is found in our own ledger, and in this conversation alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from actors.identity import Conversation
from actors.instance import ContextTerms, Terms
from actors.messages import Answer, Batch, Context, HistoryEntry
from actors.outcome import Sent
from actors.ports import Turn
from actors.told import MAX_TEXT_CHARS
from daemon.lookups import PostgresLookups
from tests.actors.test_situation import asked as asked_now
from tests.support.ledgers import DEMO, LedgerWorld, batch, look, new_token, open_world, reply_of

OTHER = Conversation("demo", "5511900000002")


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def answered(world: LedgerWorld, asked: Batch, gateway_id: str, finish: bool = True) -> Turn:
    turn = await world.ledger.begin(asked, 1)
    turn = await world.ledger.answer(turn, 1, reply_of(Answer("", "p"), f"reply to {asked.text}"))
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, Sent(gateway_id))
    if finish:
        await world.ledger.finish(turn, 1)
    return turn


async def found(world: LedgerWorld, *ids: str, conversation: Conversation = DEMO) -> set[Context]:
    """What a message that quotes these is told."""
    quotes = tuple(Context("quote", id=id) for id in ids)
    asked = batch("this one", number=90, conversation=conversation, context=quotes)
    turn = await world.ledger.begin(asked, 1)
    return set(await look(world.lookups, turn, asked, "quoted"))


async def test_what_was_said_in_the_conversation_is_found_by_its_id(world: LedgerWorld) -> None:
    """The customer's messages, our replies also before their turn has ended, what a person wrote, a notice."""
    await answered(world, batch("the list?", number=1, id_prefix="m1-"), "G1")
    await answered(world, batch("and dates?", number=2, id_prefix="m2-"), "G2", finish=False)
    await world.rows("SELECT majlis_take_over('demo', '5511900000001', '', 'P1', 'we have sukkari', 0, 3600)")
    await world.rows(
        "INSERT INTO majlis_notices (kind, instance, target, body, gateway_message_id)"
        " VALUES ('whatsapp', 'demo', '5511900000001', 'please call', 'N1')"
    )
    assert await found(world, "m1-0", "G1", "G2", "P1", "N1", "unknown") == {
        Context("quote", "the list?", "m1-0", "customer"),
        Context("quote", "reply to the list?", "G1", "business"),
        Context("quote", "reply to and dates?", "G2", "business"),
        Context("quote", "we have sukkari", "P1", "business"),
        Context("quote", "please call", "N1", "business"),
    }


async def test_nothing_of_another_conversation_is_found(world: LedgerWorld) -> None:
    """I9: whoever knows an id of another customer's message is not told what it says."""
    await answered(world, batch("my secret", number=1, id_prefix="m1-"), "G1")
    await answered(world, batch("mine", number=2, id_prefix="m2-"), "G2", finish=False)
    await world.rows(
        "INSERT INTO majlis_notices (kind, instance, target, body, gateway_message_id)"
        " VALUES ('whatsapp', 'demo', '5511900000001', 'please call', 'N1')"
    )
    assert await found(world, "m1-0", "m2-0", "G1", "G2", "N1", conversation=OTHER) == set()


async def test_a_long_text_is_cut_and_a_second_try_finds_the_same(world: LedgerWorld) -> None:
    await answered(world, batch("x" * 5_000, number=1, id_prefix="m1-"), "G1")
    [first] = await found(world, "m1-0", "m1-0")
    assert len(first.text) == MAX_TEXT_CHARS
    assert await found(world, "m1-0") == {first}


async def test_what_earlier_messages_referred_to_is_told_with_them(world: LedgerWorld) -> None:
    """Or nobody would know later what was meant by "two of these"."""
    ad, quote = Context("ad", "Summer Abaya"), Context("quote", id="G1")
    await answered(world, batch("hi", number=1, id_prefix="m1-", context=(ad,)), "G1")
    await answered(world, batch("two of these", number=2, id_prefix="dead-1-m2-", context=(quote,)), "G2")
    asked = batch("and one more", number=3)
    turn = await world.ledger.begin(asked, 1)
    assert await look(world.lookups, turn, asked, "history") == (
        HistoryEntry("user", '[came from the ad: "Summer Abaya"]\nhi'),
        HistoryEntry("assistant", "reply to hi"),
        HistoryEntry("user", '[answers the business\'s message: "reply to hi"]\ntwo of these'),
        HistoryEntry("assistant", "reply to two of these"),
    )
    for number, (text, kind) in enumerate(
        (("[payment of 9 SAR]", "payment"), ("[payment of 8 SAR]", "text")), 4
    ):
        await answered(world, batch(text, number=number, kind=kind), f"P{number}")
    asked = batch("and two more", number=6)
    turn = await world.ledger.begin(asked, 1)
    entries = await look(world.lookups, turn, asked, "history")
    assert [entry.text for entry in entries if entry.role == "user"][-2:] == [
        "[payment of 9 SAR]",
        "(payment of 8 SAR]",
    ]
    silent = Terms(context=ContextTerms(references=False))
    entries = await look(world.lookups, turn, asked, "history", terms=silent)
    assert [entry.text for entry in entries if entry.role == "user"][:2] == ["hi", "two of these"]


async def test_what_is_told_beside_the_words_takes_its_room_from_the_history(world: LedgerWorld) -> None:
    """Half of it at most."""
    await answered(world, batch("x" * 900, number=1), "G1")
    quote = (Context("quote", "y" * 300),)
    plain, quoting = (
        batch("more", number=number, context=context) for number, context in ((2, ()), (3, quote))
    )
    patient = PostgresLookups(world.db, history_tokens=400)

    async def chars(asked: Batch, now: bool = False) -> int:
        turn = await world.ledger.begin(asked, 1)
        question = msgspec.structs.replace(asked_now(), turn=turn, batch=asked)
        if not now:
            question = msgspec.structs.replace(question, now_ms=0)
        entries: tuple[HistoryEntry, ...] = await patient.about(question)["history"].call()
        return sum(len(entry.text) for entry in entries)

    assert 1_200 > await chars(plain) > await chars(plain, now=True) > await chars(quoting, now=True) > 500
