"""The set of Postgres sessions: who waits is served in order, nothing is used that was left, every wait is bounded."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio_asyncio

from actors.errors import LedgerUnavailable
from daemon.stores import postgres, sessions
from daemon.stores.lane import Lane
from daemon.stores.postgres import PoolStatistics, Postgres
from tests.support import ledgers
from tests.support.certificates import AUTHORITY, SERVER
from tests.support.ledgers import open_postgres
from tests.support.patience import PATIENCE_SECONDS, until
from tests.support.pg_proxy import PostgresProxy


@pytest.fixture
async def loop() -> AsyncIterator[None]:
    async with trio_asyncio.open_loop():
        yield


@asynccontextmanager
async def proxied(dsn: str, command_seconds: float) -> AsyncIterator[tuple[Postgres, PostgresProxy]]:
    proxy = PostgresProxy(dsn)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        db = Postgres(proxy.dsn, max_connections=1, command_seconds=command_seconds)
        await db.open()
        yield db, proxy
        await db.close(grace_seconds=0)
        nursery.cancel_scope.cancel()


async def test_who_waits_is_served_in_order_and_nobody_overtakes(loop: None, fresh_postgres_dsn: str) -> None:
    """I9: one that gives up its wait costs the others nothing."""
    served: list[int] = []
    async with open_postgres(fresh_postgres_dsn, 1) as db, trio.open_nursery() as nursery:
        scopes = [trio.CancelScope() for _ in range(6)]

        async def ask(number: int) -> None:
            with scopes[number]:
                await db.fetch("SELECT pg_sleep($1)", 0.0 if number else 60.0)
                served.append(number)

        for number in range(6):
            nursery.start_soon(ask, number)
            await until(lambda wanted=number: (db.statistics().size, db.statistics().waiting) == (1, wanted))  # type: ignore[misc]
        scopes[2].cancel()
        scopes[0].cancel()
    assert served == [1, 3, 4, 5]


async def test_the_next_call_gets_no_session_before_the_server_has_given_up_what_was_left(
    loop: None, fresh_postgres_dsn: str
) -> None:
    """I8: however many calls end by a deadline, the server never has more sessions of ours than places."""
    counts = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'majlis' AND datname = $1"
    async with open_postgres(fresh_postgres_dsn, 1) as db:
        name = await db.value("SELECT current_database()::text")
        for _ in range(4):
            with trio.move_on_after(0.03) as deadline:
                await db.fetch("SELECT pg_sleep(60)")
            assert deadline.cancelled_caught
            assert await db.value(counts, name) == 1


async def test_a_server_without_room_lends_what_it_has(loop: None, fresh_postgres_dsn: str) -> None:
    """Connection limit: calls wait for one of the sessions that there are; without any, the reason is named."""
    async with open_postgres(fresh_postgres_dsn, 1) as owner:
        await owner.fetch("CREATE ROLE narrow LOGIN CONNECTION LIMIT 1")
        gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'narrow')"
        dsn = fresh_postgres_dsn.replace("majlis@", "narrow@", 1)
        try:
            async with open_postgres(dsn, 4) as db, trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(db.fetch, "SELECT pg_sleep(0.02)")
            await ledgers.until(owner, gone)
            async with open_postgres(dsn, 4) as db, open_postgres(dsn, 4) as other:
                await db.fetch("SELECT 1")
                async with trio.open_nursery() as nursery:
                    for _ in range(5):
                        nursery.start_soon(_fails, other, "postgres_too_many_connections")
                await db.close()
                await ledgers.until(owner, gone)
                assert await other.value("SELECT current_user::text") == "narrow"
            await ledgers.until(owner, gone)
        finally:
            with trio.move_on_after(PATIENCE_SECONDS, shield=True):
                await owner.fetch("DROP ROLE narrow")


async def _fails(db: Postgres, reason: str, text: str = "") -> None:
    with pytest.raises(LedgerUnavailable, match=f"^{reason}$"):
        await db.fetch("SELECT $1::text", text, repeatable=False)


async def test_a_server_that_does_not_answer_costs_its_session_and_not_the_place(
    loop: None, fresh_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I10: half-open connections. The farewell is bounded as well, for that server hears no request to cancel."""
    monkeypatch.setattr(postgres, "_CLIENT_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(sessions, "_FAREWELL_SECONDS", 0.1)
    monkeypatch.setattr(sessions, "_SWEEP_SECONDS", 0.05)
    async with proxied(fresh_postgres_dsn, command_seconds=0.1) as (db, proxy):
        with trio.fail_after(PATIENCE_SECONDS):
            for size in (1, 16_000_000):  # the second does not even go out
                await db.fetch("SELECT $1::text", "x")
                proxy.delay_seconds = 60
                await _fails(db, "postgres_timeout", "x" * size)
                proxy.delay_seconds = 0
            assert await db.value("SELECT 1") == 1


async def test_a_call_waits_for_a_session_so_long_and_no_longer(loop: None, fresh_postgres_dsn: str) -> None:
    """I8, and close while busy: who waits is told at once."""
    db = Postgres(fresh_postgres_dsn, max_connections=1, acquire_seconds=0.1)
    await db.open()
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_fails_at_close, db)
            await until(lambda: db.statistics().size == 1 and db.statistics().idle == 0)
            await _fails(db, "postgres_timeout")
            assert db.statistics().waiting == 0
            await db.close(grace_seconds=0)
    assert db.statistics().size == 0


