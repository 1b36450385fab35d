"""The webhooks that wait to be forwarded, in Postgres; see migration 040.

The laws of this file:
1. What was taken in is there until it arrived, or somebody threw it away. Settling one needs no lease.
2. One daemon at a time forwards for an instance: it holds the instance's queue under a lease that each call renews.
3. A body is stored in pieces, and nobody asks for more than one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from actors.errors import LedgerUnavailable
from daemon.stores.postgres import Postgres, Row

LEASE_SECONDS = 45.0
"""Longer than any wait between two calls."""
KEPT_DAYS = 30
"""For so long dead ones are kept."""
PORTION = 500
"""Rows per statement; a short statement holds its locks briefly."""
LISTED = 1_000


class DueForward(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook that is to be forwarded next."""

    id: int
    event: str
    headers: dict[str, str]
    places: tuple[int, ...]
    place: int
    size: int
    """Of what is stored."""
    tries: int
    pieces: int
    body: bytes | None
    """None: it is in several pieces."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook for a list: nothing of its body."""

    id: int
    instance: str
    state: Literal["waiting", "dead"]
    event: str
    size: int
    heard_at: datetime
    tries: int
    reason: str
    dead_at: datetime | None


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    waiting: int
    waiting_bytes: int
    dead: int
    dead_bytes: int
    due_at: datetime
    oldest_at: datetime | None


NoRoom = Literal["instance", "all", "gone"]
_REFUSALS: dict[int, NoRoom] = {0: "instance", -1: "all", -2: "gone"}


