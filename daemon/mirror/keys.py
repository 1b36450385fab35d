"""The layout of keys in Redis. Pure.

Every key of a partition carries the partition's hash tag and no other braces (`Conversation.key` is
percent-encoded), so all keys of a script share one slot of a Redis Cluster.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from actors.identity import Conversation

INSTALL = "majlis:{install}"
"""Hash `install_id`, `partitions`: whose data this is. Missing or different: flushed, foreign or restored."""

ANY_PARTITION = "majlis:{p*"
"""A pattern: the keys of all partitions."""

CHANGES = "majlis:{install}:changes"
"""Counts changes of what is set for instances: another number than before means that there is something new."""


class PartitionKeys(NamedTuple):
    """Keys shared by the conversations of one partition."""

    due: str
    """Sorted set: conversations by when each next needs attention."""
    active: str
    """Set of the conversations that have anything pending."""
    lock: str
    """Hash `install`, `epoch`, `owner`: whose data the partition holds, and who may act."""
    totals: str
    """Hash of durable message counters."""
    proofs: str
    """Hash: what became of sends, by turn, part and claim, while the ledger cannot take it. Under no fence."""

    @classmethod
    def of(cls, partition: int) -> PartitionKeys:
        prefix = _prefix(partition)
        return cls(
            due=f"{prefix}due",
            active=f"{prefix}active_queues",
            lock=f"{prefix}processing_lock",
            totals=f"{prefix}totals",
            proofs=f"{prefix}proofs",
        )


class ConversationKeys(NamedTuple):
    """Keys of one conversation."""

    queue: str
    """Stream of its messages (waiting, frozen, recently processed) under explicit ids `<seq>-0`."""
    state: str
    """Hash: counters, window, frozen batch."""
    seen: str
    """Sorted set: message ids by sequence number, for deduplication."""
    stats: str
    status: str

    @classmethod
    def of(cls, key: str, partition: int) -> ConversationKeys:
        prefix = _prefix(partition)
        return cls(
            queue=f"{prefix}msg_queue:{key}",
            state=f"{prefix}state:{key}",
            seen=f"{prefix}seen:{key}",
            stats=f"{prefix}queue_stats:{key}",
            status=f"{prefix}processing_status:{key}",
        )


Keyed = tuple[str, int]
"""A conversation by its key and its partition, as the sets of a partition have it: nothing needs to be hashed."""


class Place(NamedTuple):
    """All keys of one conversation."""

    key: str
    own: ConversationKeys
    shared: PartitionKeys


@lru_cache(maxsize=4096)
def place(conversation: Conversation, partitions: int) -> Place:
    """Cached: a burst needs the same keys about ten times, and quoting and hashing cost as much as a script."""
    key, partition = conversation.key, conversation.partition(partitions)
    return Place(key, ConversationKeys.of(key, partition), PartitionKeys.of(partition))


def _prefix(partition: int) -> str:
    return f"majlis:{{p{partition:03d}}}:"
