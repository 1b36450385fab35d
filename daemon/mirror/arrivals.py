"""Finds one message in the mirror: its conversation and its arrival time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from actors.identity import Conversation
from actors.messages import Message, Waiting
from daemon.mirror.keys import place
from daemon.mirror.mirror import waiting_message
from daemon.mirror.survey import CHUNK, Survey
from daemon.stores.redis import RedisStore, reply_or_raise


class Arrival(msgspec.Struct, frozen=True):
    """One message as the mirror received it."""

    conversation: Conversation
    seq: int
    at_ms: int
    message: Message | None
    """None: processed so long ago that only its id is kept."""


class Arrivals:
    """Every method may raise `MirrorUnavailable`."""

    def __init__(self, redis: RedisStore, survey: Survey, partitions: int) -> None:
        self._redis = redis
        self._survey = survey
        self._partitions = partitions

    async def arrival(self, conversation: Conversation, message_id: str) -> Arrival | None:
        """Find a message in one conversation; None if the mirror does not know the id, or no longer knows it."""
        keys = place(conversation, self._partitions).own
        score = await self._redis.command("ZSCORE", keys.seen, message_id)
        if score is None:
            return None
        seq = int(float(score))
        found = await self._redis.command("XRANGE", keys.queue, f"{seq}-0", f"{seq}-0")
        # Sequence numbers are arrival times, and all that remains once the entry was trimmed.
        kept: Waiting | None = waiting_message(conversation, found[0]) if found else None
        return Arrival(conversation, seq, kept.at_ms if kept else seq, kept.message if kept else None)

    async def find(self, message_id: str, instance: str | None) -> list[Arrival]:
        """Search every conversation that has anything pending, of every daemon."""
        active = await self._survey.active(range(self._partitions))
        wanted = [one for one in active if instance in (None, one.instance)]
        found: list[Arrival] = []
        for start in range(0, len(wanted), CHUNK):
            for conversation in await self._containing(wanted[start : start + CHUNK], message_id):
                if (arrival := await self.arrival(conversation, message_id)) is not None:
                    found.append(arrival)
        return found

    async def waits_in(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Conversation]:
        """In which conversation with anything pending each message is: instances and ids. The others are left out."""
        ids: dict[str, list[str]] = {}
        for instance, message_id in wanted:
            ids.setdefault(instance, []).append(message_id)
        active = [one for one in await self._survey.active(range(self._partitions)) if one.instance in ids]
        found: dict[tuple[str, str], Conversation] = {}
        for start in range(0, len(active), CHUNK):
            chunk = active[start : start + CHUNK]
            commands = [
                ("ZMSCORE", place(one, self._partitions).own.seen, *ids[one.instance]) for one in chunk
            ]
            for one, answer in zip(chunk, await self._redis.pipeline(commands), strict=True):
                for message_id, score in zip(ids[one.instance], reply_or_raise(answer), strict=True):
                    if score is not None:
                        found[one.instance, message_id] = one
        return found

    async def _containing(self, chunk: Sequence[Conversation], message_id: str) -> Iterable[Conversation]:
        commands = [("ZSCORE", place(one, self._partitions).own.seen, message_id) for one in chunk]
        answers = [reply_or_raise(answer) for answer in await self._redis.pipeline(commands)]
        return [one for one, score in zip(chunk, answers, strict=True) if score is not None]
