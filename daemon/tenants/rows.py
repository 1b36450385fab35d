"""The SQL of instances and their versions. What the functions do stands in migration 037."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from actors.errors import Conflict, LedgerUnavailable, MajlisError
from daemon.ledger.rights import missing_for_instances
from daemon.ledger.wire import encoded, storable
from daemon.stores.postgres import LedgerError, LedgerMisconfigured, Postgres

CHANGED_MEANWHILE = "MJ038"
_ROW_NOT_HAD = "MJ039"
_NO_RIGHT = "42501"
_NOT_FOUND_AGAIN = 3
LAST_TURNS = 20_000
"""Among so many of the latest turns the last message of an instance is looked for."""

What = Literal["add", "change", "restore", "remove"]

_VERSION = """
    SELECT v.version, v.made_at, v.made_by, v.what, v.why, v.state::text AS state FROM majlis_instance_versions v
    WHERE v.instance = $1
"""
_LIST = """
    SELECT h.instance, h.version, v.made_at, v.made_by,
           coalesce(v.state -> 'columns' -> 'active', 'true') <> 'false'
               AND coalesce(v.state -> 'columns' -> 'configs', 'true') <> 'false' AS active,
           btrim(coalesce(v.state -> 'columns' ->> 'prompt', '')) <> '' AS has_prompt,
           coalesce(l.at, u.day::timestamp AT TIME ZONE 'UTC') AS last_message_at
    FROM majlis_instance_heads h
    JOIN majlis_instance_versions v ON v.instance = h.instance AND v.version = h.version
    LEFT JOIN (SELECT t.instance, max(t.opened_at) AS at FROM majlis_turns t
               WHERE t.id > (SELECT coalesce(max(id), 0) FROM majlis_turns) - $2 GROUP BY 1) l
           ON l.instance = h.instance
    LEFT JOIN LATERAL (SELECT max(x.day) AS day FROM majlis_usage x WHERE x.instance = h.instance) u ON true
    WHERE h.there ORDER BY h.instance LIMIT $1
