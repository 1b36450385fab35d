"""How far each instance was swept, in Postgres: it outlives a restart, and one daemon at a time sweeps an instance.

The claim only spares the gateway: two daemons that sweep the same would hear the same messages, and those are known by
their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres
from daemon.sweep.plan import Mark

HOLD_SECONDS = 120.0
"""How long a claim lasts without being renewed."""

_IS_OURS = "EXISTS (SELECT FROM majlis_sweeps o WHERE o.instance = {} AND o.ours_since IS NOT NULL)"
"""Its messages come through our own door; else somebody else may be answering them."""
_CLAIM = f"""
SELECT c.swept_from, c.swept_until, c.rests, c.rests_until
FROM (SELECT 1 WHERE {_IS_OURS.format("$1")}) ours, LATERAL majlis_claim_sweep($1, $2, $3, $4) c
"""
_REACH = """
UPDATE majlis_sweeps SET swept_from = $3, swept_until = $4, rests = false, rests_until = NULL,
    held_until = now() + $5 * interval '1 second'
WHERE instance = $1 AND holder = $2 AND ours_since IS NOT NULL RETURNING true
"""
_REST = "UPDATE majlis_sweeps SET rests = true, rests_until = $3 WHERE instance = $1 AND holder = $2"
_RELEASE = """
UPDATE majlis_sweeps SET held_until = '-infinity', swept_at = CASE WHEN $3 THEN now() ELSE swept_at END
WHERE instance = $1 AND holder = $2
"""
_REST_OTHERS = """
WITH gone AS (
    UPDATE majlis_sweeps s SET ours_since = NULL, rests = true, rests_until = NULL
    FROM majlis_instance_heads h WHERE h.instance = s.instance AND h.removed AND s.ours_since IS NOT NULL)
UPDATE majlis_sweeps s SET rests = true, rests_until = NULL
WHERE NOT s.rests AND (SELECT r.rule FROM majlis_instance_rule(s.instance) r) <> ''
    AND NOT EXISTS (SELECT FROM majlis_instance_heads h WHERE h.instance = s.instance AND h.removed)
"""
_OURS = f"""
SELECT n.name FROM unnest($1::text[]) AS n (name)
WHERE (SELECT r.rule FROM majlis_instance_rule(n.name) r) = '' AND {_IS_OURS.format("n.name")}
"""
_NOTE_OURS = "SELECT name FROM majlis_note_ours($1::text[]) AS n (name)"
_PHONES = "SELECT lid, phone FROM majlis_identities WHERE instance = $1 AND lid = ANY ($2::text[])"


class Claimed(msgspec.Struct, frozen=True):
    """An instance that this daemon sweeps now."""

    mark: Mark | None
    """None: it was never swept."""
    rests: bool
    """It was paused or not ours when it was looked at last."""
    rests_until: int | None


class Marks:
    """Every method may raise `LedgerUnavailable`.

    `holder` names the daemon, over restarts: its own claim is no obstacle to it.
    """

    def __init__(self, db: Postgres, holder: str) -> None:
        self._db = db
        self._holder = holder

    async def claim(self, instance: str, within_seconds: float) -> Claimed | None:
        """None: another daemon sweeps it now, or swept it within these seconds; or it is not ours."""
        rows = await self._db.fetch(_CLAIM, instance, self._holder, HOLD_SECONDS, within_seconds)
        if not rows:
            return None
        row = rows[0]
        mark = None if row["swept_until"] is None else Mark(row["swept_from"], row["swept_until"])
        return Claimed(mark, row["rests"], row["rests_until"])

    async def reach(self, instance: str, mark: Mark) -> bool:
        """Everything up to the mark was heard. False: another daemon sweeps it now, or it is not ours any more."""
        return bool(
            await self._db.value(_REACH, instance, self._holder, mark.floor, mark.until, HOLD_SECONDS)
        )

    async def rest(self, instance: str, until: int | None) -> None:
        """The instance is not swept from now on. `until`: when that will end by itself, if it is known."""
        await self._db.fetch(_REST, instance, self._holder, until)

    async def release(self, instance: str, done: bool) -> None:
        """Let others claim it. `done`: the sweep came to its end."""
        await self._db.fetch(_RELEASE, instance, self._holder, done)

    async def ours(self, names: Collection[str]) -> frozenset[str]:
        """Those of these instances that Majlis is to answer; whatever it is not to answer rests from now on."""
        await self._db.fetch(_REST_OTHERS)
        return frozenset(row["name"] for row in await self._db.fetch(_OURS, sorted(names)))

    async def note_ours(self, instances: Collection[str]) -> Collection[str]:
        """Events of these came through our door. Returns those that are ours only now, from now on."""
        return [row["name"] for row in await self._db.fetch(_NOTE_OURS, [storable(one) for one in instances])]

    async def phones(self, instance: str, lids: Collection[str]) -> Mapping[str, str]:
        """The phone numbers of these LIDs, where the ledger knows them."""
        if not lids:
            return {}
        return {row["lid"]: row["phone"] for row in await self._db.fetch(_PHONES, instance, sorted(lids))}
