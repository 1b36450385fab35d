"""Stores outside the daemon, which a test can stop, freeze, weaken and restart.

The daemon reaches them by `redis.url` and `postgres.dsn`, like any external servers.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

import asyncpg
import redis

from daemon.stores.embedded_postgres import EmbeddedPostgres
from daemon.stores.embedded_redis import EmbeddedRedis
from tests.acceptance.harness import Tree
from tests.acceptance.ready_cluster import put_cluster
from tests.support.scratch import scratch_dir
from tests.support.stores import execute, postgres_in_a_thread, redis_in_a_thread

ServerT = TypeVar("ServerT", EmbeddedRedis, EmbeddedPostgres)


class OwnStore(Generic[ServerT]):
    """One store on a directory; its data and address survive `down()` and `up()`."""

    def __init__(self, run: Callable[[Path], AbstractContextManager[ServerT]], directory: Path) -> None:
        self._run: Callable[[Path], AbstractContextManager[ServerT]] = run
        self._directory = directory
        self._life = ExitStack()
        self.up()

    def up(self) -> None:
        self.server: ServerT = self._life.enter_context(self._run(self._directory))

    def down(self) -> None:
        self._life.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stopped inside the block: connections are refused."""
        self.down()
        try:
            yield
        finally:
            self.up()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Frozen inside the block: connections succeed, nothing is answered."""
        pid = self.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


class OwnStores:
    """A Redis and a Postgres for the daemons of one test module."""

    def __init__(self, directory: Path) -> None:
        self.redis = OwnStore(redis_in_a_thread, directory / "r")
        self.postgres = OwnStore(postgres_in_a_thread, directory / "p")

    @property
    def settings(self) -> Tree:
        return {"redis": {"url": self.redis.server.url}, "postgres": {"dsn": self.postgres.server.dsn}}

    @contextmanager
    def redis_client(self) -> Iterator[redis.Redis]:
        with redis.Redis.from_url(self.redis.server.url) as client:
            yield client

    @contextmanager
    def read_only_postgres(self) -> Iterator[None]:
        """As after a failover to a replica: sessions that begin inside can only read, those from before are gone."""
        self._order("on")
        try:
            yield
        finally:
            self._order("off")

    def query(self, sql: str) -> None:
        """As the business' own software does it."""
        asyncio.run(execute(self.postgres.server.dsn, sql))

    def _order(self, mode: str) -> None:
        asyncio.run(_order(self.postgres.server.dsn, mode))


async def _order(dsn: str, mode: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"default_transaction_read_only": "off"})
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {mode}")
    if mode == "on":
        await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
    await connection.close()


@contextmanager
def own_stores(*, migrated: bool = False) -> Iterator[OwnStores]:
    """Up; removed at the end. `migrated`: the Postgres has Majlis' tables already."""
    with TemporaryDirectory(prefix="majlis-", dir=scratch_dir()) as directory:
        if migrated:
            put_cluster(Path(directory) / "p")
        stores = OwnStores(Path(directory))
        try:
            yield stores
        finally:
            stores.redis.down()
            stores.postgres.down()
