"""Reads what was set at run time, for this daemon and for instances: flags and settings, in one query.

Laws of this file:
1. One reading at a time: else one begun before a change could overwrite it.
2. While Postgres is away, what was read last stays in force.

When it is to be read again, `daemon/tenants/changes.py` knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from daemon.ledger.records import Records
from daemon.ledger.rows import RunTimeRows

MAX_SETTINGS = 50_000
"""How many settings are read: 300 instances with all of theirs are a third of it."""

INSTANCE_SCOPE = "instance:"
"""Before the name of an instance, in the scope of what is set for it."""

TakeRows = Callable[[RunTimeRows], Awaitable[None]]
"""Puts what was read in force."""


class RunTime:
    """`follow` it, then `refresh` it."""

    def __init__(self, records: Records, node_id: str) -> None:
        self.node_id = node_id
        self._records = records
        self._reading = trio.Lock()
        self._takers: list[TakeRows] = []

    def follow(self, take: TakeRows) -> None:
        """`take` gets every reading, after those who follow already."""
        self._takers.append(take)

    async def refresh(self) -> RunTimeRows:
        """Read it again, and put it in force. Raises `LedgerUnavailable`."""
        async with self._reading:
            rows = await self._records.run_time(self.daemon_scope, MAX_SETTINGS)
            for take in self._takers:
                await take(rows)
        return rows

    def scope(self, instance: str | None) -> str:
        """None: this daemon."""
        return self.daemon_scope if instance is None else f"{INSTANCE_SCOPE}{instance}"

    def instance(self, scope: str) -> str | None:
        """The instance of a scope that was read; None for that of this daemon."""
        return None if scope == self.daemon_scope else scope.removeprefix(INSTANCE_SCOPE)

    @property
    def daemon_scope(self) -> str:
        return f"daemon:{self.node_id}"
