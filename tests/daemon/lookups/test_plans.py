"""With a million messages and a hundred thousand conversations, every lookup and every step uses an index.

The database is one that the business' own software filled before Majlis came, with bigint ids, and a smaller one with
uuid ids. Two witnesses: EXPLAIN of each statement, and, for what runs inside functions, Postgres' own count of the
scans that really happened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio_asyncio

from actors.identity import Conversation
from actors.instance import FeatureFlags, InstanceRecord, Terms
from actors.messages import Answer, Batch, Context
from actors.outcome import Sent
from actors.ports import Notice, Question, Reply, Turn
from actors.send_facts import Proof
from daemon.ingress.inbound import OwnMessage
from daemon.ledger import PostgresLedger
from daemon.ledger.stored_turns import StoredTurns
from daemon.ledger.target_records import TargetRecords
from daemon.lookups import LOOKUPS, PostgresLookups, cached_answer, knowledge
from daemon.stores.postgres import Postgres, Row
from daemon.sweep.heard import Heard
from daemon.sweep.own_sends import OwnSends
from tests.support.big_ledger import FIRST, IdType, Size, fill
from tests.support.ledgers import PARTITIONS, batch, new_token, open_postgres, until
from tests.support.memory import MemoryFeed
from tests.support.near_embeddings import NearEmbeddings
from tests.support.stores import new_postgres_database

SMALL = Size(messages=50_000, conversations=10_000, instances=100)
BIG_ROWS = 5_000
"""Postgres may well scan a smaller table: it is as fast."""
OBSERVED = "majlis observed"
RECORD = InstanceRecord(escalation_enabled=True, knowledge_files=1)
TERMS = Terms(allowed_origins=("https://gateway.example",), turns_per_minute=1)
LINKED = "777@lid"
PLANNED_ONCE = """
    SELECT array_agg(proname::text ORDER BY proname) FROM pg_proc
    WHERE 'plan_cache_mode=force_generic_plan' = ANY (proconfig)
"""
IN_ORDER = (
    PLANNED_ONCE + " AND proconfig @> '{enable_seqscan=off,enable_bitmapscan=off,enable_sort=off,jit=off}'"
)


@pytest.fixture(scope="module", params=["bigint", "uuid"])
def filled_dsn(request: pytest.FixtureRequest, postgres_dsn: str) -> Iterator[str]:
    id_type: IdType = request.param
    with new_postgres_database(postgres_dsn) as dsn:

        async def make() -> None:
            async with trio_asyncio.open_loop(), open_postgres(dsn) as db:
                await fill(db, Size() if id_type == "bigint" else SMALL, id_type)

        trio.run(make)
        yield dsn


class Scans(msgspec.Struct, frozen=True):
    """How the tables were read."""

    blocks: int
    """Of tables and indexes."""
    whole: frozenset[str]
    """The big tables that were read by sequential scan."""
    indexes: frozenset[str]


class Observed(Postgres):
    """Runs EXPLAIN before every statement."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, max_connections=2, command_seconds=60, application_name=OBSERVED)
        self.plans: list[Any] = []

    async def fetch(self, sql: str, *args: object, repeatable: bool = True) -> list[Row]:
        [row] = await super().fetch(f"EXPLAIN (FORMAT JSON) {sql}", *args)
        self.plans += msgspec.json.decode(row["QUERY PLAN"])
        return await super().fetch(sql, *args, repeatable=repeatable)


