"""The schema: on an empty database, on one in use, migrated twice, concurrently, and half way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module

import pytest
import trio
import trio_asyncio

from actors.notices import ALERT_WEBHOOK, ESCALATION_WEBHOOK
from daemon.ledger import MigrationFailed, check_schema, check_server, install, migrate, schema_version
from daemon.ledger.migrate import migrations
from daemon.ledger.wire import encoded, wire_batch
from daemon.stores.postgres import Postgres
from tests.support.ledgers import DEMO, batch, open_postgres, prepare, until


@pytest.fixture
async def db(fresh_postgres_dsn: str) -> AsyncIterator[Postgres]:
    async with trio_asyncio.open_loop(), open_postgres(fresh_postgres_dsn) as db:
        yield db


def test_migrations_are_numbered_without_gaps() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


async def test_an_empty_database_is_migrated_once(db: Postgres) -> None:
    assert await schema_version(db) == 0
    assert "majlis migrate" in (await check_schema(db) or "")
    assert (await migrate(db)).applied == [migration.name for migration in migrations()]
    assert (await migrate(db)).applied == []
    assert await schema_version(db) == migrations()[-1].version
    assert await check_schema(db) is None


async def test_two_migrators_exclude_each_other(db: Postgres) -> None:
    applied: list[str] = []

    async def one() -> None:
        applied.extend((await migrate(db)).applied)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        nursery.start_soon(one)
    assert sorted(applied) == [migration.name for migration in migrations()]


async def test_a_stuck_migrator_is_not_waited_for_forever(db: Postgres) -> None:
    async with db.session() as session:
        await session.fetch("SELECT pg_advisory_lock($1)", 0x6D616A6C6973)
        with pytest.raises(MigrationFailed, match="still running"):
            await migrate(db, wait_seconds=0.1)
    await migrate(db)


async def test_a_newer_schema_is_worked_on_until_it_says_that_it_is_too_new(db: Postgres) -> None:
    """I13, I15: a daemon of the version before goes on while others are upgraded, and may be gone back to."""
    await migrate(db)
    await db.fetch("INSERT INTO majlis_migrations (version, name) VALUES (998, 'adds_something')")
    assert await check_schema(db) is None
    known = migrations()[-1].version
    await db.fetch("UPDATE majlis_migrations SET daemons_from = $1 WHERE version = 1", known)
    assert await check_schema(db) is None
    await db.fetch("UPDATE majlis_migrations SET daemons_from = $1 WHERE version = 1", known + 1)
    assert "too new for this Majlis" in (await check_schema(db) or "")


async def test_an_existing_database_keeps_everything(db: Postgres) -> None:
    async with db.session() as session:
        await session.run(
            """
            CREATE TABLE whatsapp_instances (
                id uuid PRIMARY KEY DEFAULT gen_random_uuid(), instance_name varchar(80) NOT NULL UNIQUE, colour text);
            CREATE TABLE whatsapp_conversations (
                id uuid PRIMARY KEY, instance_id uuid REFERENCES whatsapp_instances, user_phone varchar(40),
                status varchar(20) CHECK (status IN ('active', 'inactive')), last_activity timestamp);
            INSERT INTO whatsapp_instances (instance_name, colour) VALUES ('old', 'green');
            """
        )
    await migrate(db)
    assert await check_schema(db) is None
    [row] = await db.fetch("SELECT * FROM whatsapp_instances")
    assert (row["instance_name"], row["colour"], row["is_active"]) == ("old", "green", True)
    types = await db.fetch(
        "SELECT table_name || '.' || column_name AS name, data_type FROM information_schema.columns"
        " WHERE column_name IN ('conversation_id', 'whatsapp_instance_id') AND table_name LIKE 'whatsapp%'"
    )
    assert {row["data_type"] for row in types} == {"uuid"}
    assert (
        await db.value("INSERT INTO whatsapp_conversations (user_phone) VALUES ('1') RETURNING id")
        is not None
    )


async def test_turns_of_the_version_before_are_on_the_new_lists(
    db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2, I6: what an upgrade finds unfinished is taken up again, what it finds answered is not answered again."""
    every = migrations()
    monkeypatch.setattr(
        import_module("daemon.ledger.migrate"),
        "migrations",
        lambda: [one for one in every if one.version < 18],
    )
    world = await prepare(db)
    old = "SELECT majlis_begin_turn(0, 1, $1)"
    for number in (1, 2):
        await db.value(old, encoded(wire_batch(batch("hello", number=number))))
    await db.value("SELECT majlis_suppress_turn(1, 1, 'taken_over')")
    monkeypatch.undo()
    await migrate(db)
    assert [left.number for left in await world.ledger.open_turns(DEMO)] == [2]
    prefix = f"{DEMO.contact}-1-"
    assert (await world.ledger.begin(batch("hello", number=3, id_prefix=prefix), 1)).rule == "duplicate"


