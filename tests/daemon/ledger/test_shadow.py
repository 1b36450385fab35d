"""Mode `shadow` against a real Postgres: what is written, what the model is told, what is laid side by side."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import trio

from actors.errors import LedgerUnavailable
from actors.identity import Conversation
from actors.instance import FeatureFlags, InstanceRecord, Mode
from actors.messages import Answer, Batch, HistoryEntry, Spent
from actors.outcome import Sent
from actors.ports import Reply, Turn
from daemon.config.sections import TakeoverSettings
from daemon.controls.modes import Modes
from daemon.controls.takeovers import Takeovers
from daemon.ingress.inbound import OwnMessage, OwnSender
from daemon.ledger.shadows import Shadows
from daemon.ledger.wire import encoded, wire_batch
from daemon.observe.feed import EventFeed
from daemon.operate.shadow import summary
from tests.support.ledgers import (
    DEMO,
    LID,
    PHONE,
    LedgerWorld,
    batch,
    look,
    new_token,
    nothing_waits,
    open_world,
    until,
)
from tests.support.memory import MemoryFeed

SHARED = (
    "whatsapp_instances",
    "whatsapp_conversations",
    "whatsapp_messages",
    "whatsapp_webhook_config",
    "whatsapp_ai_config",
    "whatsapp_ai_interactions",
    "whatsapp_escalated_conversations",
)
WOULD_SAY = Answer("we open at nine", "main", "small", 800, 60, 412)
ESCALATES = InstanceRecord(escalation_enabled=True)


class OldSystem:
    """The business's own software writes the shared tables and answers; Majlis hears in mode `shadow`."""

    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.now = time.time()
        self.mode: Mode = "shadow"
        self.feed = EventFeed(strict=True)
        self.takeovers = Takeovers(
            world.db,
            self,
            lambda _instance: TakeoverSettings(pause_seconds=3600.0, other_senders="takeover"),
            self.feed,
            lambda _own: False,
            nothing_waits,
            lambda _conversation: None,
            lambda _instance: self.mode,
        )
        self._numbers = 0

    def of(self, instance: str) -> FeatureFlags:
        return FeatureFlags()

    async def stored(self, sender: str, text: str, ago: float, id: str | None = None) -> None:
        """A message as the old system writes it, some with the gateway's id and some without."""
        await self.world.rows(
            "INSERT INTO whatsapp_conversations (instance_id, user_phone, status) SELECT i.id, $1, 'inactive'"
            " FROM whatsapp_instances i WHERE NOT EXISTS (SELECT FROM whatsapp_conversations WHERE user_phone = $1)",
            PHONE,
        )
        await self.world.rows(
            "INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)"
            " SELECT id, $1, $2, $3, to_timestamp($4) FROM whatsapp_conversations WHERE user_phone = $5",
            sender,
            text,
            id,
            self.now - ago,
            PHONE,
        )

    def heard(self, *texts: str, ago: float = 0.0, conversation: Conversation = DEMO, lid: str = "") -> Batch:
        """A burst whose first message was written so long ago."""
        self._numbers += 1
        frozen = batch(*texts, number=self._numbers, conversation=conversation, lid=lid)
        entries = tuple(
            msgspec.structs.replace(
                entry,
                message=msgspec.structs.replace(
                    entry.message, sent_at=int(self.now - ago), shadow=self.mode == "shadow"
                ),
            )
            for entry in frozen.entries
        )
        opened_at_ms = round((self.now - ago) * 1000)
        return msgspec.structs.replace(frozen, entries=entries, opened_at_ms=opened_at_ms)

    async def begun(self, frozen: Batch) -> Turn:
        return await self.world.ledger.begin(frozen, 1)

    async def answered(self, frozen: Batch, **changes: object) -> Turn:
        reply = Reply(**{"answer": WOULD_SAY, "parts": (), "rule": "shadow", **changes})  # type: ignore[arg-type]
        return await self.world.ledger.answer(await self.begun(frozen), 1, reply)

    async def sent(
        self, text: str, id: str, ago: float = 0.0, sender: OwnSender = "program", **more: object
    ) -> bool:
        own = OwnMessage("demo", PHONE, "", id, text, int(self.now - ago), sender=sender)
        return await self.takeovers.begin(msgspec.structs.replace(own, **more))

    async def shared(self) -> dict[str, list[str]]:
        """Every row of every shared table."""
        return {
            table: [
                row["line"]
                for row in await self.world.rows(f"SELECT t::text AS line FROM {table} t ORDER BY 1")
            ]
            for table in SHARED
        }

    async def everything(self) -> None:
        """Whatever a shadow instance may come to hear, through every step of a turn."""
        ledger, world = self.world.ledger, self.world
        await self.answered(self.heard("when do you open", "please", lid=LID))
        await self.answered(
            self.heard("a human please"),
            answer=Answer("a person comes", "escalation"),
            escalation="asks_for_human",
            hand_back="timeout",
            opt_out="out",
        )
        turn = await self.begun(self.heard("fails"))
        await ledger.bury(turn, 1, "garbage", "")
        turn = await self.begun(self.heard("taken over"))
        await ledger.suppress(turn, 1, "taken_over")
        turn = await self.begun(self.heard("stays open"))
        await look(world.lookups, turn, self.heard("stays open"), "takeover")
        await ledger.drop_rest(turn, 1, "off")
        await ledger.link("demo", "999@lid", PHONE, True)
        await self.begun(self.heard("under a lid", conversation=Conversation("demo", LID)))
        await self.begun(self.heard("nobody known", conversation=Conversation("demo", "5511900000777")))
        await self.sent("the old system's answer", "OLD")
        await self.sent("I will take it", "HUMAN", sender="person")
        await self.sent("#resume", "CMD", sender="person", ago=-1)
        await world.records.hand_back(DEMO)


