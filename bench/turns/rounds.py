"""The loads of a run, one after another on each server, and what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.processes import BenchBroken, MachineTime
from bench.servers import ROOT
from bench.traffic import HELD
from bench.turns import counts
from bench.turns.contestants import WINDOW_SECONDS, Contestant
from bench.turns.driver import Load

ACK_RATE = 300.0
FEW = 20
"""Conversations at which a turn's overhead is measured: no turn waits for another."""
_AHEAD_SECONDS = 1.0


@dataclass
class Sample:
    """One load on one server."""

    turns_per_second: float
    cpu_ms: Mapping[str, float]
    """Processor milliseconds per turn, by role; `driver` too."""
    overhead_ms: list[float]
    ack_ms: list[float]
    per_turn: Mapping[str, float]
    """See `counts.Counts.per`."""
    foreign_share: float
    """The share of the machine's processor time that others used or the hypervisor took."""
    odd: Mapping[str, int]
    unanswered: int


@dataclass(frozen=True)
class Idle:
    """What a server does when nobody writes, per second."""

    cpu_ms: Mapping[str, float]
    redis_commands: float
    """See `counts.watch_commands`."""
    transactions: float


@dataclass
class Measured:
    """All samples of one server, by load."""

    idle: Idle | None = None
    saturated: list[Sample] = field(default_factory=list)
    slow_models: dict[float, list[Sample]] = field(default_factory=dict)
    """By the seconds that the model takes."""
    few: list[Sample] = field(default_factory=list)
    acks_alone: list[float] = field(default_factory=list)
    """Latencies in ms of acknowledgements at a fixed rate, open loop, while nothing else happens."""
    acks_amid: list[float] = field(default_factory=list)
    """The same while turns saturate the server."""
    statements: float | None = None
    """Statements of Postgres per turn."""


@dataclass(frozen=True)
class Plan:
    """How much of it."""

    seconds: float
    warm_seconds: float
    conversations: int
    """At once, with a model that answers at once; more for slow models, as most of them wait."""


class Rounds:
    """Numbers the loads, so that no customer and no message appears twice."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._run = 0

    def saturated(self, one: Contestant, model_seconds: float = 0.0) -> Sample:
        """Windows that close back to back, of more conversations than can be answered."""
        plan = self._plan
        stretch = (WINDOW_SECONDS + model_seconds) / WINDOW_SECONDS
        warm = plan.warm_seconds + model_seconds
        return self._turns(one, round(plan.conversations * stretch), warm, model_seconds)

    def idle(self, one: Contestant) -> Idle:
        """Nobody writes."""
        counts.settle()
        cpu, stored = one.cpu_seconds(), counts.read(one.server, one.places.sockets)
        since = time.monotonic()
        commands = counts.watch_commands(one.server, self._plan.seconds)
        spent, cpu_after = time.monotonic() - since, one.cpu_seconds()
        added = counts.read(one.server, one.places.sockets) - stored
        return Idle(
            {role: (cpu_after[role] - cpu.get(role, 0.0)) / spent * 1000 for role in cpu_after},
            commands / spent,
            max(0.0, added.transactions - counts.TRANSACTIONS_OF_A_LOOK) / spent,
        )

    def few(self, one: Contestant) -> Sample:
        """A few conversations: what a turn takes when nothing else is to be done."""
        return self._turns(one, FEW, self._plan.warm_seconds / 2, 0.0)

    def acks(self, one: Contestant) -> list[float]:
        """Latencies of acknowledgements at a fixed rate while the server rests."""
        return _latencies(self._acks_process(one))

    def acks_amid(self, one: Contestant) -> list[float]:
        """The same while turns saturate it."""
        self._start(one, self._plan.conversations, self._plan.warm_seconds, 0.0)
        one.driver.wait("begin")
        process = self._acks_process(one)
        one.driver.wait("end")
        found = _latencies(process)
        one.driver.wait("done")
        return found

    def statements(self, one: Contestant) -> float | None:
        """Statements of Postgres per turn; nothing may be measured after it: Postgres logs each from then on."""
        counts.log_statements(one.places.sockets)
        self._start(one, FEW, 2.0, 0.0)
        one.driver.wait("begin")
        before = counts.logged_statements(one.postgres_log)
        one.driver.wait("end")
        after = counts.logged_statements(one.postgres_log)
        turns = one.driver.wait("done")["turns"]
        return (after - before) / turns if turns and after > before else None

    def _start(self, one: Contestant, conversations: int, warm: float, model_seconds: float) -> None:
        self._run += 1
        one.driver.start(
            Load(self._run, conversations, self._plan.seconds, warm, WINDOW_SECONDS, model_seconds)
        )

    def _turns(self, one: Contestant, conversations: int, warm: float, model_seconds: float) -> Sample:
        self._start(one, conversations, warm, model_seconds)
        one.driver.wait("begin")
        cpu, machine = one.cpu_seconds(), MachineTime.now()
        stored = counts.read(one.server, one.places.sockets)
        one.driver.wait("end")
        cpu_after, machine_after = one.cpu_seconds(), MachineTime.now()
        stored_after = counts.read(one.server, one.places.sockets)
        found = one.driver.wait("done")
        turns = max(1, found["turns"])
        spent = {role: cpu_after[role] - cpu.get(role, 0.0) for role in cpu_after}
        spent["driver"] = found["driver_seconds"]
        total = machine_after.total - machine.total
        not_ours = (
            machine_after.busy - machine.busy + machine_after.stolen - machine.stolen - sum(spent.values())
        )
        return Sample(
            turns_per_second=found["turns"] / self._plan.seconds,
            cpu_ms={role: seconds / turns * 1000 for role, seconds in spent.items()},
            overhead_ms=found["overhead_ms"],
            ack_ms=found["ack_ms"],
            per_turn=(stored_after - stored).per(turns),
            foreign_share=max(0.0, not_ours / total),
            odd=found["odd"],
            unanswered=found["unanswered"],
        )

    def _acks_process(self, one: Contestant) -> subprocess.Popen[str]:
        self._run += 1
        options = {
            "--port": one.server.port,
            "--run": self._run,
            "--connections": 24,
            "--conversations": 1000,
            "--seconds": self._plan.seconds - _AHEAD_SECONDS,  # one second of warming up comes before
            "--rate": ACK_RATE,
            "--instances": HELD,
        }
        command = [
            sys.executable,
            "-m",
            "bench.load",
            *(str(part) for pair in options.items() for part in pair),
        ]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _latencies(process: subprocess.Popen[str]) -> list[float]:
    told, errors = process.communicate()
    if process.returncode != 0:
        raise BenchBroken(f"the load generator stopped: {errors.strip()}")
    result: dict[str, Any] = json.loads(told)
    if result["failures"]:
        raise BenchBroken(f"webhooks were answered {result['failures']}")
    return [latency / 1000 for latency in result["latencies_us"]]
