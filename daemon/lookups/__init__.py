"""What a turn asks of the ledger before the responder is called. One lookup, one file, its SQL beside it.

Lookups only read; each is one round trip and raises `LedgerUnavailable` when Postgres cannot answer.
"""

from __future__ import annotations

from actors.messages import Batch, HistoryEntry
from actors.ports import Turn
from daemon.lookups import duplicate, history
from daemon.stores.postgres import Postgres


class PostgresLookups:
    """Implements `actors.ports.Lookups`."""

    def __init__(
        self, db: Postgres, *, duplicate_window_seconds: float = 300.0, history_tokens: int = 800
    ) -> None:
        self._db = db
        self._duplicate_window_seconds = duplicate_window_seconds
        self._history_tokens = history_tokens

    async def is_duplicate(self, turn: Turn, batch: Batch) -> bool:
        return await duplicate.is_duplicate(self._db, turn, batch, self._duplicate_window_seconds)

    async def history(self, turn: Turn, batch: Batch) -> tuple[HistoryEntry, ...]:
        return await history.history(self._db, turn, self._history_tokens)
