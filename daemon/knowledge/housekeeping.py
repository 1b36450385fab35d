"""Deletes what is no longer used.

Expired cached answers and old counts of them, old vectors, abandoned loads of files, old verdicts on messages of the
business.
"""

from __future__ import annotations

import trio

from actors.errors import LedgerUnavailable
from actors.ports import Feed
from daemon.knowledge.cache_stats import KEPT_DAYS
from daemon.ledger.portions import delete_in_portions
from daemon.stores.postgres import LedgerError, Postgres

EVERY_SECONDS = 600.0
PORTION = 1_000
"""Rows per statement."""
MAX_EMBEDDINGS = 50_000
LOAD_MINUTES = 15
"""A load that nothing was added to for this long is abandoned."""
OWN_MESSAGE_DAYS = 14
"""How long it is known what was made of a message of the business. Its text stays in the history."""

_SWEEPS = {
    "answers": """
        WITH old AS (SELECT id FROM majlis_answer_cache WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM majlis_answer_cache c USING old WHERE c.id = old.id RETURNING 1)
        SELECT count(*) FROM gone
    """,
    "cache_hours": f"""
        WITH old AS (SELECT instance, hour, outcome FROM majlis_cache_hours
                     WHERE hour < now() - interval '{KEPT_DAYS} days' LIMIT $1 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM majlis_cache_hours c USING old
                      WHERE c.instance = old.instance AND c.hour = old.hour AND c.outcome = old.outcome RETURNING 1)
        SELECT count(*) FROM gone
    """,
    "loads": f"""
        WITH old AS (SELECT id FROM majlis_knowledge_files
                     WHERE state = 'loading' AND touched_at < now() - interval '{LOAD_MINUTES} minutes'
                     LIMIT $1 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM majlis_knowledge_files f USING old WHERE f.id = old.id RETURNING 1)
        SELECT count(*) FROM gone
    """,
    "own_messages": f"""
        WITH old AS (SELECT instance, message_id FROM majlis_own_messages
                     WHERE arrived_at < now() - interval '{OWN_MESSAGE_DAYS} days'
                     LIMIT $1 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM majlis_own_messages o USING old
                      WHERE o.instance = old.instance AND o.message_id = old.message_id RETURNING 1)
        SELECT count(*) FROM gone
    """,
    "overheard": f"""
        WITH old AS (SELECT instance, message_id FROM majlis_overheard
                     WHERE arrived_at < now() - interval '{OWN_MESSAGE_DAYS} days'
                     LIMIT $1 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM majlis_overheard o USING old
                      WHERE o.instance = old.instance AND o.message_id = old.message_id RETURNING 1)
        SELECT count(*) FROM gone
    """,
}
_EMBEDDINGS = """
    WITH last AS (SELECT created_at FROM majlis_embeddings ORDER BY created_at DESC OFFSET $3 LIMIT 1),
         old AS (SELECT model, text_hash FROM majlis_embeddings
                 WHERE created_at <= greatest(now() - make_interval(secs => $2),
                                              coalesce((SELECT created_at FROM last), '-infinity'))
                 LIMIT $1 FOR UPDATE SKIP LOCKED),
         gone AS (DELETE FROM majlis_embeddings e USING old
                  WHERE e.model = old.model AND e.text_hash = old.text_hash RETURNING 1)
    SELECT count(*) FROM gone
"""


class Housekeeping:
    """One task per daemon. Several daemons on one database do not block each other (SKIP LOCKED)."""

    def __init__(
        self,
        db: Postgres,
        feed: Feed,
        *,
        vector_seconds: float = 86_400.0,
        max_embeddings: int = MAX_EMBEDDINGS,
    ) -> None:
        self._db = db
        self._feed = feed
        self._vector_seconds = vector_seconds
        self._max_embeddings = max_embeddings

    async def run(self) -> None:
        """Sweep every `EVERY_SECONDS` until cancelled. If the database is unavailable, the next sweep retries."""
        while True:
            try:
                await self.sweep()
            except (LedgerUnavailable, LedgerError) as error:
                self._feed.emit("housekeeping.failed", error=type(error).__name__)
            await trio.sleep(EVERY_SECONDS)

    async def sweep(self) -> dict[str, int]:
        """Delete everything old, a portion at a time; returns how much of each kind."""
        gone = {kind: await self._swept(sql) for kind, sql in _SWEEPS.items()}
        gone["vectors"] = await self._swept(_EMBEDDINGS, self._vector_seconds, self._max_embeddings)
        if any(gone.values()):
            self._feed.emit("housekeeping.done", None, **gone)
        return gone

    async def _swept(self, sql: str, *args: object) -> int:
        return await delete_in_portions(self._db, sql, PORTION, *args)