@pytest.fixture
async def old(migrated_postgres_dsn: str) -> AsyncIterator[OldSystem]:
    async with open_world(migrated_postgres_dsn) as world:
        yield OldSystem(world)


async def test_a_shadow_writes_only_tables_of_ours(old: OldSystem) -> None:
    """And needs no right to write any other."""
    await old.stored("user", "hello", 60.0, "X")
    await old.world.rows(
        "INSERT INTO whatsapp_escalated_conversations (whatsapp_instance_id, user_phone, reason, escalated_at)"
        " SELECT id, $1, 'mine', now() FROM whatsapp_instances",
        PHONE,
    )
    await old.world.rows("INSERT INTO majlis_modes VALUES ('demo', 'shadow', now())")
    await old.world.rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'written'; END $$;"
    )
    before = await old.shared()
    for table in SHARED:
        await old.world.rows(
            f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON {table} EXECUTE FUNCTION refuse()"
        )
    await old.everything()
    assert await old.shared() == before
    assert await old.world.db.value("SELECT count(*) FROM majlis_shadow_turns") == 7


async def test_the_next_transaction_is_as_free_as_ever(old: OldSystem) -> None:
    """What a shadow withholds it withholds for itself: connections are shared."""
    await old.answered(old.heard("when do you open"))
    await old.sent("nine o'clock", "OLD")
    old.mode = "live"
    turn = await old.begun(old.heard("thanks"))
    assert not turn.shadow and turn.conversation_id
    turn = await old.world.ledger.answer(turn, 1, Reply(WOULD_SAY, ("you are welcome",)))
    await old.world.ledger.claim(turn, 1, 0, False, new_token())
    await old.world.ledger.settle(turn, 1, 0, Sent("G"))
    await old.world.ledger.finish(turn, 1)
    assert await old.world.messages() == [("user", "thanks"), ("assistant", "you are welcome")]
    assert await old.world.db.value("SELECT count(*) FROM whatsapp_ai_interactions") == 1


async def test_a_daemon_that_knows_no_modes_answers_only_what_is_live(old: OldSystem) -> None:
    """I15: while two versions run side by side, the older one holds the rest. It is told of a passing state."""
    begins = "SELECT majlis_begin_turn(0, 1, $1, true)"
    await old.world.rows("INSERT INTO majlis_modes VALUES ('demo', 'shadow', now())")
    frozen = old.heard("when do you open")
    with pytest.raises(LedgerUnavailable, match="collision"):
        await old.world.db.value(begins, encoded(wire_batch(frozen)))
    assert not await old.world.rows("SELECT FROM majlis_turns")
    assert (await old.begun(frozen)).shadow
    await old.world.rows("UPDATE majlis_modes SET mode = 'live'")
    assert await old.world.db.value(begins, encoded(wire_batch(old.heard("thanks"))))


async def test_a_lid_that_was_learned_in_shadow_is_joined_once_live(old: OldSystem) -> None:
    await old.world.rows(
        "INSERT INTO whatsapp_conversations (instance_id, user_phone, status) SELECT id, $1, 'active'"
        " FROM whatsapp_instances",
        LID,
    )
    await old.begun(old.heard("hello", lid=LID))
    phones = "SELECT string_agg(user_phone, ' ') FROM whatsapp_conversations WHERE status = 'active'"
    assert await old.world.db.value(phones) == LID
    old.mode = "live"
    await old.begun(old.heard("and now", lid=LID))
    assert await old.world.db.value(phones) == PHONE


