"""The earlier messages of this conversation, within a token budget."""

from __future__ import annotations

from collections.abc import Iterable

from actors.messages import HistoryEntry
from actors.ports import Question
from daemon.lookups.spec import LookupSpec, Means

BYTES_PER_TOKEN = 3
"""A cautious estimate for every script: three Latin letters, one and a half Arabic letters, one Chinese character."""

_MAX_MESSAGES = 100

_SQL = "SELECT sender_type, content FROM majlis_history($1, $2, $3)"

CUSTOMER = frozenset({"user", "customer", "contact"})
BUSINESS = frozenset({"assistant", "ai", "bot", "agent", "human"})
"""`assistant` is what Majlis writes; the others are what earlier software may have written."""


async def _run(means: Means, question: Question) -> tuple[HistoryEntry, ...]:
    """The newest messages that fit the budget, oldest first, without those of the turn's own batch."""
    max_tokens = means.history_tokens
    rows = await means.db.fetch(_SQL, question.turn.id, _MAX_MESSAGES, max_tokens * BYTES_PER_TOKEN)
    return within(((row["sender_type"] or "", row["content"]) for row in rows), max_tokens)


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


LOOKUP = LookupSpec("history", _run)
