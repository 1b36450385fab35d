"""Traces as a daemon has them: off and then nothing of OpenTelemetry is there, on, and ended in time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from actors.messages import Batch
from daemon.config import ConfigError, Settings, load
from daemon.controls.live_settings import LiveSettings
from daemon.observe.feed import EventFeed
from daemon.observe.tracing.recorder import RecordedAttempt
from daemon.observe.tracing.spans import Trace, TraceSpan
from daemon.run import tracing
from daemon.run.tracing import MISSING, TurnTraces
from tests.acceptance.process import clean_environment
from tests.support.collector_server import FakeCollector
from tests.support.patience import PATIENCE_SECONDS, until
from tests.support.world import DEMO, World

ONE = Trace(bytes(16), TraceSpan(name="majlis.turn", start_ns=1, end_ns=2), ())

BLOCKED = "import sys; sys.modules['opentelemetry'] = None; sys.modules['google.protobuf'] = None\n"
"""As it is where the extra is not installed."""


def settings(endpoint: str, *more: str) -> Settings:
    return load(assignments=[f"tracing.endpoint={endpoint}", *more], environment={})


def made(endpoint: str, *more: str) -> tuple[TurnTraces, EventFeed, list[str]]:
    feed, errors = EventFeed(strict=True), list[str]()
    chosen = settings(endpoint, *more)
    live = LiveSettings(chosen)
    traces = TurnTraces(chosen, live, feed, lambda part, error: errors.append(repr(error)))
    return traces, feed, errors


def offer(traces: TurnTraces, *, times: int = 1) -> None:
    assert traces._exporter is not None
    for _ in range(times):
        traces._exporter.offer(ONE)


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment() | {"COLUMNS": "200"},
        timeout=60,
        check=False,
    )


def test_without_an_endpoint_nothing_is_recorded() -> None:
    chosen = load(environment={})
    traces = TurnTraces(chosen, LiveSettings(chosen), EventFeed(strict=True), lambda part, error: None)
    attempt = World().services.attempt
    assert traces.recorded(attempt, "node") is attempt
    assert traces.spans() == {}


def test_without_an_endpoint_opentelemetry_is_not_imported() -> None:
    """Every module that a daemon is made of, and a daemon made of them."""
    ended = python(
        BLOCKED
        + "import daemon.run, daemon.cli\n"
        + "from daemon.run.observing import Observing\n"
        + "from daemon.config import load\n"
        + "from daemon.observe.feed import EventFeed\n"
        + "from daemon.controls.live_settings import LiveSettings\n"
        + "given = load(environment={})\n"
        + "Observing(given, LiveSettings(given), EventFeed(), None, None, lambda: None, print)\n"
        + "assert [name for name in sys.modules if name.startswith(('opentelemetry.', 'google.protobuf.'))] == []\n"
    )
    assert ended.returncode == 0, ended.stderr


def test_without_the_extra_the_start_says_what_to_install(tmp_path: Path) -> None:
    assignments = [
        f"data_dir={tmp_path}",
        "ingress.listen=127.0.0.1:0",
        "tracing.endpoint=http://127.0.0.1:4318",
    ]
    options = [word for assignment in assignments for word in ("--set", assignment)]
    ended = python(BLOCKED + "from daemon.cli import main\nmain()\n", "run", *options)
    assert ended.returncode == 1
    assert MISSING in " ".join(ended.stderr.split())
    assert "pip install 'majlis[otel]'" in MISSING and "Traceback" not in ended.stderr


async def test_with_an_endpoint_traces_name_the_daemon_and_are_sent() -> None:
    with FakeCollector().running() as server:
        traces, feed, errors = made(
            server.url, "tracing.headers={x-team: blue}", "tracing.every_seconds=0.01"
        )
        recorded = traces.recorded(World().services.attempt, "node-7")
        assert isinstance(recorded(Batch(DEMO, 1, 1, 1, "flush", 0, 1_000, 2_000, ()), 1), RecordedAttempt)
        async with traces.open():
            offer(traces)
            await trio.to_thread.run_sync(server.wait_until, lambda: bool(server.requests), "it is sent")
        resource = server.spans[0].resource
    assert (resource["service.name"], resource["service.instance.id"]) == ("majlis", "node-7")
    assert server.requests[0].headers["x-team"] == "blue"
    assert dict(traces.spans()) == {"exported": 1}
    assert (feed.counters["traces.dropped"], errors) == (0, [])


async def test_remaining_traces_are_sent_at_the_end() -> None:
    with FakeCollector().running() as server:
        traces, _, _ = made(server.url, "tracing.every_seconds=600")
        async with traces.open():
            offer(traces, times=3)
        assert len(server.spans) == 3


async def test_a_collector_that_hangs_does_not_block_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.2)
    with FakeCollector().running() as server:
        server.order("hang", 10)
        traces, feed, _ = made(server.url, "tracing.every_seconds=600", "tracing.timeout_seconds=600")
        with trio.fail_after(PATIENCE_SECONDS):
            async with traces.open():
                offer(traces, times=2)
    assert dict(traces.spans()) == {"exported": 0, "stopped": 2}
    assert feed.reasons("traces.dropped") == {"stopped": 1}


async def test_a_bug_stops_neither_the_daemon_nor_later_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "RESTART_SECONDS", 0.01)
    with FakeCollector().running() as server:
        traces, _, errors = made(server.url, "tracing.every_seconds=0.01")
        async with traces.open():
            assert traces._exporter is not None
            traces._exporter.offer(Trace(bytes(16), TraceSpan(name="odd", start_ns=-1, end_ns=2), ()))
            await until(lambda: errors)
            offer(traces)
        assert [span.name for span in server.spans] == ["majlis.turn"]
    assert dict(traces.spans()) == {"exported": 1, "internal_error": 1}


async def test_a_daemon_that_cannot_start_leaves_nothing_running() -> None:
    traces, _, _ = made("http://127.0.0.1:1")
    with pytest.RaisesGroup(RuntimeError), trio.fail_after(PATIENCE_SECONDS):
        async with traces.open():
            await trio.lowlevel.checkpoint()
            raise RuntimeError("the store")


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("tracing.endpoint=collector:4318", "must be an http:// or https:// address"),
        ("tracing.endpoint=https://user:hidden-word@host", "keys go into tracing.headers"),
        ("tracing.endpoint=https://host/?key=hidden-word", "keys go into tracing.headers"),
        ("tracing.headers={authorization: 12}", "must be text"),
        ("tracing.headers={'x y': hidden-word}", "must be the name of a header"),
        ("tracing.headers={Content-Type: hidden-word}", "must be the name of a header"),
        ('tracing.headers={x: "hidden-word\\nHost: b"}', "must be one line of printable ASCII"),
        ("tracing.sample=1.5", "tracing.sample"),
        ("tracing.max_batch_spans=20000", "must be at most tracing.max_queued_spans (10000)"),
    ],
)
def test_an_invalid_setting_is_refused(assignment: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(assignments=[assignment], environment={})
    assert told in str(caught.value)
    if "headers" in assignment:
        assert "hidden-word" not in str(caught.value)


def test_a_key_from_the_environment_is_never_shown() -> None:
    given = load(environment={"MAJLIS_TRACING__HEADERS__AUTHORIZATION": "Bearer of-a-key"})
    assert given.tracing.headers["authorization"].get_secret_value() == "Bearer of-a-key"
    assert "of-a-key" not in repr(given)
