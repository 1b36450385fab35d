"""Whose message an edit or a deletion is about, by its id alone, in the gateway's order or another."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from actors.errors import AmendedMessageUnknown, LedgerUnavailable
from actors.identity import Conversation
from actors.messages import Answer, Message
from actors.outcome import Sent
from daemon.controls import amended_messages
from daemon.controls.amended_messages import OWN_EDIT, UNKNOWN_TARGET, AmendedMessages, RecentMessages
from daemon.ingress.inbound import Amendment
from tests.support.ledgers import DEMO, LedgerWorld, batch, new_token, open_world, reply_of

NOW = 1_785_100_386.0


class Room:
    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.recent = RecentMessages()
        self.waiting: dict[str, Conversation] = {}
        self.searches = 0
        self.now = NOW
        self.found = AmendedMessages(world.db, self.recent, self._waits_in, lambda: self.now)

    async def _waits_in(self, instance: str, message_id: str) -> Conversation | None:
        await trio.lowlevel.checkpoint()
        self.searches += 1
        return self.waiting.get(message_id)

    async def of(
        self, target: str, age_seconds: float = 3600, contact: str = "", instance: str = "demo"
    ) -> object:
        sent_at = int(NOW - age_seconds)
        return await self.found.conversation_of(
            Amendment(instance, f"edit of {target}", target, contact, "new", sent_at=sent_at)
        )


@pytest.fixture
async def room(migrated_postgres_dsn: str) -> AsyncIterator[Room]:
    async with open_world(migrated_postgres_dsn) as world:
        yield Room(world)


async def test_it_is_found_wherever_it_is_known(room: Room) -> None:
    """I2: memory, ledger, then the gateway's word; what the business sent is nobody's edit of ours to answer."""
    ledger = room.world.ledger
    heard = batch("hello")
    turn = await ledger.answer(await ledger.begin(heard, 1), 1, reply_of(Answer("one", "main"), "one"))
    await ledger.claim(turn, 1, 0, resend=False, token=new_token())
    await ledger.settle(turn, 1, 0, Sent("OURS"))
    await room.world.rows(
        "INSERT INTO majlis_takeovers (instance, contact, until, message_ids) "
        "VALUES ('demo', '5511900000009', now(), ARRAY['STAFF']) RETURNING 1"
    )
    elsewhere = Conversation("demo", "5511900000002")
    room.recent.note(Message(*elsewhere, "RECENT", "hi", 0))
    assert await room.of("RECENT") == elsewhere
    assert await room.of(heard.messages[0].id) == DEMO
    assert await room.of("OURS", contact=DEMO.contact) == OWN_EDIT
    assert await room.of("STAFF") == OWN_EDIT
    assert await room.of("NEW", contact=elsewhere.contact) == elsewhere
    # Of another instance the same id is another message.
    assert await room.of(heard.messages[0].id, instance="other") == UNKNOWN_TARGET
    assert room.searches == 1


async def test_what_nobody_knows_comes_again_for_a_while(room: Room) -> None:
    """I1: a message may be on its way, or wait at another daemon: refused, so that the gateway repeats it."""
    for age_seconds in (-30, 0, 50):
        with pytest.raises(AmendedMessageUnknown):
            await room.of("A", age_seconds)
    assert await room.of("A", 61) == UNKNOWN_TARGET
    for later in (0, 50):  # an event without a time counts from when it was first seen
        room.now = NOW + later
        with pytest.raises(AmendedMessageUnknown):
            await room.of("B", NOW)
    room.now = NOW + 61
    assert await room.of("B", NOW) == UNKNOWN_TARGET
    room.now = NOW
    room.waiting["A"] = DEMO  # held for long, and heard by another daemon
    assert await room.of("A", 61) == DEMO


async def test_without_the_ledger_only_what_is_certain_is_taken(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I1: not acknowledged, where it may be lost; a chat that the gateway is sure of does not wait for Postgres."""

    async def away(*_: object) -> object:
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailable("away")

    monkeypatch.setattr(room.world.db, "value", away)
    with pytest.raises(LedgerUnavailable):
        await room.of("A")
    assert await room.of("A", contact=DEMO.contact) == DEMO


def test_the_memory_of_recent_messages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: twice the bound at the most, and the newest are always known."""
    monkeypatch.setattr(amended_messages, "MAX_RECENT", 10)
    recent = RecentMessages()
    for number in range(100):
        recent.note(Message("demo", f"c{number}", f"M{number}", "", 0))
        known = [one for one in range(number + 1) if recent.contact_of("demo", f"M{one}") == f"c{one}"]
        assert known[-10:] == list(range(max(0, number - 9), number + 1))
        assert len(known) <= 20
