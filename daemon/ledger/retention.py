"""Deletes what is older than the settings say, and measures what the tables take.

Laws of this file:
1. Nothing is deleted unless its setting is set. What Majlis shares with other software has settings of its own.
2. A turn goes whole: with its parts and the ids of its messages. Only one that has ended goes, and no dead letter.
3. Each statement reads and deletes a bounded portion, so it holds its locks briefly. A row that somebody works with
   stays for the next round.
4. One daemon does it, the owner of the first partition. If two did, nothing but work would be lost.
5. What cannot be deleted (a foreign key, missing rights) keeps nothing else from being deleted.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

import trio

from actors.errors import LedgerUnavailable
from actors.ports import Feed
from daemon.ledger.portions import PAUSE_SECONDS, delete_in_portions
from daemon.ledger.rows import TableSize
from daemon.ledger.sql import statements
from daemon.stores.postgres import LedgerError, Postgres

EVERY_SECONDS = 3_600.0
SHARED_EVERY_SECONDS = 86_400.0
"""A shared table is read from end to end."""
PORTION = 500
"""Rows per statement."""
BLOCKS = 256
"""Of a shared table per statement: 2 MiB of rows."""
FIRST_PARTITION = 0
SHARED = ("whatsapp_messages", "whatsapp_ai_interactions")
_SIZED = (*SHARED, "whatsapp_conversations", "whatsapp_escalated_conversations")

_SQL = statements("retention.sql")


Delete = Callable[[int], Awaitable[int]]
"""Deletes what is more than so many days old; returns how much."""


class Retention:
    """One task.

    Args:
      kept_days: for how many days each kind is kept: `turns`, `audit`, `quarantine`, or a shared table. None: for good.
      owned: the partitions that this daemon acts for.
      forget_payloads: of this daemon's own quarantine; may raise OSError.
    """

    def __init__(
        self,
        db: Postgres,
        kept_days: Mapping[str, int | None],
        owned: Callable[[], Collection[int]],
        forget_payloads: Delete,
        feed: Feed,
    ) -> None:
        self._db = db
        self._kept_days = kept_days
        self._owned = owned
        self._feed = feed
        self._sizes: Sequence[TableSize] = ()
        self._here: Mapping[str, Delete] = {"quarantine": forget_payloads}
        self._in_ledger: Mapping[str, Delete] = {
            "turns": self._turns,
            "audit": self._audit,
        }
        self._in_shared: Mapping[str, Delete] = {table: partial(self._shared, table) for table in SHARED}
        self._shared_at = -math.inf

    def sizes(self) -> Sequence[TableSize]:
        """As measured within the last hour, the largest first; empty: not measured yet."""
        return self._sizes

    async def run(self) -> None:
        """Look every `EVERY_SECONDS`, until cancelled."""
        while True:
            await self.look()
            await trio.sleep(EVERY_SECONDS)

    async def look(self) -> dict[str, int]:
        """Delete all that is too old, then measure. Raises nothing; returns how much of each kind is gone."""
        is_ours, now = FIRST_PARTITION in self._owned(), trio.current_time()
        wanted = dict(self._here)
        if is_ours:
            wanted |= self._in_ledger
        if is_ours and now >= self._shared_at + SHARED_EVERY_SECONDS:
            wanted |= self._in_shared
            self._shared_at = now
        gone = dict[str, int]()
        for kind, delete in wanted.items():
            days = self._kept_days.get(kind)
            if days is not None and (count := await self._tried(kind, partial(delete, days))):
                gone[kind] = count
        if gone:
            self._feed.emit("retention.done", None, **gone)
        await self._tried("sizes", partial(self._measure, is_ours))
        return gone

    async def _tried(self, kind: str, work: Callable[[], Awaitable[int]]) -> int:
        try:
            return await work()
        except (LedgerUnavailable, LedgerError, OSError) as error:
            self._feed.emit("retention.failed", None, kind=kind, error=str(error))
            return 0

    async def _turns(self, days: int) -> int:
        """From the first turn on, up to the first portion in which none is too old: numbers grow with time."""
        total: int = 0
        after = 0
        while True:
            (page,) = await self._db.fetch(_SQL["old_turns"], after, days, PORTION)
            total += page["gone"]
            if not page["old"]:
                return total
            after = page["last"]
            await trio.sleep(PAUSE_SECONDS)

    async def _audit(self, days: int) -> int:
        return await delete_in_portions(self._db, _SQL["old_audit"], PORTION, days)

    async def _shared(self, table: str, days: int) -> int:
        found = await self._db.fetch(_SQL["shared_blocks"], table)
        if not found:
            words = "it is no plain table: whoever made it so has to delete from it"
            self._feed.emit("retention.failed", None, kind=table, error=words)
            return 0
        sql, total = _SQL["old_shared"].replace("{table}", table), 0
        for block in range(0, found[0]["blocks"], BLOCKS):
            total += await self._db.value(sql, block, block + BLOCKS, days)
            await trio.sleep(PAUSE_SECONDS)
        return total

    async def _measure(self, is_noted: bool) -> int:
        rows = await self._db.fetch(_SQL["sizes"], is_noted, list(_SIZED))
        self._sizes = [TableSize(**row) for row in rows]
        return len(rows)
