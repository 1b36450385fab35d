"""Traces over a real connection to a collector that decodes the protocol, and what its answers mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio

from daemon.observe.tracing.exporter import CollectorAway, CollectorDoubtful, Refused
from daemon.observe.tracing.otlp import OtlpCollector, OtlpHttp
from daemon.observe.tracing.spans import Moment, Trace, TraceSpan
from tests.support.collector_server import FakeCollector, Fault
from tests.support.patience import PATIENCE_SECONDS

RESOURCE = {"service.name": "majlis", "service.version": "1.2"}
KEY = "Bearer of-a-key"
SECOND = 10**9
TRACE = Trace(
    bytes(range(16)),
    TraceSpan(
        name="majlis.turn",
        kind="consumer",
        start_ns=1_785_100_000 * SECOND,
        end_ns=1_785_100_009 * SECOND + 1,
        attributes={
            "majlis.instance": "متجر",
            "majlis.batch": 2**60,
            "majlis.lookups.skipped": ["webhook", "usage"],
        },
        error="overloaded",
        moments=(Moment("held", 1_785_100_001 * SECOND, {"majlis.try": 1}),),
    ),
    (
        TraceSpan(name="window", start_ns=1_785_100_000 * SECOND, end_ns=1_785_100_008 * SECOND),
        TraceSpan(
            name="chat test-1",
            kind="client",
            start_ns=1_785_100_008 * SECOND,
            end_ns=1_785_100_009 * SECOND,
            attributes={"majlis.cost": 0.25, "odd": "half of a \ud83d pair"},
        ),
    ),
)


@pytest.fixture
def server() -> Iterator[FakeCollector]:
    with FakeCollector().running() as server:
        yield server


@asynccontextmanager
async def collector(endpoint: str, timeout_seconds: float = 5.0) -> AsyncIterator[OtlpCollector]:
    async with OtlpHttp() as http:
        yield OtlpCollector(http, endpoint, {"authorization": KEY}, RESOURCE, timeout_seconds)


async def test_a_trace_arrives_unchanged(server: FakeCollector) -> None:
    async with collector(server.url) as sending:
        assert await sending.take([TRACE, TRACE]) == Refused()
    (taken,) = server.requests
    assert (taken.path, taken.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
    assert taken.headers["authorization"] == KEY
    assert len(server.spans) == 6
    root, window, call = server.spans[:3]
    assert {span.trace for span in server.spans} == {bytes(range(16)).hex()}
    assert (root.parent, window.parent, call.parent) == ("", root.id, root.id)
    assert (root.name, root.kind, root.error) == ("majlis.turn", "consumer", "overloaded")
    assert root.attributes == dict(TRACE.root.attributes)
    assert (root.start_ns, root.end_ns) == (TRACE.root.start_ns, TRACE.root.end_ns)
    assert root.moments == (("held", 1_785_100_001 * SECOND, {"majlis.try": 1}),)
    assert (window.kind, window.error) == ("internal", None)
    assert (call.kind, call.attributes) == ("client", {"majlis.cost": 0.25, "odd": "half of a ? pair"})
    assert root.resource == RESOURCE


@pytest.mark.parametrize("path", ["", "/", "/v1/traces", "/v1/traces/"])
async def test_the_path_is_added_where_it_is_missing(server: FakeCollector, path: str) -> None:
    async with collector(f"{server.url}{path}") as sending:
        await sending.take([TRACE])
    assert [taken.path for taken in server.requests] == ["/v1/traces"]


async def test_the_path_of_a_service_stays(server: FakeCollector) -> None:
    async with collector(f"{server.url}/otlp") as sending:
        await sending.take([TRACE])
    assert [taken.path for taken in server.requests] == ["/otlp/v1/traces"]


@pytest.mark.parametrize(
    ("fault", "number", "found"),
    [
        ("status", 400, Refused(3, "status_400")),
        ("status", 401, Refused(3, "status_401")),
        ("status", 404, Refused(3, "status_404")),
        ("status", 500, Refused(3, "status_500")),
        ("redirect", 307, Refused(3, "status_307")),
        ("garbage", 200, Refused(3, "unreadable_answer")),
        ("endless", 200, Refused(3, "unreadable_answer")),
        ("reject", 2, Refused(2, "rejected_spans")),
        ("json", 200, Refused()),
        ("json", 1, Refused(1, "rejected_spans")),
    ],
)
async def test_spans_that_the_collector_refuses_are_not_sent_again(
    server: FakeCollector, fault: Fault, number: int, found: Refused
) -> None:
    """Sending it again would not help, and a redirect is not followed: the key would go along."""
    server.order(fault, status=number, headers={"location": server.url} if fault == "redirect" else None)
    async with collector(server.url) as sending:
        assert await sending.take([TRACE]) == found
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_spans_that_the_collector_asks_for_again_are_sent_again(
    server: FakeCollector, status: int
) -> None:
    server.order("status", status=status, headers={"retry-after": "7"})
    async with collector(server.url) as sending:
        with pytest.raises(CollectorAway, match=f"status_{status}") as caught:
            await sending.take([TRACE])
        assert caught.value.retry_after_seconds == 7.0
        assert await sending.take([TRACE]) == Refused()


async def test_without_a_collector_the_spans_wait(server: FakeCollector) -> None:
    server.down()
    async with collector(server.url) as sending:
        with pytest.raises(CollectorAway, match="connect_failed"):
            await sending.take([TRACE])
        server.up()
        assert await sending.take([TRACE]) == Refused()


@pytest.mark.parametrize(
    ("fault", "reason"), [("hang", "timed_out"), ("drip", "timed_out"), ("reset", "connection_broken")]
)
async def test_after_a_broken_answer_the_outcome_is_unknown(
    server: FakeCollector, fault: Fault, reason: str
) -> None:
    """One deadline over all, also for an answer that comes a byte at a time."""
    async with collector(server.url, timeout_seconds=3) as sending:
        await sending.take([TRACE])  # connected: the deadline is the answer's
        server.order(fault)
        with trio.fail_after(PATIENCE_SECONDS), pytest.raises(CollectorDoubtful, match=reason):
            await sending.take([TRACE])
