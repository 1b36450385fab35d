"""Instances as a file declares them: a tree as under `instances:` in config.yaml, and the keys that it stands for.

Pure. What a tree says is what `majlis instance set` would be told, key by key; `nested` is the way back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daemon.config import ConfigError
from daemon.tenants.keys import canonical, is_key, kind_of

MAX_DEPTH = 12


def flattened(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one instance by their keys. An entry of a list of sections has its place in the key.

    Raises:
      ConfigError: something has no key of that name.
    """
    return dict(_leaves(tree, ()))


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    key = canonical(".".join(path))
    if len(path) > MAX_DEPTH:
        raise ConfigError(f"{'.'.join(path[:3])}…: is nested too deeply")
    if path and is_key(key):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for place, item in enumerate(value):
            yield from _leaves(item, (*path, str(place)))
    elif value is not None:  # a section with nothing in it says nothing
        kind_of(key)
        raise ConfigError(f"{key}: must be a section of `key: value` lines")


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of these values."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, last = key.split(".")
        here = tree
        for section in sections:
            here = here.setdefault(section, {})
        here[last] = value
    found: dict[str, Any] = _with_lists(tree)
    return found


def _with_lists(tree: Any) -> Any:
    """Sections that are numbered from 0 on are a list."""
    if not isinstance(tree, dict):
        return tree
    inner = {name: _with_lists(item) for name, item in tree.items()}
    if inner and all(name in inner for name in map(str, range(len(inner)))):
        return [inner[name] for name in map(str, range(len(inner)))]
    return inner
