"""Which instances' webhooks Majlis has set at the gateway, and what stood there before, sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from daemon.stores.postgres import Postgres, Row

MAX_ADDRESSES = 20
"""Of our own that are remembered for an instance: whoever moves Majlis more often has long given the first one up."""


class ConnectedInstance(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    key_id: str
    former: bytes
    """Sealed."""
    ours: Sequence[str]
    """Our addresses, the latest first: an older one may still stand at the gateway."""
    set_at: datetime
    set_by: str


_COLUMNS = "instance, key_id, former, ours, set_at, set_by"
_HELD = "given_back_at IS NULL"
_REMEMBER = f"""
    INSERT INTO majlis_connections (instance, key_id, former, ours, set_by) VALUES ($1, $2, $3, ARRAY[$4], $5)
    ON CONFLICT (instance) DO UPDATE
    SET key_id = EXCLUDED.key_id, former = EXCLUDED.former, set_at = now(), set_by = EXCLUDED.set_by,
        given_back_at = NULL,
        ours = (EXCLUDED.ours || array_remove(majlis_connections.ours, $4))[1:{MAX_ADDRESSES}]
"""

_GIVEN_BACK = """
    WITH rests AS (UPDATE majlis_sweeps SET ours_since = NULL, rests = true, rests_until = NULL WHERE instance = $1)
    UPDATE majlis_connections SET given_back_at = now(), key_id = '', former = '' WHERE instance = $1
"""
"""From now on nothing is compared: who has the webhook answers, or leaves it."""


class Connections:
    """Every method may raise `LedgerUnavailable`, and may be repeated."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def of(self, instance: str) -> ConnectedInstance | None:
        """None: it is not connected by us."""
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM majlis_connections WHERE instance = $1 AND {_HELD}", instance
        )
        return _connection(rows[0]) if rows else None

    async def every(self) -> tuple[ConnectedInstance, ...]:
        """By name."""
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM majlis_connections WHERE {_HELD} ORDER BY instance"
        )
        return tuple(map(_connection, rows))

    async def count(self) -> dict[str, int]:
        """How many each key seals, by its id."""
        rows = await self._db.fetch(
            "SELECT key_id, count(*) AS former FROM majlis_connections GROUP BY key_id"
        )
        return {row["key_id"]: row["former"] for row in rows}

    async def addresses(self) -> Mapping[str, str]:
        """The latest address of each instance."""
        rows = await self._db.fetch(f"SELECT instance, ours[1] AS url FROM majlis_connections WHERE {_HELD}")
        return {row["instance"]: row["url"] for row in rows}

    async def latest_address(self) -> tuple[str, str] | None:
        """Instance and address of the one that was connected last."""
        rows = await self._db.fetch(
            f"SELECT instance, ours[1] AS url FROM majlis_connections WHERE {_HELD} ORDER BY set_at DESC LIMIT 1"
        )
        return (rows[0]["instance"], rows[0]["url"]) if rows else None

    async def remember(self, instance: str, key_id: str, former: bytes, url: str, by: str) -> None:
        """`former` is what is given back, and `url` is what is set next: written before it is."""
        await self._db.fetch(_REMEMBER, instance, key_id, former, url, by)

    async def reseal(self, before: ConnectedInstance, key_id: str, former: bytes) -> bool:
        """The same, sealed with another key; False where it has changed since."""
        rows = await self._db.fetch(
            "UPDATE majlis_connections SET key_id = $2, former = $3 WHERE instance = $1 AND former = $4 RETURNING 1",
            before.instance,
            key_id,
            former,
            before.former,
        )
        return bool(rows)

    async def proven(self, instance: str) -> None:
        """What the gateway posts for it comes to us, from now on."""
        await self._db.fetch("SELECT majlis_note_ours(ARRAY[$1::text])", instance)

    async def forget(self, instance: str) -> None:
        """It was given back."""
        await self._db.fetch(_GIVEN_BACK, instance)


def _connection(row: Row) -> ConnectedInstance:
    return ConnectedInstance(**{name: row[name] for name in ConnectedInstance.__struct_fields__})
