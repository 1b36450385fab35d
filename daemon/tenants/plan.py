"""What a change makes of the state of an instance: judged whole, and spelled for the ledger. Pure.

One wrong key, and nothing of the change is done: every fault is named.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from daemon.config import ConfigError
from daemon.config.door_tokens import ALLOWED, is_short
from daemon.config.run_time import KEYS, ForInstance, LeftOut, RunTimeValue, is_secret, value_in, why_not
from daemon.tenants.keys import (
    COLUMNS,
    COMMAND,
    CONFIGS,
    FLAG_PREFIX,
    canonical,
    column_value,
    flag_value,
    kind_of,
    read,
)
from daemon.tenants.rows import SqlChange, State
from daemon.tenants.secret_store import SecretStore

Judge = Callable[[Sequence[RunTimeValue]], ForInstance]
"""What would be in force with these settings of the instance."""

NO_SECRETS = (
    "secrets of instances cannot be stored here yet: put this one into config.yaml, the environment or a "
    "credential"
)


def planned(
    instance: str,
    state: State,
    changes: Mapping[str, object],
    unset: Collection[str],
    judge: Judge,
    secrets: SecretStore | None = None,
) -> SqlChange:
    """What to write so that `changes` hold and `unset` do not. Raises ConfigError, a line for each fault."""
    faults: list[str] = []
    settings: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    flags: dict[str, bool] = {}
    plain: dict[str, object] = {}
    opened = () if secrets is None else secrets.values(instance)
    stored_before = tuple(value for value in opened if value.key in state.secrets)
    known = {value.key: value.value for value in stored_before}
    for written, value in changes.items():
        key = canonical(written)
        try:
            kind, found = kind_of(key), read(key, value)
            if kind == "secret":
                if secrets is None:
                    raise ConfigError(f"{key}: {NO_SECRETS}")
                if key not in known or known[key] != _as_json(found):
                    plain[key] = _secret(instance, key, found)
            elif kind == "flag":
                flags[key.removeprefix(FLAG_PREFIX)] = flag_value(key, found)
            elif kind == "column" and _in_column(key, state):
                columns[key] = column_value(key, found)
            else:
                settings[key] = found
        except ConfigError as error:
            faults.append(str(error))
    gone = _gone(state, {canonical(key) for key in unset}, changes, faults)
    if columns.get("active") is True and state.columns.get(CONFIGS) is False:
        columns[CONFIGS] = True
    kept = [value for value in stored_before if value.key not in (*plain, *gone.unset_secrets)]
    added = [RunTimeValue(key, value, COMMAND, is_secret(key)) for key, value in plain.items()]
    stored = _judged(state, settings, gone.unset_settings, judge, faults, (stored_before, [*kept, *added]))
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))
    sealed = (
        {} if secrets is None else {key: secrets.put(instance, key, value) for key, value in plain.items()}
    )
    return msgspec.structs.replace(
        gone, settings=stored, columns={**gone.columns, **columns}, flags=flags, secrets=sealed
    )


def applied(state: State, change: SqlChange) -> State:
    """The state after a change; a secret that is set has another word than before."""
    columns = {**state.columns, **change.columns}
    settings = {**state.settings, **change.settings}
    flags, secrets = (
        {**state.flags, **change.flags},
        {**state.secrets, **dict.fromkeys(change.secrets, "new")},
    )
    return State(
        there=True,
        row=state.row,
        columns={key: value for key, value in columns.items() if value is not None},
        settings={key: value for key, value in settings.items() if key not in change.unset_settings},
        flags={key: value for key, value in flags.items() if key not in change.unset_flags},
        secrets={key: value for key, value in secrets.items() if key not in change.unset_secrets},
    )


def restored(now: State, then: State, judge: Judge) -> SqlChange:
    """What to write so that all is as it was then, but for secrets. Raises ConfigError where that does not fit now."""
    faults: list[str] = []
    changed = {
        key: value
        for key, value in then.settings.items()
        if now.settings.get(key, _NONE) != value and not is_secret(key)  # one that SQL wrote in clear
    }
    gone = tuple(sorted(now.settings.keys() - then.settings.keys()))
    kept = {key: value for key, value in now.settings.items() if key in then.settings}
    _judged(msgspec.structs.replace(now, settings=kept), changed, (), judge, faults)
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))
    columns = {
        key: then.columns.get(key)
        for key in (*COLUMNS, CONFIGS)
        if now.columns.get(key) != then.columns.get(key)
    }
    if CONFIGS in columns:  # where it is missing in a state, they are not all switched off
        columns[CONFIGS] = columns[CONFIGS] is not False
    return SqlChange(
        settings=changed,
        columns=columns,
        flags={flag: value for flag, value in then.flags.items() if now.flags.get(flag) != value},
        unset_settings=gone,
        unset_flags=tuple(sorted(now.flags.keys() - then.flags.keys())),
    )


def emptied(state: State) -> SqlChange:
    """What to write so that nothing is set any more and the instance is inactive."""
    return SqlChange(
        columns={"active": False},
        unset_settings=tuple(state.settings),
        unset_flags=tuple(state.flags),
        unset_secrets=tuple(state.secrets),
    )


def _in_column(key: str, state: State) -> bool:
    """A key that is a setting as well goes where its value is: a column that has none leaves it to the settings."""
    return key not in _ALSO_SETTINGS or bool(str(state.columns.get(key) or "").strip())


_ALSO_SETTINGS = frozenset({*KEYS, "responder.fallback_message"}) & COLUMNS.keys()
_NONE = object()


def _secret(instance: str, key: str, value: object) -> object:
    """Of its type the schema is the judge, together with all else."""
    if value in (None, "", [], {}):
        raise ConfigError(
            f"{key}: must be a text, not empty; `majlis instance set {shlex.quote(instance)} {key}=-` asks for it"
        )
    plain = _as_json(value)
    if is_short(("instances", instance, *key.split(".")), plain):
        raise ConfigError(f"{key}: {ALLOWED}")
    return plain


def _as_json(value: object) -> object:
    """Text keeps the spelling that it was typed in."""
    if isinstance(value, Mapping):
        return {str(name): _as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _gone(
    state: State, unset: Collection[str], changes: Mapping[str, object], faults: list[str]
) -> SqlChange:
    """What is not to be set any more, each in every place where it is."""
    settings, flags, secrets = [], [], []
    columns: dict[str, Any] = {}
    for key in sorted(unset):
        flag = key.removeprefix(FLAG_PREFIX)
        was_set = False
        if key in map(canonical, changes):
            faults.append(f"{key}: is to be set and unset at once")
            continue
        if key == "active":
            faults.append("active: is always set; set it to true or false")
            continue
        if key in state.columns and key in COLUMNS:
            columns[key], was_set = None, True
        if key in state.settings:
            settings.append(key)
            was_set = True
        if key.startswith(FLAG_PREFIX) and flag in state.flags:
            flags.append(flag)
            was_set = True
        if key in state.secrets:
            secrets.append(key)
            was_set = True
        if not was_set:
            faults.append(_not_set(key))
    return SqlChange(
        columns=columns,
        unset_settings=tuple(settings),
        unset_flags=tuple(flags),
        unset_secrets=tuple(secrets),
    )


def _not_set(key: str) -> str:
    try:
        kind_of(key)
    except ConfigError as error:
        return str(error)
    return f"{key}: is not set for this instance; see `majlis instance show`"


def _judged(
    state: State,
    new: Mapping[str, Any],
    gone: Iterable[str],
    judge: Judge,
    faults: list[str],
    secrets: tuple[Sequence[RunTimeValue], Sequence[RunTimeValue]] = ((), ()),
) -> dict[str, Any]:
    """The new settings as the schema understands them, judged together with the others that stay.

    Args:
      secrets: those before and after the change.
    """
    before = tuple(_values(state.settings))
    others = tuple(value for value in before if value.key not in new and value.key not in gone)
    added = tuple(RunTimeValue(key, value, COMMAND, is_secret(key)) for key, value in new.items())
    then = judge((*others, *added, *secrets[1]))
    known = {left.key for left in judge((*before, *secrets[0])).left_out} if then.left_out else set()
    changed = {*new, *(value.key for value in secrets[1] if value not in secrets[0])}
    faults += _sentences(tuple(_of_the_change(then.left_out, changed, known)))
    if faults:
        return {}
    # Null is stored as such: the instance has what applies without it.
    return {key: None if value is None else value_in(then, key) for key, value in new.items()}


def _of_the_change(
    left_out: Iterable[LeftOut], new: Collection[str], known: Collection[str]
) -> Iterator[LeftOut]:
    """What did not fit before does not fit by this change."""
    return (left for left in left_out if left.key in new or left.key not in known)


def _sentences(left_out: Sequence[LeftOut]) -> Iterator[str]:
    """About what is wrong by itself: what fits no more for want of that would be told that it is not set."""
    first = min((left.after for left in left_out), default=0)
    return (
        left.sentence.removeprefix(f"instances.{left.instance}.") for left in left_out if left.after == first
    )


def _values(settings: Mapping[str, Any]) -> Iterator[RunTimeValue]:
    """As they are read from the database, those that no key takes left out."""
    return (
        RunTimeValue(key, value, COMMAND, is_secret(key))
        for key, value in settings.items()
        if why_not(key, sealed=True) is None
    )
