"""How much memory of Redis the conversations of each instance take, measured little by little.

Redis says it of one key at a time. All keys are walked through at a steady, slow pace, so that measuring costs the same
whatever is stored; the sizes are those of the last whole walk.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.identity import Conversation
from daemon.mirror import scripts
from daemon.mirror.keys import ANY_PARTITION
from daemon.stores.redis import RedisStore, ScriptCall

KEYS_AT_A_TIME = 500
MAX_INSTANCES = 10_000
"""Instances counted by name; the keys of those beyond are counted as shared."""
_SHARED = ""
"""In place of an instance: what belongs to no conversation."""


class InstanceSize(msgspec.Struct, frozen=True):
    bytes: int
    conversations: int
    """With a state of their own in Redis: those that wait, and those of the last two days."""


class InstanceSizes:
    """`step` again and again; `latest` is what the last whole walk found, None before there was one."""

    def __init__(self, redis: RedisStore) -> None:
        self._redis = redis
        self._cursor = b"0"
        self._bytes: dict[str, int] = {}
        self._conversations: dict[str, int] = {}
        self.latest: Mapping[str, InstanceSize] | None = None
        self.shared_bytes = 0
        """What belongs to no conversation, at the same time."""

    async def step(self) -> bool:
        """Measure some more keys; True when that ended a walk. Raises `MirrorUnavailable`."""
        arguments = (self._cursor, ANY_PARTITION, KEYS_AT_A_TIME)
        cursor, sizes = await self._redis.call(ScriptCall(scripts.MEASURE, (), arguments))
        for key, size in zip(sizes[::2], sizes[1::2], strict=True):
            self._add(key, size)
        self._cursor = cursor
        if cursor != b"0":
            return False
        self.shared_bytes = self._bytes.pop(_SHARED, 0)
        self.latest = {
            name: InstanceSize(size, self._conversations.get(name, 0)) for name, size in self._bytes.items()
        }
        self._bytes, self._conversations = {}, {}
        return True

    def start_again(self) -> None:
        """After a failure: a cursor means nothing to another Redis."""
        self._cursor, self._bytes, self._conversations = b"0", {}, {}

    def _add(self, key: bytes, size: int) -> None:
        _, _, named = key.decode(errors="replace").partition("}:")
        kind, _, conversation = named.partition(":")
        try:
            name = Conversation.from_key(conversation).instance
        except ValueError:
            name = _SHARED
        if name not in self._bytes and len(self._bytes) >= MAX_INSTANCES:
            name = _SHARED
        self._bytes[name] = self._bytes.get(name, 0) + size
        self._conversations[name] = self._conversations.get(name, 0) + (name != _SHARED and kind == "state")
