"""What a value in a column of the shared tables means, whatever type an existing database has given it.

Pure; never fails.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_BETWEEN_WORDS = re.compile(r'[,،;؛\n{}"]')

_YES = frozenset({"true", "t", "yes", "on", "1"})


def text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def flag(value: Any) -> bool:
    return str(value).strip().lower() in _YES


def count(value: Any) -> int:
    """A positive whole number; otherwise 0."""
    try:
        return max(int(float(value)), 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def words(value: Any) -> tuple[str, ...]:
    """From a list, or from text: a JSON list, a Postgres array, or words separated by commas or newlines."""
    found = value
    if isinstance(value, str):
        try:
            found = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError):
            found = None
        if not isinstance(found, list):
            found = _BETWEEN_WORDS.split(value)
    if not isinstance(found, list):
        return ()
    return tuple(dict.fromkeys(word for word in map(text, found) if word))
