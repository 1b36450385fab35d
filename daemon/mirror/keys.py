"""Where everything lies in Redis. Pure.

Every key of a partition carries the partition's hash tag and no other braces (`Conversation.key` is
percent-encoded), so a script's keys always share one slot of a Redis Cluster.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from actors.identity import Conversation

INSTALL = "majlis:{install}"
"""Hash `install_id`, `partitions`: whose data this is. Missing or different means flushed, foreign or restored."""


class PartitionKeys(NamedTuple):
    """Keys shared by the conversations of one partition."""

    due: str
    """Sorted set: conversation by the time it needs attention next."""
    active: str
    """Set of the conversations with anything pending."""
    lock: str
    """Hash `epoch`, `owner`: who may act."""
    totals: str
    """Hash of durable counters of messages."""

    @classmethod
    def of(cls, partition: int) -> PartitionKeys:
        prefix = _prefix(partition)
        return cls(
            due=f"{prefix}due",
            active=f"{prefix}active_queues",
            lock=f"{prefix}processing_lock",
            totals=f"{prefix}totals",
        )


class ConversationKeys(NamedTuple):
    """Keys of one conversation."""

    queue: str
    """Stream of its messages, waiting, frozen and recently processed, under explicit ids `<seq>-0`."""
    state: str
    """Hash: counters, window and frozen batch."""
    seen: str
    """Sorted set: message id by sequence number, for deduplication."""
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


class Place(NamedTuple):
    """A conversation's whole address."""

    key: str
    own: ConversationKeys
    shared: PartitionKeys


@lru_cache(maxsize=4096)
def place(conversation: Conversation, partitions: int) -> Place:
    """Cached: a burst asks for the same address some ten times, and quoting and hashing cost as much as a script."""
    key, partition = conversation.key, conversation.partition(partitions)
    return Place(key, ConversationKeys.of(key, partition), PartitionKeys.of(partition))


def _prefix(partition: int) -> str:
    return f"majlis:{{p{partition:03d}}}:"
