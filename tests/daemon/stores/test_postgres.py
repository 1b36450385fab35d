"""The asyncpg wrapper: nothing leaks, every wait is bounded, errors contain no data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import trio
import trio.testing
import trio_asyncio

from actors.errors import LedgerUnavailable
from daemon.stores.postgres import LedgerError, LedgerMisconfigured, Postgres
from tests.support.ledgers import open_postgres
from tests.support.patience import PATIENCE_SECONDS, until
from tests.support.pg_proxy import PostgresProxy

SLOW = "SELECT pg_sleep(60)"
RUNNING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = $1 AND state = 'active'"
)


@pytest.fixture
async def loop() -> AsyncIterator[None]:
    async with trio_asyncio.open_loop():
        yield


@pytest.fixture
async def db(loop: None, fresh_postgres_dsn: str) -> AsyncIterator[Postgres]:
    async with open_postgres(fresh_postgres_dsn, max_connections=2) as db:
        yield db


async def running(db: Postgres, sql: str, wanted: int) -> list[int]:
    """Wait until `wanted` backends run `sql`; their pids."""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            rows = await db.fetch(RUNNING, sql)
            if len(rows) == wanted:
                return [row["pid"] for row in rows]
            await trio.sleep(0.02)


async def test_cancellation_returns_every_connection(loop: None, fresh_postgres_dsn: str) -> None:
    """I8: more cancelled calls than the pool has connections leave it intact, and nothing runs on in the server."""
    async with open_postgres(fresh_postgres_dsn) as watcher, open_postgres(fresh_postgres_dsn, 2) as db:
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(db.fetch, SLOW)
                await running(watcher, SLOW, 2)
                nursery.cancel_scope.cancel()
        await running(watcher, SLOW, 0)
        with trio.fail_after(PATIENCE_SECONDS):
            assert [await db.value("SELECT 1") for _ in range(4)] == [1] * 4
        # The last session that was left may still be taking its leave.
        await until(lambda: db.statistics().idle == db.statistics().size)


async def test_a_killed_connection_is_unavailable_then_recovers(db: Postgres) -> None:
    async with trio.open_nursery() as nursery:

        async def victim() -> None:
            with pytest.raises(LedgerUnavailable, match="postgres_"):
                await db.fetch(SLOW, repeatable=False)

        nursery.start_soon(victim)
        [pid] = await running(db, SLOW, 1)
        await db.fetch("SELECT pg_terminate_backend($1)", pid)
    assert await db.value("SELECT 2") == 2


async def test_a_repeatable_statement_survives_its_connection(loop: None, fresh_postgres_dsn: str) -> None:
    """Fault 29: the reply to a commit is lost; the statement is repeated on a new connection, once."""
    proxy = PostgresProxy(fresh_postgres_dsn)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        async with open_postgres(proxy.dsn, max_connections=1) as db:
            await db.fetch("CREATE TABLE t (n int)")
            add = "INSERT INTO t SELECT 1"
            await db.fetch(add)
            proxy.lose_answers = 1
            await db.fetch(add)
            assert await db.value("SELECT count(*) FROM t") == 3
            proxy.lose_answers = 1
            with pytest.raises(LedgerUnavailable, match="postgres_connection_lost"):
                await db.fetch(add, repeatable=False)
            assert await db.value("SELECT count(*) FROM t") == 4
            nursery.cancel_scope.cancel()


async def test_a_connection_closed_by_the_server_while_idle_is_not_reused(
    loop: None, fresh_postgres_dsn: str
) -> None:
    """I10: who asks next has another one, also for what must not be asked twice."""
    proxy = PostgresProxy(fresh_postgres_dsn)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        async with open_postgres(proxy.dsn, max_connections=1) as db:
            pid = await db.value("SELECT pg_backend_pid()")
            await proxy.say_goodbye()
            await trio.testing.wait_all_tasks_blocked(0.05)
            another = await db.value("SELECT pg_backend_pid()", repeatable=False)
            assert another != pid
            await proxy.say_goodbye()
            assert await db.value("SELECT pg_backend_pid()") != another
        nursery.cancel_scope.cancel()


async def test_one_call_is_one_round_trip(loop: None, fresh_postgres_dsn: str) -> None:
    proxy = PostgresProxy(fresh_postgres_dsn)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        async with open_postgres(proxy.dsn, max_connections=1) as db:
            await db.value("SELECT $1::int", 1)
            before = proxy.round_trips
            await db.value("SELECT $1::int", 2)
            assert proxy.round_trips == before + 1
        nursery.cancel_scope.cancel()


async def test_collisions_are_retried(db: Postgres) -> None:
    """Fault 28: a deadlock and a unique key that another writer took are retried, a bounded number of times."""
    await db.fetch("CREATE TABLE t (tries int)")
    await db.fetch("CREATE SEQUENCE tries")
    for state in ("40P01", "40001", "23505"):
        await db.fetch(
            "CREATE OR REPLACE FUNCTION collide() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN"
            f" IF nextval('tries') % 3 <> 0 THEN RAISE EXCEPTION 'again' USING ERRCODE = '{state}'; END IF;"
            " RETURN currval('tries'); END $$"
        )
        assert await db.value("SELECT collide()") % 3 == 0
    await db.fetch("ALTER SEQUENCE tries INCREMENT 3 RESTART 1")
    with pytest.raises(LedgerError):
        await db.value("SELECT collide()")


async def test_slow_statements_and_locks_are_bounded(loop: None, fresh_postgres_dsn: str) -> None:
    """Fault 27."""
    db = Postgres(fresh_postgres_dsn, command_seconds=1, lock_seconds=0.2)
    await db.open()
    async with open_postgres(fresh_postgres_dsn) as other:
        with pytest.raises(LedgerUnavailable, match="postgres_statement_timeout"):
            await db.fetch(SLOW)
        await other.fetch("CREATE TABLE t (n int)")
        async with other.session() as session:
            await session.run("BEGIN; LOCK TABLE t")
            with pytest.raises(LedgerUnavailable, match="postgres_locked"):
                await db.fetch("SELECT FROM t")
    await db.close()


async def test_errors_contain_no_values(db: Postgres) -> None:
    """I11: Postgres quotes values in its messages; they are not passed on."""
    secret = "5511987654321"
    await db.fetch("CREATE TABLE t (phone text UNIQUE)")
    await db.fetch("INSERT INTO t VALUES ($1)", secret)
    for sql, args in (
        ("INSERT INTO t VALUES ($1)", (secret,)),
        ("SELECT ($1::text)::uuid", (secret,)),
        ("SELECT $1::int", (secret,)),
    ):
        with pytest.raises(LedgerError) as caught:
            await db.fetch(sql, *args)
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
    assert await db.value("SELECT 1") == 1


async def test_read_only_and_full_servers_are_waited_for(db: Postgres) -> None:
    """Fault 31."""
    await db.fetch("CREATE TABLE t (n int)")
    for sql, word in (
        ("SET TRANSACTION READ ONLY; INSERT INTO t VALUES (1)", "postgres_read_only"),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '53100'; END $$", "postgres_disk_full"),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '57P01'; END $$", "postgres_stopping_or_starting"),
    ):
        async with db.session() as session:
            with pytest.raises(LedgerUnavailable, match=word):
                await session.run(sql)


async def test_a_session_that_remembers_a_passing_state_is_replaced(
    db: Postgres, fresh_postgres_dsn: str
) -> None:
    """Session state outlives its cause: once the cause is over, the very next call works, on every connection."""
    await db.fetch("CREATE TABLE t (n int)")
    name = await db.value("SELECT current_database()")
    alter = f"ALTER DATABASE {name} SET default_transaction_read_only ="
    await db.renew()
    async with db.session() as owner:
        await owner.run(f"{alter} on")
        with pytest.raises(LedgerUnavailable, match="postgres_read_only"):
            await db.fetch("INSERT INTO t VALUES (0)")
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(db.fetch, "SELECT pg_sleep(0.1)")
        assert db.statistics().size == 2
        await owner.run(f"SET default_transaction_read_only = off; {alter} off")
        await db.fetch("INSERT INTO t VALUES (1)", repeatable=False)
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(db.fetch, "INSERT INTO t SELECT $1 FROM pg_sleep(0.05)", number)
    assert await db.value("SELECT count(*) FROM t") == 5


async def test_what_fails_inside_the_driver_is_held_and_its_session_replaced(
    db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the driver is not blamed on the work, and shows its class alone. The next call works."""
    before = await db.value("SELECT pg_backend_pid()")
    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "_execute", _fails_with_data)
        with pytest.raises(LedgerUnavailable, match=r"^postgres_driver_failed: KeyError$"):
            await db.value("SELECT 1")
    assert await db.value("SELECT pg_backend_pid()") != before


