"""When a person of the business writes in a chat, against a real Postgres."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import trio
import trio_asyncio

from actors.errors import LedgerUnavailable, TakenOver
from actors.identity import Conversation
from actors.instance import FeatureFlags
from actors.messages import Answer
from actors.outcome import Sent, Unknown
from actors.ports import Reply, Turn
from daemon.config.sections import TakeoverSettings
from daemon.controls.takeovers import Takeovers
from daemon.ingress.inbound import OwnMessage
from daemon.ledger import migrate
from daemon.observe.feed import EventFeed
from daemon.stores.postgres import Postgres
from tests.support.ledgers import (
    DEMO,
    LID,
    PHONE,
    LedgerWorld,
    batch,
    new_token,
    nothing_waits,
    open_postgres,
    open_world,
    prepare,
)

PAUSE_SECONDS = 3600.0
OTHER = Conversation("demo", "5511900000002")
OF_LID = Conversation("demo", LID)


@dataclass
class FlagSource:
    takeover: bool = True

    def of(self, instance: str) -> FeatureFlags:
        return FeatureFlags(takeover=self.takeover)


@dataclass
class Room:
    world: LedgerWorld
    pause_seconds: float = PAUSE_SECONDS
    flags: FlagSource = field(default_factory=FlagSource)
    feed: EventFeed = field(default_factory=lambda: EventFeed(strict=True))

    def __post_init__(self) -> None:
        self.takeovers = Takeovers(
            self.world.db,
            self.flags,
            lambda instance: TakeoverSettings(pause_seconds=self.pause_seconds),
            self.feed,
            lambda own: False,
            nothing_waits,
            lambda conversation: None,
        )

    async def writes(
        self,
        text: str = "I will see to it",
        *,
        to: Conversation = DEMO,
        id: str = "H1",
        lid: str = "",
        ago: float | None = 0,
    ) -> bool:
        """A person of the business writes; `ago` is None if the gateway gives no time."""
        sent_at = 0 if ago is None else int(time.time() - ago)
        return await self.takeovers.begin(OwnMessage(*to, lid, id, text, sent_at))

    async def is_silent(self, conversation: Conversation = DEMO) -> bool:
        return bool(await self.world.db.value("SELECT majlis_is_taken_over($1, $2)", *conversation))

    async def seconds_left(self, contact: str = PHONE) -> float:
        return float(
            await self.world.db.value(
                "SELECT extract(epoch FROM until - now())::float8 FROM majlis_takeovers WHERE contact = $1",
                contact,
            )
        )

    async def resume(self, conversation: Conversation = DEMO) -> int:
        return int(await self.world.db.value("SELECT majlis_hand_back($1, $2, 'test', true)", *conversation))

    async def answered(self, conversation: Conversation = DEMO, *parts: str, number: int = 1) -> Turn:
        turn = await self.world.ledger.begin(batch("hello", conversation=conversation, number=number), 1)
        return await self.world.ledger.answer(turn, 1, Reply(Answer("one", "rehearsal"), parts or ("one",)))

    async def claim(self, turn: Turn, part: int = 0) -> None:
        await self.world.ledger.claim(turn, 1, part, False, new_token())


@pytest.fixture
async def room(migrated_postgres_dsn: str) -> AsyncIterator[Room]:
    async with open_world(migrated_postgres_dsn) as world:
        yield Room(world)


async def test_majlis_falls_silent_at_once_even_during_a_turn_and_only_there(room: Room) -> None:
    """The answer is stored and about to be sent; another customer still gets an answer."""
    turn, others = await room.answered(), await room.answered(OTHER)
    assert await room.writes()
    with pytest.raises(TakenOver):
        await room.claim(turn)
    await room.claim(others)
    assert (await room.is_silent(), await room.is_silent(OTHER)) == (True, False)
    assert room.feed.counters["conversation.taken_over"] == 1


async def test_later_parts_of_a_reply_are_not_sent(room: Room) -> None:
    turn = await room.answered(DEMO, "one", "two")
    await room.claim(turn)
    await room.world.ledger.settle(turn, 1, 0, Sent("g0"))
    assert await room.writes()
    with pytest.raises(TakenOver):
        await room.claim(turn, 1)


async def test_what_the_person_said_is_in_the_history_once(room: Room) -> None:
    await room.world.ledger.begin(batch("hello"), 1)
    await room.writes("I will see to it")
    await room.writes("I will see to it")
    assert await room.world.messages() == [("user", "hello"), ("assistant", "I will see to it")]


async def test_a_person_may_write_before_the_customer(room: Room) -> None:
    """The conversation exists when the customer answers."""
    assert await room.writes("Your order is ready")
    turn = await room.world.ledger.begin(batch("thanks"), 1)
    assert await room.world.messages() == [("assistant", "Your order is ready"), ("user", "thanks")]
    assert len(await room.world.rows("SELECT FROM whatsapp_conversations")) == 1
    assert turn.conversation_id is not None


async def test_the_silence_is_counted_from_the_latest_message(room: Room) -> None:
    await room.writes(id="H1", ago=600)
    assert 2990 <= await room.seconds_left() <= 3000
    await room.writes(id="H2", ago=0)
    assert 3590 <= await room.seconds_left() <= 3600
    await room.writes(id="H3", ago=300)
    assert 3590 <= await room.seconds_left() <= 3600


async def test_the_silence_ends_by_itself(room: Room) -> None:
    await room.writes()
    await room.world.db.fetch("UPDATE majlis_takeovers SET until = now() - interval '1 second'")
    assert not await room.is_silent()
    await room.claim(await room.answered())
    assert await room.writes(id="H2")
    assert await room.is_silent()


@pytest.mark.parametrize(
    ("ago", "news"), [(3_500, True), (3_700, False), (10**6, False), (-7_200, True), (None, True)]
)
async def test_old_messages_of_a_person_do_not_begin_a_take_over(
    room: Room, ago: float | None, news: bool
) -> None:
    """They are older than the silence they would cause. A time in the future, or none, counts as now."""
    assert await room.writes(ago=ago) is news
    assert await room.is_silent() is news
    if news:
        assert await room.seconds_left() <= PAUSE_SECONDS


@pytest.mark.parametrize("ago", [5, None])
async def test_a_message_that_comes_twice_counts_once(room: Room, ago: float | None) -> None:
    assert await room.writes(id="H1", ago=ago)
    before = await room.seconds_left()
    assert await room.writes(id="H2", ago=ago)
    assert not await room.writes(id="H1", ago=ago)
    assert await room.seconds_left() <= before + 5
    assert room.feed.counters["conversation.taken_over"] == 2


async def test_messages_sent_before_a_hand_back_do_not_undo_it(room: Room) -> None:
    """Repeated and late messages of the gateway do not count; what is written afterwards does."""
    await room.writes(id="H1", ago=60)
    assert await room.resume() == 1
    assert not await room.writes(id="H1", ago=60)
    assert not await room.writes(id="H2", ago=30)
    assert not await room.is_silent()
    assert await room.writes(id="H3")
    assert await room.is_silent()


@pytest.mark.parametrize("how", ["switched off", "no pause", "unknown instance"])
async def test_nothing_happens_where_take_over_is_off_or_the_instance_unknown(room: Room, how: str) -> None:
    room.flags.takeover = how != "switched off"
    room.pause_seconds = 0 if how == "no pause" else PAUSE_SECONDS
    to = Conversation("stranger", PHONE) if how == "unknown instance" else DEMO
    assert not await room.writes(to=to)
    assert not await room.is_silent(to)
    assert await room.world.messages() == []


@pytest.mark.parametrize("state", ["sending", "unknown", "sent without an id", "sent again"])
async def test_the_echo_of_our_own_send_is_not_a_take_over(room: Room, state: str) -> None:
    """It is recognised by its words, as long as its id is not known."""
    turn, ledger = await room.answered(DEMO, "One\r\nmoment ", "two"), room.world.ledger
    await room.claim(turn)
    if state == "unknown":
        await ledger.settle(turn, 1, 0, Unknown("timed_out"))
    elif state == "sent without an id":
        await ledger.settle(turn, 1, 0, Sent(""))
    elif state == "sent again":
        await ledger.settle(turn, 1, 0, Unknown("timed_out"))
        await ledger.claim(turn, 1, 0, True, new_token())
        await ledger.settle(turn, 1, 0, Sent("g2"))
    assert not await room.writes("One\nmoment", id="g1")
    assert not await room.is_silent()
    assert await room.writes("two", id="H1"), "what has not been sent is no send of ours"


async def test_a_message_with_the_id_of_our_own_send_is_not_a_take_over(room: Room) -> None:
    turn = await room.answered()
    await room.claim(turn)
    await room.world.ledger.settle(turn, 1, 0, Sent("g0"))
    assert not await room.writes("whatever it says", id="g0")
    assert await room.writes("one", id="H1"), "a person may say the same"


async def test_a_notice_to_staff_is_not_a_take_over(room: Room) -> None:
    await room.world.db.fetch(
        "SELECT majlis_store_notices($1)",
        '[{"kind": "whatsapp", "instance": "demo", "target": "+5511900000001", "body": "look here", "once": ""}]',
    )
    assert not await room.writes("look here")


async def test_a_lid_whose_number_is_known_silences_the_number(room: Room) -> None:
    await room.world.ledger.link("demo", LID, PHONE)
    assert await room.writes(to=OF_LID)
    assert await room.is_silent(DEMO)
    with pytest.raises(TakenOver):
        await room.claim(await room.answered())
    assert len(await room.world.rows("SELECT FROM whatsapp_conversations")) == 1
    assert await room.resume() == 1


async def test_a_lid_whose_number_becomes_known_later_silences_the_number(room: Room) -> None:
    """Even during a turn; what was said under the LID becomes history of the number's conversation."""
    assert await room.writes("I am here", to=OF_LID)
    assert (await room.is_silent(OF_LID), await room.is_silent(DEMO)) == (True, False)
    turn = await room.world.ledger.begin(batch("hello", lid=LID), 1)
    turn = await room.world.ledger.answer(turn, 1, Reply(Answer("one", "rehearsal"), ("one",)))
    with pytest.raises(TakenOver):
        await room.claim(turn)
    assert await room.world.messages() == [("assistant", "I am here"), ("user", "hello")]
    assert not await room.writes("I am here", to=DEMO, lid=LID), "told again, with the number"
    assert await room.resume() == 1
    assert not await room.is_silent(DEMO)


