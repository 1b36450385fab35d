"""Tokens that open doors: how long they have to be.

One that is set while the daemon runs is refused where it is shorter. One that stands in the configuration, or was
stored before, is in force and named: a daemon that did not start, or a door that stayed shut, would lose webhooks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from daemon.config.load import type_at
from daemon.config.schema import Settings
from daemon.config.sources import leaves
from daemon.schema.fields import KeyPath, OpensDoor

LEAST_CHARS = 16
ALLOWED = f"must have at least {LEAST_CHARS} characters; `openssl rand -hex 24` makes one"


def is_short(path: KeyPath, value: object) -> bool:
    """Whether it is a token of a door, by the type of the setting, and can be guessed; of two, whether one can."""
    if isinstance(value, list | tuple):
        return any(is_short(path, one) for one in value)
    return isinstance(value, str) and len(value) < LEAST_CHARS and _opens(type_at(path))


def short_tokens(settings: Settings) -> tuple[str, ...]:
    """The keys of those that are configured."""
    return tuple(dict.fromkeys(_short(settings)))


def _short(settings: Settings) -> Iterator[str]:
    for place, layer in enumerate(settings.layers):
        for path in leaves(layer.tree):
            value: Any = layer.tree
            for step in path:
                value = value[int(step) if isinstance(value, list) else step]
            if is_short(path, value) and not any(above.settles(path) for above in settings.layers[:place]):
                yield ".".join(path).removesuffix(".0").removesuffix(".1")


def _opens(annotation: Any) -> bool:
    return isinstance(annotation, OpensDoor) or any(map(_opens, get_args(annotation)))
