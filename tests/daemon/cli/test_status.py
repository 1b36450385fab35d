"""`majlis status` and `majlis cost`."""

from __future__ import annotations

import json

import msgspec

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_operations import DoorInThread, cost_report, status


def test_status_shows_what_an_operator_needs_first(door: DoorInThread, majlis: Typed) -> None:
    done = majlis("status")
    assert done.status == 0 and done.err == ""
    for words in (
        "0.1.0 is ready",
        "127.0.0.1:8080, up 3 h 12 min",
        "256 of 256 owned",
        "12 active conversations, 3 open windows",
        "2 running",
        "14 messages, the oldest for 6.2 s",
        "1,204 since the start",
        "310 answered, 3 suppressed, 1 dead",
        "group 12, reaction 3",
        "1 open: majlis dead list",
        "duplicate 2, taken_over 1",
        "2 conversations taken over, 4 escalated",
        "1 waiting",
        "main ok, backup circuit open for 12.0 s (5 failures, timed_out)",
        "12 answers from the response cache",
        "cost_per_day 1",
    ):
        assert words in done.out


def test_status_says_why_the_daemon_is_not_ready(door: DoorInThread, majlis: Typed) -> None:
    door.operations.now = msgspec.structs.replace(
        status(),
        ready=False,
        reasons=["redis: set appendfsync always"],
        stores={"redis": "weak", "postgres": "ok"},
    )
    done = majlis("status")
    assert "NOT READY" in done.out and "reason        redis: set appendfsync always" in done.out


def test_status_as_json_is_the_daemons_document(door: DoorInThread, majlis: Typed) -> None:
    assert json.loads(majlis("status", "--json").out) == msgspec.to_builtins(status())


def test_webhooks_with_a_wrong_token_are_shown_only_if_there_are_any(
    door: DoorInThread, majlis: Typed
) -> None:
    assert "wrong token" not in majlis("status").out
    ingress = msgspec.structs.replace(status().ingress, unauthorized=3)
    door.operations.now = msgspec.structs.replace(status(), ingress=ingress)
    assert "3 with a wrong token" in majlis("status").out


def test_unknown_instances_that_received_messages_are_named(door: DoorInThread, majlis: Typed) -> None:
    assert "unknown" not in majlis("status").out
    strangers = {"typo": 1, "\x1b[31mghost": 7}
    door.operations.now = msgspec.structs.replace(status(), unknown_instances=strangers)
    out = majlis("status").out
    assert "ghost 7, typo 1 (turns of instances that are not in the database)" in out and "\x1b" not in out


def test_cost_has_a_line_per_day_and_instance_and_a_total(door: DoorInThread, majlis: Typed) -> None:
    lines = [line.split() for line in majlis("cost").out.splitlines() if line]
    assert ["2026-01-31", "acme", "12", "3", "9,000", "800", "1.25"] in lines
    assert lines[-1] == ["total", "24", "6", "18,000", "1,600", "2.50"]
    assert json.loads(majlis("cost", "--json").out) == msgspec.to_builtins(cost_report())


def test_cost_without_answers_is_a_sentence(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("cost", "--instance", "nobody", "--days", "3").out
    assert out == "no answers of nobody in the last 3 days\n"
