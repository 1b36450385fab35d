"""Whether the targets are reached, measured again and again; and what they are measured by, gathered.

Laws of this file:
1. It only observes, in bounded work for each second: what fails here is tried again and reaches no turn.
2. What cannot be read is unknown: it is neither reached nor missed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec
import trio

from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.ports import Feed
from actors.targets import Judgement, LoadFigures, Minute, Targets, TurnFigures, judge
from daemon.config import TargetsSettings
from daemon.observe.minutes import Minutes
from daemon.stores.postgres import LedgerError

if TYPE_CHECKING:  # the command line reads the report, and needs no driver
    from daemon.mirror.sizes import InstanceSizes

SAMPLE_SECONDS = 5.0
REFRESH_SECONDS = 60.0
MAX_AGE_SECONDS = 10.0
"""Who asks again within this gets the same answer."""
STEP_SECONDS = 5.0
REST_SECONDS = 60.0
"""Between two walks through the mirror, and after a failure."""


class TargetSource(Protocol):
    """The ledger's side. Every method may raise `LedgerUnavailable`."""

    async def turns(
        self, period_seconds: float, instance: str | None, slow_seconds: float | None
    ) -> TurnFigures: ...

    async def load(
        self, period_seconds: float, conversations: int | None, messages: int | None
    ) -> LoadFigures: ...

    async def store_minutes(self, node_id: str, rows: Sequence[Minute]) -> None: ...


class TargetReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and what that says."""

    period_seconds: float
    instance: str | None
    turns: TurnFigures
    verdicts: tuple[Judgement, ...]


class TargetWatch:
    """`nursery.start_soon(watch.run)`."""

    def __init__(
        self,
        settings: TargetsSettings,
        source: TargetSource,
        minutes: Minutes,
        sizes: InstanceSizes,
        feed: Feed,
        node_id: str,
        today: Callable[[], datetime],
    ) -> None:
        """`today` gives the time, UTC."""
        self._settings = settings
        self._targets = Targets(**{name: getattr(settings, name) for name in Targets.__struct_fields__})
        self._source = source
        self._minutes = minutes
        self.sizes = sizes
        self._feed = feed
        self._node_id = node_id
        self._today = today
        self._asking = trio.Lock()
        self._kept: tuple[float, TargetReading] | None = None
        self.latest: TargetReading | None = None
        """Of the configured period and all instances; None while it cannot be read."""

    async def run(self) -> None:
        """Gather and judge until cancelled."""
        async with trio.open_nursery() as work:
            for each in (self._sample, self._refresh, self._measure):
                work.start_soon(self._again, each)

    async def read(self, period_seconds: float | None = None, instance: str | None = None) -> TargetReading:
        """What was measured lately, in the configured period unless told otherwise. Callers share the work.

        Raises:
          LedgerUnavailable: it cannot be read now.
        """
        period = self._settings.period_seconds if period_seconds is None else period_seconds
        async with self._asking:
            if self._kept is not None:
                at, known = self._kept
                is_same = (known.period_seconds, known.instance) == (period, instance)
                if is_same and trio.current_time() - at <= MAX_AGE_SECONDS:
                    return known
            reading = await self._judged(period, instance)
            self._kept = trio.current_time(), reading
            return reading

    async def _judged(self, period: float, instance: str | None) -> TargetReading:
        targets = self._targets
        turns = await self._source.turns(period, instance, targets.response_seconds)
        load = None
        if instance is None:
            load = await self._source.load(period, targets.conversations, targets.messages_per_minute)
        return TargetReading(
            period_seconds=period, instance=instance, turns=turns, verdicts=judge(targets, turns, load)
        )

    async def _again(self, work: Callable[[], Awaitable[float]]) -> None:
        """Do it again and again; it returns when to do it next, in seconds."""
        while True:
            try:
                seconds = await work()
            except Exception as error:  # law 1; the class alone, because its text may quote something
                self._feed.emit("daemon.problem", part="targets", error=type(error).__name__)
                seconds = REFRESH_SECONDS
            await trio.sleep(seconds)

    async def _refresh(self) -> float:
        try:
            await self._store()
            self.latest = await self.read()
        except (LedgerUnavailable, LedgerError):
            self.latest = None
        return REFRESH_SECONDS

    async def _store(self) -> None:
        ended = self._minutes.take()
        if not ended:
            return
        try:
            await self._source.store_minutes(self._node_id, ended)
        except BaseException:
            self._minutes.put_back(ended)
            raise

    async def _sample(self) -> float:
        self._minutes.sample(self._today())
        return self._minutes.seconds_to_next(self._today(), SAMPLE_SECONDS)

    async def _measure(self) -> float:
        try:
            ended = await self.sizes.step()
        except MirrorUnavailable:
            self.sizes.start_again()
            ended = True
        return REST_SECONDS if ended else STEP_SECONDS
