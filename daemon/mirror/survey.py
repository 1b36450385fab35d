"""The mirror seen as a whole: whose it is, what is pending in it, what became of the rest."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from actors.messages import Snapshot
from daemon.mirror import scripts
from daemon.mirror.keys import INSTALL, PartitionKeys
from daemon.mirror.mirror import RedisMirror, sound
from daemon.stores.redis import RedisStore, ScriptCall

CHUNK = 500
"""Conversations asked for in one round trip: large enough to be cheap, small enough to leave others their turn."""


class Totals(msgspec.Struct, frozen=True):
    """Messages counted since the installation, durable as the messages themselves.

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


class Pending(msgspec.Struct, frozen=True):
    """What is pending now, counted conversation by conversation."""

    conversations: int = 0
    waiting: int = 0
    frozen: int = 0
    """Messages in batches that are being answered."""
    oldest_at_ms: int | None = None
    """Arrival of the oldest message without an end."""
    now_ms: int = 0


class RedisStamp(msgspec.Struct, frozen=True):
    """Whose data this Redis holds."""

    install_id: str
    partitions: int


class Survey:
    """Questions over many partitions, in few round trips. Every method may raise `MirrorUnavailable`."""

    def __init__(self, redis: RedisStore, mirror: RedisMirror) -> None:
        self._redis = redis
        self._mirror = mirror

    async def install(self, partitions: int, install_id: str | None = None) -> RedisStamp:
        """Stamp a Redis that has no stamp (under a new id if none is given); gives back the stamp that stands.

        For the first start, and after a lost Redis was rebuilt; `checks.check_redis` compares at all other times.
        """
        call = ScriptCall(scripts.INSTALL, (INSTALL,), (install_id or uuid.uuid4().hex, partitions))
        stored_id, stored_partitions = await self._redis.call(call)
        return RedisStamp(stored_id.decode(), int(stored_partitions))

    async def is_unstamped(self) -> bool:
        """Whether this Redis holds no installation's data."""
        return not await self._redis.command("EXISTS", INSTALL)

    async def active(self, partitions: Iterable[int]) -> list[Conversation]:
        """The conversations with anything pending."""
        commands = [("SMEMBERS", PartitionKeys.of(partition).active) for partition in partitions]
        answers = await self._redis.pipeline(commands)
        return [Conversation.from_key(key.decode()) for answer in answers for key in sound(answer)]

    async def recover(self, partitions: Iterable[int]) -> tuple[list[Snapshot], list[Conversation]]:
        """Every conversation with anything pending: as it stands, or by name alone where that is too much at once.

        A few conversations with megabytes waiting must not keep all others from being picked up.
        """
        found: list[Snapshot] = []
        unread: list[Conversation] = []
        for chunk in _chunks(await self.active(partitions)):
            try:
                found += await self._mirror.load_many(chunk)
            except MirrorUnavailable:
                unread += chunk
        return found, unread

    async def epochs(self, partitions: Iterable[int]) -> dict[int, int]:
        """The epochs under which partitions are fenced; those that never were are left out."""
        numbers = list(partitions)
        answers = await self._redis.pipeline(
            [("HGET", PartitionKeys.of(each).lock, "epoch") for each in numbers]
        )
        rows = zip(numbers, map(sound, answers), strict=True)
        return {partition: int(epoch) for partition, epoch in rows if epoch is not None}

    async def totals(self, partitions: Iterable[int]) -> Totals:
        """The counters of these partitions, summed."""
        names = Totals.__struct_fields__
        commands = [("HMGET", PartitionKeys.of(partition).totals, *names) for partition in partitions]
        rows = [sound(answer) for answer in await self._redis.pipeline(commands)]
        return Totals(**{name: sum(int(row[index] or 0) for row in rows) for index, name in enumerate(names)})

    async def pending(self, partitions: Iterable[int]) -> Pending:
        """Counted afresh: costs one short script per active conversation."""
        total = Pending()
        for chunk in _chunks(await self.active(partitions)):
            calls = [ScriptCall(scripts.STATS, (self._mirror.state_key(one),), ()) for one in chunk]
            for answer in await self._redis.call_many(calls):
                total = _added(total, *sound(answer))
        return total


def _added(total: Pending, waiting: int, frozen: int, oldest_at_ms: int, now_ms: int) -> Pending:
    ages = [at for at in (total.oldest_at_ms, oldest_at_ms or None) if at is not None]
    return Pending(
        conversations=total.conversations + (1 if waiting or frozen else 0),
        waiting=total.waiting + waiting,
        frozen=total.frozen + frozen,
        oldest_at_ms=min(ages, default=None),
        now_ms=now_ms,
    )


def _chunks(conversations: Sequence[Conversation]) -> Iterator[Sequence[Conversation]]:
    for start in range(0, len(conversations), CHUNK):
        yield conversations[start : start + CHUNK]