async def test_a_lid_with_a_wrong_number_silences_the_number_it_belongs_to(room: Room) -> None:
    await room.world.ledger.link("demo", LID, PHONE)
    assert await room.writes(to=OTHER, lid=LID)
    assert (await room.is_silent(DEMO), await room.is_silent(OTHER)) == (True, False)


async def test_a_person_who_writes_to_lid_and_number_silences_both(room: Room) -> None:
    """The link is not known yet, and the customer's next message may come under the LID only."""
    assert await room.writes(to=DEMO, lid=LID)
    assert (await room.is_silent(DEMO), await room.is_silent(OF_LID)) == (True, True)
    await room.world.ledger.link("demo", LID, PHONE)
    assert await room.resume() >= 1
    assert not await room.is_silent(DEMO)


async def test_an_operator_takes_over_and_never_shortens_a_take_over(room: Room) -> None:
    assert await room.takeovers.take_over(DEMO, 60)
    assert 50 <= await room.seconds_left() <= 60
    await room.writes()
    assert await room.takeovers.take_over(DEMO, 60)
    assert 3590 <= await room.seconds_left() <= 3600
    assert await room.resume() == 1
    assert await room.takeovers.take_over(DEMO, 1e300)
    assert not await room.takeovers.take_over(Conversation("stranger", PHONE), 60)


