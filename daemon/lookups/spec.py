"""What one lookup is. Each stands in a file of its own with its SQL beside it, and on one line of `__init__.py`.

A lookup only reads, is one round trip, and raises `LedgerUnavailable` when Postgres cannot answer. Its name is the
field of `actors.facts.Facts` that its value becomes, and that field's default is the lookup's. A name that Facts does
not know is welcome when its value is a tuple of `Passage`: it goes to the responder with the knowledge.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from actors.ports import Question
from daemon.stores.postgres import Postgres

DEADLINE_SECONDS = 3.0
"""Of one lookup, unless it says otherwise; later its default is used."""


class Means(msgspec.Struct, frozen=True):
    """What the lookups have to work with."""

    db: Postgres
    duplicate_window_seconds: float = 300.0
    history_tokens: int = 800


def never(_question: Question) -> bool:
    return False


def escalation_is_off(question: Question) -> bool:
    """Nobody wants this instance's conversations escalated, nor the escalated message said."""
    return not (question.flags.escalation and question.record.escalation_enabled)


class LookupSpec(msgspec.Struct, frozen=True):
    name: str
    run: Callable[[Means, Question], Awaitable[Any]]
    skip: Callable[[Question], bool] = never
    """Pure: it is known from the question alone that nothing would be found, or that nobody wants it."""
    deadline_seconds: float = DEADLINE_SECONDS