class Watcher:
    """Run some work and return how it read the tables."""

    def __init__(self, db: Postgres, dsn: str, big: frozenset[str]) -> None:
        self.db = db
        self._dsn = dsn
        self._big = big

    async def scans(self, work: Callable[[Postgres], Awaitable[object]]) -> Scans:
        """Postgres publishes the counts when the connections that made them are closed."""
        await self.db.value("SELECT pg_stat_reset()")
        observed = Observed(self._dsn)
        await observed.open()
        await work(observed)
        await observed.close()
        gone = f"SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = '{OBSERVED}'"
        await until(self.db, gone)
        tables = await self.db.fetch("SELECT relname FROM pg_stat_user_tables WHERE seq_scan > 0")
        indexes = await self.db.fetch("SELECT indexrelname FROM pg_stat_user_indexes WHERE idx_scan > 0")
        [read] = await self.db.fetch(
            "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint AS blocks"
            " FROM pg_statio_user_tables"
        )
        planned = [node for plan in observed.plans for node in _nodes(plan["Plan"])]
        explained = {node["Relation Name"] for node in planned if node["Node Type"] == "Seq Scan"}
        whole = self._big & ({row["relname"] for row in tables} | explained)
        return Scans(read["blocks"], frozenset(whole), frozenset(row["indexrelname"] for row in indexes))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


@asynccontextmanager
async def watching(dsn: str) -> AsyncIterator[Watcher]:
    async with trio_asyncio.open_loop(), open_postgres(dsn) as db:
        rows = await db.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= $1", float(BIG_ROWS)
        )
        yield Watcher(db, dsn, frozenset(row["relname"] for row in rows))


async def test_the_database_has_the_stated_size(filled_dsn: str) -> None:
    """And the watcher notices a sequential scan."""
    async with watching(filled_dsn) as watcher:
        counts: list[Row] = []

        async def count(db: Postgres) -> None:
            counts[:] = await db.fetch(
                "SELECT (SELECT count(*) FROM whatsapp_messages) AS messages, count(*) AS conversations,"
                " pg_typeof(max(id::text)) IS NOT NULL AS any, format_type(max(a.atttypid), NULL) AS id_type"
                " FROM whatsapp_conversations c, pg_attribute a"
                " WHERE a.attrelid = 'whatsapp_messages'::regclass AND a.attname = 'conversation_id'"
            )

        await watcher.scans(
            count
        )  # whose connection is closed then, so that its counts come into no later ones
        size = Size() if counts[0]["id_type"] == "bigint" else SMALL
        assert (counts[0]["messages"], counts[0]["conversations"]) == (size.messages, size.conversations)
        # No index can answer for a row's place, however well its pages are known to be visible.
        seen = await watcher.scans(
            lambda db: db.fetch("SELECT ctid FROM whatsapp_messages WHERE content = 'x'")
        )
        assert seen.whole == {"whatsapp_messages"}


LOOKED_UP_BY = {
    "duplicate": {"majlis_turns_text_idx"},
    "history": {"majlis_messages_history_idx", "majlis_turns_pkey", "majlis_turns_conversation_idx"},
    "webhook": set[str](),
    "takeover": {
        "majlis_escalated_contact_idx",
        "majlis_opt_outs_pkey",
        "majlis_takeovers_pkey",
        "majlis_turns_conversation_key_batch_number_revision_key",
    },
    "pace": {
        "majlis_machines_pkey",
        "majlis_turns_conversation_key_batch_number_revision_key",
        "majlis_outbox_pkey",
    },
    "escalated_reply": {"majlis_turns_conversation_key_batch_number_revision_key"},
    "interactions": {"majlis_ai_interactions_contact_idx", "majlis_turns_pkey"},
    "quoted": {"majlis_messages_id_idx", "majlis_outbox_gateway_id_idx", "majlis_turns_pkey"},
    "usage": {"majlis_turns_conversation_key_batch_number_revision_key", "majlis_usage_pkey"},
    "knowledge": {"majlis_knowledge_chunks_instance_idx"},
    "cached_answer": {"majlis_answer_cache_instance_scope_question_hash_key"},
}
"""What must be used; no lookup may scan a big table, whether it has a line here or not.

`webhook` reads a table with one row per instance, small enough that Postgres may scan it.
"""


