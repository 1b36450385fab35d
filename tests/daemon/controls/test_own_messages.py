"""Greetings, announcements, sends of other software and commands of staff, against a real Postgres."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import trio

from actors.errors import TakenOver
from actors.identity import Conversation
from actors.instance import FeatureFlags
from actors.lookups import TakeoverState
from actors.messages import Answer
from actors.ports import Reply, Turn
from daemon.config.sections import TakeoverSettings
from daemon.controls.takeovers import Takeovers
from daemon.ingress.inbound import OwnMessage, OwnSender
from daemon.knowledge.housekeeping import Housekeeping
from daemon.ledger.rows import OwnMessageRow
from daemon.ledger.stored_turns import StoredTurns
from daemon.observe.feed import EventFeed
from daemon.sweep.heard import Heard
from tests.support.ledgers import DEMO, LID, PHONE, LedgerWorld, batch, look, new_token, open_world

GREETING = "Shop thanks you for your message. How can we help?"
CHATS = tuple(Conversation("demo", f"55119{number:08d}") for number in range(1, 7))
DAY = 86_400


class Shop:
    """A business with its customers. Times are seconds ago."""

    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.now = int(time.time())
        self.settings = TakeoverSettings(pause_seconds=3600.0)
        self.feed = EventFeed(strict=True)
        self.ours: set[str] = set()
        self.hurried: list[Conversation] = []
        self.mirror: dict[Conversation, list[int]] = {}
        self.takeovers = Takeovers(
            world.db,
            self,
            lambda instance: self.settings,
            self.feed,
            self._is_ours,
            self._waiting,
            self.hurried.append,
        )
        self._turns = 0

    # It stands in for the flags, the memory of sends and the mirror.

    def of(self, instance: str) -> FeatureFlags:
        return FeatureFlags()

    def _is_ours(self, own: OwnMessage) -> bool:
        return own.id in self.ours

    async def _waiting(self, conversation: Conversation) -> list[int]:
        await trio.lowlevel.checkpoint()
        return self.mirror.get(conversation, [])

    # Both sides

    async def writes(
        self,
        text: str = GREETING,
        *,
        to: Conversation = DEMO,
        id: str = "H1",
        lid: str = "",
        ago: int = 0,
        sender: OwnSender = "person",
    ) -> bool:
        own = OwnMessage(*to, lid, id, text, self.now - ago, sender=sender)
        return await self.takeovers.begin(own)

    def waits(self, *agos: int, of: Conversation = DEMO) -> None:
        """Messages that no turn has heard yet."""
        self.mirror[of] = [self.now - ago for ago in agos]

    async def heard(self, *agos: int, of: Conversation = DEMO, lid: str = "") -> Turn:
        """A turn begins with the customer's messages, as T1 stores them."""
        self._turns += 1
        frozen = batch(*("hello" for _ in agos), number=self._turns, conversation=of, lid=lid)
        entries = tuple(
            msgspec.structs.replace(
                entry, message=msgspec.structs.replace(entry.message, sent_at=self.now - ago)
            )
            for entry, ago in zip(frozen.entries, agos, strict=True)
        )
        self.batch = msgspec.structs.replace(frozen, entries=entries)
        return await self.world.ledger.begin(self.batch, 1)

    async def standing(self, turn: Turn) -> TakeoverState:
        found: TakeoverState = await look(self.world.lookups, turn, self.batch, "takeover")
        return found

    async def is_silent(self, of: Conversation = DEMO) -> bool:
        return bool(await self.world.db.value("SELECT majlis_is_taken_over($1, $2)", *of))

    async def verdict(self, id: str = "H1") -> str:
        [found] = await self.told(id)
        return found.verdict

    async def told(self, id: str) -> tuple[OwnMessageRow, ...]:
        return await StoredTurns(self.world.db).own_messages(id)

    async def counted(self) -> int:
        return (await self.world.records.attention(3600.0)).taken_over


@pytest.fixture
async def shop(migrated_postgres_dsn: str) -> AsyncIterator[Shop]:
    async with open_world(migrated_postgres_dsn) as world:
        yield Shop(world)


# A greeting


