"""What the mirror's bookkeeping may have lost sight of: found, and what has nothing pending cleaned away.

Every script keeps conversation, timer and the set of the pending together, so nothing of this should ever be there.
It is looked for all the same: a restored backup, a stray hand or a bug must not leave a customer waiting for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from daemon.mirror import scripts
from daemon.mirror.keys import PartitionKeys, place
from daemon.mirror.mirror import KEEP_IDS_SECONDS, KEEP_PROCESSED_SECONDS, sound
from daemon.stores.redis import RedisStore, ScriptCall

MAX_STRAYS = 500
"""Looked at in one partition at a time."""


class RedisMemory(msgspec.Struct, frozen=True):
    used_bytes: int
    limit_bytes: int
    """`maxmemory`, or the machine's where it is not set."""


class Upkeep:
    """Every method may raise `MirrorUnavailable`."""

    def __init__(self, redis: RedisStore, partitions: int) -> None:
        self._redis = redis
        self._partitions = partitions

    async def strays(
        self, epochs: Mapping[int, int], grace_seconds: float, limit: int = MAX_STRAYS
    ) -> list[Conversation]:
        """Conversations of these partitions that wait without a timer, or whose time passed `grace_seconds` ago."""
        places = [(PartitionKeys.of(partition), epoch) for partition, epoch in epochs.items()]
        calls = [
            ScriptCall(
                scripts.STRAYS,
                (keys.due, keys.active, keys.lock),
                (epoch, round(grace_seconds * 1000), limit),
            )
            for keys, epoch in places
        ]
        answers = [sound(answer) for answer in await self._redis.call_many(calls)]
        return [Conversation.from_key(key.decode()) for answer in answers for key in answer[1:]]

    async def tidy(self, conversations: Mapping[Conversation, int]) -> list[Conversation]:
        """Remove those with nothing pending from among the pending; gives back which. By conversation its epoch.

        One that Redis refuses to look at is left to its actor, which tells why, and holds up no other.
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
        """How much Redis uses of what it may; None where it does not tell."""
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
