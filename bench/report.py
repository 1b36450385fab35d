"""The figures of a run: summaries of the samples, and the table."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import goals
from bench.goals import Goal

FASTAPI_GOAL = 2.0
FASTIFY_GOAL = 1.0
CPU_GOAL_US, CPU_AIM_US = 65.0, 50.0
P50_GOAL_MS = 5.0
P99_GOAL_MS = 25.0
_TITLES = {"majlis": "Majlis", "fastapi": "FastAPI + redis.asyncio", "fastify": "Fastify + BullMQ"}
_ROLES = ("server", "redis", "postgres", "generator")


@dataclass
class Sample:
    """One load on one server."""

    acks_per_second: float
    latencies_us: list[int]
    accepted: int
    failures: Mapping[str, int]
    cpu_us_per_ack: Mapping[str, float]
    stolen_share: float
    """The share of the machine's processor time that the hypervisor gave to other machines."""
    foreign_share: float
    """The share of the machine's processor time used by anything but this server and the generator."""


@dataclass
class Series:
    """All loads of one server."""

    saturated: list[Sample] = field(default_factory=list)
    at_rate: list[Sample] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return sum(sample.accepted for sample in (*self.saturated, *self.at_rate))


def machine(directory: Path, redis_version: str) -> dict[str, Any]:
    """The machine of the measurement."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "python": platform.python_version(),
        "redis": redis_version,
        "fsync_ms": _fsync_ms(directory),
    }


def _fsync_ms(directory: Path) -> float:
    """Median time of an fdatasync after writing 1 KiB, on the disk of the stores."""
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(100):
            file.write(b"x" * 1024)
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1000, 3)


def summary(series: Series) -> dict[str, Any]:
    """The figures of one server: rates are medians over the rounds, latencies cover all rounds together."""
    rates = [sample.acks_per_second for sample in series.saturated]
    return {
        "acks_per_second": round(statistics.median(rates)),
        "acks_per_second_rounds": [round(rate) for rate in rates],
        "saturated_ms": _latency(series.saturated),
        "at_rate_ms": _latency(series.at_rate),
        "at_rate_ms_rounds": [_latency([sample]) for sample in series.at_rate],
        "cpu_us_per_ack": _cpu(series.saturated),
        "not_ours": _not_ours(series.saturated),
        "not_ours_at_rate": _not_ours(series.at_rate),
        "acknowledged": series.accepted,
    }


def _latency(samples: Sequence[Sample]) -> dict[str, float]:
    values = sorted(latency for sample in samples for latency in sample.latencies_us)
    if not values:
        return {}
    at = {"p50": 0.50, "p99": 0.99, "max": 1.0}
    return {name: values[min(len(values) - 1, int(len(values) * share))] / 1000 for name, share in at.items()}


def _cpu(samples: Sequence[Sample]) -> dict[str, int]:
    roles = {role for sample in samples for role in sample.cpu_us_per_ack}
    return {
        role: round(statistics.median(sample.cpu_us_per_ack.get(role, 0.0) for sample in samples))
        for role in _ROLES
        if role in roles
    }


def _not_ours(samples: Sequence[Sample]) -> dict[str, float]:
    """Processor time lost to others, which limits how far the figures can be trusted."""
    return {
        "stolen": round(statistics.mean(sample.stolen_share for sample in samples), 3),
        "foreign": round(statistics.mean(sample.foreign_share for sample in samples), 3),
    }


def table(found: dict[str, Any]) -> str:
    """All figures as text."""
    lines = [
        "",
        *_machine_lines(found),
        "",
        *_figure_lines(found["servers"]),
        "",
        *goals.lines(reached(found["servers"])),
    ]
    lines += [f"{_TITLES[name]} was left out: {why}" for name, why in found["left_out"].items()]
    lines += [f"FAULT: {fault}" for fault in found["faults"]]
    return "\n".join(lines) + "\n"


def _machine_lines(found: dict[str, Any]) -> list[str]:
    where, load = found["machine"], found["load"]
    meanwhile = (
        "answers meanwhile" if load["majlis_answers"] else "does not answer during the run, like the peers"
    )
    return [
        f"{where['date']}, {where['cores']} cores ({where['processor']}), Python {where['python']}, Redis "
        f"{where['redis']} with appendfsync always, one fsync takes {where['fsync_ms']} ms",
        f"{load['rounds']} × {load['seconds']:g} s of each load, interleaved, {load['connections']} connections, "
        f"{load['conversations']} conversations at a time; Majlis {meanwhile}",
        f"the generator alone reaches {load['generator_ceiling']:,}/s here; it shares the cores with server and Redis",
    ]


def _figure_lines(servers: dict[str, Any]) -> list[str]:
    def row(title: str, cells: Sequence[str]) -> str:
        return f"{title:<42}" + "".join(f"{cell:>25}" for cell in cells)

    def pair(figures: dict[str, float]) -> str:
        return f"{figures['p50']:.1f} / {figures['p99']:.1f}" if figures else "-"

    found = list(servers.values())
    rounds = ["–".join(f"{rate:,}" for rate in _ends(one["acks_per_second_rounds"])) for one in found]
    lines = [
        row("", [_TITLES[name] for name in servers]),
        row("acknowledged webhooks/s, saturated", [f"{one['acks_per_second']:,}" for one in found]),
        row("  slowest and fastest round", rounds),
        row("  ack latency p50 / p99, ms", [pair(one["saturated_ms"]) for one in found]),
        row("ack latency at 300/s p50 / p99, ms", [pair(one["at_rate_ms"]) for one in found]),
    ]
    for role in _ROLES:
        if not any(role in one["cpu_us_per_ack"] for one in found):
            continue
        cells = [str(one["cpu_us_per_ack"].get(role, "-")) for one in found]
        lines.append(row(f"CPU µs per ack, saturated: {role}", cells))
    for title, key in (("saturated", "not_ours"), ("at 300/s", "not_ours_at_rate")):
        cells = [f"{one[key]['stolen']:.0%} / {one[key]['foreign']:.0%}" for one in found]
        lines.append(row(f"CPU stolen / used by others, {title}", cells))
    return lines


def _ends(rates: Sequence[int]) -> tuple[int, int]:
    return min(rates), max(rates)


def reached(servers: dict[str, Any]) -> list[Goal]:
    """The goals for Majlis and the measured figures; empty if Majlis did not run."""
    if "majlis" not in servers:
        return []
    ours, found = servers["majlis"], []
    for name, goal in (("fastapi", FASTAPI_GOAL), ("fastify", FASTIFY_GOAL)):
        if name in servers:
            ratio = ours["acks_per_second"] / servers[name]["acks_per_second"]
            found.append(Goal(f"acknowledged webhooks/s, Majlis / {_TITLES[name]}", ratio, goal))
    cpu = ours["cpu_us_per_ack"]["server"]
    found.append(
        Goal("CPU µs of the server per ack, saturated", cpu, CPU_GOAL_US, CPU_AIM_US, is_floor=False)
    )
    for key, goal in (("p50", P50_GOAL_MS), ("p99", P99_GOAL_MS)):
        if key in ours["at_rate_ms"]:
            found.append(Goal(f"ack {key} at 300/s, ms", ours["at_rate_ms"][key], goal, is_floor=False))
    return found
