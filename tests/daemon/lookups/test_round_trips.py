"""At most four sequential database round trips before the responder is called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio

from actors.instance import FeatureFlags, Terms
from actors.messages import Answer, Context, Passage, Prompt, WindowPolicy
from actors.outbox import Outbox, OutboxPolicy
from actors.ports import Question
from actors.turn import TurnAttempt
from actors.turn_services import TurnServices
from daemon.ledger import PostgresLedger
from daemon.lookups import LOOKUPS, PostgresLookups, cached_answer, knowledge
from daemon.lookups.spec import LookupSpec, Means
from tests.support.ledgers import PARTITIONS, LedgerWorld, batch, new_token, open_world
from tests.support.memory import (
    FixedOwnership,
    MemoryFacts,
    MemoryFeed,
    MemoryGateway,
    MemoryMirror,
    clock_ms,
)
from tests.support.near_embeddings import MODEL, VECTOR, NearEmbeddings
from tests.support.round_trips import RoundTrips

MOST = 4
ASKED = len(LOOKUPS) - 2
"""Lookups of a first turn: the pace is asked for after many, a repetition where the same was said before."""
LIMITS = Terms(
    allowed_origins=("https://gateway.example",),
    turns_per_minute=100,
    tokens_per_day=10**9,
    hand_back_seconds=3600,
)


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        await world.rows("UPDATE whatsapp_instances SET escalation_enabled = true")
        yield world


class Tenant:
    """An instance for which every lookup has work, and turns that count their round trips."""

    def __init__(self, db: RoundTrips, *sources: LookupSpec, parallel: bool = True) -> None:
        self._db = db
        self._flags = FeatureFlags(parallel=parallel)
        self.before_the_responder: list[int] = []
        self.prompts: list[Prompt] = []
        self.lookups = PostgresLookups(db, sources=sources)
        ledger = PostgresLedger(db, PARTITIONS)
        mirror, feed = MemoryMirror(), MemoryFeed()
        self.attempt = partial(
            TurnAttempt,
            TurnServices(
                append=mirror.append,
                ledger=ledger,
                lookups=self.lookups,
                responder=self,
                outbox=Outbox(
                    ledger,
                    MemoryGateway(),
                    FixedOwnership(),
                    feed,
                    MemoryFacts(),
                    clock_ms,
                    lambda _instance: OutboxPolicy(),
                    new_token,
                ),
                identities=self,
                policies=self,
                flags=self,
                feed=feed,
                wall_ms=clock_ms,
                nudge=lambda: None,
                label=lambda conversation: conversation.key,
            ),
        )

    async def turn(self, number: int) -> list[int]:
        """The number of statements in each round before the responder is called."""
        self._db.rounds.clear()
        asked = batch(f"question {number}", number=number, context=(Context("quote", id="G1"),))
        await self.attempt(asked, 1).run()
        return self.before_the_responder

    async def answer(self, prompt: Prompt) -> Answer:
        await trio.lowlevel.checkpoint()
        self.before_the_responder = list(self._db.rounds)
        self.prompts.append(prompt)
        return Answer("an answer", "rehearsal")

    def given_up(self, prompt: Prompt, started_at: float) -> None:
        return None

    def phone_of(self, instance: str, lid: str) -> str | None:
        return None

    def window(self, instance: str) -> WindowPolicy:
        return WindowPolicy()

    def terms(self, instance: str) -> Terms:
        return LIMITS

    def of(self, instance: str) -> FeatureFlags:
        return self._flags


@pytest.fixture
async def db(world: LedgerWorld, migrated_postgres_dsn: str) -> AsyncIterator[RoundTrips]:
    db = RoundTrips(migrated_postgres_dsn)
    await db.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(db.conduct)
        yield db
        nursery.cancel_scope.cancel()
    await db.close()


async def test_few_round_trips_before_the_responder(world: LedgerWorld, db: RoundTrips) -> None:
    """With the settings cached, and without."""
    tenant = Tenant(db)
    cold = await tenant.turn(1)
    warm = await tenant.turn(2)
    assert cold == [2, ASKED]
    assert warm == [1, ASKED]
    assert max(len(cold), len(warm)) <= MOST


KNOWLEDGE = f"""
    WITH file AS (
        INSERT INTO majlis_knowledge_files (instance, name, sha256, bytes, chunks, model, state)
        VALUES ('demo', 'prices.md', '', 1, 1, '{MODEL}', 'ready') RETURNING id)
    INSERT INTO majlis_knowledge_chunks (file_id, instance, ordinal, text, search, model, embedding)
        SELECT id, 'demo', 0, 'Dates cost 10', array_to_tsvector(ARRAY['question']), '{MODEL}', '{VECTOR}' FROM file
"""


async def test_few_round_trips_on_the_longest_path(world: LedgerWorld, db: RoundTrips) -> None:
    """Nothing cached, a question whose vector must be fetched, and an escalation that ends with it."""
    await world.rows("SELECT majlis_enable_vectors()")
    await world.rows(KNOWLEDGE)
    await world.rows("SELECT majlis_knowledge_changed('demo')")
    await world.rows(
        "INSERT INTO whatsapp_escalated_conversations (whatsapp_instance_id, user_phone, escalated_at)"
        " SELECT id, '5511900000001', now() - interval '1 day' FROM whatsapp_instances"
    )
    tenant = Tenant(db, knowledge.lookup(NearEmbeddings()), cached_answer.lookup(NearEmbeddings()))
    rounds = await tenant.turn(1)
    assert rounds == [2, ASKED + 2, 2]
    assert len(rounds) <= MOST
    assert tenant.prompts[0].handed_back
    assert [passage.text for passage in tenant.prompts[0].knowledge] == ["Dates cost 10"]


async def test_sequential_lookups_take_a_round_trip_each(world: LedgerWorld, db: RoundTrips) -> None:
    """`turn.parallel: false`; this also shows that the rounds are counted correctly."""
    tenant = Tenant(db, parallel=False)
    assert await tenant.turn(1) == [1] * (2 + ASKED)


async def test_one_more_lookup_reaches_the_responder(world: LedgerWorld, db: RoundTrips) -> None:
    """And adds no sequential round trip."""

    async def opening_hours(means: Means, _question: Question) -> tuple[Passage, ...]:
        day = await means.db.value("SELECT 'Friday'")
        return (Passage("hours", f"closed on {day}", 1.0),)

    tenant = Tenant(db, LookupSpec("opening_hours", opening_hours))
    assert await tenant.turn(1) == [2, ASKED + 1]
    assert [passage.text for passage in tenant.prompts[0].knowledge] == ["closed on Friday"]
