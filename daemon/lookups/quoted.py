"""The messages that those of the batch refer to by their ids, as our own ledger has them.

What is looked for is what was said in this conversation: the customer's messages, what the business said there, our
replies also before their turn has ended, and notices to a person of the business who is a customer too. An id of
another conversation finds nothing, so nobody is told what another customer wrote.
"""

from __future__ import annotations

from typing import Literal

from actors.messages import Context
from actors.ports import Question
from actors.told import MAX_TEXT_CHARS, ids_to_look_up
from daemon.ledger.wire import storable
from daemon.lookups.history import CUSTOMER
from daemon.lookups.spec import LookupSpec, Means

_SQL = "SELECT id, sender, said FROM majlis_quoted($1, $2, $3)"


async def _run(means: Means, question: Question) -> tuple[Context, ...]:
    """In no order; what is not known is not among them."""
    ids = [storable(id) for id in _ids(question)]
    rows = await means.db.fetch(_SQL, question.turn.id, ids, MAX_TEXT_CHARS)
    return tuple(Context("quote", row["said"], row["id"], _writer(row["sender"])) for row in rows)


def _writer(sender: str) -> Literal["customer", "business"]:
    return "customer" if sender.strip().lower() in CUSTOMER else "business"


def _ids(question: Question) -> tuple[str, ...]:
    return ids_to_look_up(question.batch.messages, question.terms.context)


def _nothing_is_referred_to(question: Question) -> bool:
    return not _ids(question)


LOOKUP = LookupSpec("quoted", _run, skip=_nothing_is_referred_to)
