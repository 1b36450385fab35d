"""Creates and checks the schema. Migrations only add; they run on an empty database and on one in use.

So daemons of the version before work on the schema of the next one, until a migration says otherwise (027).

`NNN_name.sql` runs in one transaction. `NNN_name.concurrent.sql` runs statement by statement without one, to build
indexes on tables that may be big. Two migrators exclude each other by an advisory lock. The lock is polled instead of
waited for, because a session that waits inside Postgres holds a snapshot, and CREATE INDEX CONCURRENTLY waits for all
snapshots to go.

The checks return one sentence that says what to change, or None: it is better to refuse to start than to fail after a
reply has been sent.
"""

from __future__ import annotations

import re
import secrets
from functools import cache
from importlib import resources

import msgspec
import trio

from actors.errors import MajlisError
from daemon.ledger.closing import Closed, Closing, close_doors
from daemon.ledger.patience import POLL_SECONDS, run_with_retries
from daemon.ledger.rights import why_not_create
from daemon.stores.postgres import LedgerMisconfigured, Postgres, PostgresSession

_LOCK = 0x6D616A6C6973  # "majlis"
_UNDEFINED_TABLE = "42P01"
_NO_RIGHT = "42501"
_FILE = re.compile(r"(\d{3})_\w+(\.concurrent)?\.sql")
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+)")


_OLDEST_SERVER = 130000

_UNFILLED = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = ANY (current_schemas(false)) AND is_nullable = 'NO' AND column_default IS NULL
      AND is_identity = 'NO' AND is_generated = 'NEVER'
      AND (table_name = 'whatsapp_conversations' AND column_name <> ALL ('{instance_id,user_phone,status,
               last_activity}')
        OR table_name = 'whatsapp_messages' AND column_name <> ALL ('{conversation_id,sender_type,content,
               message_id,created_at}')
        OR table_name = 'whatsapp_ai_interactions' AND column_name <> ALL ('{whatsapp_instance_id,user_phone,
               user_message,metadata,created_at}')
        OR table_name = 'whatsapp_escalated_conversations' AND column_name <> ALL ('{whatsapp_instance_id,user_phone,
               escalated_at}'))
    ORDER BY 1, 2 LIMIT 1
"""
"""A column of a shared table that requires a value and that Majlis does not know."""

_FORBIDDEN_WORDS = """
    SELECT w.table_name, w.column_name, w.word
    FROM (VALUES ('whatsapp_messages', 'sender_type', 'user'), ('whatsapp_messages', 'sender_type', 'assistant'),
                 ('whatsapp_conversations', 'status', 'active'), ('whatsapp_conversations', 'status', 'inactive'))
         AS w (table_name, column_name, word)
    JOIN pg_attribute a ON a.attrelid = to_regclass(w.table_name) AND a.attname = w.column_name
    WHERE EXISTS (
            SELECT FROM pg_constraint c
            WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND c.conkey = ARRAY[a.attnum]
              AND pg_get_constraintdef(c.oid) LIKE '%= ANY%'
              AND position(quote_literal(w.word) IN pg_get_constraintdef(c.oid)) = 0)
       OR (EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = a.atttypid)
           AND NOT EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = a.atttypid AND e.enumlabel = w.word))
    LIMIT 1
"""
"""A word that Majlis writes, and that a check constraint or an enum of an existing table forbids."""


_DAEMONS_FROM = "SELECT max(daemons_from) FROM majlis_migrations"
"""The oldest schema whose daemons can work on this one."""


class MigrationFailed(MajlisError):
    """A migration could not be applied; the message says what to do."""


class Migration(msgspec.Struct, frozen=True):
    version: int
    name: str
    sql: str
    concurrent: bool


class Install(msgspec.Struct, frozen=True):
    """What was fixed when this database was first used, for good."""

    install_id: str
    partitions: int


class Migrated(msgspec.Struct, frozen=True):
    """What a migration did: the names of the migrations applied, and what was closed to the world."""

    applied: list[str]
    closed: Closed

    def lines(self) -> list[str]:
        return [*(f"applied {name}" for name in self.applied), *self.closed.lines()]


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations of this version of Majlis, in order. Read once: an upgrade may replace the files under us."""
    found = []
    for file in sorted(resources.files(__package__).joinpath("migrations").iterdir(), key=lambda f: f.name):
        if match := _FILE.fullmatch(file.name):
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), file.name, sql, concurrent=match[2] is not None))
    return tuple(found)


async def schema_version(db: Postgres) -> int:
    """The newest migration applied to the database; 0 if there is none."""
    try:
        version = await db.value("SELECT max(version) FROM majlis_migrations")
    except LedgerMisconfigured as error:
        if error.sqlstate == _UNDEFINED_TABLE:
            return 0
        raise
    return int(version or 0)


