"""Every value in force for an instance, and where it comes from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from daemon.config import Settings
from daemon.config.in_force import in_force_for
from daemon.config.load import MASK
from daemon.config.run_time import is_secret
from daemon.config.schema import FLAG_OF
from daemon.controls.feature_flags import StoredFlags
from daemon.ledger import shared_columns
from daemon.tenants.history import is_active
from daemon.tenants.keys import (
    COLUMNS,
    COMMAND,
    CONFIGS,
    CONFIGS_COLUMN,
    FLAG_PREFIX,
    FLAGS,
    KeyKind,
)
from daemon.tenants.rows import Version

DEFAULT = "default"


class ShownValue(msgspec.Struct, frozen=True):
    key: str
    value: str
    """As YAML would spell it; `****` for what is secret."""
    origin: str
    kind: KeyKind


class InstanceValues(msgspec.Struct, frozen=True):
    instance: str
    version: Version
    values: tuple[ShownValue, ...]


def values_of(name: str, version: Version, settings: Settings, flags: StoredFlags) -> InstanceValues:
    """The columns first, then the settings in the order of config.yaml, the flags and the secrets.

    Args:
      settings: with the origins of what was set at run time.
    """
    state = version.state
    columns = list(_columns(version))
    taken = {value.key for value in columns if value.origin != DEFAULT}
    shown = [value for value in columns if value.origin != DEFAULT or value.key not in _ALSO_SETTINGS]
    for row in in_force_for(settings, name):
        if row.key not in FLAG_OF and row.key not in taken and row.key not in state.secrets:
            kind: KeyKind = "secret" if is_secret(row.key) else "setting"
            shown.append(ShownValue(row.key, row.value, row.origin, kind))
    shown += _flags(name, settings, flags)
    shown += [ShownValue(key, MASK, "secret", "secret") for key in sorted(state.secrets)]
    return InstanceValues(name, version, tuple(shown))


_ALSO_SETTINGS = frozenset({"escalation.message", "responder.fallback_message"})
"""Keys whose value comes from the settings where the column has none."""
_DEFAULTS = {"escalation.enabled": False, "escalation.threshold": 3}


def _itself(value: Any) -> Any:
    return value


_MEANS: Mapping[str, Callable[[Any], Any]] = {
    "escalation.enabled": shared_columns.flag,
    "escalation.threshold": lambda value: shared_columns.count(value) or None,
    "escalation.keywords": shared_columns.words,
}
"""Columns that an existing database may have with other types, as the turns understand them."""


def _columns(version: Version) -> Iterator[ShownValue]:
    state = version.state
    for key, column in COLUMNS.items():
        origin = str(column)
        if key == "active":
            if state.columns.get(CONFIGS) is False:
                origin = str(CONFIGS_COLUMN)
            yield ShownValue(key, spelled(is_active(state)), origin, "column")
        elif key in state.columns and str(state.columns[key]).strip():
            means = _MEANS.get(key, _itself)(state.columns[key])
            if means is None:  # the turns go on with the default
                means, origin = _DEFAULTS.get(key), f"{DEFAULT}; {origin} has no number above 0"
            yield ShownValue(key, spelled(means), origin, "column")
        else:
            yield ShownValue(key, spelled(_DEFAULTS.get(key)), DEFAULT, "column")


def _flags(name: str, settings: Settings, flags: StoredFlags) -> Iterator[ShownValue]:
    in_force = flags.of(name)
    keys = {flag: key for key, flag in FLAG_OF.items()} | {"takeover": "takeover.pause_seconds"}
    rows = {row.key: row for row in in_force_for(settings, name)}
    for flag in FLAGS:
        key = f"{FLAG_PREFIX}{flag}"
        if flags.is_set(flag, name):
            origin = COMMAND
        elif flags.is_set(flag, None):
            origin = "majlis flags set"
        else:
            origin = rows[keys[flag]].origin if keys.get(flag) in rows else DEFAULT
        yield ShownValue(key, spelled(getattr(in_force, flag)), origin, "flag")


def spelled(value: object) -> str:
    """As YAML would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(spelled, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {spelled(item)}" for key, item in value.items()) + "}"
    return "null" if value is None else str(value)
