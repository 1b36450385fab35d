"""When more is said before the answer is stored: whether the frozen batch takes it in and is answered anew. Pure.

Laws of this file:
1. Only what asks for an answer ends a call: not a reaction, not what is history, nor what was heard in another mode
   than the batch. It is enough that one of those who join does; the others come along.
2. An edit or a deletion does not join, nor does what came behind it: the first step of the turn has stored its target
   as it was. It waits for the next batch, as it always did.
3. An album joins as a whole: while parts of it are missing, nothing is given up for those that are there.
4. A batch is widened a bounded number of times, and has a bounded number of messages.

`daemon/mirror/scripts/widen.lua` takes in the same entries, and no more bytes than fit into one reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile

from actors.messages import Batch, Waiting, WindowPolicy
from actors.window import awaits_album


def joining(batch: Batch, waiting: Sequence[Waiting], policy: WindowPolicy) -> tuple[Waiting, ...]:
    """Of those that wait, the ones that a wider batch would hold too."""
    unchanged = takewhile(lambda entry: not entry.message.amends, waiting)
    return tuple(islice(unchanged, max(0, policy.max_batch_messages - len(batch.entries))))


def is_superseded(batch: Batch, waiting: Sequence[Waiting], policy: WindowPolicy) -> bool:
    """Whether the turn of this batch ends for what has been said since it was frozen."""
    if batch.supersedes >= policy.max_supersedes:
        return False
    joined = joining(batch, waiting, policy)
    return any(_asks(entry, batch) for entry in joined) and not awaits_album(joined, policy)


def _asks(entry: Waiting, batch: Batch) -> bool:
    message = entry.message
    return not message.history_only and message.shadow == batch.is_shadow