async def test_every_lookup_uses_its_index(filled_dsn: str) -> None:
    async with watching(filled_dsn) as watcher:
        refers = (Context("quote", id="G-1"),)
        asked = batch("What does article 7 cost?", conversation=FIRST, number=5000, context=refers)
        turn = await PostgresLedger(watcher.db, PARTITIONS).begin(asked, 1)
        turn = msgspec.structs.replace(turn, lately=None, said_before=None)  # so that nothing is skipped
        question = Question(turn, asked, RECORD, FeatureFlags(), TERMS)
        found: dict[str, object] = {}
        sources = (knowledge.lookup(NearEmbeddings()), cached_answer.lookup(NearEmbeddings()))
        for spec in (*LOOKUPS, *sources):

            async def look(db: Postgres, name: str = spec.name) -> None:
                # The cache is searched only if the responder gets no history.
                tokens = 0 if name == "cached_answer" else 800
                lookups = PostgresLookups(db, history_tokens=tokens, sources=sources)
                lookup = lookups.about(question)[name]
                assert not lookup.skip
                found[name] = await lookup.call()

            seen = await watcher.scans(look)
            assert seen.whole == frozenset(), spec.name
            assert seen.indexes >= LOOKED_UP_BY.get(spec.name, set()), (spec.name, sorted(seen.indexes))

        async def others(db: Postgres) -> None:
            await db.value("SELECT majlis_others_spoke($1, 100)", turn.id)

        seen = await watcher.scans(others)
        assert seen.whole == frozenset()
        assert seen.indexes >= {"majlis_messages_history_idx", "majlis_outbox_gateway_id_idx"}
        assert found["history"]
        assert found["interactions"]
        assert found["knowledge"]
        assert found["webhook"] == f"https://gateway.example/{FIRST.instance}"


async def test_a_turn_of_a_long_conversation_reads_no_more_than_one_of_a_short_one(filled_dsn: str) -> None:
    """Neither its steps nor its lookups: that one has 1,000 turns and the fiftieth part of all messages."""
    read: list[list[int]] = []
    reading = [
        "majlis_begin_measured_turn",
        "majlis_recent_talk",
        "majlis_standing_now",
        "majlis_told_history",
    ]
    async with trio_asyncio.open_loop(), open_postgres(filled_dsn) as db:
        assert set(await db.value(PLANNED_ONCE)) == {*reading, "majlis_answer", "majlis_settle_last"}
        assert set(await db.value(IN_ORDER)) >= set(reading)
    async with watching(filled_dsn) as watcher:
        for conversation in (Conversation("shop-2", "5511000000002"), FIRST):
            asked = batch("hello", "there", "you", conversation=conversation, number=7000)

            async def looked_up(db: Postgres, *names: str, asked: Batch = asked) -> Turn:
                turn = await PostgresLedger(db, PARTITIONS).begin(asked, 1)
                lookups = PostgresLookups(db).about(Question(turn, asked, RECORD, FeatureFlags(), TERMS))
                for name in names:
                    await lookups[name].call()
                return turn

            async def whole_turn(db: Postgres) -> None:
                ledger, token = PostgresLedger(db, PARTITIONS), new_token()
                turn = await looked_up(
                    db, "duplicate", "takeover", "escalated_reply", "usage", "interactions"
                )
                turn = await ledger.answer(turn, 1, Reply(Answer("one", "rehearsal"), ("one",)), token)
                assert await ledger.settle_last(turn, 1, Proof(turn.id, 0, token, Sent(token)))

            works = (
                whole_turn,
                lambda db: looked_up(db, "history"),
                lambda db: looked_up(db, "pace"),
            )
            read.append([(await watcher.scans(work)).blocks for work in works])
    (whole, history, pace), (long_whole, long_history, long_pace) = read
    assert long_whole < whole + 150, "blocks: up to 100 turns of a day are counted, by index"
    assert long_history < history + 250, "100 messages, and what the newest 20 turns refer to"
    assert long_pace < pace + 61 * 5, "so many turns, each with its parts"