@pytest.mark.parametrize("first", ["in the mirror", "in the ledger", "after the greeting"])
async def test_a_greeting_silences_nobody_whatever_comes_first(shop: Shop, first: str) -> None:
    """I2. Webhooks are not ordered, and the customer's message waits in the mirror for its window."""
    if first == "in the mirror":
        shop.waits(1)
    elif first == "in the ledger":
        await shop.heard(1)
    assert await shop.writes() is (first == "after the greeting")
    assert await shop.counted() == (1 if first == "after the greeting" else 0)
    turn = await shop.heard(1)
    found = await shop.standing(turn)
    assert (found.taken_over, found.handed_back) == (False, False)
    assert found.lifted == ("greeting" if first == "after the greeting" else "")
    assert (await shop.verdict(), await shop.counted()) == ("greeting", 0)
    assert ("assistant", GREETING) in await shop.world.messages()
    turn = await shop.world.ledger.answer(turn, 1, Reply(Answer("one", "rehearsal"), ("one",)))
    await shop.world.ledger.claim(turn, 1, 0, False, new_token())
    assert (await shop.standing(turn)).lifted == "", "told once"


@pytest.mark.parametrize(
    ("customer", "greeting", "automatic"),
    [
        ([3], 0, True),
        ([4], 0, False),
        ([0], 0, True),
        ([0], 1, False),  # it came before him
        ([3, 1], 0, True),
        ([4, 1], 0, False),  # the first is too long ago
        ([14 * DAY + 10, 1], 0, True),
        ([14 * DAY - 10, 1], 0, False),
    ],
)
async def test_it_is_a_greeting_within_three_seconds_of_the_first_message_in_14_days(
    shop: Shop, customer: list[int], greeting: int, automatic: bool
) -> None:
    """Judged at once by what waits, and later by what was heard: with the same end."""
    other = CHATS[1]
    shop.waits(*customer)
    assert await shop.writes(ago=greeting) is not automatic
    await shop.writes(to=other, id="H2", ago=greeting)
    turn = await shop.heard(*customer, of=other)
    assert (await shop.standing(turn)).taken_over is not automatic
    assert (await shop.verdict("H1")) == (await shop.verdict("H2"))


async def test_a_customer_who_wrote_a_week_ago_is_not_greeted(shop: Shop) -> None:
    """Also where only the business' own table knows of it."""
    await shop.heard(7 * DAY)
    await shop.world.db.fetch("UPDATE whatsapp_messages SET created_at = now() - interval '7 days'")
    await shop.world.db.fetch("DELETE FROM majlis_heard")
    await shop.world.db.fetch("DELETE FROM majlis_open_turns")
    await shop.world.db.fetch("DELETE FROM majlis_turns")
    assert await shop.writes()
    assert (await shop.standing(await shop.heard(1))).taken_over


async def test_a_person_who_writes_after_the_greeting_keeps_the_chat(shop: Shop) -> None:
    await shop.writes(ago=20)
    await shop.writes("I am here now", id="H2", ago=0)
    turn = await shop.heard(21)
    assert (await shop.standing(turn)).taken_over
    assert (await shop.verdict("H1"), await shop.verdict("H2")) == ("greeting", "silence")


@pytest.mark.parametrize("is_ahead", [False, True], ids=["after the customer", "before the customer"])
async def test_what_reads_as_a_persons_is_a_greeting_from_the_second_new_customer_on(
    shop: Shop, is_ahead: bool
) -> None:
    """An owner who answers at once keeps his chat; a greeting in the first person costs one customer a while."""
    text = "Hi, I am Lily! I come back to you in a minute."
    first, second = CHATS[:2]
    turns = []
    for name, chat in (("H1", first), ("H2", second)):
        if is_ahead:
            await shop.writes(text, to=chat, id=name)
        turns.append(await shop.heard(1, of=chat))
        if not is_ahead:
            await shop.writes(text, to=chat, id=name)
        standing = await shop.standing(turns[-1])
        assert standing.taken_over is (name == "H1"), name
    assert not await shop.is_silent(first), "nor is it any longer for the one before"
    assert (await shop.verdict("H1"), await shop.verdict("H2")) == ("greeting", "greeting")


