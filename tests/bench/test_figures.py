"""The pure parts of the benchmarks: goals, medians, tables. No times are tested."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import goals, profile, report, sampled
from bench.goals import Goal
from bench.scale.__main__ import judged
from bench.servers import ROOT
from bench.turns import counts, figures
from bench.turns.counts import Counts
from bench.turns.rounds import Idle, Measured, Sample

ROLES = ("server", "postgres", "redis")


def _sample(rate: float, server_ms: float, odd: dict[str, int] | None = None) -> Sample:
    return Sample(
        turns_per_second=rate,
        cpu_ms={"server": server_ms, "postgres": 1.5, "redis": 0.5, "driver": 0.3},
        overhead_ms=[10.0, 20.0, 40.0],
        ack_ms=[1.0, 2.0],
        per_turn=Counts(
            wal_bytes=7000, updates=4, hot_updates=3, turn_updates=2, hot_turn_updates=2, scripts=5
        ).per(1),
        foreign_share=0.1,
        odd=odd or {},
        unanswered=1 if odd else 0,
    )


def _measured() -> dict[str, Measured]:
    ours = Measured(
        idle=Idle(dict.fromkeys(ROLES, 1.0), redis_commands=1.5, transactions=3.0),
        saturated=[_sample(240, 3.0), _sample(260, 4.0)],
        slow_models={3.0: [_sample(200, 3.5)]},
        few=[_sample(15, 5.0)],
        acks_alone=[1.0] * 99 + [5.0],
        acks_amid=[2.0] * 99 + [10.0],
        statements=9.0,
    )
    theirs = Measured(
        saturated=[_sample(500, 2.0)], few=[_sample(15, 3.0, {"503 not_ready": 2})], statements=None
    )
    return {"majlis": ours, "fastapi": theirs}


def test_a_goal_says_what_is_wanted_and_whether_it_is_reached() -> None:
    floor, ceiling = Goal("rate", 250, 240, 300), Goal("cost", 7.5, 6.5, is_floor=False)
    assert floor.line().split() == [
        "rate",
        "250.00",
        "goal",
        "≥",
        "240",
        "reached",
        "aim",
        "≥",
        "300",
        "MISSED",
    ]
    assert goals.lines([ceiling])[0].split() == ["cost", "7.50", "goal", "≤", "6.5", "MISSED"]
    assert floor.document() == {
        **{"what": "rate", "value": 250, "goal": "≥ 240", "reached": True},
        **{"aim": "≥ 300", "aim_reached": False},
    }
    assert ceiling.document()["reached"] is False


def test_whole_turns_are_judged_by_medians_and_ratios_to_the_peers() -> None:
    servers = {name: figures.summary(one) for name, one in _measured().items()}
    found = {goal.what: goal for goal in figures.reached(servers)}
    assert {what: goal.value for what, goal in found.items()} == pytest.approx(
        {
            "turns/s, saturated": 250,
            "turns/s, saturated, Majlis / FastAPI": 0.5,
            "CPU ms per turn, server": 3.5,
            "CPU ms per turn, with Postgres and Redis": 5.5,
            "turns/s, model of 3 s / of 0 s": 0.8,
            "ack p99 at 300/s, saturated with turns / without": 2.0,
            "idle: commands to Redis per second": 1.5,
            "idle: transactions per second": 3.0,
            "overhead p50, 20 conversations, Majlis / FastAPI": 1.0,
        }
    )
    missed = {what for what, goal in found.items() if not goal.is_reached}
    assert missed == {
        "turns/s, saturated, Majlis / FastAPI",
        "turns/s, model of 3 s / of 0 s",
        "idle: transactions per second",
    }


def test_the_table_of_whole_turns_names_what_is_missing_and_what_the_peers_lack() -> None:
    measured = _measured()
    servers = {name: figures.summary(one) for name, one in measured.items()}
    found = {
        "about": ["a machine"],
        "servers": servers,
        "left_out": {"fastify": "node and npm are not installed"},
        "faults": figures.faults(measured),
    }
    table = figures.table(found, figures.reached(servers))
    assert (
        "turns/s, saturated, model of 0 s                                 250.0               500.0" in table
    )
    assert "Fastify + BullMQ was left out: node and npm are not installed" in table
    assert "ODD: FastAPI: 1 customers got no reply" in table
    assert "ODD: FastAPI: 2 × 503 not_ready" in table
    assert "a fence" in table
    row = next(line for line in table.splitlines() if "HOT" in line)
    assert row.split()[-2:] == ["75%;", "100%"] or "75%; 100%" in row


def test_a_run_of_nothing_is_no_error() -> None:
    nothing = {"majlis": figures.summary(Measured())}
    assert figures.reached(nothing) == []
    assert "turns/s" in figures.table(
        {"about": [], "servers": nothing, "left_out": {}, "faults": []}, figures.reached(nothing)
    )


def test_statements_are_counted_in_the_log_of_postgres(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(
        "[7] LOG:  execute __asyncpg_stmt_1__: SELECT 1\n[7] LOG:  statement: BEGIN;\n\tSELECT 2\n[7] LOG:  ready\n"
    )
    assert counts.logged_statements(log) == 2


def test_webhooks_are_judged_by_processor_time_too() -> None:
    ours = {"acks_per_second": 900, "cpu_us_per_ack": {"server": 60}, "at_rate_ms": {"p50": 1.0, "p99": 30.0}}
    found = report.reached({"majlis": ours, "fastapi": {**ours, "acks_per_second": 300}})
    assert [(goal.value, goal.is_reached) for goal in found] == [
        *[(3.0, True), (60, True), (1.0, True), (30.0, False)],
    ]


def test_scale_is_judged_as_far_as_it_was_measured() -> None:
    found = {
        "old": {
            **{"conversation_turns": 20_000, "database_turns": 1_000_000},
            **{"conversation": {"ratio": 1.3}, "database": {"ratio": 1.05}},
            "conversation_by_full_history": {"ratio": 1.1},
        },
        "waiting": {
            "conversations": 100_000,
            **{"daemon_bytes": 9_000.0, "redis_bytes": 2_500.0, "recovered_seconds": 8.0},
        },
        "queued": {"turns": 22_000, "queued_seconds": {"/metrics": 3.0, "status": 0.1}},
    }
    assert [goal.is_reached for goal in judged(found)] == [
        *[True, False, True],
        *[True, False, True],
        *[False, True],
    ]
    assert judged({}) == []


def test_a_sampled_stack_is_told_by_area_and_by_function(tmp_path: Path) -> None:
    sampled._stacks.clear()
    sampled._sample(0, sys._getframe())
    sampled._write(tmp_path / sampled.STACKS)
    [(stack, count)] = profile.read(tmp_path / sampled.STACKS)
    assert count == 1
    assert stack[-1] == (__file__, "test_a_sampled_stack_is_told_by_area_and_by_function")
    library = "/x/site-packages/trio/_core/_run.py"
    assert profile.area([library, f"{ROOT}/daemon/stores/postgres.py", "/x/lib/python3.11/json/a.py"]) == (
        "daemon/stores"
    )
    assert profile.area([f"{ROOT}/actors/turn.py", library]) == "Trio's scheduler and sockets"
    assert profile.area(["/x/lib/python3.11/asyncio/events.py"]) == "asyncio's loop, timers and futures"
    found = [([(library, "run"), (f"{ROOT}/actors/turn.py", "f")], 3), ([(library, "run")], 1)]
    told = profile.table(found, 8.0, most=5)
    assert "    6.000 ms  actors\n" in told
    assert "with all it calls\n    6.000 ms  actors/turn.py:f" in told  # `run` is how all began
