"""The mirror as a whole: which installation it belongs to, what is pending, and how everything else ended."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import trio

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from actors.messages import Snapshot
from daemon.mirror import scripts
from daemon.mirror.keys import INSTALL, Keyed, PartitionKeys
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.over import OfPartition, call_over
from daemon.stores.redis import RedisStore, ScriptCall, reply_or_raise

CHUNK = 500
"""Conversations at a time: enough to be cheap, few enough not to block Redis for others."""
CHUNKS_AHEAD = 2
"""Chunks that are asked for at once: while one is read here, Redis works on the next."""


class Totals(msgspec.Struct, frozen=True):
    """Messages counted since installation, as durable as the messages themselves.

    In each partition, at any moment: acknowledged + moved_in = answered + suppressed + dead + moved_out + pending.
    """

    acknowledged: int = 0
    answered: int = 0
    suppressed: int = 0
    dead: int = 0
    moved_in: int = 0
    moved_out: int = 0

    @property
    def pending(self) -> int:
        ended = self.answered + self.suppressed + self.dead + self.moved_out
        return self.acknowledged + self.moved_in - ended


class RedisStamp(msgspec.Struct, frozen=True):
    """The installation whose data this Redis holds."""

    install_id: str
    partitions: int


class Survey:
    """Queries over many partitions, in few round trips. Every method may raise `MirrorUnavailable`."""

    def __init__(self, redis: RedisStore, mirror: RedisMirror) -> None:
        self._redis = redis
        self._mirror = mirror

    async def install(self, partitions: int, install_id: str | None = None) -> RedisStamp:
        """Stamp a Redis that has no stamp yet, with a new id if none is given; returns the stamp in force.

        With the stamp comes a lock for each partition that names the installation: without it nothing is stored there.
        Used at the first start and after a lost Redis was rebuilt; at all other times `checks.check_redis` compares.
        """
        call = ScriptCall(scripts.INSTALL, (INSTALL,), (install_id or uuid.uuid4().hex, partitions))
        stored_id, stored_partitions = await self._redis.call(call)
        stamp = RedisStamp(stored_id.decode(), int(stored_partitions))
        if install_id in (None, stamp.install_id):
            locks = [PartitionKeys.of(partition).lock for partition in range(stamp.partitions)]
            for answer in await self._redis.pipeline(
                [("HSETNX", lock, "install", stored_id) for lock in locks]
            ):
                reply_or_raise(answer)
        return stamp

    async def is_unstamped(self) -> bool:
        """Whether this Redis belongs to no installation yet."""
        return not await self._redis.command("EXISTS", INSTALL)

    async def active(self, partitions: Iterable[int]) -> list[Conversation]:
        """The conversations that have anything pending."""
        return [Conversation.from_key(key) for key, _ in await self._active(partitions)]

    async def _active(self, partitions: Iterable[int]) -> list[Keyed]:
        numbers = list(partitions)
        answers = await self._redis.pipeline(
            [("SMEMBERS", PartitionKeys.of(partition).active) for partition in numbers]
        )
        rows = zip(numbers, map(reply_or_raise, answers), strict=True)
        return [(key.decode(), partition) for partition, keys in rows for key in keys]

    async def recover(self, partitions: Iterable[int]) -> tuple[list[Snapshot], list[Conversation]]:
        """Load every conversation that has anything pending.

        Returns:
          The snapshots, and the conversations of each chunk that could not be loaded at once: a few conversations with
          megabytes waiting must not keep all the others from being recovered.
        """
        found: list[Snapshot] = []
        unloaded: list[Conversation] = []
        chunks = _chunks(await self._active(partitions))

        async def load() -> None:
            for chunk in chunks:
                try:
                    found.extend(await self._mirror.load_many(chunk))
                except MirrorUnavailable:
                    unloaded.extend(Conversation.from_key(key) for key, _ in chunk)

        async with trio.open_nursery() as nursery:
            for _ in range(CHUNKS_AHEAD):
                nursery.start_soon(load)
        return found, unloaded

    async def epochs(self, partitions: Iterable[int]) -> dict[int, int]:
        """The epochs under which partitions are fenced; partitions that never were are left out."""
        numbers = list(partitions)
        answers = await self._redis.pipeline(
            [("HGET", PartitionKeys.of(each).lock, "epoch") for each in numbers]
        )
        rows = zip(numbers, map(reply_or_raise, answers), strict=True)
        return {partition: int(epoch) for partition, epoch in rows if epoch is not None}

    async def totals(self, partitions: Iterable[int]) -> Totals:
        """The summed counters of these partitions."""
        shares = [OfPartition((PartitionKeys.of(partition).totals,)) for partition in partitions]
        replies = await call_over(self._redis, scripts.TOTALS, (), shares)
        return Totals(*(sum(counts) for counts in zip(*replies, strict=True)))


def _chunks(conversations: Sequence[Keyed]) -> Iterator[Sequence[Keyed]]:
    for start in range(0, len(conversations), CHUNK):
        yield conversations[start : start + CHUNK]
