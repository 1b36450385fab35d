"""What waits for the collector: sent in company, kept while it is away, dropped by a named rule, and reported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from daemon.observe.feed import EventFeed
from daemon.observe.tracing.exporter import CollectorAway, CollectorDoubtful, Exporter, Refused
from daemon.observe.tracing.spans import Trace, TraceSpan
from tests.support.memory import MemoryFeed

SPANS = 10
"""Of one trace."""


class Scripted:
    """A collector: what it takes, when, and how it fails. `faults` are those of the next requests."""

    def __init__(self) -> None:
        self.taken: list[list[int]] = []
        self.asked_at: list[float] = []
        self.faults: list[Exception | Refused] = []
        self.slow_seconds = 0.0

    async def take(self, traces: Sequence[Trace]) -> Refused:
        self.asked_at.append(trio.current_time())
        await trio.sleep(self.slow_seconds)
        fault = self.faults.pop(0) if self.faults else Refused()
        if isinstance(fault, Exception):
            raise fault
        self.taken.append([trace.root.start_ns for trace in traces])
        return fault


class Sending:
    def __init__(self, max_queued_spans: int = 1_000, max_batch_spans: int = 100) -> None:
        self.collector = Scripted()
        self.feed = MemoryFeed()
        self.exporter = Exporter(
            self.collector,
            self.feed,
            every_seconds=5.0,
            max_queued_spans=max_queued_spans,
            max_batch_spans=max_batch_spans,
        )

    def offer(self, *numbers: int) -> None:
        for number in numbers:
            self.exporter.offer(trace(number))

    @property
    def spans(self) -> dict[str, int]:
        return dict(self.exporter.spans)

    def reported(self) -> list[tuple[str, object, object]]:
        return [(event, fields.get("reason"), fields.get("spans")) for event, _, fields in self.feed.events]


def trace(number: int) -> Trace:
    one = partial(TraceSpan, name="step", start_ns=number, end_ns=number)
    return Trace(bytes(16), one(), tuple(one() for _ in range(SPANS - 1)))


async def test_traces_wait_to_be_sent_together(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """They are sent together when the first has waited, or at once when there are enough for a request."""
    sending = Sending()
    nursery.start_soon(sending.exporter.run)
    sending.offer(1)
    await trio.sleep(4.9)
    sending.offer(2)
    assert sending.collector.taken == []
    await trio.sleep(0.2)
    assert sending.collector.taken == [[1, 2]]
    sending.offer(*range(10, 25))
    await trio.sleep(0.01)
    assert sending.collector.taken[1:] == [list(range(10, 20))]
    await trio.sleep(5.01)
    assert sending.collector.taken[2:] == [list(range(20, 25))]
    assert sending.spans == {"exported": 17 * SPANS}
    assert sending.reported() == []


async def test_while_the_collector_is_away_nothing_is_lost(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """It is asked at growing intervals; its absence and its return are reported once."""
    sending = Sending()
    sending.collector.faults = [CollectorAway("connect_failed")] * 9
    nursery.start_soon(sending.exporter.run)
    sending.offer(1, 2)
    await trio.sleep(60)
    sending.offer(3)
    await trio.sleep(540)
    asked = sending.collector.asked_at
    assert [round(after - before) for before, after in pairwise(asked)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert sending.collector.taken == [[1, 2, 3]]
    assert sending.spans == {"exported": 3 * SPANS}
    assert sending.reported() == [("traces.failed", "connect_failed", None), ("traces.recovered", None, None)]


async def test_the_wait_that_the_collector_asks_for_is_respected(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Up to a minute: no collector may switch the traces off for a day."""
    sending = Sending()
    sending.collector.faults = [CollectorAway("status_429", 20.0), CollectorAway("status_429", 86_400.0)]
    nursery.start_soon(sending.exporter.run)
    sending.offer(1)
    await trio.sleep(200)
    first, second, third = sending.collector.asked_at
    assert (round(second - first), round(third - second)) == (20, 60)
    assert sending.collector.taken == [[1]]


