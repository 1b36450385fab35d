"""Metrics and alerts of a running daemon: `/metrics`, `majlis status`, the log, the webhook."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from actors.messages import Message, WindowPolicy
from daemon.mirror.keys import INSTALL, place
from daemon.mirror.mirror import RedisMirror
from daemon.stores.places import Places
from tests.acceptance.harness import DaemonUnderTest, Said, Tree, daemon_under_test, evolution, openai
from tests.acceptance.oracle import Contact, wait_answered
from tests.acceptance.test_command_line import Command
from tests.support import promtool
from tests.support.gateway_server import FakeEvolution
from tests.support.mirrors import real_store
from tests.support.openai_server import FakeOpenAI
from tests.support.webhook_server import FakeWebhook

TOKEN = "only-for-reading"
PARTITIONS = 256
MONITOR: Tree = {"monitor": {"every_seconds": 0.3, "raise_seconds": 0, "clear_seconds": 0.5}}


@pytest.fixture(scope="module")
def alerts() -> Iterator[FakeWebhook]:
    with FakeWebhook().running() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI, alerts: FakeWebhook) -> Iterator[DaemonUnderTest]:
    own = {
        "metrics": {"token": TOKEN},
        "responder": {"breaker_failures": 2, "breaker_seconds": 10},
        "alerts": {"webhook": f"{alerts.url}/alerts"},
        "instances": {
            "demo": None,
            # Time to post a few messages into it on a busy machine.
            "patient": {"batching": {"window_seconds": 4}},
            "thrifty": {"limits": {"tokens_per_day": 1, "on_budget": "suppress"}},
        },
    }
    priced = {"price_per_million_input_tokens": 2, "price_per_million_output_tokens": 4}
    with daemon_under_test(evolution(gateway), openai(model, **priced), MONITOR, own) as daemon:
        yield daemon


def scrape(daemon: DaemonUnderTest) -> dict[str, list[Sample]]:
    """All samples by name."""
    answer = daemon.request("GET", "/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200
    assert promtool.complaints("check", "metrics", text=answer.body.decode()) == ""
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(daemon: DaemonUnderTest, name: str, **labels: str) -> float:
    rows = [row for row in scrape(daemon).get(name, []) if labels.items() <= row.labels.items()]
    return sum(row.value for row in rows)


def up(daemon: DaemonUnderTest, flag: str) -> bool:
    views = daemon.status()["alerts"]
    assert isinstance(views, list)
    listed = any(view["flag"] == flag for view in views)
    return listed and value(daemon, "majlis_red_flag", flag=flag) == 1.0


def down(daemon: DaemonUnderTest, flag: str) -> bool:
    listed = str(daemon.status()["alerts"])
    return value(daemon, "majlis_red_flag", flag=flag) == 0.0 and flag not in listed


def test_a_burst_is_counted_everywhere(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """From webhook to send: each step leaves its mark, and no mark names the contact."""
    contact = Contact("patient")
    first, second = contact.says(), contact.says()
    daemon.burst(first, second)
    assert daemon.post(first).document["status"] == "duplicate"
    wait_answered(daemon, gateway, contact)
    daemon.wait_settled()
    found = scrape(daemon)
    assert contact.phone not in str(found)

    def of(name: str, **labels: str) -> float:
        return sum(row.value for row in found[name] if labels.items() <= row.labels.items())

    assert of("majlis_webhooks_total", status="200") == of("majlis_ack_seconds_count") == 3
    assert of("majlis_messages_total", outcome="accepted") == 2
    assert of("majlis_messages_total", outcome="duplicate") == 1
    assert of("majlis_windows_closed_total", why="timeout") == of("majlis_window_lateness_seconds_count") == 1
    assert of("majlis_turns_ended_total", fate="answered") == 1
    for stage in ("lookups", "responder", "send", "whole"):
        assert of("majlis_turn_stage_seconds_count", stage=stage) == 1
    assert of("majlis_lookups_total", lookup="history", outcome="ok") == 1
    assert of("majlis_lookup_seconds_count", lookup="history") == 1
    assert of("majlis_answers_total", provider="main") == 1
    assert of("majlis_provider_calls_total", provider="main", outcome="ok") == 1
    assert of("majlis_sends_total", outcome="sent") == 1
    assert of("majlis_tokens_total", whatsapp_instance="patient") > 0
    assert of("majlis_cost_total", whatsapp_instance="patient") > 0
    assert of("majlis_partitions", state="owned") == of("majlis_partitions", state="certain") == 256
    assert of("majlis_store_healthy") == 2
    assert of("majlis_ready") == of("majlis_snapshot_complete") == 1
    assert of("majlis_redis_memory_used_bytes") > 0
    assert of("process_resident_memory_bytes") > 1_000_000
    assert of("majlis_event_loop_lag_seconds_count") > 0
    assert of("majlis_observer_failures_total") == 0


def test_metrics_may_need_their_own_token(daemon: DaemonUnderTest) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"apikey": TOKEN}):
        assert daemon.request("GET", "/metrics", headers=headers).status == 401
    assert daemon.request("POST", "/metrics", b"").status == 405


def test_switched_off_metrics_do_not_exist() -> None:
    with daemon_under_test({"metrics": {"enabled": False}}) as daemon:
        assert daemon.request("GET", "/metrics").status == 404


def test_a_failing_provider_raises_and_clears_an_alert(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, alerts: FakeWebhook
) -> None:
    """Shown in status, metric, log and webhook; the webhook gets each change once a day."""
    contact = Contact("demo")
    model.order("status", 2, lambda text: contact.tag in text, status=500)
    daemon.burst(contact.says())
    daemon.wait_for(lambda: up(daemon, "provider_open"), "the flag is up")
    shown = Command(daemon).text("status")  # in this process: starting another one may outlast the flag
    assert "alert" in shown
    assert "provider_open" in shown
    assert "main" in shown
    daemon.wait_for(lambda: down(daemon, "provider_open"), "the flag is down")
    raised, cleared = daemon.events("flag.raised"), daemon.events("flag.cleared")
    assert [line["flag"] for line in (*raised, *cleared)] == ["provider_open"] * 2
    documents = [posted.document for posted in alerts.wait_for(2)]
    changes = [row["change"] for row in documents if isinstance(row, dict) and row["flag"] == "provider_open"]
    assert changes == ["raised", "cleared"]


def test_a_used_up_budget_raises_an_alert(daemon: DaemonUnderTest, alerts: FakeWebhook) -> None:
    contact = Contact("thrifty")
    daemon.burst(contact.says())
    daemon.wait_settled()
    other = Contact("thrifty")
    daemon.burst(other.says())
    daemon.wait_for(lambda: up(daemon, "budget_reached"), "the flag is up")
    assert "thrifty" in str(daemon.status()["alerts"])
    assert value(daemon, "majlis_limits_reached_total", limit="tokens_per_day") == 1


def test_alerts_are_not_repeated_after_a_restart(alerts: FakeWebhook) -> None:
    """The key that makes a notice unique survives restarts."""
    own: Tree = {
        "alerts": {"webhook": f"{alerts.url}/alerts"},
        "monitor": {"every_seconds": 0.2, "raise_seconds": 0, "memory": 0.0001},
    }
    before = len(alerts.posted)
    with daemon_under_test(own) as daemon:
        daemon.wait_for(lambda: daemon.events("flag.raised"), "the flag is up")
        alerts.wait_for(before + 1)
        daemon.restart()
        daemon.wait_for(lambda: daemon.events("flag.raised"), "the flag is up again")
        daemon.wait_for(lambda: value_without_token(daemon) >= 5, "the monitor looked a few times")
        assert daemon.rows("SELECT count(*) AS n FROM majlis_notices")[0]["n"] == 1


def value_without_token(daemon: DaemonUnderTest) -> float:
    text = daemon.request("GET", "/metrics").body.decode()
    rows = [row for family in text_string_to_metric_families(text) for row in family.samples]
    return sum(row.value for row in rows if row.name == "majlis_monitor_sweeps_total")


def test_a_forgotten_conversation_is_answered(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """Stored in Redis without a timer: without the monitor its customer would wait forever."""
    contact = Contact("demo")
    said = contact.says()
    before = value(daemon, "majlis_orphans_total")
    trio.run(_forget, f"unix://{Places.below(daemon.data_dir).sockets / 'redis.sock'}", said)
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert value(daemon, "majlis_orphans_total") == before + 1
    assert len(daemon.events("orphan.rearmed")) == 1


async def _forget(redis_url: str, said: Said) -> None:
    message = Message(said.instance, said.phone, said.id, said.text, said.timestamp)
    async with real_store(redis_url) as store:
        store.expect((await store.command("HGET", INSTALL, "install_id")).decode())
        await RedisMirror(store, PARTITIONS).append(message, WindowPolicy(window_seconds=60))
        key, _, shared = place(message.conversation, PARTITIONS)
        assert await store.command("ZREM", shared.due, key) == 1


def test_alerts_do_not_stop_the_work(daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """With a budget exceeded and its alert raised, customers of other instances are still answered."""
    assert up(daemon, "budget_reached")
    contact = Contact("demo")
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
