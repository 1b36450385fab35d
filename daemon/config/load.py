"""Merge the layers by priority (--set, environment, credentials, file, defaults) and word what is wrong with them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from daemon.config.relations import misfits
from daemon.config.schema import Settings
from daemon.config.sources import (
    ConfigError,
    KeyPath,
    Layer,
    LayerSource,
    Raw,
    credentials_layer,
    environment_layer,
    file_layer,
    set_layer,
)

DEFAULT_FILE = Path("config.yaml")
MASK = "****"
_SECRET_KEY = re.compile(r"token|key|secret|passw|authorization|credential", re.IGNORECASE)
_SUBJECT = re.compile(r"^(Input|String|Tuple|Value) should")
_WORDS = {
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
"""pydantic's faults in the words of a config file; the others keep pydantic's own."""
_USERINFO = re.compile(r"(://)[^/@\s]*@")


def load(
    path: Path | None = None,
    assignments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read, merge and check all settings. Without `path`, `./config.yaml` is read if it exists.

    Credentials are in the directory that a service manager tells; where none does, in `credentials` beside `path`, for
    a user who may read it: an administrator's commands see the settings that the service sees.

    Raises:
      ConfigError: anything at all is wrong; its text lists every fault found.
    """
    beside = _credentials_beside(path) if path is not None else None
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    in_file = file_layer(path) if path is not None else Layer()
    around = os.environ if environment is None else environment
    passed = credentials_layer(around.get("CREDENTIALS_DIRECTORY") or beside, in_file)
    in_environment = environment_layer(around, in_file, passed)
    by_hand = set_layer(assignments, (in_file, passed, in_environment))
    layers = (by_hand, in_environment, passed, in_file)
    try:
        settings = Settings(*(LayerSource(Settings, layer) for layer in layers))
    except ValidationError as error:
        faults = [_fault(details, layers) for details in error.errors(include_url=False)]
        raise ConfigError("\n".join(dict.fromkeys(faults))) from None
    found = [_sentence(path, value, allowed, layers) for path, value, allowed in misfits(settings)]
    if found:
        raise ConfigError("\n".join(found))
    settings.came_from(layers)
    return settings


def _credentials_beside(path: Path) -> str | None:
    directory = path.absolute().parent / "credentials"
    return str(directory) if directory.is_dir() and os.access(directory, os.R_OK | os.X_OK) else None


def _fault(details: ErrorDetails, layers: Sequence[Layer]) -> str:
    path = tuple(str(step) for step in details["loc"] if step != "[key]")
    if details["type"] == "extra_forbidden":
        return _unknown(path, details["input"], layers)
    if details["type"] == "missing":
        return f"{'.'.join(path)}: must be set{_origin(path[:-1], layers)}"
    words = _WORDS.get(details["type"]) or _SUBJECT.sub("must", details["msg"])
    return _sentence(path, details["input"], words, layers)


def _sentence(path: KeyPath, value: object, allowed: str, layers: Sequence[Layer]) -> str:
    return f"{'.'.join(path)}: {allowed}; it is {_shown(path, value)}{_origin(path, layers)}"


def _unknown(path: KeyPath, value: object, layers: Sequence[Layer]) -> str:
    allowed = _keys_at(path[:-1])
    near = [key for key in allowed if key.startswith(path[-1])][:1] or difflib.get_close_matches(
        path[-1], allowed, n=1
    )
    hint = f" (did you mean {'.'.join((*path[:-1], near[0]))}?)" if near else ""
    return (
        f"{'.'.join(path)}: unknown key{hint}; it is {_shown((*path, *near), value)}{_origin(path, layers)}; "
        f"allowed here: {', '.join(allowed)}"
    )


def _shown(path: KeyPath, value: object) -> str:
    """The value for a person, with everything that may be secret masked."""
    if value is None:
        return "null"
    if any(_SECRET_KEY.search(step) for step in path[-2:]):
        return MASK
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{key}: {_shown((*path, str(key)), item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_shown(path, item) for item in value) + "]"
    if isinstance(value, Raw):
        return str(value)
    return _USERINFO.sub(rf"\1{MASK}@", repr(value))


def _origin(path: KeyPath, layers: Sequence[Layer]) -> str:
    """Which layer said it: the nearest key at or above `path`, in order of priority."""
    for length in range(len(path), 0, -1):
        for layer in layers:
            origin = layer.origins.get(path[:length]) or _origin_below(path[:length], layer)
            if origin:
                return f" (from {origin})"
    return " (the default)"


def _origin_below(path: KeyPath, layer: Layer) -> str | None:
    return next((origin for key, origin in layer.origins.items() if key[: len(path)] == path), None)


def _keys_at(path: KeyPath) -> list[str]:
    model: type[BaseModel] = Settings
    for step in path:
        info = model.model_fields.get(step)
        if info is not None:  # else an instance's name or a place in a list: its model is already reached
            model = next(_models_in(info.annotation), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
