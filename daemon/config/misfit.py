"""One broken rule between settings: the key to change, its value and what is allowed."""

from __future__ import annotations

from typing import NamedTuple

from daemon.config.sources import KeyPath


class Misfit(NamedTuple):
    path: KeyPath
    value: object
    allowed: str
