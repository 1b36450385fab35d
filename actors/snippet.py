"""What was said before a question, as part of the key under which its answer is kept (`cache.context: snippet`). Pure.

A model is told up to 800 tokens of history, and its answer may depend on any of them. So the snippet is all of it, or
there is none: an answer is kept under everything that its model was told, and given only where a model would be told
the same. Conversations that begin alike (a greeting, the answer to it, a question) have the same snippet, because
answers from the cache are the same to the letter.

A greeting and the answer to it, where that says nothing but a welcome and asks for nothing but how to help, are neither
in the key nor told: so a question after them is a first question. That is done only where it was looked that nobody
else spoke.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from actors.asked import exact_form
from actors.escalation import SMALL_TALK
from actors.lookups import NoSnippet
from actors.messages import HistoryEntry
from actors.personal import is_personal
from actors.text import normalised, words

MAX_ENTRIES = 6
"""Three exchanges: longer beginnings are hardly ever the same."""
MAX_CHARS = 2_000
_BRACKET = re.compile(r"(?m)^\[")
"""Begins what a customer's message refers to, or stands for what is no text."""


MAX_GREETING_CHARS = 200
_ANY = r"(?:\s\w{1,20}){0,3}?\s"
_HELPS = re.compile(
    rf"\b(?:how|what){_ANY}(?:help|assist|do for)(?:\s(?:you|u|today|with|now)){{0,3}}\s?\?"
    rf"|(?:كيف|بماذا|بما|شلون|ايش|وش|شو){_ANY}\w{{0,3}}(?:ساعد|خدم)\w{{0,4}}(?:\s(?:اليوم|به|فيه))?\s?[?؟]"
    rf"|\b(?:como|em que|en que){_ANY}(?:ajud|ayud|servir)\w{{0,8}}(?:\s(?:voce|hoje|hoy))?\s?\?"
)
"""Asks how to help, and with nothing in particular: `yes` is no answer to it."""
_WELCOMES = re.compile(
    r"(?:\bwelcome to|(?:مرحبا|اهلا) (?:بك|بكم) في|\bbem.vind[oa]s? (?:a|ao)|\bbienvenid[oa]s? a)(?:\s\w{1,20}){1,4}"
)
_ASKS = re.compile("[?؟]")
_COURTESY_TOO = frozenset(["welcome", "and", "بك", "بكم", "وسهلا", "حياك", "hey", "there", "dear"])
_COURTESY = SMALL_TALK | _COURTESY_TOO


class Snippet(NamedTuple):
    digest: str = ""
    """Empty: nothing was said, or `refused`."""
    refused: NoSnippet | Literal[""] = ""
    """Why nothing is kept or given after this history; empty: it may be."""


def whole(history: Sequence[HistoryEntry]) -> str:
    """The digest of a history as it was read; empty if there is none."""
    said = [(entry.role, entry.text) for entry in history]
    return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:32] if said else ""


def without_greetings(history: Sequence[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Without the greetings that it begins with, each with its answer."""
    rest = tuple(history)
    while [entry.role for entry in rest[:2]] == ["user", "assistant"] and _is_greeting(rest[0], rest[1]):
        rest = rest[2:]
    return rest if not rest or rest[0].role == "user" else tuple(history)


def _is_greeting(greeting: HistoryEntry, answer: HistoryEntry) -> bool:
    """Whether nothing was asked with it, and nothing that a next message could be an answer to."""
    if max(len(greeting.text), len(answer.text)) > MAX_GREETING_CHARS:
        return False
    said, plain = words(greeting.text), normalised(answer.text)
    more = words(_WELCOMES.sub(" ", _HELPS.sub(" ", plain, count=1)))
    is_plain = _COURTESY.issuperset(more) and not _ASKS.search(_HELPS.sub("", plain, count=1))
    return bool(said) and SMALL_TALK.issuperset(said) and is_plain


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
    return Snippet(hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:32])
