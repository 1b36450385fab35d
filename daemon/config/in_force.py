"""Every setting in force, with the layer that it comes from. Secrets are always masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, SecretStr

from daemon.config.load import MASK
from daemon.config.schema import FLAG_OF, InstanceOverrides, Settings
from daemon.config.sections import EMBEDDED
from daemon.config.sources import Layer, origin_of
from daemon.schema.fields import KeyPath

DEFAULT = "default"


class InForce(NamedTuple):
    key: str
    value: str
    origin: str


def in_force(settings: Settings) -> tuple[InForce, ...]:
    """One row for each value, in the order of `config.yaml`; for an instance, only the values set for it."""
    return tuple(
        InForce(".".join(path), _spelled(value), _origin(path, settings.layers))
        for name in type(settings).model_fields
        for path, value in _leaves((name,), getattr(settings, name))
    )


def in_force_for(settings: Settings, instance: str) -> tuple[InForce, ...]:
    """One row for each value that an instance may have for itself, as it applies to this one."""
    own = settings.for_instance(instance)
    return tuple(
        InForce(".".join(path), _spelled(value), _origin_for(instance, path, settings.layers))
        for name in InstanceOverrides.model_fields
        for path, value in _leaves((name,), getattr(own, name))
    )


@lru_cache(maxsize=1)
def default_values() -> Mapping[str, str]:
    """By key, those of an instance and of its feature flags too: a file that writes a default down changes nothing."""
    default = Settings()
    found = {row.key: row.value for row in (*in_force_for(default, ""), *in_force(default))}
    return found | {f"flags.{flag}": found[key] for key, flag in FLAG_OF.items()} | {"flags.takeover": "true"}


def _origin_for(instance: str, path: KeyPath, layers: tuple[Layer, ...]) -> str:
    own = ("instances", instance, *path)
    in_list = any(step.isdigit() for step in path)  # an entry of its own list may lack the key
    has_own = any(layer.has(own) or (in_list and layer.settles(own)) for layer in layers)
    if in_list and any(layer.has(own) for layer in layers) and origin_of(own, layers) is None:
        has_own = False  # it stands in a copy of the list of all
    return _origin(own if has_own else path, layers)


def _leaves(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, InstanceOverrides):
        yield from _of_instance(path, value)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves((*path, name), getattr(value, name))
    elif isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves((*path, str(name)), item)
    elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        for place, item in enumerate(value):
            yield from _leaves((*path, str(place)), item)
    else:
        yield path, value


def _of_instance(path: KeyPath, overrides: InstanceOverrides) -> Iterator[tuple[KeyPath, object]]:
    """Only what was written for it."""
    for name in type(overrides).model_fields:
        if name in overrides.model_fields_set:
            of_name = getattr(overrides, name)
            for key in type(of_name).model_fields if isinstance(of_name, BaseModel) else ():
                if key in of_name.model_fields_set:
                    yield from _leaves((*path, name, key), getattr(of_name, key))
            if not isinstance(of_name, BaseModel):
                yield (*path, name), of_name
    if not overrides.model_fields_set:
        yield path, {}


def _spelled(value: object) -> str:
    if isinstance(value, SecretStr):
        return EMBEDDED if value.get_secret_value() == EMBEDDED else MASK
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_spelled, value)) + "]"
    return {None: "null", "": '""'}.get(value, str(value)) if isinstance(value, str | None) else str(value)


def _origin(path: KeyPath, layers: tuple[Layer, ...]) -> str:
    """Which layer set it. A key that is missing in an entry of a list has its default, whoever set the list."""
    settled = next((layer for layer in layers if layer.settles(path)), None)
    found = origin_of(path, layers) if settled is not None and settled.has(path) else None
    return found or DEFAULT
