"""Ledgers for tests: prepared databases, and batches as the mirror freezes them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import trio
import trio_asyncio

from actors.identity import Conversation
from actors.instance import FeatureFlags, InstanceRecord, Terms
from actors.messages import Answer, Batch, CloseReason, Context, Message, Swept, Waiting
from actors.ports import Lookups, Question, Reply, Turn
from daemon.ledger import PostgresLedger, Records, install, migrate, schema_version
from daemon.ledger.migrate import migrations
from daemon.lookups import PostgresLookups
from daemon.stores.postgres import Postgres, Row
from tests.support.patience import PATIENCE_SECONDS

PARTITIONS = 8
PHONE = "5511900000001"
LID = "168500000006331@lid"
DEMO = Conversation("demo", PHONE)
new_token = partial(secrets.token_hex, 8)
"""Names a claim of a part."""


class LedgerWorld:
    """A migrated database with the instance `demo` and every partition at epoch 1, and the objects that use it."""

    epoch = 1

    def __init__(self, db: Postgres, partitions: int = PARTITIONS) -> None:
        self.db = db
        self.ledger = PostgresLedger(db, partitions)
        self.lookups = PostgresLookups(db)
        self.records = Records(db)

    async def take_over(self) -> int:
        """Another daemon takes every partition; returns the new epoch."""
        await self.db.fetch("UPDATE majlis_partitions SET epoch = epoch + 1")
        self.epoch += 1
        return self.epoch

    async def rows(self, sql: str, *args: object) -> list[Row]:
        return await self.db.fetch(sql, *args)

    async def messages(self) -> list[tuple[str, str]]:
        """Sender and text of every message of every conversation, in the order of the history."""
        rows = await self.rows("SELECT sender_type, content FROM whatsapp_messages ORDER BY created_at, id")
        return [(row["sender_type"], row["content"]) for row in rows]


@asynccontextmanager
async def open_postgres(dsn: str, max_connections: int = 4) -> AsyncIterator[Postgres]:
    """A pool; the asyncio loop must be open."""
    db = Postgres(dsn, max_connections=max_connections)
    await db.open()
    try:
        yield db
    finally:
        with trio.move_on_after(20, shield=True):
            await db.close()


async def until(db: Postgres, sql: str) -> None:
    """Wait until `sql` has a row whose first column is true."""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            if await db.value(sql):
                return
            await trio.sleep(0.02)


async def prepare(db: Postgres, partitions: int = PARTITIONS) -> LedgerWorld:
    if await schema_version(db) < migrations()[-1].version:  # not a copy of a migrated one
        await migrate(db)
    await install(db, partitions)
    world = LedgerWorld(db, partitions)
    await world.records.register_instances(["demo"])
    await db.fetch("UPDATE majlis_partitions SET epoch = 1")
    return world


@asynccontextmanager
async def open_world(dsn: str, max_connections: int = 4) -> AsyncIterator[LedgerWorld]:
    async with trio_asyncio.open_loop(), open_postgres(dsn, max_connections) as db:
        yield await prepare(db)


async def nothing_waits(_conversation: Conversation) -> list[int]:
    """The mirror as `Takeovers` asks it."""
    await trio.lowlevel.checkpoint()
    return []


def reply_of(answer: Answer, *parts: str) -> Reply:
    """The reply that T2 stores for a plain answer."""
    return Reply(answer, parts)


async def look(
    lookups: Lookups,
    turn: Turn,
    asked: Batch,
    name: str,
    *,
    record: InstanceRecord | None = None,
    terms: Terms | None = None,
    flags: FeatureFlags | None = None,
) -> Any:
    """The result of the lookup `name` for this turn; its default if it is skipped."""
    question = Question(turn, asked, record or InstanceRecord(), flags or FeatureFlags(), terms or Terms())
    lookup = lookups.about(question)[name]
    return lookup.default if lookup.skip else await lookup.call()


def found(frozen: Batch, *how: Swept, sent_at: int = 1_000) -> Batch:
    """The batch with messages that were found in the gateway's records, as `how` says for each; all sent then."""
    entries = tuple(
        msgspec.structs.replace(
            entry, message=msgspec.structs.replace(entry.message, swept=word, sent_at=sent_at)
        )
        for entry, word in zip(frozen.entries, how, strict=True)
    )
    return msgspec.structs.replace(frozen, entries=entries)


def batch(
    *texts: str,
    number: int = 1,
    conversation: Conversation = DEMO,
    lid: str = "",
    id_prefix: str = "",
    why: CloseReason = "timeout",
    context: tuple[Context, ...] = (),
    kind: str = "text",
) -> Batch:
    """Batch `number`; its messages have unique ids unless `id_prefix` is given, and all refer to `context`."""
    prefix = id_prefix or f"{conversation.contact}-{number}-"
    lo = 100 * number
    entries = tuple(
        Waiting(
            lo + place,
            1_000 * number + place,
            Message(*conversation, f"{prefix}{place}", text, 1_000, kind, lid, context=context),
        )
        for place, text in enumerate(texts)
    )
    hi = lo + len(texts) - 1
    return Batch(conversation, number, lo, hi, why, 0, 1_000 * number, 1_000 * number + 500, entries)
