"""Which features are on for which instance: as configured, unless changed by `majlis flags`.

Laws of this file:
1. The narrower scope wins: the flag set for the instance, else the one set for this daemon, else the configuration.
2. `of` is called in every turn: it reads memory alone. All names without settings or flags of their own share one
   answer, so that made-up names in a webhook's path take no room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from actors.instance import FeatureFlags
from actors.ports import Feed
from daemon.controls.live_settings import LiveSettings
from daemon.controls.run_time import RunTime, RunTimeRows
from daemon.ledger.records import Records
from daemon.ledger.rows import FlagRow

_ANY_INSTANCE = ""
"""No instance has this name: its configuration is that of every instance without settings of its own."""

Flags = dict[str, bool]

FLAGS: tuple[str, ...] = FeatureFlags.__struct_fields__
"""The features that can be switched on and off while the daemon runs."""


class InstanceFlag(msgspec.Struct, frozen=True, kw_only=True):
    """One instance for which a flag was set, or for which it differs from the others."""

    instance: str
    value: bool
    """The value in force."""
    set: bool
    """Whether it was set by `majlis flags`; else it comes from the configuration."""


class FlagView(msgspec.Struct, frozen=True, kw_only=True):
    flag: str
    configured: bool
    daemon: bool | None = None
    """As set for this daemon; None when it was not."""
    effective: bool
    """The value in force for every instance that is not among `instances`."""
    instances: list[InstanceFlag] = []


class FlagPage(msgspec.Struct, frozen=True, kw_only=True):
    node_id: str
    """The daemon to which `daemon` and `effective` apply. Flags of instances apply to every daemon on this database."""
    flags: list[FlagView]


class StoredFlags:
    """Implements `actors.ports.FlagSource`."""

    def __init__(self, records: Records, run_time: RunTime, settings: LiveSettings, feed: Feed) -> None:
        """Follows `run_time` after those who change `settings`."""
        self._records = records
        self._run_time = run_time
        self._settings = settings
        self._feed = feed
        self._set: Mapping[str, Flags] = {}
        """By scope."""
        self._general = FeatureFlags()
        self._apart: dict[str, FeatureFlags] = {}
        self._settle({})
        run_time.follow(self._take)

    def of(self, instance: str) -> FeatureFlags:
        """What is on for `instance` now."""
        return self._apart.get(instance, self._general)

    async def set(self, flag: str, value: bool) -> None:
        """For this daemon. Raises `LedgerUnavailable`."""
        await self._records.set_flag(FlagRow(self._run_time.daemon_scope, flag, value))
        await self._run_time.refresh()

    async def clear(self, flag: str) -> bool:
        """Let the configuration apply again; False when nothing was set. Raises `LedgerUnavailable`."""
        await self._run_time.refresh()
        if not self.is_set(flag, None):
            return False
        await self._records.clear_flag(self._run_time.daemon_scope, flag)
        await self._run_time.refresh()
        return True

    def is_set(self, flag: str, instance: str | None) -> bool:
        """Whether it was set for this instance, or for this daemon."""
        return flag in self._set.get(self._run_time.scope(instance), {})

    def page(self) -> FlagPage:
        """All flags, as operators see them."""
        return FlagPage(node_id=self._run_time.node_id, flags=[self._view(flag) for flag in FLAGS])

    def _view(self, flag: str) -> FlagView:
        effective: bool = getattr(self._general, flag)
        apart = []
        for name, flags in sorted(self._apart.items()):
            value, was_set = getattr(flags, flag), self.is_set(flag, name)
            if was_set or value != effective:
                apart.append(InstanceFlag(instance=name, value=value, set=was_set))
        return FlagView(
            flag=flag,
            configured=getattr(self._configured(_ANY_INSTANCE), flag),
            daemon=self._set.get(self._run_time.daemon_scope, {}).get(flag),
            effective=effective,
            instances=apart,
        )

    async def _take(self, reading: RunTimeRows) -> None:
        """Put in force what was read; waits for nothing, so that settings and flags change in one moment."""
        found = {scope: _known(rows.flags) for scope, rows in reading.scopes.items() if rows.flags}
        self._announce(found)
        self._settle(found)

    def _announce(self, found: Mapping[str, Flags]) -> None:
        for scope in sorted(found.keys() | self._set.keys()):
            now, before = found.get(scope, {}), self._set.get(scope, {})
            for flag in sorted(now.keys() | before.keys()):
                value = now.get(flag)
                if value != before.get(flag):
                    word = "cleared" if value is None else "on" if value else "off"
                    self._feed.emit("flags.changed", flag=flag, value=word, scope=scope)

    def _settle(self, found: Mapping[str, Flags]) -> None:
        """Put these in force."""
        self._set = found
        names = filter(None, map(self._run_time.instance, found))
        for_daemon = found.get(self._run_time.daemon_scope, {})
        self._general = _over(self._configured(_ANY_INSTANCE), for_daemon)
        self._apart = {
            name: _over(self._configured(name), for_daemon | found.get(self._run_time.scope(name), {}))
            for name in {*self._settings.names, *names}
        }

    def _configured(self, instance: str) -> FeatureFlags:
        return self._settings.for_instance(instance).flags(self._settings.configured.turn.parallel)


def _known(rows: Iterable[FlagRow]) -> Flags:
    return {row.flag: row.value for row in rows if row.flag in FLAGS}


def _over(flags: FeatureFlags, set_here: Flags) -> FeatureFlags:
    return msgspec.structs.replace(flags, **set_here)
