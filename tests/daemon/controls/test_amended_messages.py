"""Whose message an edit or a deletion is about, by its id alone, in the gateway's order or another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping

import pytest
import trio

from actors.errors import AmendedMessageUnknown, LedgerUnavailable, MajlisError, MirrorUnavailable
from actors.identity import Conversation
from actors.messages import Answer
from actors.outcome import Sent
from daemon.controls.amended_messages import (
    COMES_AGAIN_SECONDS,
    OWN_EDIT,
    REST_SECONDS,
    UNKNOWN_TARGET,
    AmendedMessages,
)
from daemon.ingress.inbound import Amendment
from daemon.ingress.lately import Lately
from tests.support.ledgers import DEMO, LedgerWorld, batch, new_token, open_world, reply_of

NOW = 1_785_100_386.0


class Room:
    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.recent = Lately[str](100)
        self.waiting: dict[str, Conversation] = {}
        self.searches: list[int] = []
        """For how many messages each was."""
        self.fails = False
        self.now = NOW
        self.found = AmendedMessages(world.db, self.recent, self._waits_in, lambda: self.now)

    async def _waits_in(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Conversation]:
        await trio.sleep(0.05)
        self.searches.append(len(wanted))
        if self.fails:
            raise MirrorUnavailable("away")
        return {(instance, id): self.waiting[id] for instance, id in wanted if id in self.waiting}

    async def of(
        self, target: str, contact: str = "", instance: str = "demo", sent_at: float = NOW
    ) -> object:
        return await self.found.conversation_of(
            Amendment(instance, f"edit of {target}", target, contact, "new", sent_at=int(sent_at))
        )

    async def finally_of(self, target: str, instance: str = "demo") -> object:
        """When it has come again for long enough."""
        with pytest.raises(AmendedMessageUnknown):
            await self.of(target, instance=instance)
        self.now += COMES_AGAIN_SECONDS
        return await self.of(target, instance=instance)


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
    await room.world.rows(
        "INSERT INTO majlis_own_messages (instance, message_id, contact, sender, verdict, sent_at) "
        "VALUES ('demo', 'REMINDER', '5511900000009', 'program', 'history', now()) RETURNING 1"
    )
    elsewhere = Conversation("demo", "5511900000002")
    room.recent.note("demo", "RECENT", elsewhere.contact)
    assert await room.of("RECENT") == elsewhere
    assert await room.of(heard.messages[0].id) == DEMO
    assert await room.of("OURS", contact=DEMO.contact) == OWN_EDIT
    assert await room.of("STAFF") == OWN_EDIT
    assert await room.of("REMINDER") == OWN_EDIT
    assert await room.of("NEW", contact=elsewhere.contact) == elsewhere
    # Of another instance the same id is another message.
    assert await room.finally_of(heard.messages[0].id, instance="other") == UNKNOWN_TARGET
    assert room.searches == [1]


@pytest.mark.parametrize("clock_seconds", [0, 150, -300, -NOW], ids=["right", "ahead", "behind", "not told"])
async def test_what_nobody_knows_comes_again_for_a_while(room: Room, clock_seconds: float) -> None:
    """I1: a message may be on its way, or wait at another daemon: refused, so that the gateway repeats it.

    The time that an edit bears is that of a telephone, and says nothing about how long it has been known here.
    """
    for later in (0, 50):
        room.now = NOW + later
        with pytest.raises(AmendedMessageUnknown):
            await room.of("A", sent_at=NOW + clock_seconds)
    room.waiting["A"] = DEMO  # held for long, and heard by another daemon
    room.now = NOW + 61
    assert await room.of("A", sent_at=NOW + clock_seconds) == DEMO
    assert await room.finally_of("B") == UNKNOWN_TARGET


async def test_many_that_nobody_knows_are_searched_for_together(room: Room) -> None:
    """I8: what a gateway repeats after a reconnection costs a search a second, however much it is."""
    targets = [f"M{number}" for number in range(50)]
    found: dict[str, object] = {}
    room.waiting["M7"] = DEMO

    async def ask(target: str) -> None:
        try:
            found[target] = await room.of(target)
        except MajlisError as error:
            found[target] = type(error)

    async def ask_all() -> None:
        async with trio.open_nursery() as nursery:
            for target in targets:
                nursery.start_soon(ask, target)

    await ask_all()
    assert set(found.values()) == {AmendedMessageUnknown}
    room.now += COMES_AGAIN_SECONDS
    room.fails = True
    await ask_all()
    assert set(found.values()) == {MirrorUnavailable}, "what was not searched for is not unknown"
    room.fails, room.searches = False, []
    began = trio.current_time()
    await ask_all()
    assert found.pop("M7") == DEMO and set(found.values()) == {UNKNOWN_TARGET}
    assert len(room.searches) <= 2
    assert await room.of("M8") == UNKNOWN_TARGET
    assert trio.current_time() - began > REST_SECONDS


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
