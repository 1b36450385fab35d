"""Reads what was set at run time, for this daemon and for instances: flags and settings, in one query.

Laws of this file:
1. One reading at a time: else one begun before a change could overwrite it.
2. While Postgres is away, what was read last stays in force.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from actors.errors import LedgerUnavailable
from actors.ports import Feed
from daemon.ledger.records import Records
from daemon.ledger.rows import RunTimeRows
from daemon.stores.postgres import LedgerError, LedgerMisconfigured

REFRESH_SECONDS = 30.0
"""How often it is read again: other daemons on this database may have set something."""
MAX_SETTINGS = 50_000
"""How many settings are read: 300 instances with all of theirs are a third of it."""

TakeRows = Callable[[RunTimeRows], Awaitable[None]]
"""Puts what was read in force."""


class RunTime:
    """`follow` it, then start it."""

    def __init__(self, records: Records, node_id: str, feed: Feed) -> None:
        self.node_id = node_id
        self._records = records
        self._feed = feed
        self._reading = trio.Lock()
        self._takers: list[TakeRows] = []

    def follow(self, take: TakeRows) -> None:
        """`take` gets every reading, after those who follow already."""
        self._takers.append(take)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the database until cancelled; started after the first reading, even if that failed."""
        await self._try_refresh()
        task_status.started()
        while True:
            await trio.sleep(REFRESH_SECONDS)
            await self._try_refresh()

    async def refresh(self) -> RunTimeRows:
        """Read it again, and put it in force. Raises `LedgerUnavailable`."""
        async with self._reading:
            rows = await self._records.run_time(self.daemon_scope, MAX_SETTINGS)
            for take in self._takers:
                await take(rows)
        return rows

    def scope(self, instance: str | None) -> str:
        """None: this daemon."""
        return self.daemon_scope if instance is None else f"{_INSTANCE}{instance}"

    def instance(self, scope: str) -> str | None:
        """The instance of a scope that was read; None for that of this daemon."""
        return None if scope == self.daemon_scope else scope.removeprefix(_INSTANCE)

    @property
    def daemon_scope(self) -> str:
        return f"daemon:{self.node_id}"

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except (LedgerError, LedgerMisconfigured) as error:
            self._feed.emit("daemon.problem", part="run time", error=type(error).__name__)
        except LedgerUnavailable:
            pass  # law 2; the store watch reports it


_INSTANCE = "instance:"
