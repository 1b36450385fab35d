"""Settings that are changed while the daemon runs: which they are, and what they make together with the others. Pure.

Laws of this file:
1. They are layers over those of the start, stronger than `--set`: the same schema and the same relations judge them.
2. The narrower scope wins, as with feature flags: what was set for the instance, else what was set for this daemon,
   else the configuration. What was set for the daemon wins over what the configuration says of one instance.
3. A value that does not fit (any more) is left out and named. The others hold. But nothing is sent for an instance
   while a setting of its gateway is left out: its replies must not leave through another one.
4. One fact has one shape: a key is a single value, never a section, and what a feature flag switches is no key.
5. A key within a list names its place: `responder.providers.0.model`. What is set there is set in a copy of the list
   that applies below; the first place behind its end adds an entry.
6. A secret lies nowhere in clear: only a value that is kept sealed may be one.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, get_origin

from pydantic import BaseModel, SecretStr

from daemon.config.load import Fault, classes_in, examined, type_at
from daemon.config.relations import misfits, misfits_of_instances
from daemon.config.schema import FLAG_OF, InstanceOverrides, InstanceSettings, Settings
from daemon.config.sections import ResponderSettings
from daemon.config.sources import ConfigError, Layer, put_value
from daemon.schema.fields import KeyPath

MAX_ENTRIES = 20
"""Of a list whose entries have keys."""
SHORT_NAMES = {"model": "responder.providers.0.model"}
"""What people write for keys that are set often."""
_FIRST = "0"
_PLACES = frozenset(map(str, range(MAX_ENTRIES)))
_NEAREST = 3


def _keys(model: type[BaseModel], above: KeyPath = ()) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = (*above, name)
        inner = next((found for found in classes_in(field.annotation) if issubclass(found, BaseModel)), None)
        if ".".join(path) in FLAG_OF:
            continue
        if inner is None:
            yield ".".join(path)
        else:
            yield from _keys(inner, (*path, _FIRST) if get_origin(field.annotation) is tuple else path)


KEYS: tuple[str, ...] = tuple(_keys(InstanceOverrides))
"""What may be set at run time, in the order of `config.yaml`; of a list, the keys of its first entry."""
_DEFAULTS = Layer(
    {
        "responder": {
            "providers": [one.model_dump(exclude_unset=True) for one in ResponderSettings().providers]
        }
    }
)
"""The lists that apply where no layer has one."""


class RunTimeValue(NamedTuple):
    """One setting that was made at run time."""

    key: str
    value: Any
    """As a settings file would have it; not judged yet."""
    origin: str
    sealed: bool = False
    """It is kept sealed: only such a value may be a secret."""


class LeftOut(NamedTuple):
    """One that is not in force, and why."""

    instance: str | None
    """None: it was set for this daemon."""
    key: str
    why: str
    """Without the value."""
    sentence: str
    """With it, for the person who set it."""
    after: int = 0
    """How often others were left out before it: it may fit, but for the want of those."""


class ForDaemon(NamedTuple):
    """What is in force for this daemon and all instances without run-time settings of their own."""

    settings: Settings
    layer: Layer
    left_out: tuple[LeftOut, ...] = ()


class ForInstance(NamedTuple):
    """What is in force for one instance that has run-time settings of its own."""

    settings: InstanceSettings
    layer: Layer
    left_out: tuple[LeftOut, ...] = ()

    @property
    def has_gateway(self) -> bool:
        """False: part of its gateway's settings is left out, so that they may name another one than is meant."""
        return not any(
            left.key.startswith("gateway.") and _of_first(left.key) in KEYS for left in self.left_out
        )


def full_key(written: str) -> str:
    """The key that a person means."""
    return SHORT_NAMES.get(written, written)


@lru_cache(1024)
def is_secret(key: str) -> bool:
    """Whether its value is secret, by its type; so is what is below such a key."""
    path = key.split(".")
    found = (type_at(("instances", "", *path[:length])) for length in range(len(path), 0, -1))
    nearest = next((annotation for annotation in found if annotation is not None), None)
    return nearest is not None and SecretStr in classes_in(nearest)


@lru_cache(1024)
def why_not(key: str, sealed: bool = False) -> str | None:
    """Why this key cannot be set at run time, and what to do instead; None if it can."""
    if _of_first(key) in KEYS:
        if sealed or not is_secret(key):
            return None
        return f"{key}: is a secret, and is not kept in clear; `majlis instance set NAME {key}=-` keeps it sealed"
    return f"{key}: {_why_no_key(key, tuple(key.split('.')))}"


def _why_no_key(key: str, path: KeyPath) -> str:
    general = _of_first(key)
    within = [known for known in KEYS if known.startswith(f"{general}.")]
    if general in FLAG_OF:
        words = f"is a feature flag; `majlis flags set {FLAG_OF[general]} on|off` switches it"
    elif path[0] == "instances" and len(path) > 2:
        words = f"write the key alone, {'.'.join(path[2:])}, and --instance {path[1]}"
    elif within:
        words = f"is a section; set one of its keys: {', '.join(within)}"
    elif ".".join(_FIRST if step.isdigit() else step for step in path) in KEYS:
        words = f"the places of a list are 0 to {MAX_ENTRIES - 1}"
    elif type_at(path) is not None or type_at(("instances", "", *path)) is not None:
        words = "cannot be changed while the daemon runs; change config.yaml and restart the daemon"
    else:
        near = [known for known in KEYS if known.endswith(f".{path[-1]}")]
        near += [found for found in difflib.get_close_matches(key, KEYS, _NEAREST) if found not in near]
        hint = f"; did you mean {' or '.join(near[:_NEAREST])}?" if near else ""
        words = f"unknown key{hint or '; `majlis config` lists all'}"
    return words


