"""What a lookup is. Each has a file of its own, with its SQL, and one line in `__init__.py`.

A lookup only reads (`takeover` may correct what it reads), takes one round trip, and raises `LedgerUnavailable` if
Postgres cannot answer. Its value becomes the field of the same name in `actors.lookups.Facts`, whose default is also
the lookup's. A name that is no field there is allowed if the value is a tuple of `Passage`: these go to the responder
together with the knowledge.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from actors.ports import Question
from daemon.stores.postgres import Postgres

DEADLINE_SECONDS = 3.0
"""The time limit of a lookup unless it has its own; after that its default is used."""


class Means(msgspec.Struct, frozen=True):
    """What the lookups work with."""

    db: Postgres
    history_tokens: int = 800


def never(_question: Question) -> bool:
    return False


def escalation_is_off(question: Question) -> bool:
    """Whether this instance neither escalates conversations nor sends the escalated message."""
    return not (question.flags.escalation and question.record.escalation_enabled)


class LookupSpec(msgspec.Struct, frozen=True):
    name: str
    run: Callable[[Means, Question], Awaitable[Any]]
    skip: Callable[[Question], bool] = never
    """Pure: whether the question alone shows that nothing would be found, or that the value is not needed."""
    deadline_seconds: float = DEADLINE_SECONDS
