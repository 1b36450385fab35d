"""Settings that are changed while the daemon runs: which they are, and what they make together with the others. Pure.

Laws of this file:
1. They are layers over those of the start, stronger than `--set`: the same schema and the same relations judge them.
2. The narrower scope wins, as with feature flags: what was set for the instance, else what was set for this daemon,
   else the configuration. What was set for the daemon wins over what the configuration says of one instance.
3. A value that does not fit (any more) is left out and named. The others hold.
4. One fact has one shape: a key is a single value, never a section, and what a feature flag switches is no key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, get_origin

from pydantic import BaseModel, SecretStr

from daemon.config.load import Fault, classes_in, examined, type_at
from daemon.config.schema import FLAG_OF, InstanceOverrides, InstanceSettings, Settings
from daemon.config.sections import ResponderSettings
from daemon.config.sources import Layer, Tree
from daemon.schema.fields import KeyPath

_AT_THE_START = frozenset(
    {
        ("responder",),
        ("gateway",),
        ("alerts",),
        ("escalation", "notify_webhook"),
        ("ingress", "token"),
        ("passthrough",),
    }
)
"""What is wired at the start, tokens, and addresses that may carry a key."""
_NEAREST = 3


def _keys(
    model: type[BaseModel], above: KeyPath = (), leave_out: frozenset[KeyPath] = _AT_THE_START
) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = (*above, name)
        inner = next((found for found in classes_in(field.annotation) if issubclass(found, BaseModel)), None)
        if path in leave_out or ".".join(path) in FLAG_OF:
            continue
        if inner is None:
            yield ".".join(path)
        elif get_origin(field.annotation) is tuple or path == _PROVIDERS:
            yield from _keys(inner, (*path, "0"), leave_out)
        else:
            yield from _keys(inner, path, leave_out)


_PROVIDERS = ("responder", "providers")

KEYS: tuple[str, ...] = tuple(_keys(InstanceOverrides))
"""What may be set at run time for a daemon, in the order of `config.yaml`."""

INSTANCE_KEYS: tuple[str, ...] = tuple(_keys(InstanceOverrides, leave_out=frozenset()))
"""What may be set at run time for an instance; an entry of a list is named by its place, of which 0 stands for all."""

_IN_LIST = re.compile(r"\.[0-9]\.")


class RunTimeValue(NamedTuple):
    """One setting that was made at run time."""

    key: str
    value: Any
    """As a settings file would have it; not judged yet."""
    origin: str


class LeftOut(NamedTuple):
    """One that is not in force, and why."""

    instance: str | None
    """None: it was set for this daemon."""
    key: str
    why: str
    """Without the value."""
    sentence: str
    """With it, for the person who set it."""


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


def is_secret(key: str) -> bool:
    """Whether its value is secret, by its type; so is what is below such a key."""
    path = key.split(".")
    found = (type_at(("instances", "", *path[:length])) for length in range(len(path), 0, -1))
    nearest = next((annotation for annotation in found if annotation is not None), None)
    return nearest is not None and SecretStr in classes_in(nearest)


@lru_cache(4096)
def why_not_for_instance(key: str) -> str | None:
    """The same for an instance, for which more may be set."""
    if is_secret(key) or _IN_LIST.sub(".0.", key) in INSTANCE_KEYS:
        return None
    return why_not(key)


@lru_cache(1024)
def why_not(key: str) -> str | None:
    """Why this key cannot be set at run time, and what to do instead; None if it can."""
    if key in KEYS:
        return None
    if key in FLAG_OF:
        return f"{key}: is a feature flag; `majlis flags set {FLAG_OF[key]} on|off` switches it"
    path = tuple(key.split("."))
    if path[0] == "instances" and len(path) > 2:
        return f"{key}: write the key alone, {'.'.join(path[2:])}, and --instance {path[1]}"
    within = [known for known in KEYS if known.startswith(f"{key}.")]
    if within:
        return f"{key}: is a section; set one of its keys: {', '.join(within)}"
    if type_at(path) is not None or type_at(("instances", "", *path)) is not None:
        return f"{key}: cannot be changed while the daemon runs; change config.yaml and restart the daemon"
    near = [known for known in KEYS if known.endswith(f".{path[-1]}")]
    near += [found for found in difflib.get_close_matches(key, KEYS, _NEAREST) if found not in near]
    hint = f"; did you mean {' or '.join(near[:_NEAREST])}?" if near else ""
    return f"{key}: unknown key{hint or '; `majlis config` lists all'}"


def for_daemon(configured: Settings, values: Sequence[RunTimeValue]) -> ForDaemon:
    """`values` over the whole configuration; the earlier set come first."""
    if not values:
        return ForDaemon(configured, Layer())
    names = tuple(configured.instances)

    def layer(kept: Sequence[RunTimeValue]) -> Layer:
        made = _Making(dict.fromkeys(names))
        for value in kept:
            path = tuple(value.key.split("."))
            made.put(path, value)
            for name in names:  # law 2
                own = ("instances", name, *path)
                if any(below.has(own) for below in configured.layers):
                    made.put(own, value)
        return made.layer

    return ForDaemon(*_fitting(configured, configured.layers, None, values, layer, why_not))


def for_instance(
    configured: Settings, daemon: Layer, name: str, values: Sequence[RunTimeValue]
) -> ForInstance:
    """`values` over what is in force for the daemon; only this instance is judged."""

    below = tuple(_of_one(layer, name) for layer in (daemon, *configured.layers))

    def layer(kept: Sequence[RunTimeValue]) -> Layer:
        made = _Making({name: None})
        for value in sorted(kept, key=_place_in_list):
            path = value.key.split(".")
            if tuple(path[:2]) == _PROVIDERS:
                made.copy(("instances", name), _PROVIDERS, below)
            made.put(("instances", name, *path), value)
        return made.layer

    settings, own, left_out = _fitting(configured, below, name, values, layer, why_not_for_instance)
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
        found = found[int(section)] if section.isdigit() else getattr(found, section)
    return found.model_dump(mode="json", include={last})[last]


class _Making:
    """A layer that is being made. Every instance is declared in it, so that none ceases to be by others' settings."""

    def __init__(self, instances: Mapping[str, None]) -> None:
        self._tree: Tree = {"instances": {name: {} for name in instances}}
        self._origins: dict[KeyPath, str] = {}

    def put(self, path: KeyPath, value: RunTimeValue) -> None:
        here: Any = self._tree
        for step in path[:-1]:
            here = _entry(here, int(step)) if isinstance(here, list) else here.setdefault(step, {})
        here[path[-1]] = value.value
        self._origins[path] = value.origin

    def copy(self, at: KeyPath, path: KeyPath, below: Sequence[Layer]) -> None:
        """Begin with the list as it is without this layer: of the instance, else of all."""
        here = self._tree
        for step in (*at, *path[:-1]):
            here = here.setdefault(step, {})
        if path[-1] not in here:
            here[path[-1]] = [dict(entry) for entry in _list_at((*at, *path), path, below)]

    @property
    def layer(self) -> Layer:
        return Layer(self._tree, self._origins)


