"""Who speaks in this conversation now: Majlis, or a person of the business? And does the customer want answers?

The one lookup that may also write: a take-over that turns out to be a machine's, now that the customer's messages are
in the ledger, ends here (031).
"""

from __future__ import annotations

import msgspec

from actors.lookups import TakeoverState
from actors.ports import Question
from daemon.ledger.wire import storable
from daemon.lookups.spec import LookupSpec, Means

_SQL = "SELECT majlis_standing_now($1, $2, $3, $4, $5)"


async def _run(means: Means, question: Question) -> TakeoverState:
    conversation = question.batch.conversation
    found = await means.db.value(
        _SQL,
        storable(conversation.instance),
        storable(conversation.contact),
        storable(conversation.key),
        float(question.terms.hand_back_seconds),
        question.flags.takeover,
    )
    return msgspec.json.decode(found, type=TakeoverState)


LOOKUP = LookupSpec("takeover", _run)