async def _fails_at_close(db: Postgres) -> None:
    with pytest.raises(LedgerUnavailable):
        await db.fetch("SELECT pg_sleep(60)", repeatable=False)


async def test_much_in_one_statement_goes_and_comes(loop: None, fresh_postgres_dsn: str) -> None:
    """More than the socket takes at once, in both directions, beside others."""
    text = "سلام" * 1_000_000
    async with open_postgres(fresh_postgres_dsn, 3) as db, trio.open_nursery() as nursery:

        async def ask() -> None:
            assert await db.value("SELECT $1::text", text) == text

        for _ in range(3):
            nursery.start_soon(ask)


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
async def test_over_tls(loop: None, fresh_postgres_dsn: str, tmp_path: Path, negotiation: str) -> None:
    """As with a hosted Postgres: encrypted, the certificate is checked, what is left in the middle ends as well."""
    (tmp_path / "server.pem").write_text(SERVER)
    (tmp_path / "ca.pem").write_text(AUTHORITY)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    context.set_alpn_protocols(["postgresql"])
    proxy = PostgresProxy(fresh_postgres_dsn, context)
    query = f"sslmode=verify-full&sslrootcert={tmp_path}/ca.pem&sslnegotiation={negotiation}"
    text = "x" * 1_000_000
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        async with open_postgres(proxy.dsn.replace("sslmode=disable", query), 2) as db:
            for _ in range(3):
                assert await db.value("SELECT $1::text", text) == text
            with trio.move_on_after(0.05):
                await db.fetch("SELECT pg_sleep(60)")
            assert await db.value("SELECT $1::text", text) == text
            pid = await db.value("SELECT pg_backend_pid()")
            with pytest.raises(LedgerUnavailable, match="postgres_"):
                await db.fetch("SELECT pg_terminate_backend($1)", pid, repeatable=False)
            assert await db.value("SELECT 1") == 1
        nursery.cancel_scope.cancel()


async def test_what_people_look_at_leaves_the_other_connections_alone(
    loop: None, fresh_postgres_dsn: str
) -> None:
    """I9: many slow pages at once hold one connection; a turn's statement waits for none of them."""
    async with open_postgres(fresh_postgres_dsn, 3) as db, trio.open_nursery() as nursery:
        desk = Lane(db, most=1, wait_seconds=0.05)
        nursery.start_soon(desk.fetch, "SELECT pg_sleep(60)")
        await until(lambda: db.statistics().size == 1)
        for _ in range(5):
            await _fails(desk, "postgres_timeout")
        assert [await db.value("SELECT 1") for _ in range(3)] == [1] * 3
        assert db.statistics() == PoolStatistics(size=2, idle=1, max_connections=3)
        nursery.cancel_scope.cancel()
    assert db.statistics().size == 0


async def test_a_server_that_is_away_is_not_asked_by_everybody(loop: None) -> None:
    """I8: thousands of turns that find it away at once hear the same; a moment later somebody tries again."""
    tries: list[object] = []

    async def connect(loop: object) -> object:
        tries.append(loop)
        raise ConnectionRefusedError

    away = sessions.SessionSet(connect, lambda _error: False, 1, acquire_seconds=1, statement_seconds=1)
    for _ in range(2):
        tries.clear()
        for _ in range(20):
            with pytest.raises(ConnectionRefusedError):
                await away.borrow()
        assert len(tries) < 20
        await trio.sleep(sessions._REFUSED_SECONDS)
        assert tries
    assert (away.size, away.waiting) == (0, 0)