async def test_the_settings_of_an_instance_are_found_by_index(filled_dsn: str) -> None:
    async with watching(filled_dsn) as watcher:
        found: list[InstanceRecord] = []

        async def ask(db: Postgres) -> None:
            found.append(await PostgresLookups(db).instance(FIRST.instance))

        seen = await watcher.scans(ask)
        assert seen.whole == frozenset()
        assert found[0].system_prompt == f"You serve the customers of {FIRST.instance}"
        assert found[0].escalation_keywords == ("manager", "refund")


async def test_every_step_of_a_turn_uses_its_index(filled_dsn: str) -> None:
    async with watching(filled_dsn) as watcher:
        for name, step in _steps().items():
            seen = await watcher.scans(step)
            assert seen.whole == frozenset(), name


def _steps() -> dict[str, Callable[[Postgres], Awaitable[object]]]:
    """A turn that is answered, one suppressed, one dead, one interrupted, and what goes with them."""
    turns: dict[int, Turn] = {}
    reply = Reply(
        Answer("one", "rehearsal"),
        ("one", "two"),
        escalation="asks_for_human",
        notices=(Notice("whatsapp", FIRST.instance, "5511", "come", once="a"),),
    )

    def ledger(db: Postgres) -> PostgresLedger:
        return PostgresLedger(db, PARTITIONS)

    async def at_once(db: Postgres, number: int) -> None:
        turn, token = await ledger(db).begin(asked(number), 1), new_token()
        turn = await ledger(db).answer(turn, 1, Reply(Answer("one", "rehearsal"), ("one",)), token)
        assert await ledger(db).settle_last(turn, 1, Proof(turn.id, 0, token, Sent(f"G-{number}")))

    def asked(number: int) -> Batch:
        return batch("hello", "there", conversation=FIRST, number=number, lid=LINKED)

    def begin(number: int) -> Callable[[Postgres], Awaitable[object]]:
        async def step(db: Postgres) -> None:
            turns[number] = await ledger(db).begin(asked(number), 1)

        return step

    return {
        "begin": begin(2001),
        "begin again": begin(2001),
        "answer": lambda db: ledger(db).answer(turns[2001], 1, reply),
        "claim": lambda db: ledger(db).claim(turns[2001], 1, 0, False, new_token()),
        "settle": lambda db: ledger(db).settle(turns[2001], 1, 0, Sent("G-2001")),
        "gateway ids": lambda db: ledger(db).gateway_ids(turns[2001]),
        "drop the rest": lambda db: ledger(db).drop_rest(turns[2001], 1, "taken_over"),
        "finish": lambda db: ledger(db).finish(turns[2001], 1),
        "begin the second": begin(2002),
        "suppress": lambda db: ledger(db).suppress(turns[2002], 1, "duplicate"),
        "begin the third": begin(2003),
        "bury": lambda db: ledger(db).bury(turns[2003], 1, "garbage", ""),
        "link": lambda db: ledger(db).link(FIRST.instance, "778@lid", FIRST.contact),
        "what was heard": lambda db: Heard(db).heard(FIRST.instance, ["5511-2001-0", "unknown"]),
        "what our replies answer": lambda db: Heard(db).answers(FIRST.instance, ["G-2001", "unknown"]),
        "every turn of a message": lambda db: StoredTurns(db).turns_of("5511-2001-0"),
        "what is unfinished": lambda db: ledger(db).open_turns(FIRST),
        "a reply that leaves at once": lambda db: at_once(db, 2004),
        "our own sends": lambda db: OwnSends(db, ledger(db).prove, print, MemoryFeed()).settle(
            [OwnMessage(*FIRST, "", "unknown", "one", 1_000)], None
        ),
        "what targets are judged by": lambda db: TargetRecords(db).turns(86_400.0, None, 2.0),
        "and of one instance": lambda db: TargetRecords(db).turns(86_400.0, FIRST.instance, 2.0),
        "and minute by minute": lambda db: TargetRecords(db).load(86_400.0, 200, 1_000),
        "hand back": lambda db: db.value("SELECT majlis_hand_back($1, $2, 'operator', true)", *FIRST),
    }
