"""A bounded queue of traces for the collector, and the task that sends them.

Laws of this file:
1. `offer` never waits: a turn knows nothing of the collector. Beyond `max_queued_spans` the oldest traces go: what
   happens now is asked for first.
2. Nothing is dropped in silence: every span that is lost is counted by its reason, and an event says so.
3. What is proven not to have arrived, or is asked for again, is sent again, at growing distances, until it is among the
   oldest. What may have arrived is sent `MAX_DOUBTS` times in all: a collector that takes everything and never says so
   must not get it for ever.
4. At the end what is left is sent once; the caller bounds the time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from math import inf
from typing import Literal, NamedTuple, Protocol

import trio

from actors.errors import Unavailable
from actors.ports import Feed
from daemon.observe.tracing.spans import Trace

EXPORTED = "exported"
FIRST_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 60.0
MAX_DOUBTS = 3
LOSS_EVENT_SECONDS = 60.0
"""An event of losses is emitted at most so often."""


Loss = Literal["queue_full", "refused", "doubtful", "stopped", "internal_error"]


class Refused(NamedTuple):
    """Spans that the collector does not want, now or ever; none when all went well."""

    spans: int = 0
    reason: str = ""
    """One word for an operator; empty: all is well."""


class CollectorAway(Unavailable):
    """It took nothing: send it again. Contrast `CollectorDoubtful`."""


class CollectorDoubtful(Unavailable):
    """It may have taken everything: that cannot be known."""


class Collector(Protocol):
    async def take(self, traces: Sequence[Trace]) -> Refused:
        """Send these. Raises `CollectorAway`, `CollectorDoubtful`."""


class Exporter:
    def __init__(
        self,
        collector: Collector,
        feed: Feed,
        *,
        every_seconds: float,
        max_queued_spans: int,
        max_batch_spans: int,
    ) -> None:
        """`every_seconds`: how long a trace waits for others to be sent with."""
        self._collector = collector
        self._feed = feed
        self._every_seconds = every_seconds
        self._max_queued_spans = max_queued_spans
        self._max_batch_spans = max_batch_spans
        self._queue: deque[Trace] = deque()
        self._queued_spans = 0
        self._spans: Counter[str] = Counter({EXPORTED: 0})
        self._unreported: Counter[str] = Counter()
        self._reported_at = -inf
        self._trouble = ""
        self._failures = self._doubts = 0
        self._closing = False
        self._wake = trio.Event()

    @property
    def spans(self) -> Mapping[str, int]:
        """How many spans were exported, and how many were dropped for which reason."""
        return dict(self._spans)

    def offer(self, trace: Trace) -> None:
        """Queue it, and drop what waits longest when there is no room."""
        self._queue.append(trace)
        self._queued_spans += trace.size
        self._trim()
        self._wake.set()

    def close(self) -> None:
        """Nothing more will be offered: `run` sends what is left and returns."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Send what is offered until `close`, then what is left, once."""
        delay = 0.0
        while True:
            await self._wait(1, inf)
            enough, seconds = (inf, delay) if delay else (self._max_batch_spans, self._every_seconds)
            await self._wait(enough, seconds)
            batch = self._batch()
            delay = await self._send(batch) if batch else 0.0
            self._emit_losses()
            if self._closing and (delay or not batch):
                return

    def give_up(self) -> None:
        """Drop what is left, and emit what was lost."""
        while self._queue:
            self._drop([self._next()], "stopped")
        self._emit_losses(at_once=True)

    async def _wait(self, spans: float, seconds: float) -> None:
        """Until so many spans wait, so much time is over, or the end is near."""
        with trio.move_on_after(seconds):
            while self._queued_spans < spans and not self._closing:
                self._wake = trio.Event()
                await self._wake.wait()

    def _batch(self) -> list[Trace]:
        """The oldest, as many as go together; empty only when nothing is left."""
        batch: list[Trace] = []
        spans = 0
        while self._queue and (not batch or spans + self._queue[0].size <= self._max_batch_spans):
            batch.append(self._next())
            spans += batch[-1].size
        return batch

    async def _send(self, batch: list[Trace]) -> float:
        """Gives back how long to wait before anything is sent again; 0: the collector is well."""
        try:
            refused = await self._collector.take(batch)
        except Unavailable as away:
            return self._failed(batch, away)
        except trio.Cancelled:
            self._give_back(batch)
            raise
        except Exception:  # a bug: the traces that caused it must not do so for ever
            self._drop(batch, "internal_error")
            raise
        spans = _size(batch)
        lost = max(0, min(refused.spans, spans))  # it may claim anything
        self._spans[EXPORTED] += spans - lost
        self._lose(lost, "refused")
        self._failures = self._doubts = 0
        self._troubled(refused.reason)
        return 0.0

    def _failed(self, batch: list[Trace], away: Unavailable) -> float:
        delay = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._doubts += isinstance(away, CollectorDoubtful)
        if self._doubts >= MAX_DOUBTS:
            self._doubts = 0
            self._drop(batch, "doubtful")
        else:
            self._give_back(batch)
        self._troubled(str(away))
        return max(delay, min(away.retry_after_seconds or 0.0, MAX_DELAY_SECONDS))

    def _give_back(self, batch: list[Trace]) -> None:
        self._queue.extendleft(reversed(batch))
        self._queued_spans += _size(batch)
        self._trim()

    def _next(self) -> Trace:
        trace = self._queue.popleft()
        self._queued_spans -= trace.size
        return trace

    def _trim(self) -> None:
        while self._queued_spans > self._max_queued_spans:
            self._drop([self._next()], "queue_full")

    def _drop(self, traces: Sequence[Trace], reason: Loss) -> None:
        self._lose(_size(traces), reason)

    def _lose(self, spans: int, reason: Loss) -> None:
        if spans:
            self._spans[reason] += spans
            self._unreported[reason] += spans

    # Its events

    def _troubled(self, reason: str) -> None:
        """Emits when trouble begins, when it changes, and when it is over."""
        before, self._trouble = self._trouble, reason
        if reason and reason != before:
            self._feed.emit("traces.failed", reason=reason, waiting_spans=self._queued_spans)
        elif before and not reason:
            self._feed.emit("traces.recovered")

    def _emit_losses(self, at_once: bool = False) -> None:
        now = trio.current_time()
        if not self._unreported or (now < self._reported_at + LOSS_EVENT_SECONDS and not at_once):
            return
        for reason, spans in self._unreported.items():
            self._feed.emit("traces.dropped", reason=reason, spans=spans)
        self._unreported.clear()
        self._reported_at = now


def _size(traces: Sequence[Trace]) -> int:
    return sum(trace.size for trace in traces)