async def _fails_with_data(*_args: object, **_named: object) -> None:
    raise KeyError("5511987654321")


@pytest.mark.parametrize("argument", ["text", 2**40, object(), "\ud800"])
async def test_an_argument_that_cannot_be_encoded_is_blamed_on_the_work(
    db: Postgres, argument: object
) -> None:
    """Waiting does not help, and its session stays."""
    before = await db.value("SELECT pg_backend_pid()")
    with pytest.raises(LedgerError):
        await db.value("SELECT $1::text" if argument == "\ud800" else "SELECT $1::int", argument)
    assert await db.value("SELECT pg_backend_pid()") == before


async def test_an_error_that_a_session_may_keep_closes_it_and_renews_the_others_once(db: Postgres) -> None:
    await db.fetch("CREATE FUNCTION fail(code text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
                   " RAISE EXCEPTION 'x' USING ERRCODE = code; END $$")  # fmt: skip
    for code, kept in (
        ("22012", True),
        ("55P03", True),
        ("25006", False),
        ("XX000", False),
        ("ZZ999", False),
    ):
        before = await _two_sessions(db)
        with pytest.raises((LedgerError, LedgerUnavailable)):
            await db.value("SELECT fail($1)", code)
        assert await _two_sessions(db) & before == (before if kept else set()), code


