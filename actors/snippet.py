"""What was said before a question, as part of the key under which its answer is kept (`cache.context: snippet`). Pure.

A model is told up to 800 tokens of history, and its answer may depend on any of them. So the snippet is all of it, or
there is none: an answer is kept under everything that its model was told, and given only where a model would be told
the same. Conversations that begin alike (a greeting, the answer to it, a question) have the same snippet, because
answers from the cache are the same to the letter.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from actors.asked import exact_form
from actors.lookups import NoSnippet
from actors.messages import HistoryEntry
from actors.personal import is_personal
from actors.text import normalised

MAX_ENTRIES = 6
"""Three exchanges: longer beginnings are hardly ever the same."""
MAX_CHARS = 2_000
_BRACKET = re.compile(r"(?m)^\[")
"""Begins what a customer's message refers to, or stands for what is no text."""


class Snippet(NamedTuple):
    digest: str = ""
    """Empty: nothing was said, or `refused`."""
    refused: NoSnippet | Literal[""] = ""
    """Why nothing is kept or given after this history; empty: it may be."""


def snippet(history: Sequence[HistoryEntry]) -> Snippet:
    """Of the history as the model is told it."""
    if not history:
        return Snippet()
    if len(history) > MAX_ENTRIES or sum(len(entry.text) for entry in history) > MAX_CHARS:
        return Snippet(refused="long_history")
    said: list[tuple[str, str]] = []
    for entry in history:
        form = exact_form(entry.text) if entry.role == "user" else entry.text
        if form is None or (entry.role == "user" and _BRACKET.search(entry.text)):
            return Snippet(refused="other_history")
        if is_personal(normalised(entry.text)):
            return Snippet(refused="personal_history")
        said.append((entry.role, form))
    return Snippet(hashlib.sha256(repr(said).encode()).hexdigest()[:32])
