"""What a turn costs the stores, by their own statistics: WAL, transactions, fsyncs, updates, scripts, statements."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

import asyncpg

from bench.servers import Server

_POSTGRES = """
    SELECT (SELECT wal_bytes FROM pg_stat_wal)::float8 AS wal_bytes,
           (SELECT wal_fpi FROM pg_stat_wal)::float8 AS wal_images,
           (SELECT xact_commit + xact_rollback FROM pg_stat_database
            WHERE datname = current_database())::float8 AS transactions,
           (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal')::float8 AS wal_fsyncs,
           (SELECT sum(n_tup_upd) FROM pg_stat_user_tables)::float8 AS updates,
           (SELECT sum(n_tup_hot_upd) FROM pg_stat_user_tables)::float8 AS hot_updates,
           (SELECT sum(n_tup_upd) FROM pg_stat_user_tables WHERE relname ~ '^(majlis_)?turns$')::float8
               AS turn_updates,
           (SELECT sum(n_tup_hot_upd) FROM pg_stat_user_tables WHERE relname ~ '^(majlis_)?turns$')::float8
               AS hot_turn_updates
"""
_SCRIPTS = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_fcall")
TRANSACTIONS_OF_A_LOOK = 2
"""What `read` itself adds to them: one to connect, and its statement."""
_ENOUGH_SECONDS = 1.5
"""A backend tells its statistics once a second at most."""


@dataclass(frozen=True)
class Counts:
    """Totals since the servers started, or what was added between two of them."""

    wal_bytes: float = 0.0
    wal_images: float = 0.0
    """Pages that were logged whole, as each is when it is first changed after a checkpoint; they are in `wal_bytes`."""
    transactions: float = 0.0
    wal_fsyncs: float = 0.0
    updates: float = 0.0
    hot_updates: float = 0.0
    """Those that touched no index."""
    turn_updates: float = 0.0
    """Of the table of turns alone."""
    hot_turn_updates: float = 0.0
    scripts: float = 0.0
    """Script calls of Redis."""
    commands: float = 0.0
    """Commands of Redis, those inside scripts too."""

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, one.name) - getattr(other, one.name) for one in fields(self)))

    def per(self, turns: float) -> dict[str, float]:
        """Per turn; of the updates that touched no index the share."""
        found = {one.name: getattr(self, one.name) / max(turns, 1) for one in fields(self)}
        for hot, every in (("hot_updates", "updates"), ("hot_turn_updates", "turn_updates")):
            found[hot] = found[hot] / found[every] if found[every] else 0.0
        return found


def read_postgres(dsn: str) -> Counts:
    """Read Postgres alone."""
    found = asyncio.run(_fetch(dsn, _POSTGRES))
    return Counts(**{name: float(value or 0) for name, value in found.items()})


def read(server: Server, sockets: Path) -> Counts:
    """Read both stores."""
    with server.redis() as store:
        stats, scripts = store.info("stats"), store.info("commandstats")
    return replace(
        read_postgres(f"postgresql://majlis@/majlis?host={sockets}"),
        scripts=float(sum(scripts[name]["calls"] for name in _SCRIPTS if name in scripts)),
        commands=float(stats["total_commands_processed"]),
    )


def watch_commands(server: Server, seconds: float) -> int:
    """How many commands clients send to Redis in this time; what scripts do inside is not counted."""
    until, count, rest = time.monotonic() + seconds, 0, b""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(server.redis_socket))
        monitor.sendall(b"MONITOR\r\n")
        while (left := until - time.monotonic()) > 0:
            monitor.settimeout(left)
            with suppress(TimeoutError):
                *lines, rest = (rest + monitor.recv(65536)).split(b"\r\n")
                count += sum(b" lua] " not in line[:60] for line in lines)
    return count - 1  # the answer to MONITOR itself


def settle() -> None:
    """Wait until the backends have told what they did."""
    time.sleep(_ENOUGH_SECONDS)


def log_statements(sockets: Path) -> None:
    """Let Postgres write each statement to its log from now on: its clients are made to connect anew."""
    asyncio.run(_execute(sockets, "ALTER DATABASE majlis SET log_statement = 'all'"))
    asyncio.run(
        _execute(
            sockets,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'majlis' AND pid <> pg_backend_pid()",
        )
    )


def logged_statements(log: Path) -> int:
    """The statements in a log of Postgres."""
    with log.open("rb") as lines:
        return sum(b"LOG:  execute " in line or b"LOG:  statement: " in line for line in lines)


async def _fetch(dsn: str, statement: str) -> asyncpg.Record:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchrow(statement)
    finally:
        connection.terminate()


async def _execute(sockets: Path, statement: str) -> None:
    connection = await asyncpg.connect(host=str(sockets), user="majlis", database="majlis")
    try:
        await connection.execute(statement)
    finally:
        connection.terminate()


def run_script(sockets: Path, script: str) -> None:
    """Run many statements."""
    asyncio.run(_execute(sockets, script))
