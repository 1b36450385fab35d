"""Was the same text answered in this conversation a moment ago?"""

from __future__ import annotations

from actors.messages import Batch
from actors.ports import Turn
from daemon.ledger.wire import storable, text_hash
from daemon.stores.postgres import Postgres

REPLAY_PREFIX = "dead-"
"""Message ids of a dead letter that is tried again begin with this: its text must not count as said before."""

_SQL = """
    SELECT EXISTS (
        SELECT FROM majlis_turns
        WHERE conversation_key = $1 AND text_hash = $2 AND id < $3 AND state IN ('answered', 'done')
          AND coalesce(finished_at, answered_at) > now() - make_interval(secs => $4)
    )
"""


async def is_duplicate(db: Postgres, turn: Turn, batch: Batch, window_seconds: float) -> bool:
    """True when an earlier turn with the same combined text was answered within `window_seconds`.

    A turn that died, was suppressed or moved gave no answer, so its text may be said again.
    """
    if any(message.id.startswith(REPLAY_PREFIX) for message in batch.messages):
        return False
    key = storable(batch.conversation.key)
    return bool(await db.value(_SQL, key, text_hash(batch.text), turn.id, float(window_seconds)))
