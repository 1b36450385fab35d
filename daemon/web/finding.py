"""What was found when a server was examined, for `majlis doctor`."""

from __future__ import annotations

from typing import Literal

import msgspec

DOCTOR_SECONDS = 10.0
"""The longest that one question of the doctor's may take."""
MAX_DOCTOR_BYTES = 1024 * 1024
"""Of an answer to it."""


class Finding(msgspec.Struct, frozen=True):
    state: Literal["ok", "warning", "problem"]
    detail: str
    advice: str = ""
    """What to do; empty when there is nothing to do."""
    topic: str = ""
    """What it is about, where it is one of several about the same peer; the main one has none."""
    unknown_instance: bool = False
    """The server answered, and knows no instance of that name."""
