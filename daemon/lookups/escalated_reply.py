"""Was the escalated message sent in this conversation recently?"""

from __future__ import annotations

from actors.ports import Question
from daemon.ledger.wire import storable
from daemon.lookups.spec import LookupSpec, Means, escalation_is_off

_SQL = "SELECT majlis_said_since($1, now() - make_interval(secs => least($2::float8, 1e9)), 'escalation')"


async def _run(means: Means, question: Question) -> bool:
    key = storable(question.batch.conversation.key)
    return bool(await means.db.value(_SQL, key, float(question.terms.escalated_repeat_seconds)))


LOOKUP = LookupSpec("escalated_reply", _run, skip=escalation_is_off)
