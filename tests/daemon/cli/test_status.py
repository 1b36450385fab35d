"""`majlis status` and `majlis cost`."""

from __future__ import annotations

import json
import time

import msgspec
import pytest

from daemon.config import Settings
from daemon.config.open_doors import Listening, open_doors
from daemon.ingress.refusals import UNKNOWN
from daemon.mirror.survey import Totals
from daemon.operate.status import Status
from daemon.responders.breaker import ProviderView
from daemon.sweep.view import SweepView
from tests.daemon.cli.conftest import Typed, on_a_terminal
from tests.daemon.cli.scene import HELD, actor, buried, show, silenced
from tests.support.operators import DoorInThread

_USAGE = """
    INSERT INTO majlis_usage (instance, day, answers, cached, input_tokens, output_tokens, cost_micros)
    SELECT name, (now() AT TIME ZONE 'UTC')::date, 12, 3, 9000, 800, 1250000 FROM unnest(ARRAY['acme', 'shop']) AS name
"""


def test_status_shows_what_an_operator_needs_first(door: DoorInThread, majlis: Typed) -> None:
    operators = door.operators
    operators.mirror.counted = Totals(acknowledged=1204, answered=310, suppressed=3, dead=877)
    operators.actors.oldest = 6.23
    operators.fences = dict.fromkeys(range(256), 1)
    show(door, *(actor(place, phase="answering" if place < 2 else "waiting") for place in range(12)))
    operators.counters.ignored.update({"group": 12, "reaction": 3})
    operators.providers = [
        ProviderView(name="main", state="closed", calls=300),
        ProviderView(name="backup", state="open", failures=5, last_reason="timed_out", wait_seconds=12.0),
    ]
    operators.swept = SweepView(
        instances=28,
        last_done_seconds=120,
        found={"missed": 3},
        gaps={"too_large": 1},
        behind={"acme": "unreachable"},
    )
    for rule in ("duplicate", "duplicate", "taken_over"):
        door.emit("turn.suppressed", HELD, rule=rule)
    for _ in range(12):
        door.emit("turn.answered", HELD, provider="cache")
    door.emit("limit.reached", HELD, reason="cost_per_day", policy="fallback")
    buried(door)
    silenced(door)
    done = majlis("status")
    assert done.status == 0 and done.err == ""
    for words in (
        " is ready",
        "127.0.0.1:8080, up ",
        "256 of 256 owned",
        "12 active conversations, 12 open windows",
        "2 running",
        "14 messages, the oldest for 6.2 s",
        "1,204 since the installation",
        "310 answered, 3 suppressed, 877 dead",
        "group 12, reaction 3",
        "1 open: majlis dead list",
        "duplicate 2, taken_over 1",
        "1 conversation taken over, 1 escalated",
        "main ok, backup circuit open for 12.0 s (5 failures, timed_out)",
        "12 answers from the response cache",
        "cost_per_day 1",
        "28 instances, the last 2 m",
        "ago; found since the start: missed 3; not all read: too_large 1; not compared: acme (unreachable)",
    ):
        assert words in done.out, words


def test_status_says_why_the_daemon_is_not_ready(door: DoorInThread, majlis: Typed) -> None:
    door.operators.health.report("redis", ("Set appendfsync to always.",))
    done = majlis("status")
    assert "NOT READY" in done.out and "reason        Set appendfsync to always." in done.out


def test_status_as_json_is_the_daemons_document(door: DoorInThread, majlis: Typed) -> None:
    document = json.loads(majlis("status", "--json").out)
    assert list(document) == list(Status.__struct_fields__)
    assert msgspec.convert(document, Status).stores == {"redis": "ok", "postgres": "ok"}


def test_webhooks_refused_for_good_are_shown_only_if_there_are_any(door: DoorInThread, majlis: Typed) -> None:
    assert "lost" not in majlis("status").out
    for instance in ("shop", "shop", UNKNOWN):
        door.operators.counters.lost.add("wrong_or_missing_token", instance, time.monotonic() - 120)
    door.operators.counters.overruled["shop → acme"] += 2
    out = " ".join(majlis("status").out.split())
    assert "lost 3 webhooks, wrong_or_missing_token, the last 2 m" in out
    assert "(shop 2, (unknown) 1) → the gateway sends no token" in out and '"headers": {"apikey":' in out
    assert "mismatch shop → acme 2 (the path names another instance" in out


def test_open_doors_are_shown_with_what_to_write(door: DoorInThread, majlis: Typed) -> None:
    assert "warning" not in majlis("status").out
    door.operators.open_doors = open_doors(Settings(), Listening(["0.0.0.0:8080"]))
    out = " ".join(majlis("status").out.split())
    assert "warning anyone who reaches 0.0.0.0:8080 can post messages" in out
    assert "Set ingress.auth.token" in out and "Set metrics.token" in out


def test_unknown_instances_that_received_messages_are_named(door: DoorInThread, majlis: Typed) -> None:
    assert "unknown" not in majlis("status").out
    for name, is_trusted in (("typo", True), ("\x1b[31mghost", True), ("made up", False)):
        door.operators.counters.unknown.note(name, is_trusted, 3, time.monotonic() - 60)
    out = " ".join(majlis("status").out.split())
    assert "unknown typo: 3 messages, the last 1 min" in out and "majlis instance add typo" in out
    assert "(unknown): 3 messages" in out and "made up" not in out and "\x1b" not in out


def test_cost_has_a_line_per_day_and_instance_and_a_total(door: DoorInThread, majlis: Typed) -> None:
    door.do(lambda: door.operators.db.fetch(_USAGE))
    lines = [line.split() for line in majlis("cost").out.splitlines() if line]
    (acme,) = [line for line in lines if "acme" in line]
    assert acme[1:] == ["acme", "12", "3", "9,000", "800", "1.25", "0.104167"]
    assert lines[-1] == ["total", "24", "6", "18,000", "1,600", "2.50", "0.104167"]
    document = json.loads(majlis("cost", "--json").out)
    assert (document["days"], document["cost"], len(document["rows"])) == (7, 2.5, 2)
    given_up = "UPDATE majlis_usage SET superseded = 2, estimated_micros = 4100 WHERE instance = 'acme'"
    door.do(lambda: door.operators.db.fetch(given_up))
    assert majlis("cost").out.splitlines()[-1] == "superseded: 2 answers, about 0.0041 of the cost"
    document = json.loads(majlis("cost", "--json").out)
    assert (document["superseded"], document["cost_estimated"]) == (2, 0.0041)


def test_cost_fits_80_columns_and_no_number_is_cut(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.do(lambda: door.operators.db.fetch(_USAGE.replace("1250000", "1234567891")))
    terminal = on_a_terminal(monkeypatch)
    majlis("cost")
    assert all(len(line) <= 80 for line in terminal.lines)
    (acme,) = [line.split() for line in terminal.lines if "acme" in line]
    assert acme[1:] == ["acme", "12", "3", "9,800", "1,234.567891", "102.880658"]


def test_cost_without_answers_is_a_sentence(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("cost", "--instance", "nobody", "--days", "3").out
    assert out == "no answers of nobody in the last 3 days\n"