async def test_beyond_the_bound_the_oldest_are_dropped(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = Sending(max_queued_spans=50, max_batch_spans=50)
    sending.collector.faults = [CollectorAway("connect_failed")] * 5
    nursery.start_soon(sending.exporter.run)
    for number in range(20):
        sending.offer(number)
        await trio.sleep(1)
    await trio.sleep(100)
    assert [number for batch in sending.collector.taken for number in batch] == [15, 16, 17, 18, 19]
    assert sending.spans == {"exported": 5 * SPANS, "queue_full": 15 * SPANS}
    dropped = [(reason, spans) for event, reason, spans in sending.reported() if event == "traces.dropped"]
    assert sum(int(str(spans)) for _, spans in dropped) <= 15 * SPANS
    sending.exporter.give_up()
    dropped = [(reason, spans) for event, reason, spans in sending.reported() if event == "traces.dropped"]
    assert sum(int(str(spans)) for _, spans in dropped) == 15 * SPANS, "every loss is reported in the end"


async def test_losses_are_reported_once_a_minute(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    sending = Sending()
    sending.collector.faults = [Refused(SPANS, "status_400")] * 60
    nursery.start_soon(sending.exporter.run)
    for number in range(60):
        sending.offer(number)
        await trio.sleep(6)
    events = [event for event, _, _ in sending.reported()]
    assert 5 <= events.count("traces.dropped") <= 7
    assert events.count("traces.failed") == 1
    assert sending.spans == {"exported": 0, "refused": 60 * SPANS}


async def test_a_trace_larger_than_the_bound_is_dropped(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = Sending(max_queued_spans=5, max_batch_spans=5)
    nursery.start_soon(sending.exporter.run)
    sending.offer(1)
    await trio.sleep(20)
    assert sending.spans == {"exported": 0, "queue_full": SPANS}


async def test_spans_that_may_have_arrived_are_not_sent_for_ever(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = Sending()
    sending.collector.faults = [CollectorDoubtful("timed_out")] * 4
    nursery.start_soon(sending.exporter.run)
    sending.offer(1)
    await trio.sleep(60)
    sending.offer(2)
    await trio.sleep(200)
    assert len(sending.collector.asked_at) == 5
    assert sending.collector.taken == [[2]]
    assert sending.spans == {"exported": SPANS, "doubtful": SPANS}


@pytest.mark.parametrize(("claimed", "lost"), [(4, 4), (10**9, SPANS), (-5, 0)])
async def test_refused_spans_are_counted(
    autojump_clock: MockClock, nursery: trio.Nursery, claimed: int, lost: int
) -> None:
    sending = Sending()
    sending.collector.faults = [Refused(claimed, "rejected_spans")]
    nursery.start_soon(sending.exporter.run)
    sending.offer(1)
    await trio.sleep(6)
    assert (sending.spans["exported"], sending.spans.get("refused", 0)) == (SPANS - lost, lost)
    assert sending.reported()[0] == ("traces.failed", "rejected_spans", None)
    sending.offer(2)
    await trio.sleep(6)
    assert sending.reported()[-1][0] == "traces.recovered"


async def test_a_slow_collector_delays_no_turn(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    sending = Sending(max_queued_spans=100)
    sending.collector.slow_seconds = 1_000
    nursery.start_soon(sending.exporter.run)
    sending.offer(1)
    await trio.sleep(10)
    before = trio.current_time()
    sending.offer(*range(2, 50))
    assert trio.current_time() == before
    assert sending.spans["queue_full"] == 38 * SPANS


async def test_at_the_end_the_rest_is_sent_at_once(autojump_clock: MockClock) -> None:
    sending = Sending()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sending.exporter.run)
        sending.offer(*range(25))
        await trio.sleep(1)
        sending.exporter.close()
    assert trio.current_time() <= 1.1
    sending.exporter.give_up()
    assert sending.spans == {"exported": 25 * SPANS}


async def test_at_the_end_a_collector_that_is_away_is_asked_once_more(autojump_clock: MockClock) -> None:
    """It does not wait for a backoff; what cannot be sent is counted and reported."""
    sending = Sending()
    sending.collector.faults = [CollectorAway("connect_failed")] * 20
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sending.exporter.run)
        sending.offer(1)
        await trio.sleep(100)
        asked = len(sending.collector.asked_at)
        sending.exporter.close()
    assert trio.current_time() <= 100.1
    assert len(sending.collector.asked_at) == asked + 1
    sending.exporter.give_up()
    assert sending.spans == {"exported": 0, "stopped": SPANS}
    assert sending.reported()[-1] == ("traces.dropped", "stopped", SPANS)


async def test_at_the_end_a_request_under_way_is_cut_short(autojump_clock: MockClock) -> None:
    sending = Sending()
    sending.collector.slow_seconds = 1_000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sending.exporter.run)
        sending.offer(1)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    sending.exporter.give_up()
    assert sending.spans == {"exported": 0, "stopped": SPANS}


async def test_a_bug_loses_only_the_spans_that_cause_it(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = Sending()
    sending.collector.faults = [ValueError("a bug")]
    sending.offer(1)
    with pytest.raises(ValueError):
        await sending.exporter.run()
    nursery.start_soon(sending.exporter.run)
    sending.offer(2)
    await trio.sleep(6)
    assert sending.spans == {"exported": SPANS, "internal_error": SPANS}


def test_the_events_are_in_the_catalogue() -> None:
    feed = EventFeed(strict=True)
    for event in ("traces.failed", "traces.recovered", "traces.dropped"):
        feed.emit(event, reason="x")
