"""Reads what was set at run time, for this daemon and for instances: flags and settings, in one query.

Laws of this file:
1. One reading at a time: else one begun before a change could overwrite it.
2. While Postgres is away, what was read last stays in force.
3. After the first reading only that is read again in which something changed, and what stayed equal stays the same
   object: whoever follows sees at a glance what is new.
4. What was set in one change comes into force in one moment: who follows does not wait between the first that is put in
   force and the return of `refresh`.

When it is to be read again, and what of it, `daemon/tenants/changes.py` knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple

import trio

from daemon.ledger.records import Records
from daemon.ledger.rows import ScopeRows

MAX_SETTINGS = 50_000
"""How many settings are read: 300 instances with all of theirs are a third of it."""

INSTANCE_SCOPE = "instance:"
"""Before the name of an instance, in the scope of what is set for it."""


class RunTimeRows(NamedTuple):
    """What was read."""

    scopes: Mapping[str, ScopeRows]
    """All that is set, by scope."""
    buckets: Collection[int] | None = None
    """What was read again; None: everything."""


TakeRows = Callable[[RunTimeRows], Awaitable[None]]
"""Puts what was read in force."""


class RunTime:
    """`follow` it, then `refresh` it."""

    def __init__(self, records: Records, node_id: str) -> None:
        self.node_id = node_id
        self._records = records
        self._reading = trio.Lock()
        self._takers: list[TakeRows] = []
        self._scopes: Mapping[str, ScopeRows] | None = None
        """As they were put in force; None: never."""

    def follow(self, take: TakeRows) -> None:
        """`take` gets every reading, after those who follow already."""
        self._takers.append(take)

    async def refresh(self, buckets: Collection[int] | None = None) -> Mapping[str, ScopeRows]:
        """Read it again, all of it or what lies in these buckets, and put it in force. Raises `LedgerUnavailable`."""
        async with self._reading:
            before = self._scopes
            if (
                before is None or _count(before) >= MAX_SETTINGS
            ):  # then what is read depends on all the others
                before, buckets = before or {}, None
            found = await self._records.run_time(self.daemon_scope, MAX_SETTINGS, buckets)
            stays = {} if buckets is None else _without(before, buckets)
            now = stays | {scope: _same(before.get(scope), rows) for scope, rows in found.items()}
            for take in self._takers:
                await take(RunTimeRows(now, buckets))
            self._scopes = now
        return now

    def scope(self, instance: str | None) -> str:
        """None: this daemon."""
        return self.daemon_scope if instance is None else f"{INSTANCE_SCOPE}{instance}"

    def instance(self, scope: str) -> str | None:
        """The instance of a scope that was read; None for that of this daemon."""
        return None if scope == self.daemon_scope else scope.removeprefix(INSTANCE_SCOPE)

    @property
    def daemon_scope(self) -> str:
        return f"daemon:{self.node_id}"


def _count(scopes: Mapping[str, ScopeRows]) -> int:
    return sum(len(rows.settings) for rows in scopes.values())


def _without(scopes: Mapping[str, ScopeRows], buckets: Collection[int]) -> dict[str, ScopeRows]:
    return {scope: rows for scope, rows in scopes.items() if rows.bucket not in buckets}


def _same(before: ScopeRows | None, now: ScopeRows) -> ScopeRows:
    return before if before is not None and before == now else now
