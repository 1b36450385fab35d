"""Settings that are changed while the daemon runs: kept in Postgres, judged as those of the start, put in force.

Those of this daemon are changed here, those of instances in `daemon/tenants`; all are put in force here.

Laws of this file:
1. A change is in force when `set` or `unset` returns.
2. What would put itself or another setting out of force is refused, and nothing is stored.
3. What is stored and does not fit (another version wrote it, or SQL, or config.yaml was changed since) is left out and
   named. It never keeps the daemon from its work, nor the other settings from being in force.
4. No value is ever in an event: it may be a text or a phone number.
5. What a reading costs is bounded: in rows, in rows of one scope, in the size of a value. Only what changed is read
   anew and judged anew.
6. Secrets of instances, which are stored apart, are joined to those of `majlis_settings`: whatever is in force was
   judged here, together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import trio

from actors.errors import Conflict
from actors.identity import MAX_INSTANCE_CHARS
from actors.ports import Feed
from daemon.config import ConfigError
from daemon.config.opened import Opened
from daemon.config.run_time import (
    ForDaemon,
    ForInstance,
    LeftOut,
    RunTimeValue,
    for_daemon,
    for_instance,
    value_in,
    why_not,
)
from daemon.config.sources import read_value
from daemon.controls.live_settings import LiveSettings
from daemon.controls.run_time import RunTime, RunTimeRows
from daemon.ledger.records import Records
from daemon.ledger.rows import SettingRow

COMMAND = "majlis set"
FOR_INSTANCES = "majlis instance set"
SQL = "SQL"
MAX_VALUE_CHARS = 16_000
"""Of a value as it is typed."""
MAX_OF_SCOPE = 200
"""Only SQL by hand can store more for one instance: there are not so many keys."""

_Scalar = str | int | float | bool | None
_Within = _Scalar | list[_Scalar] | dict[str, _Scalar]
_Stored = _Scalar | list[_Within] | dict[str, _Scalar | list[_Within] | dict[str, _Within]]
"""A value, a list or mapping of such, or what `extra_body` holds: no deeper than any request is."""
_STORED = msgspec.json.Decoder(_Stored)
Values = Mapping[str | None, Sequence[RunTimeValue]]
"""By instance; None: of this daemon."""


SettingRows = tuple[SettingRow, ...]


class _Read(NamedTuple):
    """The values of a scope."""

    made_of: tuple[SettingRows, Sequence[RunTimeValue]]
    """What is stored for it: settings, and the secrets that were opened."""
    values: Sequence[RunTimeValue]


class _InForce(NamedTuple):
    values: Values
    for_all: ForDaemon
    apart: Mapping[str, ForInstance]

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        own = (left for one in self.apart.values() for left in one.left_out)
        return (*self.for_all.left_out, *own)


class StoredSettings:
    """Puts them into `live`.

    Args:
      secrets: those of instances, which are stored apart.
    """

    def __init__(
        self,
        records: Records,
        run_time: RunTime,
        live: LiveSettings,
        feed: Feed,
        secrets: Callable[[], Opened] = Opened,
    ) -> None:
        self._records = records
        self._run_time = run_time
        self._live = live
        self._feed = feed
        self._secrets = secrets
        self._opened = Opened()
        self._changing = trio.Lock()
        self._rows: Mapping[str, SettingRows] | None = None
        """By scope; None: never read."""
        self._read: dict[str | None, _Read] = {}
        self._in_force = _InForce({}, for_daemon(live.configured, ()), {})
        run_time.follow(self._take)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What is stored and not in force."""
        return self._in_force.left_out

    def holders(self, key: str) -> list[str]:
        """The instances that have a run-time setting of their own for this key, in force."""
        left_out = {(left.instance, left.key) for left in self.left_out}
        return sorted(
            name
            for name, values in self._in_force.values.items()
            if name and (name, key) not in left_out and any(value.key == key for value in values)
        )

    async def set(self, key: str, text: str, by: str, record: Callable[[Any], Awaitable[None]]) -> None:
        """Set it for this daemon. `record` is told the value before it is stored.

        Raises:
          ConfigError: it would not fit; the text says why, and what is allowed.
          LedgerUnavailable: it is not stored.
        """
        if words := why_not(key):
            raise ConfigError(words)
        if len(text) > MAX_VALUE_CHARS:
            raise ConfigError(f"{key}: must be at most {MAX_VALUE_CHARS:,} characters; it has {len(text):,}")
        new = RunTimeValue(key, read_value(text, tuple(key.split(".")), COMMAND), COMMAND)
        async with self._changing:
            await self._run_time.refresh()
            others = [value for value in self._in_force.values.get(None, ()) if value.key != key]
            then = await self._judged(key, [*others, new])
            value = None if new.value is None else value_in(then.for_all, key)
            await record(value)
            await self._records.set_setting(self._run_time.scope(None), key, value, by)
            await self._run_time.refresh()

    async def unset(self, key: str, record: Callable[[], Awaitable[None]]) -> None:
        """Let the wider scope apply again. `record` is called before it is deleted.

        Raises:
          Conflict: it is not set.
          ConfigError: another setting, made at run time as well, needs it.
          LedgerUnavailable: it is still stored.
        """
        async with self._changing:
            await self._run_time.refresh()
            scope = self._run_time.scope(None)
            if all(row.key != key for row in (self._rows or {}).get(scope, ())):
                raise Conflict(f"{key} is not set at run time for this daemon: see `majlis config`.")
            values = self._in_force.values.get(None, ())
            await self._judged(key, [value for value in values if value.key != key])
            await record()
            await self._records.clear_setting(scope, key)
            await self._run_time.refresh()

    async def _judged(self, key: str, values: Sequence[RunTimeValue]) -> _InForce:
        """What would be in force with these values of the daemon, of which `key` changes. Raises: ConfigError."""
        then = await self._settled({**self._in_force.values, None: tuple(values)})
        before = {(left.instance, left.key) for left in self.left_out} - {(None, key)}
        for left in then.left_out:
            if (left.instance, left.key) not in before:
                raise ConfigError(left.sentence)
        return then

    async def _take(self, reading: RunTimeRows) -> None:
        """Put in force what was read, and what is joined to it. Nothing is waited for once it is."""
        await trio.lowlevel.checkpoint()
        opened = self._secrets()
        found = {scope: rows.settings for scope, rows in reading.scopes.items() if rows.settings}
        for name, secrets in opened.values.items():
            # What SQL wrote in clear was sealed by now, and is no setting any more.
            scope, sealed = self._run_time.scope(name), {secret.key for secret in secrets}
            own = found.get(scope, ())
            if any(row.key in sealed for row in own):
                found[scope] = tuple(row for row in own if row.key not in sealed)
        if self._rows is None or found != self._rows or opened != self._opened:
            before, self._opened = self.left_out, opened
            self._in_force = await self._settled(self._values(found, opened.values))
            self._live.put(self._in_force.for_all, self._in_force.apart, opened.shut, opened.are_read)
            self._announce(found, before)
            self._rows = found

    async def _settled(self, values: Values) -> _InForce:
        """Judges anew only what changed."""
        old, configured = self._in_force, self._live.configured
        same = values.get(None, ()) == old.values.get(None, ())
        for_all = old.for_all if same else for_daemon(configured, values.get(None, ()))
        apart: dict[str, ForInstance] = {}
        for name, own in values.items():
            if name is None or not own:
                continue
            if same and name in old.apart and own == old.values.get(name):
                apart[name] = old.apart[name]
            else:
                apart[name] = for_instance(configured, for_all.layer, name, own)
                await trio.lowlevel.checkpoint()
        return _InForce(values, for_all, apart)

    def _values(
        self, found: Mapping[str, SettingRows], secrets: Mapping[str, Sequence[RunTimeValue]]
    ) -> Values:
        """What was read already is not read anew."""
        before, self._read = self._read, {}
        rows = {self._run_time.instance(scope): own for scope, own in found.items()}
        for name in dict.fromkeys((*rows, *secrets)):
            if name is None or 0 < len(name) <= MAX_INSTANCE_CHARS:
                made_of = rows.get(name, ()), () if name is None else secrets.get(name, ())
                old = before.get(name)
                if (
                    old is None or old.made_of != made_of
                ):  # secrets last: one of an entry of a list needs the list
                    old = _Read(made_of, (*self._values_of(made_of[0][:MAX_OF_SCOPE]), *made_of[1]))
                self._read[name] = old
        return {name: read.values for name, read in self._read.items()}

    def _values_of(self, rows: Sequence[SettingRow]) -> Sequence[RunTimeValue]:
        return tuple(RunTimeValue(row.key, _decoded(row.value), self._origin(row)) for row in rows)

    def _origin(self, row: SettingRow) -> str:
        command = COMMAND if self._run_time.instance(row.scope) is None else FOR_INSTANCES
        words = (command, row.set_by) if row.set_by else (SQL,)
        return ", ".join((*words, _moment(row.set_at)))

    def _announce(self, found: Mapping[str, SettingRows], before: Sequence[LeftOut]) -> None:
        """The first reading is no change."""
        old = found if self._rows is None else self._rows
        for scope in sorted(
            scope for scope in found.keys() | old.keys() if found.get(scope) != old.get(scope)
        ):
            now, then = _by_key(found.get(scope, ())), _by_key(old.get(scope, ()))
            for key in sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key)):
                row = now.get(key)
                change, by = ("unset", "") if row is None else ("set", row.set_by)
                self._feed.emit("settings.changed", key=key, scope=scope, change=change, by=by)
        known = set(before)
        for left in self.left_out:
            if left not in known:
                scope = self._run_time.scope(left.instance)
                self._feed.emit("settings.left_out", key=left.key, scope=scope, why=left.why)


def _by_key(rows: SettingRows) -> dict[str, SettingRow]:
    return {row.key: row for row in rows}


class _Unfit:
    """No key takes this."""

    def __repr__(self) -> str:
        return "no single value, and no list of such"


_UNFIT = _Unfit()


def _decoded(text: str) -> object:
    """What our own encoder wrote, or SQL by hand."""
    try:
        return _STORED.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return _UNFIT


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