async def test_an_operators_pause_outlives_the_greeting(shop: Shop) -> None:
    await shop.writes()
    await shop.takeovers.take_over(DEMO, 60)
    assert (await shop.standing(await shop.heard(1))).taken_over
    left = await shop.world.db.value("SELECT extract(epoch FROM until - now())::float8 FROM majlis_takeovers")
    assert 50 <= left <= 60


async def test_a_hand_back_from_before_is_remembered(shop: Shop) -> None:
    """What was taken back leaves no trace: neither a hand-back of its own, nor the loss of an earlier one."""
    await shop.writes("I take this", id="H0", ago=100)
    await shop.world.records.hand_back(DEMO)
    for number, chat in enumerate(CHATS[:3], 1):
        await shop.writes("Sale today!", to=chat, id=f"A{number}", ago=0)
    assert await shop.counted() == 0
    assert not await shop.writes("from before", id="H9", ago=50)


async def test_the_greeting_under_a_lid_is_known_when_the_number_is(shop: Shop) -> None:
    await shop.writes(to=Conversation("demo", LID))
    turn = await shop.heard(1, lid=LID)
    assert not (await shop.standing(turn)).taken_over
    assert not await shop.is_silent(Conversation("demo", LID))


async def test_where_nothing_is_automatic_a_greeting_is_a_persons(shop: Shop) -> None:
    shop.settings = TakeoverSettings(pause_seconds=3600.0, automatic=False)
    shop.waits(1)
    assert await shop.writes()
    turn = await shop.heard(1)
    assert (await shop.standing(turn)).taken_over
    with pytest.raises(TakenOver):
        turn = await shop.world.ledger.answer(turn, 1, Reply(Answer("one", "rehearsal"), ("one",)))
        await shop.world.ledger.claim(turn, 1, 0, False, new_token())


# The same text to many


async def test_an_announcement_is_found_out_at_the_third_chat(shop: Shop) -> None:
    silent = []
    for number, chat in enumerate(CHATS[:5]):
        silent.append(await shop.writes("Sale \ntoday!", to=chat, id=f"A{number}"))
    assert silent == [True, True, False, False, False]
    assert await shop.counted() == 0
    assert [await shop.verdict(f"A{number}") for number in range(5)] == ["announcement"] * 5
    assert (await shop.told("A0"))[0].chats == 5
    assert shop.feed.counters["conversation.take_over_lifted"] == 2
    assert await shop.writes("I will see to it", to=CHATS[5], id="H1")


async def test_three_at_once_are_an_announcement(shop: Shop) -> None:
    async with trio.open_nursery() as nursery:  # connections, so that all begin together
        for _ in range(3):
            nursery.start_soon(shop.world.db.value, "SELECT pg_sleep(0.1)")
    async with trio.open_nursery() as nursery:
        for number, chat in enumerate(CHATS[:3]):
            nursery.start_soon(lambda chat, id: shop.writes("Sale!", to=chat, id=id), chat, f"A{number}")
    assert await shop.counted() == 0


async def test_a_canned_reply_in_live_chats_is_a_persons(shop: Shop) -> None:
    """However often, and wherever the customer's message is: in the mirror, in the ledger, or still on its way."""
    for number, chat in enumerate(CHATS[:4]):
        shop.waits(60, 14 * DAY - 1, of=chat)
        assert await shop.writes("We are on it.", to=chat, id=f"C{number}")
    await shop.heard(599, 7 * DAY, of=CHATS[4])
    assert await shop.writes("We are on it.", to=CHATS[4], id="C4")
    assert await shop.counted() == 5


async def test_an_answer_that_comes_by_itself_is_found_out_at_the_third_chat(shop: Shop) -> None:
    """An away message to customers who have written before, but not just now. Nobody answers so fast."""
    for number, chat in enumerate(CHATS[:3]):
        await shop.heard(7 * DAY, of=chat)
        shop.waits(3, 700, of=chat)
        assert await shop.writes("We are closed now.", to=chat, id=f"A{number}") == (number < 2)
    assert await shop.counted() == 0
    turn = await shop.heard(3, of=CHATS[0])
    assert not (await shop.standing(turn)).taken_over