async def check_schema(db: Postgres) -> str | None:
    """What is wrong with the schema and how to fix it; None if it fits this version."""
    wanted, found = migrations()[-1].version, await schema_version(db)
    if found < wanted:
        return f"The database schema is at version {found}, this Majlis needs {wanted}: run `majlis migrate`."
    if found > wanted and int(await db.value(_DAEMONS_FROM)) > wanted:
        return (
            f"The database schema is at version {found}, too new for this Majlis, which knows {wanted}: "
            "install the newer Majlis again."
        )
    if rows := await db.fetch(_UNFILLED):
        column = f"{rows[0]['table_name']}.{rows[0]['column_name']}"
        return f"The column {column} requires a value, but Majlis does not know it: give it a default or allow NULL."
    if rows := await db.fetch(_FORBIDDEN_WORDS):
        column = f"{rows[0]['table_name']}.{rows[0]['column_name']}"
        return (
            f"The column {column} does not allow the word '{rows[0]['word']}', which Majlis writes: allow it."
        )
    return None


async def check_server(db: Postgres) -> str | None:
    """Why this server does not meet the needs of the ledger; None if it does."""
    problem = await _server_problem(db)
    if problem is None:
        return None
    # A session keeps the settings that it began with: only a new one knows whether this is still so.
    await db.renew()
    return await _server_problem(db)


async def _server_problem(db: Postgres) -> str | None:
    rows = await db.fetch(
        "SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby,"
        " current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,"
        " current_setting('default_transaction_read_only') AS read_only"
    )
    server = rows[0]
    if server["version"] < _OLDEST_SERVER:
        return "This Postgres is older than 13: use a newer server."
    if server["standby"] or server["read_only"] == "on":
        return "This Postgres is a standby or read-only: point postgres.dsn at the primary."
    for setting in ("fsync", "synchronous_commit"):
        if server[setting] == "off":
            return f"This Postgres runs with {setting}=off and may lose what it confirmed: switch it on."
    return None


async def migrate(db: Postgres, wait_seconds: float = 600.0, closing: Closing | None = None) -> Migrated:
    """Apply the missing migrations, then close what is ours to the world.

    Raises:
      MigrationFailed: another migrator runs for longer than `wait_seconds`, or Postgres refuses a change.
      CloseRefused: what is asked for in `closing` makes no sense in this database.
      LedgerUnavailable: a table stays locked, or the server cannot be reached.
    """
    async with db.session() as session:
        await _lock(session, wait_seconds)
        if problem := await why_not_create(session):
            raise MigrationFailed(problem)
        await session.run(
            "CREATE TABLE IF NOT EXISTS majlis_migrations (version integer PRIMARY KEY, name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["version"] for row in await session.fetch("SELECT version FROM majlis_migrations")}
        missing = [migration for migration in migrations() if migration.version not in done]
        for migration in missing:
            try:
                await _apply(session, migration)
            except LedgerMisconfigured as error:
                raise MigrationFailed(_refused(migration.name, error)) from None
        try:
            closed = await close_doors(session, closing or Closing())
        except LedgerMisconfigured as error:
            raise MigrationFailed(_refused("to close what is ours", error)) from None
        return Migrated([migration.name for migration in missing], closed)


def _refused(what: str, error: LedgerMisconfigured) -> str:
    if error.sqlstate != _NO_RIGHT:
        return f"Postgres refuses {what} ({error}): change what it names, then run `majlis migrate` again."
    return (
        f"Postgres refuses {what} ({error}): only the owner of a table may change it; run `majlis migrate` "
        "with the owner of the tables as the user of postgres.dsn, or make that user a member of the owning role."
    )


async def install(db: Postgres, partitions: int) -> Install:
    """Fix the id and the number of partitions of this installation, once; returns what is fixed.

    Raises:
      MigrationFailed: the database was installed with another number of partitions.
    """
    await db.fetch(
        "INSERT INTO majlis_install (install_id, partitions) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        secrets.token_hex(16),
        partitions,
    )
    row = (await db.fetch("SELECT install_id, partitions FROM majlis_install"))[0]
    found = Install(row["install_id"], row["partitions"])
    if found.partitions != partitions:
        raise MigrationFailed(
            f"This database was installed with {found.partitions} partitions, not {partitions}: the number cannot "
            f"be changed, set it back to {found.partitions}."
        )
    await db.fetch(
        "INSERT INTO majlis_partitions (partition) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING",
        partitions,
    )
    return found


async def _lock(session: PostgresSession, wait_seconds: float) -> None:
    with trio.move_on_after(wait_seconds):
        while True:
            rows = await session.fetch("SELECT pg_try_advisory_lock($1) AS held", _LOCK)
            if rows[0]["held"]:
                return
            await trio.sleep(POLL_SECONDS)
    raise MigrationFailed("Another migration of this database is still running: wait for it, then try again.")


async def _apply(session: PostgresSession, migration: Migration) -> None:
    record = f"INSERT INTO majlis_migrations (version, name) VALUES ({migration.version}, '{migration.name}')"
    if not migration.concurrent:
        await run_with_retries(session, f"{migration.sql}\n;{record}")
        return
    # Waiting for a lock here blocks nobody, and giving up half way would leave an invalid index.
    await session.run("SET lock_timeout = 0")
    for statement in _statements(migration.sql):
        if index := _INDEX.match(statement):
            await _drop_invalid(session, index[1])
        await session.run(statement)
    await session.run("RESET lock_timeout")
    await session.run(record)


async def _drop_invalid(session: PostgresSession, index: str) -> None:
    rows = await session.fetch(
        "SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid", index
    )
    if rows:
        await session.run(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")


def _statements(sql: str) -> list[str]:
    lines = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in lines.split(";") if statement.strip()]