def is_known(key: str) -> bool:
    """Whether a setting has this key."""
    return _of_first(key) in KEYS


def _of_first(key: str) -> str:
    """The same key of a list's first entry."""
    return ".".join(_FIRST if step in _PLACES else step for step in key.split("."))


def for_daemon(configured: Settings, values: Sequence[RunTimeValue]) -> ForDaemon:
    """`values` over the whole configuration; the earlier set come first."""
    if not values:
        return ForDaemon(configured, Layer())
    names = tuple(configured.instances)

    def making(kept: Sequence[RunTimeValue]) -> _Making:
        made = _Making(names, configured.layers)
        for value in kept:
            path = tuple(value.key.split("."))
            made.put(path, value)
            for name in (
                names if _PLACES.isdisjoint(path) else ()
            ):  # law 2; a list of an instance's own stays its own
                own = ("instances", name, *path)
                if any(below.has(own) for below in configured.layers):
                    made.put(own, value)
        return made

    return ForDaemon(*_fitting(configured, configured.layers, None, values, making))


def for_instance(
    configured: Settings, daemon: Layer, name: str, values: Sequence[RunTimeValue]
) -> ForInstance:
    """`values` over what is in force for the daemon; only this instance is judged."""
    below = tuple(_of_one(layer, name) for layer in (daemon, *configured.layers))

    def making(kept: Sequence[RunTimeValue]) -> _Making:
        made = _Making((name,), below)
        for value in kept:
            made.put(("instances", name, *value.key.split(".")), value)
        return made

    settings, own, left_out = _fitting(configured, below, name, values, making)
    return ForInstance(settings.for_instance(name), own, left_out)


def all_together(configured: Settings, layers: Sequence[Layer]) -> Settings:
    """The whole, with the origin of each value: `layers` as `for_daemon` and `for_instance` made them.

    Those of instances come first.
    """
    settings, _ = examined((*layers, *configured.layers))
    return configured if settings is None else settings


def value_in(laid: ForDaemon | ForInstance, key: str) -> Any:
    """The value of this key as the schema understood it, for JSON."""
    found: Any = laid.settings
    *sections, last = key.split(".")
    for section in sections:
        found = found[int(section)] if isinstance(found, tuple) else getattr(found, section)
    return found.model_dump(mode="json", include={last})[last]


class _Making:
    """A layer that is being made. Every instance is declared in it, so that none ceases to be by others' settings."""

    def __init__(self, instances: Sequence[str], below: Sequence[Layer]) -> None:
        """`below`: the strongest first."""
        self.layer = Layer({"instances": {name: {} for name in instances}})
        self.misplaced: dict[str, Fault] = {}
        """Values whose place is in no list."""
        self._below = (_DEFAULTS, *reversed(below))

    def put(self, path: KeyPath, value: RunTimeValue) -> None:
        try:
            put_value(self.layer, path, value.value, value.origin, self._below)
        except ConfigError as error:
            self.misplaced[value.key] = Fault(path, "its place in the list is beyond the end", str(error))


def _of_one(layer: Layer, name: str) -> Layer:
    """The layer without the other instances."""
    declared = layer.tree.get("instances")
    own = {name: declared[name]} if isinstance(declared, dict) and name in declared else {}
    return Layer({**layer.tree, "instances": own}, layer.origins, layer.file)


def _fitting(
    configured: Settings,
    below: tuple[Layer, ...],
    instance: str | None,
    values: Sequence[RunTimeValue],
    making: Callable[[Sequence[RunTimeValue]], _Making],
) -> tuple[Settings, Layer, tuple[LeftOut, ...]]:
    """As many of the values as fit together and with what is below."""
    kept, left_out = [], []
    for value in values:
        words = why_not(value.key, value.sealed)
        if words is None:
            kept.append(value)
        else:
            left_out.append(LeftOut(instance, value.key, words, words))
    kept.sort(key=_place)
    after = 0
    while True:
        made = making(kept)
        over = made.layer
        settings, faults = examined((over, *below), misfits if instance is None else misfits_of_instances)
        blamed = made.misplaced or _blamed(kept, faults)
        if not blamed:
            # Faults that blame none of ours are of the configuration, which was judged at the start.
            return settings or configured, over, tuple(left_out)
        for key, fault in blamed.items():
            left_out.append(LeftOut(instance, key, fault.allowed, fault.sentence, after))
        kept = [value for value in kept if value.key not in blamed]
        after += 1


def _place(value: RunTimeValue) -> tuple[int, ...]:
    """An entry is added after those before it, whichever was set first."""
    return tuple(int(step) for step in value.key.split(".") if step in _PLACES)


def _blamed(kept: Sequence[RunTimeValue], faults: Sequence[Fault]) -> dict[str, Fault]:
    """Who is to go: the value that a fault names, else the nearest to it, and of several the one that was set last."""
    blamed: dict[str, Fault] = {}
    for fault in faults:
        path = fault.path[2:] if fault.path[:1] == ("instances",) else fault.path
        shared = [_shared_steps(path, value.key.split(".")) for value in kept]
        nearest = max(shared, default=0)
        if nearest:
            last = max(place for place, steps in enumerate(shared) if steps == nearest)
            blamed.setdefault(kept[last].key, fault)
    return blamed


def _shared_steps(one: Sequence[str], other: Sequence[str]) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
