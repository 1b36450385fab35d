"""The page of `/metrics`: valid, complete, bounded, cheap to feed, and open to those who may read it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
import trio
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from actors.identity import Conversation
from actors.targets import Targets, TurnFigures, judge
from daemon.config import MetricsSettings
from daemon.ingress.counters import IngressCounters
from daemon.mirror.sizes import InstanceSize
from daemon.mirror.upkeep import RedisMemory
from daemon.observe.feed import EventFeed
from daemon.observe.metrics import Exposition, Observed, Sources
from daemon.observe.metrics.catalogue import METRICS
from daemon.observe.metrics.observed import MAX_INSTANCES
from daemon.observe.monitor import Monitor
from daemon.observe.orphans import OrphanSearch
from daemon.observe.target_watch import TargetReading, TargetWatch
from daemon.observe.vitals import LeaseCounts, VitalSigns
from daemon.partitions.open_turns import OpenTurnSearch
from daemon.responders.breaker import ProviderView
from daemon.web.http1 import HttpCounters, Peer, Request, Response
from tests.daemon.observe.test_monitor import WELL

WHO = Conversation("acme", "5511999990012")
UNITS = ("milliseconds", "minutes", "hours", "days", "kilobytes", "megabytes", "percent")
"""Not the base ones, which Prometheus wants."""


READING = TargetReading(
    period_seconds=60.0,
    instance=None,
    turns=TurnFigures(),
    verdicts=judge(Targets(errors=0.1), TurnFigures(answered=150, dead=50), None),
)
SIZES = SimpleNamespace(latest={"acme": InstanceSize(2_048, 3)})


class Page:
    """An exposition with everything behind it, and nothing that waits."""

    def __init__(self, token: str | None = None) -> None:
        self.feed = EventFeed(strict=True)
        self.observed = Observed(self.feed)
        self.counters = IngressCounters()
        self.reads = 0
        self.slow_seconds = 0.0
        settings = MetricsSettings.model_validate({"token": token})
        self.sources: Sources | None = None
        self.exposition = Exposition(
            settings, self.feed, self.observed, self.counters, HttpCounters(), lambda: self.sources
        )

    def join(self) -> None:
        async def figures() -> object:
            self.reads += 1
            await trio.sleep(self.slow_seconds)
            return WELL

        async def memory() -> RedisMemory:
            await trio.lowlevel.checkpoint()
            return RedisMemory(1, 2)

        vitals = VitalSigns(
            figures=figures,  # type: ignore[arg-type]
            redis_memory=memory,
            leases=lambda: LeaseCounts(8, 10, 1),
            appends_waiting=lambda: 0,
        )
        provider = ProviderView(
            name="main", state="half_open", failures=3, calls=9, last_reason="timed_out", succeeded=6
        )
        self.sources = Sources(
            vitals=vitals,
            providers=lambda: [provider, msgspec.structs.replace(provider, state="closed", instance="acme")],
            alerts=lambda: {"memory": True, "orphans": False},
            monitor=cast(Monitor, SimpleNamespace(sweeps=7)),
            orphans=cast(OrphanSearch, SimpleNamespace(found=2)),
            open_turns=cast(OpenTurnSearch, SimpleNamespace(old=3)),
            targets=cast(TargetWatch, SimpleNamespace(latest=READING, sizes=SIZES)),
        )

    async def families(self) -> dict[str, Family]:
        text = (await self.exposition.text()).decode()
        return {family.name: family for family in text_string_to_metric_families(text)}

    async def ask(self, **headers: str) -> Response:
        request = Request("GET", "/metrics", ("metrics",), {}, headers, b"", Peer("test"))
        return await self.exposition.respond(request)

    def live(self) -> None:
        """Everything that can be seen happens once."""
        self.observed.webhook(200, 0.004)
        self.observed.webhook(503, 0.001)
        self.observed.lag.observe(0.001)
        waterfall = {"history": [0.1, 4.0, "ok"], "webhook": [0.1, 0.0, "skipped"]}
        for event, fields in (
            ("window.closed", {"why": "timeout", "late_ms": 3}),
            ("turn.lookups", {"total_ms": 12.0, "waterfall": waterfall}),
            (
                "turn.answered",
                {
                    "provider": "main",
                    "took_ms": 800.0,
                    "input_tokens": 7,
                    "cost_micros": 500_000,
                    "cache": "not_seen",
                },
            ),
            ("turn.spent", {"reason": "garbage", "input_tokens": 3, "cost_micros": 250_000}),
            ("answer.cut", {"reason": "length"}),
            ("part.sent", {"took_ms": 20}),
            ("turn.done", {"took_ms": 900.0}),
            ("provider.failed", {"provider": "main", "reason": "timed_out"}),
        ):
            self.feed.emit(event, WHO, **fields)


def rows(family: Family) -> dict[tuple[str, ...], float]:
    """By the values of the labels, in the order of the catalogue."""
    metric = METRICS.get(family.name) or METRICS[f"{family.name}_total"]
    return {tuple(sample.labels[name] for name in metric.labels): sample.value for sample in family.samples}


async def test_every_metric_is_on_the_page() -> None:
    """What is in the catalogue and what is on the page are the same."""
    page = Page()
    page.join()
    page.live()
    families = await page.families()
    ours = {name for name in families if name.startswith("majlis_")}
    assert ours == {name.removesuffix("_total") for name in METRICS}
    assert "process_resident_memory_bytes" in families
    for name, metric in METRICS.items():
        family = families[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        assert labels <= {frozenset(metric.labels)}


async def test_each_metric_has_its_value() -> None:
    page = Page()
    page.join()
    page.live()
    families = await page.families()
    assert rows(families["majlis_webhooks"]) == {("200",): 1, ("503",): 1}
    assert rows(families["majlis_lookups"]) == {("history", "ok"): 1, ("webhook", "skipped"): 1}
    assert rows(families["majlis_tokens"]) == {("acme", "input"): 10}
    assert rows(families["majlis_answers_cut"]) == {("length",): 1}
    assert rows(families["majlis_cost"]) == {("acme",): 0.75}
    assert rows(families["majlis_provider_calls"]) == {("main", "timed_out"): 1, ("main", "ok"): 12}
    assert rows(families["majlis_provider_open"]) == {("main",): 1}
    assert rows(families["majlis_target_value"]) == {("errors",): 0.1}
    assert rows(families["majlis_target_actual"]) == {("errors",): 0.25}
    assert rows(families["majlis_target_samples"]) == {("errors",): 200}
    states = {state: float(state == "missed") for state in ("reached", "missed", "unknown")}
    assert rows(families["majlis_target_state"]) == {("errors", state): on for state, on in states.items()}
    assert rows(families["majlis_mirror_instance_bytes"]) == {("acme",): 2_048}
    assert rows(families["majlis_lease_renewals"]) == {("failed",): 1, ("ok",): 9}
    assert rows(families["majlis_red_flag"]) == {("memory",): 1, ("orphans",): 0}
    counted = {
        sample.labels["le"]: sample.value
        for sample in families["majlis_ack_seconds"].samples
        if sample.labels
    }
    assert (counted["0.0025"], counted["0.005"], counted["+Inf"]) == (0, 1, 1), (
        "the refused one does not count"
    )


def _lint(families: Iterable[Family]) -> list[str]:
    """The rules of `promtool check metrics`."""
    found = []
    for family in families:
        name, wrong = family.name, []
        if not family.documentation:
            wrong.append("has no help")
        if re.search(r"[A-Z]|:", name) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            wrong.append("is not in snake case")
        if family.type != "counter" and name.endswith("_total"):
            wrong.append("is no counter and ends in _total")
        if family.type == "counter" and any(
            not s.name.endswith(("_total", "_created")) for s in family.samples
        ):
            wrong.append("is a counter that does not end in _total")
        if family.type != "histogram" and name.endswith(("_bucket", "_count", "_sum")):
            wrong.append("ends like a part of a histogram")
        if any(word in name.split("_") for word in (*UNITS, "gauge", "counter", "histogram", "ms")):
            wrong.append("names a kind, or a unit that is not a base one")
        if family.type != "histogram" and any("le" in s.labels for s in family.samples):
            wrong.append("has the label le")
        found += [f"{name} {fault}" for fault in wrong]
    return found


async def test_the_page_is_valid_for_prometheus() -> None:
    """Parsed by Prometheus' own reader, by the rules of promtool, each metric once and in one place."""
    page = Page()
    page.join()
    page.live()
    answer = await page.ask()
    assert (answer.status, answer.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    text = answer.body.decode()
    families = list(text_string_to_metric_families(text))
    assert _lint(families) == []
    assert len({family.name for family in families}) == len(families)
    series = [(s.name, tuple(sorted(s.labels.items()))) for family in families for s in family.samples]
    assert len(set(series)) == len(series)
    assert text.endswith("\n")


def test_the_lint_finds_errors() -> None:
    bad = Family("majlis_wait_milliseconds_total", "", "gauge")
    assert len(_lint([bad])) == 3


async def test_the_number_of_instances_is_bounded_and_no_contact_appears() -> None:
    """Beyond 500 instances all others are one; strangers' names get no further than the feed."""
    page = Page()
    for number in range(MAX_INSTANCES + 50):
        stranger = Conversation(f"instance {number}", f"55119{number:08}")
        page.feed.emit("turn.answered", stranger, provider="main", input_tokens=1, output_tokens=1)
    text = (await page.exposition.text()).decode()
    tokens = rows(next(f for f in text_string_to_metric_families(text) if f.name == "majlis_tokens"))
    assert len({name for name, _ in tokens}) == MAX_INSTANCES + 1
    assert tokens["other", "input"] == 50
    assert "55119" not in text


async def test_a_strange_name_does_not_break_the_page() -> None:
    page = Page()
    name = 'a"b\\c\nd é'
    page.feed.emit("turn.answered", Conversation(name, "1"), provider="main", input_tokens=1)
    families = await page.families()
    assert rows(families["majlis_tokens"]) == {(name, "input"): 1}


async def test_before_the_stores_run_the_page_has_what_needs_none() -> None:
    """Metrics that need no store are there from the start, and the page says that the rest is missing."""
    families = await Page().families()
    assert rows(families["majlis_snapshot_complete"]) == {(): 0}
    assert "majlis_turns_ended" in families
    assert "majlis_waiting_messages" not in families


async def test_a_store_that_hangs_does_not_hang_the_page(autojump_clock: trio.testing.MockClock) -> None:
    page = Page()
    page.join()
    page.slow_seconds = 3_600
    began = trio.current_time()
    assert await page.exposition._rows()
    assert trio.current_time() - began <= 3.0
    assert list((await page.exposition._rows())["majlis_snapshot_complete"]) == [((), 0.0)]


async def test_a_store_that_is_away_has_no_metrics() -> None:
    page = Page()
    page.join()
    assert page.sources is not None
    away = msgspec.structs.replace(WELL, stores={"redis": "Redis cannot be used now.", "postgres": "ok"})

    async def figures() -> object:
        await trio.lowlevel.checkpoint()
        return away

    page.sources.vitals._figures = figures  # type: ignore[assignment]
    families = await page.families()
    assert rows(families["majlis_store_healthy"]) == {("postgres",): 1, ("redis",): 0}
    assert "majlis_waiting_messages" not in families
    assert "majlis_redis_memory_used_bytes" not in families
    assert "majlis_dead_letters_open" in families


async def test_many_scrapes_ask_the_stores_once() -> None:
    page = Page()
    page.join()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(page.exposition.text)
    assert page.reads == 1


async def test_metrics_may_need_their_own_token() -> None:
    assert (await Page().ask()).status == 200
    page = Page(token="read")
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic read"},
        {"apikey": "read"},
    ):
        assert (await page.ask(**headers)).status == 401
    assert (await page.ask(authorization="Bearer read")).status == 200
    assert (await page.ask(authorization="bearer  read ")).status == 200
    assert (await page.ask(authorization="Bearer ÿ")).status == 401


def test_an_observer_that_fails_disturbs_no_other() -> None:
    """In production the failure is counted; the event is still counted and logged, and other observers still run."""
    feed = EventFeed()
    heard: list[object] = []

    def broken(_conversation: Conversation | None, _fields: object) -> None:
        raise RuntimeError("a bug")

    feed.observe("turn.done", broken)
    feed.observe("turn.done", lambda conversation, _: heard.append(conversation))
    feed.emit("turn.done", WHO, took_ms=1.0)
    assert (feed.observer_failures, feed.counters["turn.done"], heard) == (1, 1, [WHO])
    strict = EventFeed(strict=True)
    strict.observe("turn.done", broken)
    with pytest.raises(RuntimeError):
        strict.emit("turn.done", WHO)