def _place_in_list(value: RunTimeValue) -> int:
    """Entries are made in the order of their places."""
    return next((int(step) for step in value.key.split(".") if step.isdigit()), 0)


def _entry(entries: list[Any], place: int) -> Any:
    """The entry at this place; one that is not there yet comes last."""
    if place >= len(entries):
        entries.append({})
    return entries[min(place, len(entries) - 1)]


def _list_at(own: KeyPath, path: KeyPath, below: Sequence[Layer]) -> list[Any]:
    for wanted in (own, path):
        for layer in below:
            found: Any = layer.tree
            for step in wanted:
                found = found.get(step) if isinstance(found, dict) else None
            if isinstance(found, list):
                return [entry for entry in found if isinstance(entry, dict)]
    return [entry.model_dump(exclude_unset=True) for entry in ResponderSettings().providers]


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
    layer: Callable[[Sequence[RunTimeValue]], Layer],
    refusal: Callable[[str], str | None],
) -> tuple[Settings, Layer, tuple[LeftOut, ...]]:
    """As many of the values as fit together and with what is below."""
    kept, left_out = [], []
    for value in values:
        words = refusal(value.key)
        if words is None:
            kept.append(value)
        else:
            left_out.append(LeftOut(instance, value.key, words, words))
    while True:
        over = layer(kept)
        settings, faults = examined((over, *below))
        blamed = _blamed(kept, faults)
        if not blamed:
            # Faults that blame none of ours are of the configuration, which was judged at the start.
            return settings or configured, over, tuple(left_out)
        for key, fault in blamed.items():
            left_out.append(LeftOut(instance, key, fault.allowed, fault.sentence))
        kept = [value for value in kept if value.key not in blamed]


def _blamed(kept: Sequence[RunTimeValue], faults: Sequence[Fault]) -> dict[str, Fault]:
    """Who is to go: the value that a fault names, else the one of its section that was set last."""
    blamed: dict[str, Fault] = {}
    for fault in faults:
        path = fault.path[2:] if fault.path[:1] == ("instances",) else fault.path
        named = [
            value.key for value in kept if path[: value.key.count(".") + 1] == tuple(value.key.split("."))
        ]
        beside = [value.key for value in kept if value.key.partition(".")[0] == path[0]] if path else []
        for key in named[:1] or beside[-1:]:
            blamed.setdefault(key, fault)
    return blamed
