"""The settings in force, where each came from, and changing them while the daemon runs."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
import trio
from msgspec import Meta

from actors.errors import Conflict, Missing
from daemon.config import ConfigError
from daemon.config.in_force import InForce, in_force, in_force_for
from daemon.config.load import without_keys
from daemon.config.run_time import full_key, is_secret, why_not
from daemon.config.schema import FLAG_OF
from daemon.config.sources import read_value
from daemon.controls.feature_flags import StoredFlags
from daemon.controls.live_settings import LiveSettings
from daemon.controls.stored_settings import COMMAND, MAX_VALUE_CHARS, StoredSettings
from daemon.ledger.records import Records
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.operate.unanswered import Silencing
from daemon.tenants import Tenants
from daemon.tenants.keys import canonical, sends_away
from daemon.web.http1 import Response, json_response

_NUMBERS = ("escalation.notify_numbers", "contacts.ignore", "contacts.allow", "contacts.priority")
"""Settings that hold phone numbers, of instances as well."""


class ConfigValue(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    value: str
    """As YAML would spell it; `****` for what is secret."""
    origin: str
    """`default`, the file's path, `environment MAJLIS_…`, `credential …`, `--set`; or, of what was changed since,
    `majlis set …` or `majlis flags set …`, by whom, and when."""


class LeftOutSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that was made at run time and is not in force."""

    key: str
    instance: str
    """Empty: it was set for this daemon."""
    reason: str


class ConfigPage(msgspec.Struct, frozen=True, kw_only=True):
    values: list[ConfigValue]
    left_out: list[LeftOutSetting] = []


class SettingChanged(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    instance: str
    """Empty: for this daemon."""
    value: str
    """What is in force there now."""
    origin: str
    exceptions: list[str] = []
    """Instances that go on with a run-time setting of their own."""


class NewValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Annotated[str, Meta(max_length=MAX_VALUE_CHARS, description="Read as YAML, as --set reads it.")]
    yes: Annotated[
        bool, Meta(description="Although nobody would answer then: see the reason `asks_first`.")
    ] = False


class ConfigQuery(Parameters, frozen=True, kw_only=True):
    instance: (
        Annotated[
            str,
            Meta(description="What applies to this instance, and whether that comes from its own settings."),
        ]
        | None
    ) = None
    reveal: Annotated[
        bool,
        Meta(description="Show phone numbers. Needs level admin; the audit log records who asked."),
    ] = False


class SettingChange(Parameters, frozen=True, kw_only=True):
    key: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="A setting, e.g. batching.window_seconds; `majlis config --instance NAME` lists them.",
        ),
    ]
    instance: (
        Annotated[
            str,
            Meta(
                description="For this instance, on every daemon. Without it: for all instances of this daemon."
            ),
        ]
        | None
    ) = None


class SettingsInForce:
    """Shows them, and changes those that may change at run time."""

    def __init__(
        self,
        live: LiveSettings,
        stored: StoredSettings,
        flags: StoredFlags,
        records: Records,
        tenants: Tenants,
        unanswered: Silencing,
    ) -> None:
        self._tenants = tenants
        self.unanswered = unanswered
        self._live = live
        self._stored = stored
        self._flags = flags
        self._records = records

    async def page(self, reveal: bool, instance: str | None = None) -> ConfigPage:
        """Every setting, or those that an instance may have for itself, as they apply to this one.

        Phone numbers are masked unless `reveal`; secrets always are. Raises `Missing` for an unknown instance.
        """
        await trio.lowlevel.checkpoint()
        if instance is not None and instance not in self._live.names:
            await self._check_instance(instance)
        return ConfigPage(
            values=[
                ConfigValue(key=row.key, value=shown(row, reveal), origin=row.origin)
                for row in self._rows(instance)
            ],
            left_out=[
                LeftOutSetting(key=left.key, instance=left.instance or "", reason=left.why)
                for left in self._stored.left_out
                if instance is None or left.instance in (None, instance)
            ],
        )

    async def set(
        self, key: str, text: str, instance: str | None, by: str, record: Callable[[Any], Awaitable[None]]
    ) -> SettingChanged:
        """Set it for one instance on every daemon, or for this daemon. `record` is told the value before it is stored.

        Raises `Missing` for an unknown instance, `Conflict` for what does not fit.
        """
        key = full_key(key)
        if is_secret(key):  # it would stand in the command line, which every user of the machine can read
            raise Conflict(str(why_not(key)))
        try:
            if instance is None:
                await self._stored.set(key, text, by, record)
                return self._changed(key)
            await self._check_instance(instance)
            value = read_value(text, tuple(key.split(".")), COMMAND)
        except ConfigError as error:
            raise Conflict(str(error)) from None
        plain = getattr(value, "parsed", value)

        async def write_down() -> None:
            await record(plain)

        await self._tenants.change(instance, {key: value}, (), by, record=write_down)
        return await self._changed_for(key, instance)

    async def unset(
        self, key: str, instance: str | None, by: str, record: Callable[[], Awaitable[None]]
    ) -> SettingChanged:
        """Raises `Conflict` when it was not set, or another setting needs it."""
        key = full_key(key)
        try:
            if instance is None:
                await self._stored.unset(key, record)
                return self._changed(key)
        except ConfigError as error:
            raise Conflict(str(error)) from None
        await self._check_instance(instance)
        await self._tenants.change(instance, {}, (key,), by, record=record)
        return await self._changed_for(key, instance)

    async def _check_instance(self, instance: str) -> None:
        if not await self._records.knows_instance(instance):
            raise Missing(f"The database has no instance called {instance}: check the spelling.")

    def _changed(self, key: str) -> SettingChanged:
        row = _whole(key, self._rows(None))
        exceptions = self._stored.holders(key)
        return SettingChanged(
            key=key, instance="", value=shown(row, reveal=False), origin=row.origin, exceptions=exceptions
        )

    async def _changed_for(self, key: str, instance: str) -> SettingChanged:
        values = (await self._tenants.view(instance)).values
        row = _whole(canonical(key), [InForce(value.key, value.value, value.origin) for value in values])
        return SettingChanged(key=key, instance=instance, value=shown(row, reveal=False), origin=row.origin)

    def _rows(self, instance: str | None) -> list[InForce]:
        settings = self._live.with_origins(instance)
        if instance is None:
            return list(in_force(settings))
        return [self._flagged(row, instance) for row in in_force_for(settings, instance)]

    def _flagged(self, row: InForce, instance: str) -> InForce:
        """What a feature flag says has the last word."""
        flag = "takeover" if row.key == "takeover.pause_seconds" else FLAG_OF.get(row.key)
        if flag is None:
            return row
        words = next(
            (
                f"majlis flags set{option}"
                for option, scope in ((f" --instance {shlex.quote(instance)}", instance), ("", None))
                if self._flags.is_set(flag, scope)
            ),
            "",
        )
        is_on = getattr(self._flags.of(instance), flag)
        if not words or (flag == "takeover" and is_on):
            return row
        if flag == "takeover":
            return row._replace(origin=f"{row.origin}; off by {words}")
        return row._replace(value="true" if is_on else "false", origin=words)


