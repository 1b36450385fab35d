"""The embedded Redis and Postgres for tests: one of each per test session, emptied or fresh for each test."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from unittest import mock

import asyncpg
import redis
import trio
import trio_asyncio

from daemon.ledger import migrate
from daemon.stores import embedded_postgres
from daemon.stores.embedded_postgres import EmbeddedPostgres, run_embedded_postgres
from daemon.stores.embedded_redis import EmbeddedRedis, run_embedded_redis
from tests.support.ledgers import open_postgres
from tests.support.patience import PATIENCE_SECONDS
from tests.support.redis_program import tested_redis_program

ServerT = TypeVar("ServerT")
ServerT_co = TypeVar("ServerT_co", covariant=True)


class _Run(Protocol[ServerT_co]):
    def __call__(
        self,
        data_dir: Path,
        *,
        on_event: Callable[[str, Mapping[str, object]], None],
        task_status: trio.TaskStatus[ServerT_co],
    ) -> Awaitable[None]: ...


@dataclass(frozen=True)
class _Started(Generic[ServerT]):
    server: ServerT
    stop: Callable[[], None]


def _ignore_event(_event: str, _fields: Mapping[str, object]) -> None:
    pass


@contextmanager
def _in_a_thread(run: _Run[ServerT], data_dir: Path) -> Iterator[ServerT]:
    """Run an embedded server in its own Trio loop, for code without one.

    The thread must outlive the server: the parent-death signal fires when the thread that started the child ends.
    """
    answer: queue.SimpleQueue[_Started[ServerT] | Exception] = queue.SimpleQueue()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            server: ServerT = await nursery.start(partial(run, data_dir, on_event=_ignore_event))
            token = trio.lowlevel.current_trio_token()
            answer.put(_Started(server, lambda: token.run_sync_soon(nursery.cancel_scope.cancel)))

    def thread_main() -> None:
        try:
            trio.run(main)
        except Exception as error:
            answer.put(error)

    thread = threading.Thread(target=thread_main, name=f"stores in {data_dir}", daemon=True)
    thread.start()
    started = answer.get(timeout=600)
    if isinstance(started, Exception):
        raise started
    try:
        yield started.server
    finally:
        started.stop()
        thread.join()


@contextmanager
def redis_in_a_thread(data_dir: Path) -> Iterator[EmbeddedRedis]:
    with _in_a_thread(partial(run_embedded_redis, program=tested_redis_program()), data_dir) as server:
        yield server


@contextmanager
def postgres_in_a_thread(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    with _in_a_thread(run_embedded_postgres, data_dir) as server:
        yield server


_HASTE = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    # Statistics and visibility are what a test makes them: they decide plans.
    "autovacuum": "off",
}


@contextmanager
def hasty_postgres_in_a_thread(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """One that would forget everything in a power cut, for tests of what it holds: dropping a database is cheap."""
    with ExitStack() as stack:
        with mock.patch.dict(embedded_postgres._ENFORCED_SETTINGS, _HASTE):
            server = stack.enter_context(postgres_in_a_thread(data_dir))
        yield server


_database_numbers = itertools.count(1)


@contextmanager
def empty_redis_database(url: str) -> Iterator[str]:
    """One of the server's sixteen databases, emptied, in rotation: leftovers of an earlier test reach another one."""
    fresh = url.replace("db=0", f"db={next(_database_numbers) % 16}")
    with redis.Redis.from_url(fresh) as client:
        client.flushdb()
    yield fresh


@contextmanager
def new_postgres_database(dsn: str, template: str = "template1") -> Iterator[str]:
    """A database of its own on the server, dropped afterwards together with whoever still uses it.

    The files of the template are copied: through the log of the server, as is usual, each costs three times as much.
    """
    name = f"test_{next(_database_numbers)}"
    asyncio.run(execute(dsn, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield _database(dsn, name)
    asyncio.run(execute(dsn, f"DROP DATABASE {name} WITH (FORCE)"))


def make_migrated_template(dsn: str) -> str:
    """A database with the whole schema and nothing in it; gives back its name. Copying it is quicker than migrating."""
    name = "migrated"
    asyncio.run(execute(dsn, f"CREATE DATABASE {name}"))
    migrate_in_a_thread(_database(dsn, name))
    return name


def migrate_in_a_thread(dsn: str) -> None:
    """For code that runs beside somebody else's event loop, such as that of a browser's driver."""

    async def main() -> None:
        async with trio_asyncio.open_loop(), open_postgres(dsn) as db:
            await migrate(db)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(trio.run, main).result()


def _database(dsn: str, name: str) -> str:
    return dsn.replace("/majlis?", f"/{name}?")


async def execute(dsn: str, statement: str) -> None:
    """asyncio-flavoured: run one statement on a connection of its own."""
    connection = await asyncpg.connect(dsn, timeout=PATIENCE_SECONDS)
    try:
        await connection.execute(statement, timeout=PATIENCE_SECONDS)
    finally:
        connection.terminate()