async def test_a_chat_that_turns_out_live_is_taken_over_after_all(shop: Shop) -> None:
    for number, chat in enumerate(CHATS[:3]):
        await shop.writes("We are on it.", to=chat, id=f"C{number}")
    assert not await shop.is_silent(CHATS[2])
    turn = await shop.heard(300, of=CHATS[2])
    assert (await shop.standing(turn)).taken_over
    assert await shop.verdict("C2") == "silence"
    assert not await shop.writes("We are on it.", to=CHATS[2], id="C2"), "the same again"


@pytest.mark.parametrize("text", ["[image]", ""])
async def test_what_says_nothing_is_not_the_same(shop: Shop, text: str) -> None:
    """Three photos are three photos."""
    for number, chat in enumerate(CHATS[:3]):
        assert await shop.writes(text, to=chat, id=f"P{number}")


async def test_the_same_text_to_one_customer_again_and_again_is_a_persons(shop: Shop) -> None:
    for number in range(4):
        assert await shop.writes("Are you there?", id=f"H{number}")


# Other software


async def test_what_other_software_sent_is_told_and_silences_nobody(shop: Shop) -> None:
    assert not await shop.writes("Your appointment is on Sunday", id="R1", sender="program")
    assert not await shop.writes("Your appointment is on Sunday", id="R1", sender="program")
    turn = await shop.heard(0)
    assert not (await shop.standing(turn)).taken_over
    history = await look(shop.world.lookups, turn, shop.batch, "history")
    assert [entry.text for entry in history] == ["Your appointment is on Sunday"]
    assert await shop.verdict("R1") == "history"


async def test_an_agent_in_chatwoot_takes_over(shop: Shop) -> None:
    """Also within seconds of a new customer's message: the app that greets is another."""
    shop.waits(2)
    assert await shop.writes("*Sara:*\nLet me check", id="R1", sender="chatwoot")
    assert (await shop.standing(await shop.heard(2))).taken_over


async def test_what_is_ignored_is_counted_alone(shop: Shop) -> None:
    shop.settings = TakeoverSettings(pause_seconds=3600.0, other_senders="ignore")
    assert not await shop.writes("Sale!", id="R1", sender="program")
    assert (await shop.told("R1"), await shop.world.messages()) == ((), [])
    assert shop.feed.counters["message.of_business"] == 1


async def test_our_own_sends_come_back_without_a_question_to_the_ledger(shop: Shop) -> None:
    """I6. Every reply comes back; only what memory does not know asks."""
    turn = await shop.heard(0)
    turn = await shop.world.ledger.answer(turn, 1, Reply(Answer("one", "rehearsal"), ("one",)))
    await shop.world.ledger.claim(turn, 1, 0, False, new_token())
    asked = _Counting(shop.world.db)
    takeovers = Takeovers(
        asked,  # type: ignore[arg-type]
        shop,
        lambda instance: shop.settings,
        shop.feed,
        lambda own: own.id == "G1",
        shop._waiting,
        shop.hurried.append,
    )
    own = OwnMessage(*DEMO, "", "G1", "one", shop.now, sender="program")
    assert not await takeovers.begin(own)
    assert asked.questions == 0
    # Another daemon sent it: its claim knows the words.
    assert not await takeovers.begin(msgspec.structs.replace(own, id="G2"))
    assert asked.questions == 1
    assert await shop.told("G2") == () and await shop.world.messages() == [("user", "hello")]


class _Counting:
    def __init__(self, db: object) -> None:
        self._db = db
        self.questions = 0

    async def value(self, *args: object) -> object:
        self.questions += 1
        return await self._db.value(*args)  # type: ignore[attr-defined]


# Commands


async def test_staff_hand_back_and_take_over_in_the_chat(shop: Shop) -> None:
    """The commands are no history, also when they come twice."""
    assert await shop.writes("I take this", ago=30)
    assert not await shop.writes("#bot", id="K1", ago=20)
    assert not await shop.is_silent()
    assert shop.feed.counters["conversation.handed_back"] == 1
    assert await shop.writes("#human", id="K2", ago=10)
    assert not await shop.writes("#bot", id="K1", ago=20)
    assert await shop.is_silent()
    assert not await shop.writes("#human", id="K2", ago=10)
    assert await shop.world.messages() == [("assistant", "I take this")]
    turn = await shop.heard(0)
    assert (await shop.standing(turn)).taken_over, "nobody takes a command for a greeting"


