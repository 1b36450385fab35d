"""Which features are on for which instance: as configured, unless changed by `majlis flags`.

Laws of this file:
1. The narrower scope wins: the flag set for the instance, else the one set for this daemon, else the configuration.
2. `of` is called in every turn: it reads memory alone. All names without settings or flags of their own share one
   answer, so that made-up names in a webhook's path take no room.
3. While Postgres is away, the flags read last stay in force.
"""

from __future__ import annotations

import msgspec
import trio

from actors.errors import LedgerUnavailable
from actors.instance import FeatureFlags
from actors.ports import Feed
from daemon.config import Settings
from daemon.ledger.records import Records
from daemon.ledger.rows import FlagRow
from daemon.stores.postgres import LedgerError, LedgerMisconfigured

REFRESH_SECONDS = 30.0
"""How often the flags are read again: other daemons on this database may have set some."""

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

    def __init__(self, records: Records, settings: Settings, node_id: str, feed: Feed) -> None:
        self._records = records
        self._settings = settings
        self._node_id = node_id
        self._feed = feed
        self._reading = trio.Lock()
        """One reading at a time: else one begun before a change could overwrite it."""
        self._set: dict[tuple[str, str], bool] = {}
        """By scope and flag."""
        self._general = FeatureFlags()
        self._apart: dict[str, FeatureFlags] = {}
        self._settle({})

    def of(self, instance: str) -> FeatureFlags:
        """What is on for `instance` now."""
        return self._apart.get(instance, self._general)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the database until cancelled; started after the first reading, even if that failed."""
        await self._try_refresh()
        task_status.started()
        while True:
            await trio.sleep(REFRESH_SECONDS)
            await self._try_refresh()

    async def refresh(self) -> int:
        """Read the flags again; returns how many there are. Raises `LedgerUnavailable`."""
        async with self._reading:
            rows = await self._records.flags(self._daemon_scope)
            found = {(row.scope, row.flag): row.value for row in rows if row.flag in FLAGS}
            self._announce(found)
            self._settle(found)
        return len(found)

    async def set(self, flag: str, value: bool, instance: str | None = None) -> None:
        """For one instance, or for this daemon. Raises `LedgerUnavailable`."""
        await self._records.set_flag(FlagRow(self._scope(instance), flag, value))
        await self.refresh()

    async def clear(self, flag: str, instance: str | None = None) -> bool:
        """Let the wider scope apply again; False when nothing was set. Raises `LedgerUnavailable`."""
        await self.refresh()
        scope = self._scope(instance)
        if (scope, flag) not in self._set:
            return False
        await self._records.clear_flag(scope, flag)
        await self.refresh()
        return True

    def page(self) -> FlagPage:
        """All flags, as operators see them."""
        return FlagPage(node_id=self._node_id, flags=[self._view(flag) for flag in FLAGS])

    def _view(self, flag: str) -> FlagView:
        effective: bool = getattr(self._general, flag)
        apart = []
        for name, flags in sorted(self._apart.items()):
            value, was_set = getattr(flags, flag), (_instance_scope(name), flag) in self._set
            if was_set or value != effective:
                apart.append(InstanceFlag(instance=name, value=value, set=was_set))
        return FlagView(
            flag=flag,
            configured=getattr(self._configured(_ANY_INSTANCE), flag),
            daemon=self._set.get((self._daemon_scope, flag)),
            effective=effective,
            instances=apart,
        )

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except (LedgerError, LedgerMisconfigured) as error:
            self._feed.emit("daemon.problem", part="flags", error=type(error).__name__)
        except LedgerUnavailable:
            pass  # law 3; the store watch reports it

    def _announce(self, found: dict[tuple[str, str], bool]) -> None:
        for scope, flag in sorted(found.keys() | self._set.keys()):
            value = found.get((scope, flag))
            if value != self._set.get((scope, flag)):
                word = "cleared" if value is None else "on" if value else "off"
                self._feed.emit("flags.changed", flag=flag, value=word, scope=scope)

    def _settle(self, found: dict[tuple[str, str], bool]) -> None:
        """Put these in force."""
        self._set = found
        names = {scope.partition(":")[2] for scope, _ in found if scope != self._daemon_scope}
        for_daemon = self._of_scope(self._daemon_scope)
        self._general = _over(self._configured(_ANY_INSTANCE), for_daemon)
        self._apart = {
            name: _over(self._configured(name), for_daemon | self._of_scope(_instance_scope(name)))
            for name in names.union(self._settings.instances)
        }

    def _configured(self, instance: str) -> FeatureFlags:
        return self._settings.for_instance(instance).flags(self._settings.turn.parallel)

    def _of_scope(self, scope: str) -> Flags:
        return {flag: value for (of, flag), value in self._set.items() if of == scope}

    def _scope(self, instance: str | None) -> str:
        return self._daemon_scope if instance is None else _instance_scope(instance)

    @property
    def _daemon_scope(self) -> str:
        return f"daemon:{self._node_id}"


def _instance_scope(name: str) -> str:
    return f"instance:{name}"


def _over(flags: FeatureFlags, set_here: Flags) -> FeatureFlags:
    return msgspec.structs.replace(flags, **set_here)
