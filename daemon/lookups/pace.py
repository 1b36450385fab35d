"""Does another machine speak in this conversation? And is a silence to one in force?

A conversation without many turns lately is not asked about: T1 counts them. Where it fails, Majlis answers.
"""

from __future__ import annotations

import msgspec

from actors.identity import is_playground
from actors.machines import MAX_REPLIES, Pace, Recent, judge, run_length
from actors.ports import Question
from daemon.lookups.spec import LookupSpec, Means

MAX_SPAN_SECONDS = 86_400.0

_SQL = "SELECT majlis_recent_talk($1, $2, $3, $4, $5)"


async def _run(means: Means, question: Question) -> Pace:
    terms = question.terms.machines
    least = _least(question)
    # The turn itself and turns without a reply take places too.
    most = 2 * least + 1
    span_ms = 1_000 * min(least * terms.within_seconds, MAX_SPAN_SECONDS)
    found = await means.db.value(_SQL, question.turn.id, least, run_length(least, 1), most, round(span_ms))
    return judge(msgspec.json.decode(found, type=Recent), terms)


def _least(question: Question) -> int:
    """How many replies there must have been."""
    return min(question.terms.machines.replies, MAX_REPLIES)


def _is_none(question: Question) -> bool:
    """Whether it is switched off, or the playground asks, or T1 has found too few turns already."""
    is_exempt = not question.terms.machines.enabled or is_playground(question.batch.conversation.contact)
    lately = question.turn.lately
    return is_exempt or (lately is not None and lately < _least(question))


LOOKUP = LookupSpec("pace", _run, skip=_is_none)