async def test_the_model_is_told_what_was_said_before_and_not_what_the_old_system_answered_to_it(
    old: OldSystem,
) -> None:
    """It stores the very question, with an id of ours or without, and answers within seconds."""
    await old.stored("user", "hello", 60.0)
    await old.stored("ai", "hello, how can I help", 55.0)
    asked = old.heard("when do you open", ago=9.0)
    await old.stored("user", "when do you open", 8.5)
    await old.stored("ai", "at nine", 5.0)
    await old.world.rows(
        "INSERT INTO whatsapp_ai_interactions (whatsapp_instance_id, user_phone, user_message, created_at)"
        " SELECT id, $1, 'when do you open', now() FROM whatsapp_instances",
        PHONE,
    )
    turn = await old.begun(asked)
    told = await look(old.world.lookups, turn, asked, "history")
    assert told == (HistoryEntry("user", "hello"), HistoryEntry("assistant", "hello, how can I help"))
    assert await look(old.world.lookups, turn, asked, "interactions", record=ESCALATES) == ()
    old.mode = "live"
    later = old.heard("thanks")
    told = await look(old.world.lookups, await old.begun(later), later, "history")
    assert told[-1] == HistoryEntry("assistant", "at nine")


async def test_what_software_sends_silences_no_shadow_and_a_person_does(old: OldSystem) -> None:
    """Records of the gateway show what programs sent in the dress of WhatsApp Web."""
    assert not await old.sent("by the API", "A")
    assert not await old.sent("from records", "B", sender="person", recorded=True)
    silent = "SELECT majlis_is_taken_over('demo', $1)"
    assert not await old.world.db.value(silent, PHONE)
    assert await old.sent("by hand", "C", sender="person", recorded=True, on_phone=True)
    assert await old.world.db.value(silent, PHONE)
    old.mode = "live"
    assert await old.sent("by the API, live", "D")


async def test_the_two_are_laid_side_by_side(old: OldSystem) -> None:
    """Each turn with what came until the customer wrote again; what Majlis had sent before is not the old system's."""
    await old.sent("an earlier word", "E", ago=400.0)
    await old.answered(old.heard("when do you open", ago=300.0))
    await old.sent("at nine", "A", ago=297.0)
    await old.sent("see you", "B", ago=290.0)
    await old.answered(
        old.heard("thanks", ago=200.0), answer=Answer("", "main", is_silence=True), rule="model_silence"
    )
    await old.answered(old.heard("and on sunday", ago=100.0))
    given_up = await old.begun(old.heard("and on monday"))
    await old.world.ledger.supersede(given_up, 1, Spent(), False)
    await old.begun(old.heard("still open"))
    found = await Shadows(old.world.db).latest("demo", 10)
    assert [(turn.text, turn.answer, [one.text for one in turn.replies]) for turn in found] == [
        ("and on sunday", "we open at nine", []),
        ("thanks", "", []),
        ("when do you open", "we open at nine", ["at nine", "see you"]),
    ]
    assert found[-1].conversation == DEMO and (found[-1].provider, found[-1].cost_micros) == ("main", 412)
    assert 2.0 <= found[-1].replies[0].seconds <= 4.0
    assert await Shadows(old.world.db).latest("other", 10) == ()
    summed = summary(found)
    assert (summed.turns, summed.both, summed.only_majlis, summed.only_old, summed.neither) == (3, 1, 1, 0, 1)
    assert summed.cost == 0.000824 and summed.old_seconds is not None and summed.majlis_seconds is not None


async def test_a_change_of_mode_is_noted_once_by_whoever_saw_it(old: OldSystem) -> None:
    """A daemon that is late does not undo it."""
    named = {"demo"}
    modes: dict[str, Mode] = {"demo": "live"}
    late: dict[str, Mode] = dict(modes)
    first, second = (Modes(old.world.db, seen.__getitem__, lambda: named, old.feed) for seen in (modes, late))
    assert (await first.of("demo")).since == (await second.of("demo")).since == float("-inf")
    modes["demo"] = "shadow"
    shadow = await first.of("demo")
    assert shadow.mode == "shadow" and shadow.since > old.now - 5
    modes["demo"] = "passthrough"
    await first.of("demo")
    late["demo"] = "shadow"
    await second.of("demo")
    assert await old.world.db.value("SELECT mode FROM majlis_modes") == "passthrough"
    modes["demo"] = late["demo"] = "live"
    live = await first.of("demo")
    assert live.since > shadow.since
    assert (await second.of("demo")).since == live.since
    restarted = Modes(old.world.db, modes.__getitem__, lambda: named, old.feed)
    assert (await restarted.of("demo")).since == live.since
    feed = MemoryFeed()  # the first look at an instance, which was live as any is
    for _ in range(2):
        await Modes(old.world.db, lambda _name: "shadow", lambda: ["new"], feed).of("new")
    assert feed.names() == ["instance.mode"]
    modes["demo"] = "off"
    async with trio.open_nursery() as nursery:
        await nursery.start(restarted.run)
        await until(old.world.db, "SELECT mode = 'off' FROM majlis_modes WHERE instance = 'demo'")
        nursery.cancel_scope.cancel()
