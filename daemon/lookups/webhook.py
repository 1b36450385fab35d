"""The address stored as the instance's webhook. Its origin may be a gateway to reply through."""

from __future__ import annotations

from actors.ports import Question
from daemon.ledger.wire import storable
from daemon.lookups.spec import LookupSpec, Means

_SQL = "SELECT majlis_webhook($1)"


async def _run(means: Means, question: Question) -> str:
    return str(await means.db.value(_SQL, storable(question.batch.conversation.instance)) or "")


def _no_origin_is_allowed(question: Question) -> bool:
    return not question.terms.allowed_origins


LOOKUP = LookupSpec("webhook", _run, skip=_no_origin_is_allowed)
