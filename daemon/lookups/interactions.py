"""The customer's latest questions and how good the answers were, for the escalation rules."""

from __future__ import annotations

import math

import msgspec

from actors.escalation import Interaction
from actors.ports import Question
from daemon.ledger.wire import storable
from daemon.lookups.spec import LookupSpec, Means, escalation_is_off

_NEWEST = 5

# What was answered stands with the turn that the metadata names. They may be of other software, with any content.
_SQL = """
    SELECT i.said, i.metadata, coalesce(md5(btrim(t.answer)), '') AS answer
    FROM majlis_interactions($1, $2, $3, majlis_heard_before($4)) WITH ORDINALITY AS i (said, metadata, place)
    LEFT JOIN LATERAL (
        SELECT * FROM majlis_turns
        WHERE id = substring(left(i.metadata, 4096) from '"turn\\\\?": ?([0-9]{1,18})[,}]')::bigint OFFSET 0) t
        ON t.instance = $1
    ORDER BY i.place
"""


async def _run(means: Means, question: Question) -> tuple[Interaction, ...]:
    instance, contact = question.batch.conversation
    rows = await means.db.fetch(_SQL, storable(instance), storable(contact), _NEWEST, question.turn.id)
    return tuple(Interaction(row["said"] or "", quality(row["metadata"]), row["answer"]) for row in rows)


def quality(metadata: str | None) -> float | None:
    """The `response_quality` in the stored metadata; None if it is missing or no number. Pure; never fails."""
    try:
        found = msgspec.json.decode(metadata or "null")
        if isinstance(found, str):  # JSON stored as a string in a jsonb column
            found = msgspec.json.decode(found)
    except (msgspec.DecodeError, UnicodeError):
        return None
    value = found.get("response_quality") if isinstance(found, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


LOOKUP = LookupSpec("interactions", _run, skip=escalation_is_off)
