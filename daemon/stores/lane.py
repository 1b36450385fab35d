"""A part of a database's connections, for what must not hold up the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from actors.errors import LedgerUnavailable
from daemon.stores.postgres import PoolStatistics, Postgres, PostgresSession, Row


class Lane(Postgres):
    """The same connections, of which its calls have at most `most` at once; who waits is served in order.

    It opens and closes with the whole.

    Args:
      wait_seconds: how long a call waits for its place among these.
    """

    def __init__(self, whole: Postgres, most: int, wait_seconds: float = 10.0) -> None:
        self._whole = whole  # and nothing of its own
        self._places = trio.Semaphore(most)
        self._wait_seconds = wait_seconds

    async def open(self) -> None:
        """The whole is opened."""

    async def close(self, grace_seconds: float = 5.0) -> None:
        """The whole is closed."""

    async def fetch(self, sql: str, *args: object, repeatable: bool = True) -> list[Row]:
        """As the whole's, in one of these places."""
        with trio.move_on_after(self._wait_seconds) as wait:
            await self._places.acquire()
        if wait.cancelled_caught:
            raise LedgerUnavailable("postgres_timeout")
        try:
            return await self._whole.fetch(sql, *args, repeatable=repeatable)
        finally:
            self._places.release()

    async def renew(self) -> None:
        await self._whole.renew()

    def statistics(self) -> PoolStatistics:
        return self._whole.statistics()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[PostgresSession]:
        async with self._whole.session() as session:
            yield session
