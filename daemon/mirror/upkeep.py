"""Consistency upkeep: finds conversations that lost their timer, and removes finished ones from the set of active ones.

Every script changes a conversation, its timer and its membership in the active set together, so there should be nothing
to find. It is searched for all the same: a restored backup, a manual edit or a bug must not leave a customer waiting
forever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from daemon.mirror import scripts
from daemon.mirror.keys import PartitionKeys, place
from daemon.mirror.mirror import KEEP_IDS_SECONDS, KEEP_PROCESSED_SECONDS
from daemon.mirror.over import OfPartition, call_over
from daemon.stores.redis import RedisStore, ScriptCall

MAX_STRAYS = 500
"""The most conversations examined per partition in one go."""


class RedisMemory(msgspec.Struct, frozen=True):
    used_bytes: int
    limit_bytes: int
    """`maxmemory`, or the memory of the machine if it is not set."""


class Upkeep:
    """Every method may raise `MirrorUnavailable`."""

    def __init__(self, redis: RedisStore, partitions: int) -> None:
        self._redis = redis
        self._partitions = partitions

    async def strays(
        self, epochs: Mapping[int, int], grace_seconds: float, limit: int = MAX_STRAYS
    ) -> list[Conversation]:
        """Conversations of these partitions that wait without a timer, or are overdue by `grace_seconds`."""
        shares = [
            OfPartition((keys.due, keys.active, keys.lock), (epoch,))
            for keys, epoch in ((PartitionKeys.of(partition), epoch) for partition, epoch in epochs.items())
        ]
        answers = await call_over(self._redis, scripts.STRAYS, (round(grace_seconds * 1000), limit), shares)
        return [Conversation.from_key(key.decode()) for answer in answers for key in answer]

    async def tidy(self, conversations: Mapping[Conversation, int]) -> list[Conversation]:
        """Remove conversations with nothing pending from the active set.

        A conversation that Redis fails on is skipped; its actor reports the error, and it holds up no other.

        Args:
          conversations: the epoch of each conversation's partition.

        Returns:
          The conversations that were removed.
        """
        named: Sequence[Conversation] = list(conversations)
        answers = await self._redis.call_many([self._tidy(one, conversations[one]) for one in named])
        rows = zip(named, answers, strict=True)
        return [
            one
            for one, answer in rows
            if not isinstance(answer, MirrorUnavailable) and answer[0] == b"tidied"
        ]

    async def memory(self) -> RedisMemory | None:
        """The memory Redis uses and may use; None if it does not report it."""
        try:
            lines = (await self._redis.command("INFO", "memory")).decode().splitlines()
        except MirrorUnavailable:
            return None
        facts = {name: value for name, _, value in (line.partition(":") for line in lines)}
        used, limit, machine = (
            int(facts.get(name, 0)) for name in ("used_memory", "maxmemory", "total_system_memory")
        )
        return RedisMemory(used, limit or machine) if limit or machine else None

    def _tidy(self, conversation: Conversation, epoch: int) -> ScriptCall:
        key, own, shared = place(conversation, self._partitions)
        keys = (own.queue, own.state, own.seen, shared.due, shared.active, shared.lock)
        kept_ms = (KEEP_PROCESSED_SECONDS * 1000, KEEP_IDS_SECONDS * 1000)
        return ScriptCall(scripts.TIDY, keys, (key, epoch, *kept_ms))
