"""`majlis kpi`: each target with what was measured and what that says, and the mirror's memory."""

from __future__ import annotations

import json

import pytest

from daemon.config import load
from daemon.mirror.sizes import InstanceSize
from tests.daemon.cli.conftest import Typed, on_a_terminal
from tests.support.operators import DoorInThread

_TURNS = """
    INSERT INTO majlis_turns (
        conversation_key, partition, batch_number, lo, hi, why, state, instance, contact, messages, message_ids, text,
        text_hash, epoch, opened_at, window_ended_at, finished_at, input_tokens, cost_micros)
    SELECT 'acme/5511', 0, n, 1, 1, 'timeout', CASE WHEN n <= 3 THEN 'dead' ELSE 'done' END, 'acme', '5511', '[]',
        ARRAY['a' || n, 'b' || n], 'x', 'x', 1, now(), CASE WHEN n > 20 THEN now() - interval '2 s' END, now(), 90, 3000
    FROM generate_series(1, 400) n
"""
_PARTS = """
    INSERT INTO majlis_outbox (turn_id, part, text, state, settled_at)
    SELECT id, 0, 'x', 'sent', window_ended_at + interval '1500 ms' FROM majlis_turns WHERE state = 'done'
"""
_MINUTES = """
    INSERT INTO majlis_minutes (minute, node_id, conversations, messages, turned_away)
    SELECT date_trunc('minute', now()) - n * interval '1 min', 'a', 220, 40, 0 FROM generate_series(0, 2) n
"""


def _fill(door: DoorInThread) -> None:
    for sql in (_TURNS, _PARTS, _MINUTES):
        door.do(lambda sql=sql: door.operators.db.fetch(sql))  # type: ignore[misc]
    door.operators.sizes.latest = {"acme": InstanceSize(2_345_000, 1_204), "shop": InstanceSize(800, 1)}
    door.operators.sizes.shared_bytes = 1_000_000


def test_each_target_says_what_was_measured_and_what_that_says(door: DoorInThread, majlis: Typed) -> None:
    _fill(door)
    out = majlis("kpi").out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[1:6] == [
        "response time, 95 of 100 answers 1.50 s 2.00 s reached 380 answers",
        "turns that end as dead letters 0.75% 0.10% missed 400 turns",
        "cost per answered message 0.0015 0.002 reached 794 messages",
        "conversations at once 220 200 reached 3 minutes",
        "messages in a minute 40 1,000 too little traffic to say 3 minutes",
    ]
    assert "response time without 17 answers that had to wait for something else than Majlis" in lines
    assert "acme 1,204 2.3 MB" in lines and "memory of the mirror: 3.3 MB in all" in lines
    assert "5511" not in out
    report = json.loads(majlis("kpi", "--json").out)
    assert [row["state"] for row in report["targets"]] == [
        "reached",
        "missed",
        "reached",
        "reached",
        "unknown",
    ]
    assert report["is_whole"] and report["untimed"] == 17


def test_one_instance_and_a_shorter_time_can_be_asked_for(door: DoorInThread, majlis: Typed) -> None:
    """What is of the machine is left out then."""
    _fill(door)
    lines = [
        " ".join(line.split())
        for line in majlis("kpi", "--instance", "shop", "--minutes", "5").out.splitlines()
    ]
    assert lines[1:4] == [
        "response time, 95 of 100 answers - 2.00 s too little traffic to say 0 answers",
        "turns that end as dead letters - 0.10% too little traffic to say 0 turns",
        "cost per answered message - 0.002 too little traffic to say 0 messages",
    ]
    assert (
        lines[4].endswith("UTC of shop")
        and "shop 1 800 B" in lines
        and not any("acme" in line for line in lines)
    )
    assert door.asked[-1][1] == {"instance": "shop", "minutes": "5"}
    refused = majlis("kpi", "--minutes", "0")
    assert refused.status == 2 and "--minutes" in refused.err


def test_it_fits_the_terminal(door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(door)
    terminal = on_a_terminal(monkeypatch)
    majlis("kpi")
    assert all(len(line) <= 80 for line in terminal.lines), terminal.lines
    shown = " ".join(" ".join(terminal.lines).split())
    assert "too little traffic to say" in shown and "messages in a minute" in shown


def test_targets_that_are_switched_off_are_not_told(door: DoorInThread, majlis: Typed) -> None:
    names = ("response_seconds", "errors", "cost_per_message", "conversations", "messages_per_minute")
    door.use(load(None, [f"targets.{name}=null" for name in names], environment={}))
    assert majlis("kpi").out.startswith("no target is set")
