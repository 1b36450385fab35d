"""The embedded servers as real processes: what they store and what they survive."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import asyncpg
import pytest
import trio

from daemon.stores.embedded_postgres import run_embedded_postgres
from tests.daemon.stores.embedded_harness import (
    Events,
    a_daemon,
    ask_postgres,
    ask_redis,
    environment_of,
    kill,
    processes_in,
    running_postgres,
    running_redis,
)
from tests.support.patience import until


async def test_redis_finds_its_data_after_a_stop(data_dir: Path) -> None:
    events = Events()
    async with running_redis(data_dir, events) as first:
        await ask_redis(first.url, "SET", "kept", "1")
    assert events.seen[-1][0] == "store.stopped"
    assert events.seen[-1][1]["signal"] == "SIGTERM", "it stops when asked gently"
    assert not processes_in(data_dir)
    async with running_redis(data_dir) as second:
        assert second.url == first.url
        assert await ask_redis(second.url, "GET", "kept") == "1"


async def test_postgres_finds_its_data_after_a_stop(data_dir: Path) -> None:
    events = Events()
    async with running_postgres(data_dir, events) as first:
        await ask_postgres(first.dsn, "CREATE TABLE kept AS SELECT 'مجلس' AS word")
    assert events.seen[-1][1]["signal"] == "SIGINT", "it stops when asked gently"
    assert not processes_in(data_dir)
    async with running_postgres(data_dir, events) as second:
        assert second.dsn == first.dsn
        assert await ask_postgres(second.dsn, "SELECT word FROM kept") == "مجلس"
    assert events.count("store.creating") == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("maxmemory-policy", "noeviction"),
        ("save", ""),
        ("port", "0"),
        ("aof-load-truncated", "yes"),
    ],
)
async def test_the_redis_settings_are_in_force(redis_url: str, setting: str, value: str) -> None:
    """I1, I15: the server really has the durability on which acknowledgements rely."""
    assert await ask_redis(redis_url, "CONFIG", "GET", setting) in ({setting: value}, [setting, value])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("max_connections", "60"),
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
    ],
)
async def test_the_postgres_settings_are_in_force(
    durable_postgres_dsn: str, setting: str, value: str
) -> None:
    assert await ask_postgres(durable_postgres_dsn, f"SHOW {setting}") == value


async def test_postgres_knows_the_letters_of_every_script(postgres_dsn: str) -> None:
    assert await ask_postgres(postgres_dsn, "SELECT lower('ÄΩ') || length('مجلس')") == "äω4"


async def test_postgres_has_pgvector(fresh_postgres_dsn: str) -> None:
    await ask_postgres(fresh_postgres_dsn, "CREATE EXTENSION vector")
    assert await ask_postgres(fresh_postgres_dsn, "SELECT '[1,2]'::vector <-> '[1,2]'") == 0


async def test_a_killed_redis_restarts_and_keeps_acknowledged_writes(data_dir: Path) -> None:
    """I1: an acknowledged write survives SIGKILL of Redis alone."""
    events = Events()
    async with running_redis(data_dir, events) as server:
        for life in range(3):
            await ask_redis(server.url, "SET", f"life{life}", "1")
            await kill(data_dir, lambda: server.pid, events)
        assert await ask_redis(server.url, "DBSIZE") == 3


async def test_a_killed_postgres_restarts_and_keeps_committed_data(data_dir: Path) -> None:
    """I1: a committed transaction survives SIGKILL of the postmaster alone."""
    events = Events()
    async with running_postgres(data_dir, events) as server:
        await ask_postgres(server.dsn, "CREATE TABLE kept (life int)")
        for life in range(2):
            await ask_postgres(server.dsn, f"INSERT INTO kept VALUES ({life})")
            await kill(data_dir, lambda: server.pid, events)
        assert await ask_postgres(server.dsn, "SELECT count(*) FROM kept") == 2


async def test_no_server_outlives_a_killed_daemon(data_dir: Path) -> None:
    """I2: SIGKILL of the daemon leaves no process behind that would hinder a restart."""
    async with a_daemon(data_dir) as (process, pids):
        assert set(pids.values()) <= set(processes_in(data_dir))
        process.kill()
        await until(lambda: not processes_in(data_dir))


async def test_a_restart_right_after_a_kill_finds_the_data(data_dir: Path) -> None:
    """I13: the new servers wait for the old ones to end instead of failing, and never run beside them."""
    async with a_daemon(data_dir) as (process, _):
        url = f"unix://{data_dir}/run/redis.sock"
        assert await ask_redis(url, "SET", "kept", "1")
        process.kill()
        async with running_redis(data_dir) as new_redis, running_postgres(data_dir) as new_postgres:
            assert await ask_redis(new_redis.url, "GET", "kept") == "1"
            assert await ask_postgres(new_postgres.dsn, "SELECT current_database()") == "majlis"


async def test_a_server_inherits_neither_the_terminal_nor_the_secrets_of_the_daemon(data_dir: Path) -> None:
    """I11: the daemon's environment holds secrets; and only the daemon handles Ctrl-C."""
    async with a_daemon(data_dir, MAJLIS_GATEWAY__API_KEY="canary") as (process, pids):
        for pid in pids.values():
            assert b"canary" not in environment_of(pid)
            assert os.getsid(pid) == pid != os.getsid(process.pid)


