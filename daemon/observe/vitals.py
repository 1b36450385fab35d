"""The daemon's state in numbers, read together and in bounded time. `majlis status` shows the same figures.

`/metrics` and the monitor share what was read: scraping too often costs the stores nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import trio

from actors.errors import MirrorUnavailable
from actors.targets import Judgement
from daemon.observe import memory
from daemon.responders.breaker import ProviderView

if TYPE_CHECKING:  # the command line reads the figures, and needs no driver
    from daemon.mirror.upkeep import RedisMemory

READ_SECONDS = 3.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Counts from memory, Redis and the ledger at one moment; zeros for a store that is away."""

    ready: bool
    uptime_seconds: float
    stores: Mapping[str, str]
    """`redis` and `postgres`: `ok`, or a sentence."""
    partitions_owned: int
    partitions_total: int
    partitions_elsewhere: Mapping[str, int] = {}
    """How many partitions other daemons hold, by their node ids."""
    active: int = 0
    """Conversations with an actor in memory now."""
    open_windows: int
    running_turns: int
    queued_turns: int = 0
    in_flight: int = 0
    """Turns that may freeze what waits, or have: those that wait for an answer included."""
    at_work: int = 0
    """Of these, those that are being opened or stored."""
    at_work_most: int = 0
    held_turns: int = 0
    """Conversations that wait for a gateway or store that is away."""
    deferred_turns: int = 0
    """Conversations that wait for their next attempt."""
    parked: int = 0
    acknowledged: int = 0
    """Messages of the owned partitions since the installation, like the next three: they outlive the daemon."""
    answered: int = 0
    suppressed: int = 0
    dead: int = 0
    waiting_messages: int = 0
    """Messages that are acknowledged, and whose turn has not ended."""
    oldest_waiting_seconds: float | None = None
    dead_letters_open: int = 0
    """All that are open in the ledger, of any age."""
    taken_over: int = 0
    """Conversations in which a person of the business writes now."""
    opted_out: int = 0
    """Contacts that want no messages."""
    machines: int = 0
    """Conversations in which Majlis is silent to another machine."""
    escalated: int = 0
    """Conversations that are escalated to a person and not yet handed back."""
    notices_waiting: int = 0
    """Notices that are still to be sent to the business."""
    notices_given_up: int = 0
    forwards_waiting: int = 0
    """Webhooks of instances in mode `passthrough` that are still to be forwarded."""
    forwards_bytes: int = 0
    """Of these."""
    forwards_oldest_seconds: float | None = None
    """How long the first of these has waited."""
    forwards_dead: int = 0
    """Webhooks that could not be forwarded, and are kept for a while."""


class LeaseCounts(msgspec.Struct, frozen=True):
    certain: int
    """Partitions that this daemon may act for now: their lease is not near its end."""
    renewals: int
    failures: int


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    figures: Figures | None
    """None: the stores took too long to answer."""
    redis_memory: RedisMemory | None
    memory_share: float | None
    leases: LeaseCounts
    appends_waiting: int
    """Messages that wait to be stored and are not acknowledged yet."""
    providers: Sequence[ProviderView] = ()
    verdicts: Sequence[Judgement] | None = ()
    """Of the targets; None while they cannot be judged."""


class _Reading(msgspec.Struct, frozen=True):
    """What the stores said, and when."""

    at: float
    figures: Figures
    redis_memory: RedisMemory | None


class VitalSigns:
    def __init__(
        self,
        *,
        figures: Callable[[], Awaitable[Figures]],
        redis_memory: Callable[[], Awaitable[RedisMemory | None]],
        leases: Callable[[], LeaseCounts],
        appends_waiting: Callable[[], int],
        providers: Callable[[], Sequence[ProviderView]] = tuple,
        verdicts: Callable[[], Sequence[Judgement] | None] = tuple,
    ) -> None:
        self._figures = figures
        self._redis_memory = redis_memory
        self._leases = leases
        self._appends_waiting = appends_waiting
        self._providers = providers
        self._verdicts = verdicts
        self._asking = trio.Lock()
        self._latest: _Reading | None = None

    async def read(self, max_age_seconds: float) -> Vitals:
        """The current figures; those of the stores may be as old as given. The others are always there."""
        reading: _Reading | None = None
        with trio.move_on_after(READ_SECONDS):
            reading = await self._ask(max_age_seconds)
        return Vitals(
            figures=reading.figures if reading else None,
            redis_memory=reading.redis_memory if reading else None,
            memory_share=memory.used_share(),
            leases=self._leases(),
            appends_waiting=self._appends_waiting(),
            providers=self._providers(),
            verdicts=self._verdicts(),
        )

    async def _ask(self, max_age_seconds: float) -> _Reading:
        """Ask the stores. Callers that come meanwhile share the reading."""
        async with self._asking:
            known, now = self._latest, trio.current_time()
            if known is None or now - known.at > max_age_seconds:
                figures = await self._figures()
                self._latest = known = _Reading(now, figures, await self._memory_of(figures))
            return known

    async def _memory_of(self, figures: Figures) -> RedisMemory | None:
        if figures.stores.get("redis") != "ok":
            return None
        try:
            return await self._redis_memory()
        except MirrorUnavailable:
            return None
