"""Dead letters of a LID that come back when its phone number is known: at once, once, and by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import trio
import trio.lowlevel

from actors.errors import ConversationFull
from actors.identity import Conversation
from actors.messages import Batch, Message, Receipt
from daemon.controls.replays import NumbersLearned, put_back
from daemon.ingress.identity_links import KnownLinks
from daemon.observe.feed import EventFeed
from tests.support import patience
from tests.support.ledgers import LID, PHONE, LedgerWorld, batch, open_world

OF_LID = Conversation("demo", LID)


class Room:
    """A ledger, and a mirror that stores each id of a conversation once."""

    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.links = KnownLinks()
        self.feed = EventFeed(strict=True)
        self.appended: dict[tuple[str, str], Message] = {}
        self.full: set[str] = set()
        self.numbers = self.another()

    def another(self) -> NumbersLearned:
        return NumbersLearned(self.world.records, self.links, self._append, self.feed)

    async def _append(self, message: Message) -> Receipt:
        await trio.lowlevel.checkpoint()
        if message.contact in self.full:
            raise ConversationFull("full")
        is_known = (message.contact, message.id) in self.appended
        self.appended[message.contact, message.id] = message
        return Receipt(is_known, len(self.appended), 0, 0, 0, 1, False)

    async def bury(self, contact: str, reason: str, number: int = 1) -> None:
        conversation = Conversation("demo", contact)
        turn = await self.world.ledger.begin(batch("hello", number=number, conversation=conversation), 1)
        await self.world.ledger.bury(turn, 1, reason, "")

    async def open(self) -> int:
        return await self.world.records.open_dead_letters()


@pytest.fixture
async def room(migrated_postgres_dsn: str) -> AsyncIterator[Room]:
    async with open_world(migrated_postgres_dsn) as world:
        yield Room(world)


async def test_what_was_too_old_is_answered_when_it_is_wanted(room: Room) -> None:
    """I2: replayable. What else was set aside stays so, and so does old backlog beside what could not be answered."""
    said = batch("old question", "[reacted]")
    asides = ("backlog", "reaction")
    entries = tuple(
        msgspec.structs.replace(entry, message=msgspec.structs.replace(entry.message, aside=aside))
        for entry, aside in zip(said.entries, asides, strict=True)
    )
    for number, (reason, wanted) in enumerate((("too_old", ("", "reaction")), ("overloaded", asides)), 1):
        again = msgspec.structs.replace(said, entries=entries, number=number, conversation=OF_LID)
        again = again if number == 1 else renamed(again)
        await room.world.ledger.bury(await room.world.ledger.begin(again, 1), 1, reason, "")
        letter = (await room.world.records.dead_letters())[0]
        assert letter.reason == reason
        room.appended.clear()
        await put_back(letter, room._append, room.world.records, room.feed)
        assert tuple(message.aside for message in room.appended.values()) == wanted


def renamed(frozen: Batch) -> Batch:
    """The same messages under other ids."""
    entries = tuple(
        msgspec.structs.replace(
            entry, message=msgspec.structs.replace(entry.message, id=f"again-{entry.seq}")
        )
        for entry in frozen.entries
    )
    return msgspec.structs.replace(frozen, entries=entries)


async def test_a_refused_lid_comes_back_under_its_number_once(room: Room) -> None:
    """I9: at two daemons at once, too."""
    await room.bury(LID, "not_on_whatsapp")
    others = (
        (LID, "overloaded", 2),
        ("5511900000002", "not_on_whatsapp", 1),
        ("9@lid", "not_on_whatsapp", 1),
    )
    for contact, reason, number in others:
        await room.bury(contact, reason, number)
    async with trio.open_nursery() as nursery:
        daemons = room.numbers, room.another()
        for daemon in daemons:
            nursery.start_soon(daemon.run)
        room.links.learn("demo", LID, PHONE)
        for daemon in daemons:
            daemon.nudge()
        await patience.until(lambda: room.feed.counters["dead.retried"] == 1)
        for daemon in daemons:
            daemon.nudge()
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    [message] = room.appended.values()
    assert (message.contact, message.lid, message.text) == (PHONE, LID, "hello")
    assert (await room.open(), room.feed.counters["dead.retried"]) == (3, 1)


async def test_a_number_in_the_ledger_is_enough_and_a_replay_may_be_repeated(room: Room) -> None:
    """After a crash between the append and the mark the same ids are appended."""
    await room.bury(LID, "not_on_whatsapp")
    await room.world.ledger.link("demo", LID, PHONE)
    await room.numbers._look()
    await room.world.rows(
        "UPDATE majlis_dead_letters SET retried_at = NULL"
    )  # as if it had died before the mark
    await room.another()._look()
    assert (len(room.appended), await room.open()) == (1, 0)


async def test_a_dropped_letter_stays_and_a_full_conversation_is_tried_again(room: Room) -> None:
    await room.bury(LID, "not_on_whatsapp")
    await room.bury("9@lid", "not_on_whatsapp")
    await room.bury("8@lid", "not_on_whatsapp")
    for lid, phone in ((LID, "1"), ("9@lid", "2"), ("8@lid", "3")):
        room.links.learn("demo", lid, phone)
    [newest, *_] = await room.world.records.dead_letters()
    await room.world.records.mark_dropped(newest.id)
    room.full = {"1"}
    await room.numbers._look()
    assert [contact for contact, _ in room.appended] == ["2"]
    room.full = set()
    await room.numbers._look()
    assert [contact for contact, _ in room.appended] == ["2", "1"]