"""
_CHANGE = "SELECT majlis_change_instance($1, $2, $3::jsonb, $4::jsonb, $5, $6, $7)"


class State(msgspec.Struct, frozen=True):
    """All that is set for an instance, as it is stored."""

    there: bool = False
    row: str = ""
    """The id of the row that is read."""
    columns: dict[str, Any] = {}
    """Those that are not null, by their keys."""
    settings: dict[str, Any] = {}
    flags: dict[str, bool] = {}
    secrets: dict[str, str] = {}
    """By key a word that is another one after each change."""


class Version(msgspec.Struct, frozen=True):
    version: int
    made_at: datetime
    made_by: str
    """As an operator is named elsewhere; `SQL`: found in the database."""
    what: What
    why: str
    state: State


class ListedInstance(msgspec.Struct, frozen=True):
    instance: str
    version: int
    made_at: datetime
    made_by: str
    active: bool
    has_prompt: bool
    last_message_at: datetime | None


class Seen(NamedTuple):
    """One that was looked at again."""

    instance: str
    there: bool
    version: int


class RowMarks(NamedTuple):
    """What the poll compares, by kind and bucket."""

    names: Mapping[int, int]
    ids: Mapping[int, int]
    webhooks: Mapping[int, int]
    settings: Mapping[int, int]
    flags: Mapping[int, int]
    secrets: Mapping[int, int]


class SqlChange(msgspec.Struct, frozen=True):
    """What `majlis_change_instance` is told. A column is unset by the value None."""

    settings: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    flags: dict[str, bool] = {}
    secrets: dict[str, Any] = {}
    unset_settings: tuple[str, ...] = ()
    unset_flags: tuple[str, ...] = ()
    unset_secrets: tuple[str, ...] = ()


class TenantRows:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def marks(self) -> RowMarks:
        rows = await self._db.fetch("SELECT * FROM majlis_instance_marks()")
        by_kind = {row["kind"]: dict(zip(row["buckets"], row["marks"], strict=True)) for row in rows}
        return RowMarks(*(by_kind.get(kind, {}) for kind in RowMarks._fields))

    async def look(self, names: Collection[int], ids: Collection[int], scopes: Collection[int]) -> list[Seen]:
        """The instances in these buckets as they are now; what SQL has changed gets a version."""
        rows = await self._db.fetch(
            "SELECT * FROM majlis_look_again($1, $2, $3)", sorted(names), sorted(ids), sorted(scopes)
        )
        return [Seen(**row) for row in rows]

    async def names(self, limit: int) -> tuple[str, ...]:
        """Every instance in the database that was not removed, also those that are not answered."""
        sql = """
            SELECT i.instance_name::text AS name
            FROM whatsapp_instances i LEFT JOIN majlis_instance_heads h ON h.instance = i.instance_name
            WHERE i.instance_name IS NOT NULL
            GROUP BY 1, h.removed
            HAVING NOT coalesce(h.removed, false) OR bool_or(coalesce(i.is_active, true)) ORDER BY 1 LIMIT $1
        """
        return tuple(row["name"] for row in await self._db.fetch(sql, limit))

    async def note(self, name: str, by: str) -> int:
        """The version of an instance as it is now."""
        sql = "SELECT majlis_note_version($1, $2, '', 'change')"
        return int(await self._db.value(sql, storable(name), storable(by)))

    async def current(self, name: str) -> Version | None:
        """As it is now; what SQL has changed has a version then. None: there is no such instance, and never was."""
        stored = storable(name)
        known = """
            SELECT (majlis_instance_state($1) ->> 'there')::boolean
                OR EXISTS (SELECT FROM majlis_instance_heads h WHERE h.instance = $1)
        """
        if not await self._db.value(known, stored):
            return None
        number = await self.note(name, "SQL")
        return await self.version(name, number)

    async def version(self, name: str, number: int) -> Version | None:
        rows = await self._db.fetch(f"{_VERSION} AND v.version = $2", storable(name), number)
        return _version(rows[0]) if rows else None

    async def last_there(self, name: str) -> int:
        """Its last version in which it was there; 0: it has none any more."""
        sql = """
            SELECT coalesce(max(v.version), 0) FROM majlis_instance_versions v
            WHERE v.instance = $1 AND (v.state ->> 'there')::boolean
        """
        return int(await self._db.value(sql, storable(name)))

    async def history(self, name: str, limit: int) -> list[Version]:
        """The latest first, and one more than asked for, to compare the last with."""
        rows = await self._db.fetch(f"{_VERSION} ORDER BY v.version DESC LIMIT $2", storable(name), limit + 1)
        return list(map(_version, rows))

    async def listed(self, limit: int) -> list[ListedInstance]:
        return [ListedInstance(**row) for row in await self._db.fetch(_LIST, limit, LAST_TURNS)]

    async def change(
        self, name: str, expected: int, change: SqlChange, by: str, why: str, what: What
    ) -> int | None:
        """Do all of it, or nothing; gives back the version. None: somebody changed it since version `expected`.

        Raises:
          Conflict: Postgres refuses it, in a sentence.
        """
        to_set = {"settings": change.settings, "columns": change.columns, "flags": change.flags}
        to_unset = {
            "settings": change.unset_settings,
            "flags": change.unset_flags,
            "secrets": change.unset_secrets,
        }
        arguments = (
            storable(name),
            expected,
            encoded(to_set | {"secrets": change.secrets}),
            encoded(to_unset),
            storable(by)[:200],
            storable(why)[:1000],
            what,
        )
        for _ in range(_NOT_FOUND_AGAIN):
            try:
                return int(await self._db.value(_CHANGE, *arguments, repeatable=False))
            except LedgerError as error:
                if error.sqlstate == CHANGED_MEANWHILE:
                    return None
                if error.sqlstate != _ROW_NOT_HAD:
                    raise Conflict(await self._refusal(error)) from None
            except LedgerMisconfigured as error:
                if error.sqlstate != _NO_RIGHT:
                    raise
                raise Conflict(await self._refusal(error)) from None
        raise Conflict(
            "Nothing is changed: the row in the shared tables cannot be written. Row-level security or a trigger "
            "keeps it; let the user of postgres.dsn write it."
        )

    async def _refusal(self, error: MajlisError) -> str:
        try:
            missing = await missing_for_instances(self._db)
        except (LedgerUnavailable, LedgerError):
            missing = None
        if missing is not None and getattr(error, "sqlstate", "") == _NO_RIGHT:
            return f"Nothing is changed: {missing}"
        words = _WORDS.get(getattr(error, "sqlstate", "")[:5]) or _WORDS.get(
            getattr(error, "sqlstate", "")[:2], ""
        )
        return f"Nothing is changed: {words or 'Postgres refuses it'} ({error})."


_WORDS = {
    "22001": "the value is too long for the column of the shared table",
    "22": "the column of the shared table takes no such value",
    "23502": "the shared table requires a value that Majlis does not know; add the row with your own software first",
    "23505": "a unique key of the shared table refuses the row",
    "23514": "a check of the shared table refuses the value",
    "23": "a constraint of the shared table refuses it",
    "42501": "row-level security of the shared table refuses the row",
    "P0": "a trigger of the shared table refuses it",
}


def _version(row: Mapping[str, Any]) -> Version:
    return Version(**{**row, "state": msgspec.json.decode(row["state"], type=State)})