async def test_keys_in_webhook_addresses_of_the_version_before_are_removed(
    db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is still to be sent keeps its address until it is."""
    every = migrations()
    monkeypatch.setattr(
        import_module("daemon.ledger.migrate"),
        "migrations",
        lambda: [one for one in every if "notice_references" not in one.name],
    )
    await prepare(db)
    rows = [
        ("webhook", '{"event":"escalated","text":"x"}', "sent_at"),
        ("webhook", '{"event":"red_flag"}', "given_up_at"),
        ("webhook", "{}", "created_at"),
        ("whatsapp", "x", "sent_at"),
    ]
    for kind, body, ended in rows:
        extra = "" if ended == "created_at" else f", {ended}"
        await db.fetch(
            f"INSERT INTO majlis_notices (kind, instance, target, body{extra})"
            f" VALUES ($1, 'demo', 'https://key', $2{', now()' if extra else ''})",
            kind,
            body,
        )
    monkeypatch.undo()
    await migrate(db)
    found = [row["target"] for row in await db.fetch("SELECT target FROM majlis_notices ORDER BY id")]
    assert found == [ESCALATION_WEBHOOK, ALERT_WEBHOOK, "https://key", "https://key"]


async def test_an_unknown_required_column_is_named(db: Postgres) -> None:
    """I15: it is better to refuse to start than to fail at the first message."""
    await migrate(db)
    await db.fetch("ALTER TABLE whatsapp_messages ADD COLUMN shop text NOT NULL")
    assert "whatsapp_messages.shop" in (await check_schema(db) or "")


@pytest.mark.parametrize(
    "column_type",
    ["varchar(9) CHECK (sender_type IN ('user', 'ai'))", "sender"],
    ids=["check", "enum"],
)
async def test_a_forbidden_word_is_named(db: Postgres, column_type: str) -> None:
    """I15: a reply must not be sent and then fail to be recorded."""
    await db.fetch("CREATE TYPE sender AS ENUM ('user', 'ai')")
    await db.fetch(f"CREATE TABLE whatsapp_messages (id bigserial PRIMARY KEY, sender_type {column_type})")
    await migrate(db)
    assert "does not allow the word 'assistant'" in (await check_schema(db) or "")


async def test_an_invalid_index_is_rebuilt(db: Postgres) -> None:
    await migrate(db)
    index = "majlis_messages_history_idx"
    await db.fetch("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass($1)", index)
    await db.fetch("DELETE FROM majlis_migrations WHERE name LIKE '%.concurrent.sql'")
    assert "003_user_indexes.concurrent.sql" in (await migrate(db)).applied
    assert await db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", index) is True


async def test_a_table_in_use_is_waited_for_without_blocking_readers(db: Postgres) -> None:
    """I9: a long read does not make the migration fail, nor turns wait long behind a migration that waits."""
    await db.fetch("CREATE TABLE whatsapp_instances (id bigint PRIMARY KEY)")
    async with db.session() as reader, db.session() as turn, trio.open_nursery() as nursery:
        await reader.run("BEGIN; SELECT FROM whatsapp_instances")
        nursery.start_soon(migrate, db)
        await until(db, "SELECT true FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
        await turn.run("SET lock_timeout = '2s'; SELECT FROM whatsapp_instances")
        await reader.run("COMMIT")
    assert await check_schema(db) is None


async def test_the_number_of_partitions_is_fixed(db: Postgres) -> None:
    """I15"""
    await migrate(db)
    first = await install(db, 8)
    assert await install(db, 8) == first
    assert await db.value("SELECT count(*) FROM majlis_partitions") == 8
    with pytest.raises(MigrationFailed, match="8 partitions, not 16"):
        await install(db, 16)
    assert await db.value("SELECT count(*) FROM majlis_partitions") == 8


async def test_a_server_weaker_than_needed_is_named(fresh_durable_postgres_dsn: str) -> None:
    """I15"""
    async with trio_asyncio.open_loop(), open_postgres(fresh_durable_postgres_dsn) as db:
        assert await check_server(db) is None
        name = await db.value("SELECT current_database()")
        await db.fetch(f"ALTER DATABASE {name} SET synchronous_commit = off")
    async with trio_asyncio.open_loop(), open_postgres(fresh_durable_postgres_dsn) as db:
        assert "synchronous_commit" in (await check_server(db) or "")
