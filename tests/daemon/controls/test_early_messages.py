"""Customers who wrote before their instance was set up, over a real ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import trio

from actors.errors import ConversationFull, MirrorUnavailable
from actors.identity import Conversation
from actors.instance import Mode
from actors.messages import Batch, Message, Receipt
from daemon.controls import early_messages
from daemon.controls.early_messages import EarlyMessages
from daemon.controls.modes import Modes
from daemon.ingress.inbound import OwnMessage
from daemon.ledger import Records
from daemon.stores.postgres import LedgerMisconfigured
from tests.support.ledgers import LedgerWorld, batch, open_world
from tests.support.memory import MemoryFeed
from tests.support.patience import PATIENCE_SECONDS

CONTACT = "966500000001"


class Room:
    """The mirror as a list, and the mode of every instance."""

    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.records = Records(world.db)
        self.feed = MemoryFeed()
        self.mode: Mode = "live"
        self.appended: list[Message] = []
        self.full = ""
        self.modes = Modes(world.db, lambda _name: self.mode, lambda: (), self.feed)
        self.early = EarlyMessages(self.records, self.append, self.modes.of, self.feed)
        self.away: list[Exception] = []
        self.kept = trio.Event()

    async def append(self, message: Message) -> Receipt:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise self.away.pop(0)
        if message.contact == self.full:
            raise ConversationFull("full")
        known = message in self.appended
        self.appended += [] if known else [message]
        self.kept.set()
        return Receipt(known, 1, 0, 8_000, 0, 1, False)

    async def write(
        self, *texts: str, instance: str = "late", contact: str = CONTACT, number: int = 1
    ) -> Batch:
        """A customer writes, and the turn ends by its rule."""
        said = batch(*texts, conversation=Conversation(instance, contact), number=number)
        return await self.end(said)

    async def end(self, said: Batch) -> Batch:
        turn = await self.world.ledger.begin(said, 1)
        await self.world.ledger.suppress(turn, 1, turn.rule)
        return said

    async def set_up(self, instance: str = "late") -> None:
        await self.world.rows("INSERT INTO whatsapp_instances (instance_name) VALUES ($1)", instance)

    async def look(self) -> list[str]:
        """The texts that are taken up."""
        self.appended.clear()
        await self.early._look()
        return [message.text for message in self.appended]


@pytest.fixture
async def room(migrated_postgres_dsn: str) -> AsyncIterator[Room]:
    async with open_world(migrated_postgres_dsn) as world:
        yield Room(world)


async def test_they_are_taken_up_once_it_exists_in_their_order(room: Room) -> None:
    """I2, I1: whoever repeats it repeats the ids."""
    first = await room.write("hello", "are you open?")
    await room.write("anybody?", number=2)
    assert await room.look() == []
    await room.set_up()
    assert await room.look() == ["hello", "are you open?", "anybody?"]
    assert room.appended[0].id == f"dead-0-{first.messages[0].id}"
    before = list(room.appended)
    await room.early._look()
    assert room.appended == before


async def test_who_does_not_answer_now_does_not_answer_what_came_before(room: Room) -> None:
    await room.write("hello")
    await room.set_up()
    modes: tuple[Mode, ...] = ("off", "shadow", "passthrough")
    for mode in modes:
        room.mode = mode
        await room.modes.of("late")
        await room.world.rows("UPDATE majlis_modes SET since = '-infinity'")  # longer than anybody waits
        assert await room.look() == []
    room.mode = "live"
    assert await room.look() == [], "others were to answer it meanwhile"
    await room.write("still there?", contact="966500000003", instance="other")
    await room.set_up("other")
    assert await room.look() == ["still there?"]


async def test_a_stranger_may_make_up_what_he_likes(room: Room) -> None:
    said = batch("hello", "made up", conversation=Conversation("late", CONTACT))
    entry = said.entries[1]
    made_up = msgspec.structs.replace(entry, message=msgspec.structs.replace(entry.message, stranger=True))
    await room.end(msgspec.structs.replace(said, entries=(said.entries[0], made_up)))
    await room.set_up()
    assert await room.look() == ["hello"]


async def test_names_of_strangers_take_no_place_of_others(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I8, I9: whoever may post without a token, and makes names up all day, keeps nobody from being answered."""
    monkeypatch.setattr(early_messages, "MAX_NAMES", 1)
    said = batch("made up", conversation=Conversation("made-up", CONTACT), number=1)
    entry = said.entries[0]
    made_up = msgspec.structs.replace(entry, message=msgspec.structs.replace(entry.message, stranger=True))
    await room.end(msgspec.structs.replace(said, entries=(made_up,)))
    await room.write("hello", number=2)
    await room.set_up()
    assert await room.look() == ["hello"]


async def test_while_the_mirror_is_away_or_full_they_wait_for_it(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2, I10: nobody sets the instance up a second time, and nobody has to."""
    monkeypatch.setattr(early_messages, "AGAIN_SECONDS", 0.01)
    await room.write("hello")
    await room.set_up()
    misconfigured = LedgerMisconfigured("42501", "no right")
    room.away = [MirrorUnavailable("away")] * 3 + [misconfigured] + [ConversationFull("full")] * 3
    async with trio.open_nursery() as nursery:
        nursery.start_soon(room.early.run)
        with trio.fail_after(PATIENCE_SECONDS):
            await room.kept.wait()
        nursery.cancel_scope.cancel()
    # What only waits for a store is no news; what somebody has to mend is.
    problems = [fields["error"] for event, _, fields in room.feed.events if event == "daemon.problem"]
    assert problems == ["LedgerMisconfigured"]


async def test_a_chat_in_which_the_business_wrote_since_is_left_alone(room: Room) -> None:
    await room.write("hello")
    await room.write("hi", contact="966500000002")
    await room.early.business_wrote(OwnMessage("late", CONTACT, "", "own", "I am here", 1_001))
    await room.early.business_wrote(OwnMessage("late", "966500000002", "", "older", "Good night", 999))
    await room.set_up()
    assert await room.look() == ["hi"]


async def test_no_more_than_is_bounded(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: names and messages past the bounds stay suppressed."""
    monkeypatch.setattr(early_messages, "MAX_NAMES", 2)
    monkeypatch.setattr(early_messages, "MAX_MESSAGES", 3)
    for number, name in enumerate(("one", "two", "three"), 1):
        await room.write("a", "b", instance=name, number=number)
        await room.write("c", "d", instance=name, number=number + 10)
        await room.set_up(name)
    await room.look()
    taken = [(message.instance, message.text) for message in room.appended]
    assert sorted(taken) == [(name, text) for name in ("one", "two") for text in ("a", "b", "c")]


async def test_what_is_older_than_a_day_stays_as_it_is(room: Room) -> None:
    await room.write("yesterday")
    await room.world.rows("UPDATE majlis_turns SET created_at = now() - interval '25 hours'")
    await room.set_up()
    assert await room.look() == []


async def test_a_full_conversation_takes_no_other_down(room: Room) -> None:
    await room.write("hello")
    room.full = CONTACT
    await room.write("hi", contact="966500000002", instance="other")
    await room.set_up()
    await room.set_up("other")
    assert await room.look() == ["hi"]