async def _two_sessions(db: Postgres) -> set[int]:
    found: set[int] = set()

    async def ask() -> None:
        found.add(await db.value("SELECT pg_backend_pid() FROM pg_sleep(0.1)"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    return found


async def test_what_is_missing_is_named(db: Postgres) -> None:
    """The words name the table, and say that somebody has to change something."""
    with pytest.raises(LedgerMisconfigured, match=r"whatsapp_messages \(SQLSTATE 42P01\)"):
        await db.fetch("SELECT FROM whatsapp_messages")


async def test_opens_while_the_server_is_down(loop: None, tmp_path: Path) -> None:
    """Fault 15 for Postgres: the daemon starts not ready and waits."""
    db = Postgres(f"postgresql://majlis@/majlis?host={tmp_path}")
    await db.open()
    with pytest.raises(LedgerUnavailable, match="postgres_unreachable"):
        await db.value("SELECT 1")
    await db.close()
    with pytest.raises(LedgerUnavailable, match="postgres_closed"):
        await db.value("SELECT 1")


async def test_close_does_not_wait_forever_for_a_busy_connection(loop: None, fresh_postgres_dsn: str) -> None:
    db = Postgres(fresh_postgres_dsn, command_seconds=60)
    async with open_postgres(fresh_postgres_dsn) as watcher, trio.open_nursery() as nursery:
        await db.open()

        async def holder() -> None:
            with pytest.raises(LedgerUnavailable):
                await db.fetch(SLOW, repeatable=False)

        nursery.start_soon(holder)
        await running(watcher, SLOW, 1)
        with trio.fail_after(PATIENCE_SECONDS):
            await db.close(grace_seconds=0.1)