async def test_a_command_in_the_same_second_is_obeyed(shop: Shop) -> None:
    assert await shop.writes("I take this")
    assert not await shop.writes("#bot", id="K1")
    assert not await shop.is_silent()


async def test_a_late_command_does_not_undo_what_was_done_since(shop: Shop) -> None:
    """The sweep finds it hours later."""
    await shop.writes("#human", id="K1", ago=300)
    assert not await shop.writes("#bot", id="K2", ago=400)
    assert await shop.is_silent() and await shop.verdict("K2") == "stale"
    await shop.world.records.hand_back(DEMO)
    assert not await shop.writes("#human", id="K3", ago=200)
    assert not await shop.is_silent()
    assert not await shop.writes("#human", id="K4", ago=20_000)
    assert await shop.verdict("K4") == "stale"
    await shop.takeovers.take_over(DEMO, 60)
    assert not await shop.writes("#bot", id="K5", ago=100)
    assert await shop.is_silent()


async def test_a_command_ends_an_escalation(shop: Shop) -> None:
    """One that is older than the escalation does not."""
    turn = await shop.heard(0)
    reply = Reply(Answer("a person comes", "none"), ("a person comes",), "escalated", escalation="asked")
    await shop.world.ledger.answer(turn, 1, reply)
    assert not await shop.writes("#bot", id="K1", ago=100)
    assert (await shop.standing(turn)).escalated
    assert not await shop.writes("#bot", id="K2")
    assert not (await shop.standing(turn)).escalated


async def test_a_command_ends_a_silence_to_a_machine_and_wakes_what_rests(shop: Shop) -> None:
    """As `majlis resume` does. One that is older than the silence does not."""
    await shop.world.db.fetch(
        "INSERT INTO majlis_machines (instance, contact, until, started_at)"
        " VALUES ('demo', $1, now() + interval '1 hour', now() - interval '1 minute')",
        DEMO.contact,
    )
    assert not await shop.writes("#bot", id="K1", ago=100)
    assert await shop.verdict("K1") == "stale" and shop.hurried == []
    assert not await shop.writes("#bot", id="K2", lid=LID)
    assert await shop.world.db.value("SELECT ended_by FROM majlis_machines") == "staff"
    assert shop.feed.counters["conversation.handed_back"] == 1
    assert {one.contact for one in shop.hurried} >= {DEMO.contact, LID}


# The sweep


async def test_what_no_person_wrote_answers_no_missed_message(shop: Shop) -> None:
    """I2: a greeting in the gateway's records leaves the customer's first message to be answered."""
    own = OwnMessage(*DEMO, "", "G1", GREETING, shop.now - 60)
    assert not await shop.takeovers.begin(own, [shop.now - 62])
    await shop.writes("Your appointment is on Sunday", id="R1", ago=50, sender="program")
    await shop.writes("#bot", id="K1", ago=45)
    await shop.writes("I will see to it", id="H1", ago=40)
    answers = await Heard(shop.world.db).answers("demo", ["G1", "R1", "K1", "H1"])
    assert answers == {"G1": 0, "R1": 0, "K1": 0}, "a person's answers, at its own time"


# Upkeep


async def test_verdicts_are_kept_for_14_days(shop: Shop) -> None:
    await shop.writes(id="H1")
    await shop.writes(id="H2", ago=1)
    await shop.world.db.fetch(
        "UPDATE majlis_own_messages SET arrived_at = now() - interval '15 days' WHERE message_id = 'H1'"
    )
    gone = await Housekeeping(shop.world.db, shop.feed).sweep()
    assert gone["own_messages"] == 1
    assert [row.id for row in await shop.world.records.own_messages(DEMO, 10)] == ["H2"]


async def test_a_daemon_of_the_version_before_takes_over_as_ever(shop: Shop) -> None:
    sql = "SELECT majlis_take_over('demo', $1, '', 'H1', 'hello', $2, 3600)"
    assert 3500 < await shop.world.db.value(sql, PHONE, shop.now) <= 3600
    assert await shop.world.db.value(sql, PHONE, shop.now) is None
    shop.waits(1)
    assert (await shop.standing(await shop.heard(1))).taken_over