async def test_many_messages_at_once_create_one_conversation(room: Room) -> None:
    """The person's messages race the customer's turn."""
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(lambda number: room.writes(f"{number}", id=f"H{number}"), number)
        nursery.start_soon(room.answered)
    assert len(await room.world.rows("SELECT FROM whatsapp_conversations")) == 1
    assert len(await room.world.rows("SELECT FROM majlis_takeovers")) == 1
    assert len([sender for sender, _ in await room.world.messages() if sender == "assistant"]) == 8


async def test_without_postgres_a_take_over_is_not_acknowledged() -> None:
    async with trio_asyncio.open_loop():
        db = Postgres("postgresql://nobody@127.0.0.1:9/none", acquire_seconds=1)
        await db.open()
        takeovers = Takeovers(
            db,
            FlagSource(),
            lambda instance: TakeoverSettings(pause_seconds=60.0),
            EventFeed(strict=True),
            lambda own: False,
            nothing_waits,
            lambda conversation: None,
        )
        with pytest.raises(LedgerUnavailable):
            await takeovers.begin(OwnMessage("demo", PHONE, "", "H1", "hello", int(time.time())))
        await db.close()


UUID_TABLES = """
    CREATE TABLE whatsapp_instances (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), instance_name varchar(80) NOT NULL UNIQUE);
    CREATE TABLE whatsapp_conversations (
        id uuid PRIMARY KEY, instance_id uuid NOT NULL REFERENCES whatsapp_instances, user_phone varchar(40) NOT NULL,
        status varchar(20), last_activity timestamp, conversation_data json, UNIQUE (instance_id, user_phone));
    CREATE TABLE whatsapp_messages (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        conversation_id uuid NOT NULL REFERENCES whatsapp_conversations, sender_type varchar(20), content varchar(40),
        message_id varchar(10) UNIQUE, created_at timestamp DEFAULT now());
    INSERT INTO whatsapp_instances (instance_name) VALUES ('demo');
    INSERT INTO whatsapp_conversations SELECT gen_random_uuid(), id, '+5511900000001', 'inactive', now(), '{}'
        FROM whatsapp_instances;
"""


async def test_a_take_over_works_with_tables_of_other_software(fresh_postgres_dsn: str) -> None:
    """Ids are uuids. A message that does not fit a column still silences Majlis."""
    async with trio_asyncio.open_loop(), open_postgres(fresh_postgres_dsn) as db:
        async with db.session() as session:
            await session.run(UUID_TABLES)
        room = Room(await prepare(db))
        assert await room.writes("Your order is ready")
        assert await room.writes("Too long an id for that table", id="H" * 30)
        assert await room.is_silent()
        assert await room.world.messages() == [("assistant", "Your order is ready")]
        assert len(await room.world.rows("SELECT FROM whatsapp_conversations")) == 1
        assert (await migrate(db)).applied == []
