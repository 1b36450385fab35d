"""The secrets of instances (keys, tokens, addresses that may carry one), stored sealed and opened for this daemon.

Laws of this file:
1. What was opened is in memory alone: it goes into the settings in force, and into nothing that is written or shown.
2. An instance with a secret that cannot be opened is held, and named: it is not answered with another one's key. The
   others go on. The right key, or the secret set anew, ends the hold; so does removing it.
3. Before the stored secrets were read for the first time nobody is answered: any instance may have one.
4. While Postgres is away, what was read last stays in force.
5. To seal everything with another key is safe to be cut short anywhere, and to be done twice.
6. What SQL wrote in clear into `majlis_settings` is sealed when it is noticed, in one transaction, by whichever daemon
   comes first. Fit or not, it is a secret: whether it is in force is judged as of any other. Where there is no key to
   seal it with, the instance is held.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC
from typing import NamedTuple

import msgspec
import trio

from actors.ports import Feed
from daemon.config.door_tokens import is_short
from daemon.config.opened import Opened
from daemon.config.run_time import RunTimeValue, is_secret
from daemon.controls.pauses import EVERYBODY
from daemon.controls.run_time import INSTANCE_SCOPE, RunTimeRows
from daemon.ledger.rows import SecretRow
from daemon.ledger.secret_rows import SecretRows
from daemon.ledger.wire import storable
from daemon.tenants.key_file import KeyFileUnfit
from daemon.tenants.sealing import CannotOpen, NoSealingKey, Sealed, Sealer
from daemon.tenants.secret_keys import SecretKeys

MAX_SECRETS = 50_000
ADVICE = "give secrets.keys the key that sealed it and restart, or set it anew"
NOTHING_READ = RunTimeRows({})
NOT_READ = "its stored keys and tokens were not read yet"
ROTATE_ROWS = 200

Hold = Callable[[Mapping[str, str]], None]
"""Takes the instances that are held from now on, and why."""


class Rotated(NamedTuple):
    """What one step of sealing everything anew has done."""

    key_id: str
    """The key that seals now."""
    resealed: int
    shut: tuple[tuple[str, str], ...]
    """Instance and key of those that cannot be opened: they stay as they are."""
    left: int
    """How many another key seals still, those that cannot be opened among them."""


class Secrets:
    """Follows the run time: `run_time.follow(secrets.take)` before those who need what was opened."""

    def __init__(self, rows: SecretRows, keys: SecretKeys, hold: Hold, feed: Feed) -> None:
        self._rows = rows
        self._keys = keys
        self._hold = hold
        self._feed = feed
        self._seen: Mapping[tuple[str, str], SecretRow] = {}
        self._values: dict[tuple[str, str], RunTimeValue] = {}
        self._opened = Opened()
        hold({EVERYBODY: NOT_READ})

    def opened(self) -> Opened:
        """What is in force; the same object until something changes."""
        return self._opened

    def shut(self) -> Mapping[str, Mapping[str, str]]:
        """The secrets that cannot be opened: by instance and key, why not."""
        return self._opened.shut

    def short(self) -> list[tuple[str, str]]:
        """Tokens that open doors and can be guessed, by instance and key: stored long ago, or by SQL."""
        return [
            (instance, value.key)
            for instance, own in sorted(self._opened.values.items())
            for value in own
            if is_short(("instances", instance, *value.key.split(".")), value.value)
        ]

    def values(self, instance: str) -> Sequence[RunTimeValue]:
        """Those that are stored sealed and were opened here, as settings."""
        return self._opened.values.get(storable(instance), ())

    async def take(self, reading: RunTimeRows = NOTHING_READ) -> None:
        """Read them again, as much of them as was read of the settings, and put them in force.

        Args:
          reading: what was set at run time, perhaps by SQL and in clear.

        Raises `LedgerUnavailable`.
        """
        unsealed = await self._seal_clear(reading)
        buckets = reading.buckets if len(self._seen) < MAX_SECRETS else None
        stay = {} if buckets is None else _without(self._seen, buckets)
        found = stay | {(row.instance, row.key): row for row in await self._rows.read(MAX_SECRETS, buckets)}
        if found == self._seen and self._opened.are_read and not self._opened.shut and not unsealed:
            return
        sealer, problem = await self._to_open()
        values, shut = dict[tuple[str, str], RunTimeValue](), defaultdict[str, dict[str, str]](dict)
        for place, row in found.items():
            if not is_secret(row.key):
                if place not in self._seen:  # SQL by hand, or another version
                    scope = f"instance:{row.instance}"
                    self._feed.emit("settings.left_out", key=row.key, scope=scope, why="is no key or token")
                continue
            if self._seen.get(place) == row and place in self._values:
                values[place] = self._values[place]
                continue
            try:
                values[place] = _value(row, sealer)
            except CannotOpen as error:
                shut[row.instance][row.key] = problem or f"{error}; {ADVICE}"
        for (instance, key), why in unsealed.items():
            shut[instance][key] = why
        if not self._opened.are_read or (found, values, shut) != (
            self._seen,
            self._values,
            self._opened.shut,
        ):
            self._put(found, values, dict(shut))

    def put(self, instance: str, key: str, value: object) -> Mapping[str, str]:
        """What is stored of it, as `majlis_keep_secrets` takes it, for JSON: the caller stores it.

        Raises:
          NoSealingKey, KeyFileUnfit: both a `Conflict`, whose text says what to do.
        """
        sealed = self._keys.to_seal().seal(storable(instance), key, value)
        return {"sealed": base64.b64encode(sealed.box).decode(), "key_id": sealed.key_id}

    async def rotate(self, skip: int = 0) -> Rotated:
        """Seal anew, with the first key, some of what another one sealed.

        Args:
          skip: how many were found before that cannot be opened: they come first, and would come again and again.

        Raises: NoSealingKey, KeyFileUnfit, LedgerUnavailable.
        """
        sealer = await trio.to_thread.run_sync(self._keys.to_seal)
        resealed, shut = 0, list[tuple[str, str]]()
        for row in await self._rows.sealed_otherwise(sealer.first, ROTATE_ROWS, skip):
            try:
                value = sealer.open(row.instance, row.key, Sealed(row.key_id, row.sealed))
            except CannotOpen:
                shut.append((row.instance, row.key))
                continue
            again = sealer.seal(row.instance, row.key, value)
            # One that was set anew in between is sealed with the key of whoever set it, and comes again.
            resealed += await self._rows.reseal(row, again.box, again.key_id)
        left = sum(number for name, number in (await self._rows.count()).items() if name != sealer.first)
        return Rotated(sealer.first, resealed, tuple(shut), left)

    async def by_key(self) -> dict[str, int]:
        """How many secrets each key seals, by its id. Raises: LedgerUnavailable."""
        return await self._rows.count()

    async def keys(self) -> tuple[str, ...]:
        """The ids of the keys that this daemon has, the one that seals first. Raises: KeyFileUnfit."""
        return (await trio.to_thread.run_sync(self._keys.to_open)).key_ids

    async def _seal_clear(self, reading: RunTimeRows) -> dict[tuple[str, str], str]:
        """Seal what SQL wrote in clear. Gives back what stays so, by instance and key, and why."""
        in_clear = {
            (row.scope.removeprefix(INSTANCE_SCOPE), row.key): row.value
            for scope, rows in reading.scopes.items()
            if scope.startswith(INSTANCE_SCOPE)
            for row in rows.settings
            if is_secret(row.key)
        }
        if not in_clear:
            return {}
        try:
            sealer = await trio.to_thread.run_sync(self._keys.to_seal)
        except (NoSealingKey, KeyFileUnfit) as error:
            return dict.fromkeys(
                in_clear, f"SQL wrote it in clear, and it is used when it is sealed: {error}"
            )
        for (instance, key), value in in_clear.items():
            sealed = sealer.seal(instance, key, msgspec.Raw(value.encode()))
            await self._rows.seal_clear(instance, key, value, sealed.box, sealed.key_id)
        return {}

    async def _to_open(self) -> tuple[Sealer, str]:
        """And what is wrong with the key file."""
        try:
            return await trio.to_thread.run_sync(self._keys.to_open), ""
        except KeyFileUnfit as error:
            return Sealer(), str(error)

    def _put(
        self,
        found: Mapping[tuple[str, str], SecretRow],
        values: dict[tuple[str, str], RunTimeValue],
        shut: Mapping[str, Mapping[str, str]],
    ) -> None:
        of_instance = defaultdict[str, list[RunTimeValue]](list)
        for (instance, _), value in values.items():
            of_instance[instance].append(value)
        before = self._opened.shut
        self._seen, self._values = found, values
        self._opened = Opened({name: tuple(own) for name, own in of_instance.items()}, shut, True)
        for instance, keys in shut.items():
            for key, why in keys.items():
                if before.get(instance, {}).get(key) != why:
                    self._feed.emit("secret.shut", instance=instance, key=key, why=why)
        for instance in before.keys() - shut.keys():
            self._feed.emit("secret.opened", instance=instance)
        self._hold({instance: _words(keys) for instance, keys in shut.items()})


def _without(
    rows: Mapping[tuple[str, str], SecretRow], buckets: Collection[int]
) -> dict[tuple[str, str], SecretRow]:
    return {place: row for place, row in rows.items() if row.bucket not in buckets}


def _value(row: SecretRow, sealer: Sealer) -> RunTimeValue:
    """Raises: CannotOpen."""
    value = sealer.open(row.instance, row.key, Sealed(row.key_id, row.sealed))
    moment = row.set_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return RunTimeValue(row.key, value, f"majlis instance set {row.instance}, {moment}", sealed=True)


def _words(keys: Mapping[str, str]) -> str:
    """Why an instance is held."""
    key, why = next(iter(keys.items()))
    others = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
    return f"its {key}{others} cannot be opened: {why}"
