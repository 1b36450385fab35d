"""How the daemon is, as numbers: what `majlis status` shows, and a few more, read at once and in bounded time.

`/metrics` and the monitor share what was read: a scraper that asks too often costs the stores nothing more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from actors.errors import MirrorUnavailable
from daemon.mirror.upkeep import RedisMemory
from daemon.observe import memory
from daemon.operate.views import Status

READ_SECONDS = 3.0


class LeaseCounts(msgspec.Struct, frozen=True):
    certain: int
    """Partitions that may be acted for at this moment: their lease is not near its end."""
    renewals: int
    failures: int


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    status: Status | None
    """None: the stores took too long to tell."""
    redis_memory: RedisMemory | None
    memory_share: float | None
    leases: LeaseCounts
    appends_waiting: int
    """Messages that wait to be stored, before their acknowledgement."""


class _Told(msgspec.Struct, frozen=True):
    """What the stores said, and when."""

    at: float
    status: Status
    redis_memory: RedisMemory | None


class VitalSigns:
    def __init__(
        self,
        *,
        status: Callable[[], Awaitable[Status]],
        redis_memory: Callable[[], Awaitable[RedisMemory | None]],
        leases: Callable[[], LeaseCounts],
        appends_waiting: Callable[[], int],
    ) -> None:
        self._status = status
        self._redis_memory = redis_memory
        self._leases = leases
        self._appends_waiting = appends_waiting
        self._asking = trio.Lock()
        self._latest: _Told | None = None

    async def read(self, max_age_seconds: float) -> Vitals:
        """As of now; what the stores say may be so old. What needs no store is there however they are."""
        told: _Told | None = None
        with trio.move_on_after(READ_SECONDS):
            told = await self._ask(max_age_seconds)
        return Vitals(
            status=told.status if told else None,
            redis_memory=told.redis_memory if told else None,
            memory_share=memory.used_share(),
            leases=self._leases(),
            appends_waiting=self._appends_waiting(),
        )

    async def _ask(self, max_age_seconds: float) -> _Told:
        """Whoever comes meanwhile gets the same."""
        async with self._asking:
            known, now = self._latest, trio.current_time()
            if known is None or now - known.at > max_age_seconds:
                status = await self._status()
                self._latest = known = _Told(now, status, await self._memory_of(status))
            return known

    async def _memory_of(self, status: Status) -> RedisMemory | None:
        if status.stores.get("redis") != "ok":
            return None
        try:
            return await self._redis_memory()
        except MirrorUnavailable:
            return None
