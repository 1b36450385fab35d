"""The sealed secrets of instances, as rows. What is in them, nothing here knows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from daemon.ledger.rows import SecretRow
from daemon.ledger.sql import statements
from daemon.stores.postgres import Postgres

_SQL = statements("secrets.sql")


class SecretRows:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def read(self, limit: int, buckets: Collection[int] | None = None) -> tuple[SecretRow, ...]:
        """All of them, or those of the scopes in these buckets, in the order of their names."""
        if buckets is None:
            rows = await self._db.fetch(_SQL["read"], limit)
        else:
            rows = await self._db.fetch(_SQL["read_buckets"], limit, sorted(buckets))
        return tuple(SecretRow(**row) for row in rows)

    async def sealed_otherwise(self, key_id: str, limit: int, skip: int) -> tuple[SecretRow, ...]:
        """Those that another key sealed, without the first `skip` of them."""
        rows = await self._db.fetch(_SQL["sealed_otherwise"], key_id, limit, skip)
        return tuple(SecretRow(**row) for row in rows)

    async def count(self) -> dict[str, int]:
        """How many each key seals, by its id."""
        return {row["key_id"]: row["secrets"] for row in await self._db.fetch(_SQL["count"])}

    async def reseal(self, row: SecretRow, sealed: bytes, key_id: str) -> bool:
        """Store it under another key; False when it was changed or removed in between."""
        found = await self._db.fetch(_SQL["reseal"], row.instance, row.key, row.sealed, sealed, key_id)
        return bool(found)

    async def seal_clear(self, instance: str, key: str, value: str, sealed: bytes, key_id: str) -> None:
        """Store it in place of what SQL wrote in clear; if that is another one by now, or gone, nothing is done.

        Args:
          value: the JSON in clear, as it was read. Only its digest leaves here.
        """
        digest = hashlib.sha256(value.encode()).hexdigest()
        await self._db.fetch(_SQL["seal_clear"], instance, key, digest, sealed, key_id)
