"""What a version changed: two states side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from daemon.config.run_time import is_secret
from daemon.tenants.keys import COLUMNS, CONFIGS, FLAG_PREFIX, is_key
from daemon.tenants.rows import State, Version


class Difference(msgspec.Struct, frozen=True):
    key: str
    before: Any
    """None: it was not set."""
    after: Any
    secret: bool = False
    """Then the values are not for showing: only whether it was set, changed or unset."""


def differences(before: State, after: State) -> tuple[Difference, ...]:
    """By key."""
    return tuple(sorted(_differences(before, after), key=lambda one: one.key))


def with_differences(versions: list[Version]) -> Iterator[tuple[Version, tuple[Difference, ...]]]:
    """Each with what it changed; `versions` are consecutive, the latest first, and the last of them may be left out."""
    for place, version in enumerate(versions):
        if place + 1 < len(versions):
            yield version, differences(versions[place + 1].state, version.state)
        elif version.version == 1:
            yield version, differences(State(), version.state)


def merged(state: State) -> dict[str, Any]:
    """Every value that is in force for its key, without secrets: a column that has one wins."""
    found = {**state.settings, **{f"{FLAG_PREFIX}{flag}": value for flag, value in state.flags.items()}}
    return (
        found
        | {key: value for key, value in state.columns.items() if key in COLUMNS and key != "active"}
        | {"active": is_active(state)}
    )


def exported(state: State) -> dict[str, Any]:
    """Of that, what another daemon may be told: SQL can write other keys, and a secret in clear."""
    return {key: value for key, value in merged(state).items() if is_key(key) and not is_secret(key)}


def secrets_of(state: State) -> list[str]:
    """The keys of its secrets, without the misspelt ones of SQL by hand."""
    return sorted(filter(is_key, state.secrets))


def is_active(state: State) -> bool:
    """As `majlis_instance_rule` sees it."""
    return state.columns.get("active") is not False and state.columns.get(CONFIGS) is not False


def _differences(before: State, after: State) -> Iterator[Difference]:
    for one in _changed(merged(before) if before.there else {}, merged(after) if after.there else {}):
        # SQL by hand can write a secret in clear where settings are, and misspell its key.
        yield msgspec.structs.replace(one, secret=is_secret(one.key) or not is_key(one.key))
    for one in _changed(before.secrets, after.secrets):
        yield msgspec.structs.replace(one, secret=True)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key) or (key in before) != (key in after):
            yield Difference(key, _told(before, key), _told(after, key))


def _told(values: Mapping[str, Any], key: str) -> Any:
    """Null that is set is not the same as nothing."""
    return "null" if key in values and values[key] is None else values.get(key)