class ForwardStore:
    """Every method may raise `LedgerUnavailable`. `node` names this daemon, over restarts."""

    def __init__(self, db: Postgres, node: str) -> None:
        self._db = db
        self._node = node

    # Taking in

    async def begin(self, instance: str) -> int:
        """A body in pieces begins to arrive; returns its number."""
        return int(await self._db.value("SELECT majlis_forward_begin($1)", instance))

    async def add(self, number: int, piece: int, data: bytes) -> None:
        await self._db.fetch("SELECT majlis_forward_piece($1, $2, $3)", number, piece, data)

    async def abandon(self, number: int) -> None:
        """It will not become whole."""
        await self._db.fetch("DELETE FROM majlis_forwards WHERE id = $1 AND state = 'arriving'", number)

    async def take(
        self,
        instance: str,
        event: str,
        headers: dict[str, str],
        places: Sequence[int],
        place: int,
        body: bytes | tuple[int, int],
        bounds: tuple[int, int],
    ) -> NoRoom | None:
        """Take one in, whole; returns why not.

        Args:
          body: it itself, or number and size of one that has arrived in pieces.
          bounds: the bytes that may wait for this instance, and that all may have together.
        """
        number, size = (None, len(body)) if isinstance(body, bytes) else body
        found = await self._db.value(
            "SELECT majlis_forward_take($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            number,
            instance,
            event,
            msgspec.json.encode(headers).decode(),
            list(places),
            place,
            size,
            body if isinstance(body, bytes) else None,
            *bounds,
        )
        return _REFUSALS.get(int(found))

    # Forwarding

    async def claim(self, running: Collection[str], limit: int) -> list[str]:
        """Instances with something due that nobody else forwards, from now on held by this daemon."""
        sql = "SELECT majlis_forward_claim($1, $2, $3, $4) AS name"
        rows = await self._db.fetch(sql, self._node, sorted(running), limit, LEASE_SECONDS)
        return [row["name"] for row in rows]

    async def hold(self, instance: str) -> bool:
        """Renew the lease; False: it is another daemon's now."""
        sql = "SELECT majlis_forward_hold($1, $2, $3)"
        return bool(await self._db.value(sql, instance, self._node, LEASE_SECONDS))

    async def next(self, instance: str, limit: int, max_bytes: int) -> list[DueForward]:
        """The next ones, in their order; several only if they are small together."""
        rows = await self._db.fetch(
            "SELECT * FROM majlis_forward_next($1, $2, $3)", instance, limit, max_bytes
        )
        return [_waiting(row) for row in rows]

    async def piece(self, number: int, piece: int) -> bytes:
        """Raises `LedgerUnavailable` where somebody has thrown it away."""
        sql = "SELECT bytes FROM majlis_forward_pieces WHERE forward_id = $1 AND number = $2"
        found = await self._db.value(sql, number, piece)
        if found is None:
            raise LedgerUnavailable("forward_gone")
        return bytes(found)

    async def sent(self, instance: str, number: int) -> bool:
        """It arrived. False: the lease is another daemon's now."""
        sql = "SELECT majlis_forward_sent($1, $2, $3, $4)"
        return bool(await self._db.value(sql, number, instance, self._node, LEASE_SECONDS))

    async def failed(
        self, instance: str, number: int, reason: str, delay_seconds: float, burn: bool = True
    ) -> None:
        """It did not arrive. The queue rests, and any daemon may go on. `burn`: it counts as an attempt."""
        sql = "SELECT majlis_forward_failed($1, $2, $3, $4, $5, $6)"
        await self._db.fetch(
            sql, number, instance, self._node, reason, burn, delay_seconds, repeatable=not burn
        )

    async def bury(self, instance: str, reason: str, number: int | None = None) -> int:
        """Not tried again: this one, or the first of all that wait; returns how many."""
        sql = "SELECT majlis_forward_bury($1, $2, $3, $4)"
        return int(await self._db.value(sql, number, instance, reason, PORTION))

    async def release(self, instance: str) -> None:
        await self._db.fetch("SELECT majlis_forward_release($1, $2)", instance, self._node)

    # For operators

    async def queues(self, instance: str | None = None) -> list[Queue]:
        """All that are not empty."""
        sql = "SELECT * FROM majlis_forward_view WHERE $1::text IS NULL OR instance = $1 ORDER BY instance"
        return [Queue(**row) for row in await self._db.fetch(sql, instance)]

    async def waiting(self, instances: Collection[str]) -> dict[str, int]:
        """How many wait, of each of these."""
        sql = "SELECT instance, waiting FROM majlis_forward_view WHERE instance = ANY ($1::text[])"
        found = {row["instance"]: int(row["waiting"]) for row in await self._db.fetch(sql, list(instances))}
        return {instance: found.get(instance, 0) for instance in instances}

    async def listed(self, instance: str | None, dead: bool, limit: int) -> list[Stored]:
        """The oldest first, of all or of one instance; `dead`: only those."""
        rows = await self._db.fetch(
            "SELECT id, instance, state, event, size, heard_at, tries, reason, dead_at FROM majlis_forwards"
            " WHERE state <> 'arriving' AND ($1::text IS NULL OR instance = $1) AND (NOT $2 OR state = 'dead')"
            " ORDER BY id LIMIT $3",
            instance,
            dead,
            min(limit, LISTED),
        )
        return [Stored(**row) for row in rows]

    async def retry(self, number: int | None, instance: str | None = None) -> int:
        """Let this dead one be forwarded after all, or the oldest of all; returns how many."""
        sql = "SELECT majlis_forward_retry($1, $2, $3)"
        return int(await self._db.value(sql, number, instance, PORTION))

    async def drop(self, number: int) -> str | None:
        """Throw one away; returns its instance, None: it is not there."""
        found = await self._db.value("SELECT majlis_forward_drop($1)", number)
        return None if found is None else str(found)

    async def forget(self) -> int:
        """Throw away what is old; returns how many dead ones, `PORTION` at the most."""
        return int(await self._db.value("SELECT majlis_forward_forget($1, $2)", KEPT_DAYS, PORTION))


def _waiting(row: Row) -> DueForward:
    return DueForward(
        id=row["id"],
        event=row["event"],
        headers=msgspec.json.decode(row["headers"], type=dict[str, str]),
        places=tuple(row["key_places"]),
        place=row["key_place"],
        size=row["size"],
        tries=row["tries"],
        pieces=row["pieces"],
        body=None if row["body"] is None else bytes(row["body"]),
    )
