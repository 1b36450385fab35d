"""Instances: adding, changing, removing them, and giving them back as they were.

Laws of this file:
1. Every change is one version, whoever makes it, and all of it or nothing: judged as config.yaml is, one transaction.
2. A change is in force here when the method returns.
3. A version is complete: giving it back needs no other one. Secrets stay as they are.
4. What SQL changed at the same time is not overwritten unseen: the change is judged again on top of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
import trio

from actors.errors import Conflict, LedgerUnavailable, Missing
from daemon.config import ConfigError
from daemon.config.run_time import ForInstance, RunTimeValue
from daemon.controls.feature_flags import StoredFlags
from daemon.controls.live_settings import LiveSettings
from daemon.ingress.known_instances import MAX_STORED, KnownInstances
from daemon.stores.postgres import LedgerError, LedgerMisconfigured
from daemon.tenants.changes import Changes, Follow
from daemon.tenants.history import Difference, differences, with_differences
from daemon.tenants.keys import name_problem
from daemon.tenants.plan import Judge, applied, emptied, planned, restored
from daemon.tenants.rows import ListedInstance, SqlChange, State, TenantRows, Version, What
from daemon.tenants.secret_store import SecretStore
from daemon.tenants.view import InstanceValues, values_of

_ATTEMPTS = 10
Before = Callable[[], Awaitable[None]]
NEW = {"active": True, "escalation.enabled": True}
"""What an added instance has unless it is said otherwise: a customer who asks for a person gets one."""


class Deed(NamedTuple):
    """Who changes, why, and what is to be done just before."""

    by: str
    why: str
    record: Before = trio.lowlevel.checkpoint


class Changed(msgspec.Struct, frozen=True):
    """A change that is in force."""

    instance: str
    version: int
    differences: tuple[Difference, ...]
    former: int = 0
    """Of one that was added: the version that holds what was set when an instance of this name was last there."""


class _Done(NamedTuple):
    """A change that is stored."""

    before: int
    """The version that it was made on."""
    version: int
    planned: tuple[Difference, ...]
    """What it changed, should the database not say so any more."""


class Planned(NamedTuple):
    """What applying a file would do to one instance."""

    instance: str
    what: What
    differences: tuple[Difference, ...]
    """Of a secret, only whether it is set or changed."""


class Tenants:
    """Every method may raise `LedgerUnavailable`. `by` is who asks, in a few words."""

    def __init__(
        self,
        rows: TenantRows,
        changes: Changes,
        live: LiveSettings,
        flags: StoredFlags,
        known: KnownInstances,
        secrets: SecretStore | None = None,
    ) -> None:
        self._rows = rows
        self._changes = changes
        self._live = live
        self._flags = flags
        self._known = known
        self._secrets = secrets
        self._changing = trio.Lock()

    def follow(self, callback: Follow) -> None:
        """`callback` gets the instances whose settings changed, and of these the ones that did not exist before."""
        self._changes.follow(callback)

    async def add(self, name: str, changes: Mapping[str, object], by: str, why: str = "") -> Changed:
        """Make an instance, with all that is said of it, as one version; nothing is left of one of this name before it.

        Raises:
          Conflict: it exists already, its name is unfit, or a value does not fit; nothing is made.
        """
        if problem := name_problem(name):
            raise Conflict(problem)
        now = await self._rows.current(name)
        if now is not None and now.state.there:
            raise Conflict(
                f"{name} exists already: change it with `majlis instance set {shlex.quote(name)} KEY=VALUE`."
            )
        if problem := self._alike(name):
            raise Conflict(problem)

        def plan(state: State) -> SqlChange:
            return self._planned(name, state, {**NEW, **changes}, ())

        former = 0 if now is None else await self._rows.last_there(name)
        done = await self._made(name, "add", Deed(by, why), plan)
        return msgspec.structs.replace(done, former=former)

    async def change(
        self,
        name: str,
        changes: Mapping[str, object],
        unset: Collection[str],
        by: str,
        why: str = "",
        record: Before = trio.lowlevel.checkpoint,
    ) -> Changed:
        """Set and unset values of an instance, as one version; none where nothing changes by it.

        `record` is called when it is known to fit, before it is made; if it raises, nothing is changed.

        Raises:
          Missing: there is no such instance.
          Conflict: something does not fit; the text names each key, why, and what is allowed. Nothing is changed.
        """

        def plan(state: State) -> SqlChange:
            return self._planned(name, state, changes, unset)

        return await self._made(name, "change", Deed(by, why, record), plan)

    async def plan(self, name: str, values: Mapping[str, object]) -> Planned:
        """What `apply` would do; nothing is done.

        Raises:
          Conflict: something does not fit; the text names each key, why, and what is allowed.
        """
        now = await self._rows.current(name)
        is_there = now is not None and now.state.there
        state = now.state if now is not None and is_there else State()
        if not is_there and (problem := name_problem(name) or self._alike(name)):
            raise Conflict(problem)
        try:
            change = self._planned(name, state, values if is_there else {**NEW, **values}, ())
        except ConfigError as error:
            raise Conflict(str(error)) from None
        found = differences(state, applied(state, change))
        return Planned(name, "change" if is_there else "add", found)

    async def apply(self, name: str, values: Mapping[str, object], by: str, why: str = "") -> Changed:
        """Add the instance, or change what is said of it; all other values stay as they are.

        Raises:
          Conflict: something does not fit; nothing is changed.
        """
        planned = await self.plan(name, values)
        if planned.what == "add":
            return await self.add(name, values, by, why)
        if not planned.differences:
            return Changed(name, (await self._there(name)).version, ())
        return await self.change(name, values, (), by, why)

    async def remove(self, name: str, by: str, why: str = "") -> Changed:
        """Take an instance out of use: inactive, its settings and secrets deleted. What was said there stays.

        Also what is left of one whose row SQL has deleted.

        Raises:
          Missing: there is no such instance.
          Conflict: config.yaml declares it.
        """
        if name in self._live.configured.instances:
            raise Conflict(
                f"{name} is declared in config.yaml and would come back with the next start: take it out there and "
                f"restart the daemon first, or stop answering with `majlis instance set {shlex.quote(name)} mode=off`."
            )
        now = await self._rows.current(name)
        left = now is not None and (now.state.settings or now.state.flags or now.state.secrets)
        return await self._made(name, "remove", Deed(by, why), emptied, removed_too=bool(left))

    async def restore(
        self,
        name: str,
        version: int | None,
        by: str,
        why: str = "",
        allow: Callable[[Collection[str]], None] = lambda keys: None,
    ) -> Changed:
        """Make a new version that is as `version` was; None: as the one before the last.

        Args:
          allow: told the keys that change by it; if it raises, nothing is changed.

        Raises:
          Missing: there is no such instance, or no such version any more.
          Conflict: what it held does not fit any more.
        """
        now = await self._there(name, removed_too=True)
        number = now.version - 1 if version is None else version
        then = await self._rows.version(name, number) if number > 0 else None
        if then is None:
            raise Missing(
                f"{name} has no version {number}: see `majlis instance history {shlex.quote(name)}`."
            )
        if not then.state.there:
            raise Conflict(
                f"In version {number} {name} was not there: remove it with "
                f"`majlis instance remove {shlex.quote(name)}`."
            )
        wanted = then.state

        def plan(state: State) -> SqlChange:
            change = restored(state, wanted, self._judge(name))
            allow((*change.settings, *change.unset_settings, *change.columns))
            return change

        return await self._made(
            name, "restore", Deed(by, why or f"as version {number}"), plan, removed_too=True
        )

    async def view(self, name: str) -> InstanceValues:
        """Every value that is in force for an instance, and where it comes from. Raises `Missing`."""
        now = await self._there(name)
        return values_of(name, now, self._live.with_origins(name), self._flags)

    async def list(self) -> Sequence[ListedInstance]:
        """The instances that are there, by name."""
        return await self._rows.listed(MAX_STORED)

    async def history(self, name: str, limit: int) -> Sequence[tuple[Version, tuple[Difference, ...]]]:
        """What was changed, the latest first. Raises `Missing`."""
        await self._there(name, removed_too=True)
        return tuple(with_differences(await self._rows.history(name, limit)))[:limit]

    async def state(self, name: str) -> Version:
        """All that is set for an instance, as it is stored. Raises `Missing`."""
        return await self._there(name)

    def _alike(self, name: str) -> str:
        """Why an instance of this name cannot be added beside another one."""
        names = self._changes.names
        alike = next((known for known in names if known != name and self._known.alike(known, name)), "")
        return alike and (
            f"There is {alike}, which differs in case alone: two such names would get each other's messages. "
            f"Change that one with `majlis instance set {shlex.quote(alike)} KEY=VALUE`, or choose another name."
        )

    async def _there(self, name: str, removed_too: bool = False) -> Version:
        now = await self._rows.current(name)
        if now is None or not (now.state.there or removed_too):
            raise Missing(f"There is no instance called {name}: see `majlis instance list`, or add it.")
        return now

    async def _made(
        self,
        name: str,
        what: What,
        deed: Deed,
        plan: Callable[[State], SqlChange],
        removed_too: bool = False,
    ) -> Changed:
        """Plan it on the state as it is, until nobody has changed that meanwhile."""
        async with self._changing:
            done = await self._changed(name, what, deed, plan, removed_too)
        return await self._in_force(name, done)

    async def _changed(
        self, name: str, what: What, deed: Deed, plan: Callable[[State], SqlChange], removed_too: bool
    ) -> _Done:
        for attempt in range(_ATTEMPTS):
            now = None if what == "add" else await self._there(name, removed_too)
            before = State() if now is None else now.state
            try:
                change = plan(before)
            except ConfigError as error:
                raise Conflict(str(error)) from None
            if not attempt:
                await deed.record()
            expected = 0 if now is None else now.version
            number = await self._rows.change(name, expected, change, deed.by, deed.why, what)
            if number is not None:
                return _Done(expected, number, differences(before, applied(before, change)))
            if what == "add":
                raise Conflict(f"{name} exists already: somebody added it at the same moment.")
        raise Conflict(f"{name} is being changed by others all the time: try again.")

    async def _in_force(self, name: str, done: _Done) -> Changed:
        # It is stored, and that is the answer. If Postgres goes away now, the poll puts it in force when that is back.
        with suppress(LedgerUnavailable, LedgerError, LedgerMisconfigured):
            await self._changes.look()
        await self._changes.tell()
        number = done.version
        if number == done.before:
            return Changed(name, number, ())
        found = done.planned
        with suppress(LedgerUnavailable, LedgerError, LedgerMisconfigured):
            numbers = (number, number - 1) if number > 1 else (number,)
            versions = [
                version for one in numbers if (version := await self._rows.version(name, one)) is not None
            ]
            _, found = next(iter(with_differences(versions)), (None, ()))
        return Changed(name, number, found)

    def _planned(
        self, name: str, state: State, changes: Mapping[str, object], unset: Collection[str]
    ) -> SqlChange:
        return planned(name, state, changes, unset, self._judge(name), self._secrets)

    def _judge(self, name: str) -> Judge:
        def judge(values: Sequence[RunTimeValue]) -> ForInstance:
            return self._live.tried(name, values)

        return judge