async def test_failing_statements_stay_out_of_the_log(data_dir: Path) -> None:
    """I11: statements and error details contain the messages of customers."""
    async with running_postgres(data_dir) as server:
        await ask_postgres(server.dsn, "CREATE TABLE people (phone text PRIMARY KEY)")
        for _ in range(2):
            with suppress(asyncpg.UniqueViolationError):
                await ask_postgres(server.dsn, "INSERT INTO people VALUES ('canary')")
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await ask_postgres(server.dsn, "SELECT 'canary'::text::int")
    assert "canary" not in (data_dir / "log" / "postgres.log").read_text()


async def test_an_interrupted_creation_leaves_no_half_made_cluster(data_dir: Path) -> None:
    """I13: after a kill in the middle of the first start, the next start begins from scratch."""
    unfinished = data_dir / "postgres.new"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(run_embedded_postgres, data_dir, on_event=Events()))
        await until(lambda: unfinished.is_dir() and any(unfinished.iterdir()))
        nursery.cancel_scope.cancel()
    assert not (data_dir / "postgres").exists()
    assert any(unfinished.iterdir())
    async with running_postgres(data_dir) as server:
        assert await ask_postgres(server.dsn, "SELECT 1") == 1
    assert not unfinished.exists()


async def test_a_reused_process_id_does_not_keep_postgres_from_starting(
    data_dir: Path, stranger: subprocess.Popen[bytes]
) -> None:
    """I13: after a restart of the container, the process id in the old lock files belongs to another process."""
    async with running_postgres(data_dir) as server:
        locks = [data_dir / "postgres" / "postmaster.pid", data_dir / "run" / ".s.PGSQL.5432.lock"]
        texts = [lock.read_text().replace(str(server.pid), str(stranger.pid)) for lock in locks]
    for lock, text in zip(locks, texts, strict=True):
        lock.write_text(text)
    async with running_postgres(data_dir) as server:
        assert await ask_postgres(server.dsn, "SELECT 1") == 1


async def test_a_torn_last_write_is_dropped(data_dir: Path) -> None:
    """I1: a write that a kill tore was never acknowledged; everything before it is there."""
    async with running_redis(data_dir) as server:
        await ask_redis(server.url, "SET", "kept", "1")
    directory = data_dir / "redis"
    written = next(directory.rglob("*.incr.aof"), directory / "appendonly.aof")  # of Redis 7, and of 6.2
    with written.open("a") as log:
        log.write("*3\r\n$3\r\nSET\r\n$4\r\nto")
    written.with_name("temp-rewriteaof-1.aof").touch()
    async with running_redis(data_dir) as server:
        assert await ask_redis(server.url, "KEYS", "*") == ["kept"]
    assert not list(directory.rglob("temp-*"))
