"""Is this the same text again, written while its answer was still to come?"""

from __future__ import annotations

from actors import repeats
from actors.ports import Question
from daemon.ledger.wire import encoded, storable, text_hash
from daemon.lookups.spec import LookupSpec, Means

REPLAY_PREFIX = "dead-"
"""Message ids of a replayed dead letter begin with this; its text must not count as a duplicate."""

# One clock: the database's. A batch was frozen before its turn was stored, so the time of a message's arrival that is
# computed here is never too early, and `max` takes the message that was written last. Answers of a conversation leave
# one after the other: among the newest with the same words are all that can have left after it was written.
_SQL = """
    WITH own AS MATERIALIZED (SELECT created_at FROM majlis_turns WHERE id = $1),
    written AS MATERIALIZED (
        SELECT max(least(own.created_at - make_interval(secs => m.waited), to_timestamp(m.sent))) AS last
        FROM own CROSS JOIN unnest($4::float8[], $5::float8[]) AS m (waited, sent)
    )
    SELECT EXISTS (
        SELECT FROM (SELECT * FROM majlis_turns
                     WHERE conversation_key = $2 AND text_hash = $3 AND id < $1
                       AND state IN ('answered', 'done') AND rule = ''
                     ORDER BY created_at DESC LIMIT 100) t
        JOIN majlis_outbox o ON o.turn_id = t.id AND o.part = 0
        WHERE o.state = 'sent' AND o.claimed_at > (SELECT last FROM written)
          AND o.claimed_at > (SELECT created_at FROM own) - make_interval(secs => least($7::float8, 1e9))
          AND $6::jsonb = majlis_signature(t.messages)
    )
"""


async def _run(means: Means, question: Question) -> bool:
    """Whether every message was written before the first part of the answer to the same text left.

    Only what a responder said is an answer, and only if it arrived as far as is known. A dead letter, a fallback, the
    escalated message, a silence or a reply that was cut off by a take-over leave the question open: it may be repeated.
    """
    batch = question.batch
    return bool(
        await means.db.value(
            _SQL,
            question.turn.id,
            storable(batch.conversation.key),
            text_hash(repeats.once_text(batch)),
            repeats.waited_seconds(batch),
            repeats.sent_by(batch),
            encoded(repeats.signature(batch)),
            float(question.terms.duplicate_seconds),
        )
    )


def _is_none(question: Question) -> bool:
    """A replay is wanted. What was found in the gateway's records has an id of its own: it is another message, whatever
    an earlier one said. Media without a hash are never the same. And often T1 has found nobody who said it before.
    """
    if question.turn.said_before is False:
        return True
    messages = question.batch.messages
    known_by_id = any(message.swept or message.id.startswith(REPLAY_PREFIX) for message in messages)
    return known_by_id or question.terms.duplicate_seconds <= 0 or not repeats.comparable(messages)


LOOKUP = LookupSpec("duplicate", _run, skip=_is_none)