def _whole(key: str, rows: Sequence[InForce]) -> InForce:
    """The row of a setting; of one that is a mapping, which has a row for each entry, all of these in one."""
    entries = sorted(row for row in rows if row.key.startswith(f"{key}."))
    if not entries:
        return next((row for row in rows if row.key == key), InForce(key, "null", "default"))
    listed = ", ".join(f"{row.key.removeprefix(f'{key}.')}: {row.value}" for row in entries)
    return entries[0]._replace(key=key, value=f"{{{listed}}}")


def shown(row: InForce, reveal: bool) -> str:
    """The value without phone numbers, unless `reveal`; a key in an address is never shown."""
    if row.key == "webhook_url":
        return without_keys(row.value)
    return row.value if reveal or not row.key.endswith(_NUMBERS) else _masked(row.value)


def _masked(listed: str) -> str:
    """A list of numbers, each as its last two digits, however it is written; a prefix names nobody."""
    return (
        "["
        + ", ".join(item if item.endswith("*") else _last_two(item) for item in listed[1:-1].split(", "))
        + "]"
    )


def _last_two(number: str) -> str:
    digits = "".join(filter(str.isdigit, number))
    return f"…{digits[-2:]}" if digits else number


async def _page(settings: SettingsInForce, call: AdminCall, asked: ConfigQuery) -> Response:
    """Every setting in force, and where it came from; secrets are always masked."""
    return await call.answer(await settings.page(call.reveal, asked.instance or None), "settings")


async def _set(settings: SettingsInForce, call: AdminCall, asked: SettingChange) -> Response:
    """Change a setting while the daemon runs."""
    _insist(call, asked.key)
    instance = asked.instance or None
    if instance is not None:
        await settings.unanswered.insist(instance, {asked.key: call.body.value}, call.body.yes)

    async def record(value: Any) -> None:
        # A text may be the business' own, or a number: it stands in the table, and not in the log.
        shown = f" {msgspec.json.encode(value).decode()}" if isinstance(value, int | float | None) else ""
        await call.audit("settings.set", f"{full_key(asked.key)}{shown}, {_place(instance)}")

    return json_response(200, await settings.set(asked.key, call.body.value, instance, call.who, record))


async def _unset(settings: SettingsInForce, call: AdminCall, asked: SettingChange) -> Response:
    """Drop what was set at run time, so that the daemon's value or config.yaml applies again."""
    _insist(call, asked.key)
    instance = asked.instance or None

    async def record() -> None:
        await call.audit("settings.unset", f"{full_key(asked.key)}, {_place(instance)}")

    return json_response(200, await settings.unset(asked.key, instance, call.who, record))


def _insist(call: AdminCall, written: str) -> None:
    if sends_away(key := canonical(written)):
        call.insist("admin", f"{key}, where keys and messages are sent,")


def _place(instance: str | None) -> str:
    return f"instance {instance}" if instance else "this daemon"


ROUTES = (
    Route("GET", "/v1/config", SettingsInForce, _page, "read", ConfigPage, ConfigQuery),
    Route(
        "POST",
        "/v1/config/{key}/set",
        SettingsInForce,
        _set,
        "operate",
        SettingChanged,
        SettingChange,
        NewValue,
    ),
    Route(
        "POST", "/v1/config/{key}/unset", SettingsInForce, _unset, "operate", SettingChanged, SettingChange
    ),
)
