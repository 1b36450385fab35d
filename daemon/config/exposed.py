"""Which secrets others on this machine can read: those of the command line, and those of a file that is open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from daemon.config.load import is_private
from daemon.config.schema import Settings
from daemon.config.sources import SET, Layer, leaves
from daemon.schema.fields import KeyPath

STORES = (("redis", "url"), ("postgres", "dsn"))


class OpenFile(NamedTuple):
    """A settings file that holds secrets and that others may read."""

    path: Path
    keys: tuple[str, ...]


def on_command_line(settings: Settings) -> tuple[str, ...]:
    """Keys whose secret values were given by `--set`: every user of this machine can read them in `/proc`."""
    given = (layer for layer in settings.layers if SET in layer.origins.values())
    return tuple(key for layer in given for key in _secret_keys(layer))


def in_open_files(settings: Settings) -> tuple[OpenFile, ...]:
    """Settings files with secrets that users may read who are neither its owner nor of its group."""
    found = []
    for layer in settings.layers:
        keys = tuple(_secret_keys(layer))
        if layer.file is not None and keys and _is_open(layer.file):
            found.append(OpenFile(layer.file, keys))
    return tuple(found)


def _is_open(path: Path) -> bool:
    try:
        way = path.absolute().parents
        return bool(path.stat().st_mode & 0o004) and all(folder.stat().st_mode & 0o001 for folder in way)
    except OSError:  # it has gone since
        return False


def _secret_keys(layer: Layer) -> Iterator[str]:
    """Of what this layer itself says: a list in which one value was set holds copies of a weaker layer's values."""
    for path in leaves(layer.tree):
        said = any(path[:length] in layer.origins for length in range(1, len(path) + 1))
        value = _at(layer.tree, path)
        if said and is_private(path) and isinstance(value, str | int | float) and _tells(path, str(value)):
            yield ".".join(path)


def _at(tree: object, path: KeyPath) -> object:
    for step in path:
        tree = tree[int(step)] if isinstance(tree, list) else tree[step] if isinstance(tree, dict) else None
    return tree


def _tells(path: KeyPath, value: str) -> bool:
    """Whether a private value gives anything away: the address of a store does only with a password in it."""
    if path not in STORES:
        return True
    try:
        return "password" in value or urlsplit(value).password is not None
    except ValueError:
        return True
