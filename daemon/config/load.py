"""Merge the layers by priority (--set, environment, credentials, file, defaults) and explain what is wrong."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from daemon.config.relations import misfits
from daemon.config.schema import Settings
from daemon.config.sources import (
    ConfigError,
    Layer,
    LayerSource,
    credentials_layer,
    environment_layer,
    file_layer,
    origin_of,
    set_layer,
)
from daemon.schema.fields import KeyPath, Misfit, Raw

DEFAULT_FILE = Path("config.yaml")
MASK = "****"
"""Lists of phone numbers."""
_SECRET_KEY = re.compile(r"token|key|secret|passw|authorization|credential", re.IGNORECASE)
"""Names that look secret, for a key that does not exist; for known keys, the type says whether they are secret."""
_SUBJECT = re.compile(r"^(Input|String|Tuple|Value) should")
_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a section of `key: value` lines",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "model_type": "must be a section of `key: value` lines",
    "path_type": "must be a path",
    "string_type": "must be text; put it in quotes",
    "too_long": "must be text, or a list of at most two",
    "too_short": "must hold at least one entry",
    "tuple_type": "must be a list",
}
"""pydantic's errors in terms of a config file; the others keep pydantic's own text."""
_USERINFO = re.compile(r"(://)[^/@\s]*@")
_QUERY = re.compile(r"(://[^?#\s]*[?#])[^\s'\"]+")
"""Of an address: where a key was put that belongs elsewhere."""


class Fault(NamedTuple):
    """One thing that is wrong with the settings."""

    path: KeyPath
    allowed: str
    """What is wrong, without the value."""
    sentence: str
    """All of it, for the person who wrote it."""


def load(
    path: Path | None = None,
    assignments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read, merge and check all settings. Without `path`, `./config.yaml` is read if it exists.

    Credentials are in the directory that a service manager names; where there is none, in `credentials` beside `path`,
    if the user may read that: an administrator's commands see the settings that the service sees.

    Raises:
      ConfigError: anything is wrong; its text lists every fault found.
    """
    beside = _credentials_beside(path) if path is not None else None
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    in_file = file_layer(path) if path is not None else Layer()
    around = os.environ if environment is None else environment
    passed = credentials_layer(around.get("CREDENTIALS_DIRECTORY") or beside, in_file)
    in_environment = environment_layer(around, in_file, passed)
    by_hand = set_layer(assignments, (in_file, passed, in_environment))
    settings, faults = examined((by_hand, in_environment, passed, in_file))
    if settings is None or faults:
        raise ConfigError("\n".join(dict.fromkeys(fault.sentence for fault in faults)))
    return settings


def examined(
    layers: tuple[Layer, ...], relations: Callable[[Settings], Iterable[Misfit]] = misfits
) -> tuple[Settings | None, tuple[Fault, ...]]:
    """The settings that these layers make, the strongest first, and everything that is wrong with them.

    None: some value is not even of its type.
    """
    try:
        settings = Settings(*(LayerSource(Settings, layer) for layer in layers), layers=layers)
    except ValidationError as error:
        return None, tuple(_fault(details, layers) for details in _own(error.errors(include_url=False)))
    found = (
        Fault(path, allowed, _sentence(path, value, allowed, layers))
        for path, value, allowed in relations(settings)
    )
    return settings, tuple(found)


def _credentials_beside(path: Path) -> str | None:
    directory = path.absolute().parent / "credentials"
    # In this order: without the right to enter a directory, even its type is unknown.
    return str(directory) if os.access(directory, os.R_OK | os.X_OK) and directory.is_dir() else None


def _own(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without what only follows from others: a list is called too short when none of its entries is right."""
    return [
        one
        for one in errors
        if one["type"] != "too_short"
        or not any(_is_below(other["loc"], one["loc"]) for other in errors if other is not one)
    ]


def _is_below(path: tuple[int | str, ...], above: tuple[int | str, ...]) -> bool:
    return len(path) > len(above) and path[: len(above)] == above


def _fault(details: ErrorDetails, layers: Sequence[Layer]) -> Fault:
    path = tuple(str(step) for step in details["loc"] if step != "[key]")
    if details["type"] == "extra_forbidden":
        return Fault(path, "unknown key", _unknown(path, details["input"], layers))
    if details["type"] == "missing":
        return Fault(path, "must be set", f"{'.'.join(path)}: must be set{_origin(path[:-1], layers)}")
    words = words_of(details)
    return Fault(path, words, _sentence(path, details["input"], words, layers))


def words_of(details: ErrorDetails) -> str:
    """What is allowed, without the value."""
    return _WORDS.get(details["type"]) or _SUBJECT.sub("must", details["msg"])


def _sentence(path: KeyPath, value: object, allowed: str, layers: Sequence[Layer]) -> str:
    return f"{'.'.join(path)}: {allowed}; it is {_shown(path, value)}{_origin(path, layers)}"


def _unknown(path: KeyPath, value: object, layers: Sequence[Layer]) -> str:
    allowed = _keys_at(path[:-1])
    near = [key for key in allowed if key.startswith(path[-1])][:1] or difflib.get_close_matches(
        path[-1], allowed, n=1
    )
    shown = MASK if is_private(path) else _shown((*path[:-1], *(near or path[-1:])), value)
    hint = f" (did you mean {'.'.join((*path[:-1], near[0]))}?)" if near else ""
    return (
        f"{'.'.join(path)}: unknown key{hint}; it is {shown}{_origin(path, layers)}; "
        f"allowed here: {', '.join(allowed)}"
    )


def _shown(path: KeyPath, value: object) -> str:
    """The value as shown to a person, with everything private masked."""
    if value is None:
        return "null"
    if is_private(path):
        return MASK
    if isinstance(value, Mapping):
        items = (f"{key}: {_shown((*path, str(key)), item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_shown((*path, str(place)), item) for place, item in enumerate(value)) + "]"
    if isinstance(value, Raw):
        return str(value)
    return without_keys(repr(value))


def without_keys(address: str) -> str:
    """An address without a user's part and a query: where a key was put that belongs elsewhere."""
    return _QUERY.sub(rf"\1{MASK}", _USERINFO.sub(rf"\1{MASK}@", address))


def is_private(path: KeyPath) -> bool:
    """What is secret by its type, and phone numbers."""
    if "notify_numbers" in path or {("contacts", "ignore"), ("contacts", "allow")} & set(pairwise(path)):
        return True
    found = type_at(path)
    return SecretStr in classes_in(found) if found else bool(_SECRET_KEY.search(path[-1]))


def _origin(path: KeyPath, layers: Sequence[Layer]) -> str:
    origin = origin_of(path, layers)
    return f" (from {origin})" if origin else " (the default)"


def _keys_at(path: KeyPath) -> list[str]:
    models = (found for found in classes_in(type_at(path)) if issubclass(found, BaseModel))
    return list(next(models, Settings).model_fields)


def type_at(path: KeyPath) -> Any:
    """What a value at `path` must be, by its annotation; None: there is no such key."""
    found: Any = Settings
    for step in path:
        found = next(_below(found, step), None)
    return found


def _below(annotation: Any, step: str) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if step in annotation.model_fields:
            yield annotation.model_fields[step].annotation
    elif get_origin(annotation) in (dict, tuple):  # names to values, or values of one kind
        yield get_args(annotation)[1 if get_origin(annotation) is dict else 0]
    else:  # either of several types, or one with its checks
        for inner in get_args(annotation):
            yield from _below(inner, step)


def classes_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from classes_in(inner)
