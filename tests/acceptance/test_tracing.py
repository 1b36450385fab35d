"""A running daemon exports its turns to a collector: complete, in time, without message texts, never waiting for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.acceptance.harness import DaemonUnderTest, Tree, daemon_under_test, evolution, merged, openai
from tests.acceptance.oracle import Contact, wait_answered
from tests.support.collector_server import FakeCollector, SeenSpan
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI

HEADER_KEY = "collector-key-of-the-test"
NS = 10**9


@pytest.fixture(scope="module")
def collector() -> Iterator[FakeCollector]:
    with FakeCollector().running() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI, collector: FakeCollector) -> Iterator[DaemonUnderTest]:
    own: Tree = {
        "turn": {"max_tries": 2, "backoff_seconds": [0.1]},
        "instances": {"demo": {}, "two": {"batching": {"window_seconds": 600, "max_messages": 2}}},
        "tracing": {
            "endpoint": collector.url,
            "headers": {"x-api-key": HEADER_KEY},
            "every_seconds": 0.1,
            "timeout_seconds": 60,
        },
    }
    priced = {"price_per_million_input_tokens": 2, "price_per_million_output_tokens": 4}
    with daemon_under_test(evolution(gateway), merged(openai(model, **priced), own)) as daemon:
        yield daemon


def trace_of(daemon: DaemonUnderTest, collector: FakeCollector, event: str) -> list[SeenSpan]:
    """The trace of the newest turn with this outcome, found by its number in the log; the root comes first."""
    number = daemon.wait_for(lambda: daemon.events(event), f"{event} is logged")[-1]["turn"]

    def arrived() -> list[SeenSpan] | None:
        found = collector.traces.values()
        return next((spans for spans in found if spans[0].attributes.get("majlis.turn.id") == number), None)

    return daemon.wait_for(arrived, "its trace has arrived")


def named(spans: list[SeenSpan], name: str) -> list[SeenSpan]:
    return [span for span in spans if span.name == name]


def test_a_burst_is_one_trace(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, collector: FakeCollector
) -> None:
    contact, before_ns = Contact("two"), time.time_ns()
    daemon.burst(contact.says())
    first_ns = time.time_ns()
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    spans = trace_of(daemon, collector, "turn.done")
    root, children = spans[0], spans[1:]
    assert (root.name, root.parent, root.kind, root.error) == ("majlis.turn", "", "consumer", None)
    assert all(child.parent == root.id for child in children)
    assert before_ns - NS // 100 <= root.start_ns and root.end_ns <= time.time_ns()
    assert all(root.start_ns <= span.start_ns <= span.end_ns <= root.end_ns for span in children)
    done = daemon.events("turn.done")[-1]
    assert root.attributes["majlis.conversation"] == done["conversation"]
    assert root.attributes["majlis.turn.outcome"] == "answered"
    assert root.attributes["messaging.batch.message_count"] == 2
    (window,), (call,), (send,) = named(spans, "window"), named(spans, "chat test"), named(spans, "send part")
    assert window.start_ns <= first_ns <= window.end_ns
    lookups = [span for span in spans if span.name.startswith("lookup ")]
    assert len(lookups) >= 4
    assert window.end_ns <= min(lookup.start_ns for lookup in lookups)
    assert max(lookup.end_ns for lookup in lookups) <= call.start_ns <= call.end_ns <= send.start_ns
    assert call.attributes["gen_ai.usage.input_tokens"] == 11
    assert call.attributes["majlis.cost"] == pytest.approx((11 * 2 + 7 * 4) / 1e6)
    assert (call.attributes["gen_ai.provider.name"], call.attributes["majlis.provider"]) == ("openai", "main")
    assert send.attributes["majlis.send.outcome"] == "sent"
    assert root.resource["service.instance.id"] == daemon.status()["node_id"]
    page = daemon.request("GET", "/metrics").body.decode()
    assert 'majlis_trace_spans_total{outcome="exported"}' in page


def test_a_dead_letter_is_an_error(
    daemon: DaemonUnderTest, model: FakeOpenAI, collector: FakeCollector
) -> None:
    contact = Contact("demo")
    model.order("status", 2, lambda text: contact.tag in text, status=500)
    daemon.burst(contact.says())
    spans = trace_of(daemon, collector, "turn.dead")
    assert (spans[0].error, spans[0].attributes["majlis.turn.outcome"]) == ("server_error", "dead")
    calls = [(call.error, call.attributes["majlis.try"]) for call in named(spans, "chat test")]
    assert calls == [("server_error", 1), ("server_error", 2)]
    assert [name for name, _, _ in spans[0].moments] == ["try failed", "try failed"]


def test_a_missing_collector_affects_no_turn(
    daemon: DaemonUnderTest, gateway: FakeEvolution, collector: FakeCollector
) -> None:
    """Turns go on, the log says so, and the queued spans arrive later."""
    collector.down()
    contact = Contact("demo")
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    daemon.wait_for(lambda: daemon.events("traces.failed"), "its absence is reported")
    collector.order("status", status=503)
    collector.up()
    trace_of(daemon, collector, "turn.done")
    daemon.wait_for(lambda: daemon.events("traces.recovered"), "its return is reported")


def test_no_exported_byte_contains_phones_or_texts(daemon: DaemonUnderTest, collector: FakeCollector) -> None:
    """The exported spans contain no phone number, text, reply or key, except the key of the collector."""
    seen = collector.bytes_seen()
    assert len(collector.traces) >= 3 and HEADER_KEY.encode() in seen
    phones = [row["user_phone"] for row in daemon.rows("SELECT user_phone FROM whatsapp_conversations")]
    texts = [row["content"] for row in daemon.rows("SELECT content FROM whatsapp_messages")]
    assert len(phones) >= 3 and len(texts) >= 3
    for secret in (*phones, *texts, "5511", "Answer"):
        assert secret.encode() not in seen, secret
    for body in (taken.body for taken in collector.requests):
        assert b"key" not in body
    settings = daemon.majlis("config", "--json").stdout
    assert "tracing.headers.x-api-key" in settings
    assert HEADER_KEY not in daemon.log + settings


def test_a_collector_that_hangs_does_not_block_the_stop(
    daemon: DaemonUnderTest, gateway: FakeEvolution, collector: FakeCollector
) -> None:
    """The last test: it ends the daemon."""
    collector.order("hang", 50)
    contact = Contact("demo")
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    assert daemon.terminate() == 0
    (dropped,) = [line for line in daemon.events("traces.dropped") if line["reason"] == "stopped"]
    assert isinstance(dropped["spans"], int) and dropped["spans"] >= 5
