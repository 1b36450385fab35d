"""What the targets are judged by, in the ledger: turns that ended, and what was carried minute by minute."""

from __future__ import annotations

from collections.abc import Sequence

from actors.targets import LoadFigures, Minute, TurnFigures
from daemon.ledger.sql import statements
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

MAX_TURNS = 50_000
"""The newest turns that are read: it bounds the work where a day has more."""
KEEP_SECONDS = 32 * 86_400.0

_SQL = statements("targets.sql")


class TargetRecords:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def turns(
        self, period_seconds: float, instance: str | None, slow_seconds: float | None, limit: int = MAX_TURNS
    ) -> TurnFigures:
        """Of the last `period_seconds`, of one instance or all; of the newest `limit` turns of all at most."""
        name = None if instance is None else storable(instance)
        rows = await self._db.fetch(_SQL["turn_figures"], period_seconds, name, slow_seconds, limit)
        return TurnFigures(**rows[0])

    async def load(
        self, period_seconds: float, conversations: int | None, messages: int | None
    ) -> LoadFigures:
        """Of the last `period_seconds`. The two numbers are what is aimed at."""
        rows = await self._db.fetch(_SQL["load_figures"], period_seconds, conversations, messages)
        return LoadFigures(**rows[0])

    async def store_minutes(self, node_id: str, rows: Sequence[Minute]) -> None:
        """Store what this daemon carried. May be repeated."""
        columns = [
            [getattr(row, name) for row in rows]
            for name in ("minute", "conversations", "messages", "turned_away")
        ]
        await self._db.fetch(_SQL["store_minutes"], node_id, *columns, KEEP_SECONDS)
