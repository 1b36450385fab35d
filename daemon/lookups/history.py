"""The earlier messages of this conversation, within a token budget."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.instance import ContextTerms
from actors.messages import Context, HistoryEntry
from actors.ports import Question
from actors.situation import situation
from actors.told import lines_bytes, told_earlier
from daemon.lookups.spec import LookupSpec, Means

BYTES_PER_TOKEN = 3
"""A cautious estimate for every script: three Latin letters, one and a half Arabic letters, one Chinese character."""

MAX_MESSAGES = 100
_CONTEXT_CHARS = 300
"""Of one text that an earlier message refers to."""

_SQL = "SELECT sender_type, content, kind, contexts FROM majlis_told_history($1, $2, $3, $4)"

CUSTOMER = frozenset({"user", "customer", "contact"})
BUSINESS = frozenset({"assistant", "ai", "bot", "agent", "human"})
"""`assistant` is what Majlis writes; the others are what earlier software may have written."""


async def told(means: Means, question: Question) -> tuple[HistoryEntry, ...]:
    """The newest messages that fit the budget, oldest first, without those of the turn's own batch."""
    max_tokens = means.history_tokens - _beside_tokens(question, means.history_tokens // 2)
    rows = await means.db.fetch(
        _SQL, question.turn.id, MAX_MESSAGES, max_tokens * BYTES_PER_TOKEN, _CONTEXT_CHARS
    )
    terms = question.terms.context
    said = (
        _said(row["sender_type"] or "", row["content"], row["kind"], row["contexts"], terms) for row in rows
    )
    return within(said, max_tokens)


def within(newest_first: Iterable[tuple[str, str]], max_tokens: int) -> tuple[HistoryEntry, ...]:
    """Pure. Cuts the entry that exceeds the budget at its end; skips senders of neither side."""
    left = max_tokens * BYTES_PER_TOKEN
    kept: list[HistoryEntry] = []
    for sender, text in newest_first:
        word = sender.strip().lower()
        if word not in CUSTOMER and word not in BUSINESS:
            continue
        fitting = text.encode()[:left].decode(errors="ignore")
        if fitting:
            kept.append(HistoryEntry("user" if word in CUSTOMER else "assistant", fitting))
        left -= len(text.encode())
        if left <= 0:
            break
    return tuple(reversed(kept))


def _said(sender: str, words: str, kind: str, contexts: str | None, terms: ContextTerms) -> tuple[str, str]:
    """Who spoke, and what the model is told of it."""
    if sender.strip().lower() not in CUSTOMER:
        return sender, words
    refers = msgspec.json.decode(contexts, type=tuple[Context, ...]) if contexts else ()
    return sender, told_earlier(words, kind, refers, terms)


def _beside_tokens(question: Question, at_most: int) -> int:
    """What is told beside the customer's words takes its room from the history, though never more than `at_most`."""
    told = lines_bytes(question.batch.messages, question.terms.context) + len(situation(question).encode())
    return min(-(-told // BYTES_PER_TOKEN), at_most)


LOOKUP = LookupSpec("history", told)
