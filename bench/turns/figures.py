"""The figures of a run of whole turns: medians over the rounds, the table, the goals."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench import goals
from bench.goals import Goal
from bench.turns.contestants import TITLES
from bench.turns.rounds import Idle, Measured, Sample

LACKS = """\
What the peers do not do, and Majlis does in the same time:
  a fence: a server that was thought dead and writes again changes nothing of the new owner's
  a claim before each send, settled by what the gateway answered: a kill between the two makes no second reply
  the look whether a person has taken over, and human hand-over as such; messages in parts; quotes; edits and deletions
  recovery: FastAPI's windows are timers in memory, lost with the process, as are its turns between two tries
  limits: of a contact, of a minute, of a day's cost, of what waits; fairness among instances; a queue that is bounded
  trails of each turn, events, metrics, an audit; settings that change without a restart
"""
_ROLES = ("server", "postgres", "redis", "driver")
_OWN = ("server", "postgres", "redis")


def summary(measured: Measured) -> dict[str, Any]:
    """The figures of one server. Latencies cover all rounds together, all else is a median over the rounds."""
    found: dict[str, Any] = {
        "turns_per_second": _median(measured.saturated, lambda sample: sample.turns_per_second),
        "turns_per_second_rounds": [round(sample.turns_per_second, 1) for sample in measured.saturated],
        "turns_per_second_slow_model": {
            f"{seconds:g}": _median(samples, lambda sample: sample.turns_per_second)
            for seconds, samples in measured.slow_models.items()
        },
        "cpu_ms": _each(measured.saturated, lambda sample: sample.cpu_ms),
        "cpu_ms_few": _each(measured.few, lambda sample: sample.cpu_ms),
        "overhead_ms": _latency([ms for sample in measured.few for ms in sample.overhead_ms]),
        "ack_ms_saturated": _latency([ms for sample in measured.saturated for ms in sample.ack_ms]),
        "acks_alone_ms": _latency(measured.acks_alone),
        "acks_amid_ms": _latency(measured.acks_amid),
        "per_turn": _each(measured.saturated, lambda sample: sample.per_turn),
        "statements": measured.statements,
        "idle": _idle(measured.idle),
        "foreign_share": _median(measured.saturated, lambda sample: sample.foreign_share),
    }
    if found["cpu_ms"]:
        found["cpu_ms"]["all"] = sum(found["cpu_ms"].get(role, 0.0) for role in _OWN)
    return found


def _idle(idle: Idle | None) -> dict[str, float]:
    """Per second, when nobody writes."""
    if idle is None:
        return {}
    return {**idle.cpu_ms, "redis_commands": idle.redis_commands, "transactions": idle.transactions}


def _median(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    return statistics.median(map(figure, samples)) if samples else 0.0


def _each(samples: Sequence[Sample], figures: Callable[[Sample], Mapping[str, float]]) -> dict[str, float]:
    names = {name: None for sample in samples for name in figures(sample)}
    return {name: statistics.median(figures(sample).get(name, 0.0) for sample in samples) for name in names}


def _latency(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * share))]
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def faults(found: Mapping[str, Measured]) -> list[str]:
    """What happened that should not: webhooks that were refused, customers without a reply."""
    lines = []
    for name, measured in found.items():
        samples = [*measured.saturated, *measured.few]
        samples += [sample for some in measured.slow_models.values() for sample in some]
        unanswered = sum(sample.unanswered for sample in samples)
        if unanswered:
            lines.append(f"{TITLES[name]}: {unanswered} customers got no reply")
        odd: dict[str, int] = {}
        for sample in samples:
            for what, count in sample.odd.items():
                odd[what] = odd.get(what, 0) + count
        lines += [f"{TITLES[name]}: {count} × {what}" for what, count in odd.items()]
    return lines


def reached(servers: Mapping[str, dict[str, Any]]) -> list[Goal]:
    """The goals for Majlis, as far as they were measured."""
    if "majlis" not in servers:
        return []
    ours = servers["majlis"]
    found = []
    if ours["turns_per_second"]:
        found.append(Goal("turns/s, saturated", ours["turns_per_second"], 240))
        for name, mark, aim in (("fastapi", 0.7, 0.9), ("fastify", 0.55, 0.7)):
            if theirs := servers.get(name, {}).get("turns_per_second"):
                ratio = ours["turns_per_second"] / theirs
                found.append(Goal(f"turns/s, saturated, Majlis / {TITLES[name]}", ratio, mark, aim))
        found.append(Goal("CPU ms per turn, server", ours["cpu_ms"]["server"], 3.8, 3.0, is_floor=False))
        found.append(
            Goal("CPU ms per turn, with Postgres and Redis", ours["cpu_ms"]["all"], 6.5, 5.0, is_floor=False)
        )
        for seconds, rate in ours["turns_per_second_slow_model"].items():
            ratio = rate / ours["turns_per_second"]
            found.append(Goal(f"turns/s, model of {seconds} s / of 0 s", ratio, 0.9))
    alone, amid = ours["acks_alone_ms"], ours["acks_amid_ms"]
    if alone and amid:
        ratio = amid["p99"] / alone["p99"]
        found.append(Goal("ack p99 at 300/s, saturated with turns / without", ratio, 3, is_floor=False))
    if idle := ours["idle"]:
        found.append(Goal("idle: commands to Redis per second", idle["redis_commands"], 2, is_floor=False))
        found.append(Goal("idle: transactions per second", idle["transactions"], 2, is_floor=False))
    theirs = servers.get("fastapi", {}).get("overhead_ms")
    if theirs and ours["overhead_ms"]:
        ratio = ours["overhead_ms"]["p50"] / theirs["p50"]
        found.append(
            Goal("overhead p50, 20 conversations, Majlis / FastAPI", ratio, 1.3, 1.0, is_floor=False)
        )
    return found


def table(found: dict[str, Any], goals_found: Sequence[Goal]) -> str:
    """All figures as text."""
    lines = ["", *found["about"], "", *_figures(found["servers"]), "", *goals.lines(goals_found), "", LACKS]
    lines += [f"{TITLES[name]} was left out: {why}" for name, why in found["left_out"].items()]
    lines += [f"ODD: {fault}" for fault in found["faults"]]
    return "\n".join(lines) + "\n"


def _figures(servers: Mapping[str, dict[str, Any]]) -> list[str]:
    def row(title: str, figure: Callable[[dict[str, Any]], str]) -> str:
        return f"{title:<50}" + "".join(f"{figure(one):>20}" for one in servers.values())

    def pair(key: str) -> Callable[[dict[str, Any]], str]:
        return lambda one: f"{one[key]['p50']:.1f} / {one[key]['p99']:.1f}" if one[key] else "-"

    def number(place: str, name: str, form: str = ".2f") -> Callable[[dict[str, Any]], str]:
        return lambda one: format(one[place][name], form) if name in one[place] else "-"

    lines = [
        f"{'':<50}" + "".join(f"{TITLES[name]:>20}" for name in servers),
        row("turns/s, saturated, model of 0 s", lambda one: f"{one['turns_per_second']:.1f}"),
        row("  slowest and fastest round", _ends),
    ]
    models = {seconds for one in servers.values() for seconds in one["turns_per_second_slow_model"]}
    for seconds in sorted(models, key=float):
        figure = number("turns_per_second_slow_model", seconds, ".1f")
        lines.append(row(f"turns/s, saturated, model of {seconds} s", figure))
    lines += [row(f"CPU ms per turn, saturated: {role}", number("cpu_ms", role)) for role in (*_ROLES, "all")]
    lines += [row(f"CPU ms per turn, 20 conversations: {role}", number("cpu_ms_few", role)) for role in _OWN]
    lines += [
        row("overhead of a turn, 20 conversations p50 / p99, ms", pair("overhead_ms")),
        row("ack latency, saturated p50 / p99, ms", pair("ack_ms_saturated")),
        row("ack latency at 300/s, no turns p50 / p99, ms", pair("acks_alone_ms")),
        row("ack latency at 300/s amid turns p50 / p99, ms", pair("acks_amid_ms")),
        row("WAL KB per turn", lambda one: _scaled(one, "wal_bytes", 1000)),
        row("transactions per turn", number("per_turn", "transactions", ".1f")),
        row("fsyncs of the WAL per turn", number("per_turn", "wal_fsyncs")),
        row("statements per turn", lambda one: f"{one['statements']:.1f}" if one["statements"] else "-"),
        row("updates per turn", number("per_turn", "updates", ".1f")),
        row("  of them HOT; of those of the table of turns", _hot),
        row("script calls of Redis per turn", number("per_turn", "scripts", ".1f")),
        row("commands of Redis per turn, in scripts too", number("per_turn", "commands", ".1f")),
        *(row(f"idle: CPU ms per second: {role}", number("idle", role)) for role in _OWN),
        row("idle: commands to Redis per second", number("idle", "redis_commands", ".1f")),
        row("idle: transactions of Postgres per second", number("idle", "transactions", ".1f")),
        row("CPU used by others, saturated", lambda one: f"{one['foreign_share']:.0%}"),
    ]
    return lines


def _ends(one: dict[str, Any]) -> str:
    rates = one["turns_per_second_rounds"]
    return f"{min(rates):.1f}–{max(rates):.1f}" if rates else "-"


def _hot(one: dict[str, Any]) -> str:
    per_turn = one["per_turn"]
    return f"{per_turn['hot_updates']:.0%}; {per_turn['hot_turn_updates']:.0%}" if per_turn else "-"


def _scaled(one: dict[str, Any], name: str, by: float) -> str:
    return f"{one['per_turn'][name] / by:.1f}" if name in one["per_turn"] else "-"
