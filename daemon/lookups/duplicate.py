"""Was the same text answered in this conversation recently?"""

from __future__ import annotations

from actors.ports import Question
from daemon.ledger.wire import storable, text_hash
from daemon.lookups.spec import LookupSpec, Means

REPLAY_PREFIX = "dead-"
"""Message ids of a replayed dead letter begin with this; its text must not count as a duplicate."""

_SQL = """
    SELECT EXISTS (
        SELECT FROM majlis_turns
        WHERE conversation_key = $1 AND text_hash = $2 AND id < $3 AND state IN ('answered', 'done')
          AND rule IN ('', 'escalated')
          AND coalesce(finished_at, answered_at) > now() - make_interval(secs => least($4::float8, 1e9))
    )
"""


async def _run(means: Means, question: Question) -> bool:
    """Whether an earlier turn with the same combined text was answered within the window.

    A turn that died, was suppressed or moved gave no answer. Neither did one that sent only the fallback message or was
    taken over half way. Their texts may be repeated.
    """
    batch = question.batch
    key = storable(batch.conversation.key)
    window_seconds = float(means.duplicate_window_seconds)
    return bool(await means.db.value(_SQL, key, text_hash(batch.text), question.turn.id, window_seconds))


def _is_known_by_id(question: Question) -> bool:
    """A replay is wanted. What was found in the gateway's records has an id of its own: it is another message, whatever
    an earlier one said.
    """
    return any(message.swept or message.id.startswith(REPLAY_PREFIX) for message in question.batch.messages)


LOOKUP = LookupSpec("duplicate", _run, skip=_is_known_by_id)
