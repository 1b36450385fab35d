"""Whole turns of Majlis beside two peers that do the same job, in one run."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import report
from bench.servers import DURABLE
from bench.turns import contestants, counts, figures
from bench.turns.contestants import TITLES, Contestant
from bench.turns.rounds import Measured, Plan, Rounds

SLOW_MODELS = (1.0, 3.0)
LOADS = ("idle", "saturated", "slow-models", "few", "acks", "statements")


def run(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The figures, as a document and as text."""
    with _directory() as home, ExitStack() as stack:
        running, left_out = _start(home, options, stack)
        measured = _rounds(running, options)
        servers = {name: figures.summary(one) for name, one in measured.items()}
        where = report.machine(home, running[0].server.redis_version())
    reached = figures.reached(servers)
    found = {
        "about": _about(where, options),
        "machine": where,
        "servers": servers,
        "goals": [goal.document() for goal in reached],
        "left_out": left_out,
        "faults": figures.faults(measured),
    }
    return found, figures.table(found, reached)


def _about(where: dict[str, Any], options: argparse.Namespace) -> list[str]:
    return [
        f"{where['date']}, {where['cores']} cores ({where['processor']}), Python {where['python']}, Redis "
        f"{where['redis']} with appendfsync always, Postgres 18 with fsync; one fsync takes {where['fsync_ms']} ms",
        f"{options.rounds} × {options.seconds:g} s of each load, interleaved; bursts of three, windows of one second, "
        f"{options.conversations} conversations at saturation; customers, gateway and model share the cores",
    ]


@contextmanager
def _directory() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="majlis-", dir="/tmp"))  # a short path: sockets lie in it
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _start(
    home: Path, options: argparse.Namespace, stack: ExitStack
) -> tuple[list[Contestant], dict[str, str]]:
    """Start the servers one after another; a peer whose runtime is missing is left out, with the reason."""
    running: list[Contestant] = []
    left_out: dict[str, str] = {}
    wanted = options.only or list(TITLES)
    settings = DURABLE
    if "majlis" in wanted:
        say("starting Majlis …")
        running.append(contestants.start_majlis(home / "majlis", stack))
        settings = running[0].server.redis_settings()
    for name, start in (("fastapi", contestants.start_fastapi), ("fastify", contestants.start_fastify)):
        if name not in wanted:
            continue
        say(f"starting {TITLES[name]} …")
        try:
            running.append(start(home / name, stack, settings, options.at_once))
        except LookupError as error:
            left_out[name] = str(error)
            say(f"{TITLES[name]} is left out: {error}")
    return running, left_out


def _rounds(running: Sequence[Contestant], options: argparse.Namespace) -> dict[str, Measured]:
    measured = {one.name: Measured() for one in running}
    rounds = Rounds(Plan(options.seconds, options.warm_seconds, options.conversations))
    if "idle" in options.loads:
        for one in running:
            say(f"idle: {TITLES[one.name]}")
            measured[one.name].idle = rounds.idle(one)
    for number in range(options.rounds):
        first = number % len(running)
        for one in (*running[first:], *running[:first]):
            say(f"round {number + 1} of {options.rounds}: {TITLES[one.name]}")
            _round(one, rounds, measured[one.name], options)
    if "statements" in options.loads:
        for one in running:
            say(f"statements per turn: {TITLES[one.name]}")
            measured[one.name].statements = rounds.statements(one)
    return measured


def _round(one: Contestant, rounds: Rounds, found: Measured, options: argparse.Namespace) -> None:
    is_ours = one.name == "majlis"
    if "saturated" in options.loads:
        found.saturated.append(rounds.saturated(one))
        last = found.saturated[-1]
        say(f"  {last.turns_per_second:.1f} turns/s, {last.cpu_ms['server']:.2f} ms of the server per turn")
    if "slow-models" in options.loads and is_ours:  # the peers are left out: no goal compares to them there
        for seconds in SLOW_MODELS:
            sample = rounds.saturated(one, seconds)
            found.slow_models.setdefault(seconds, []).append(sample)
            say(f"  {sample.turns_per_second:.1f} turns/s with a model of {seconds:g} s")
    if "few" in options.loads:
        counts.settle()
        found.few.append(rounds.few(one))
    if "acks" in options.loads and is_ours:  # only it has windows that stay open beside others
        found.acks_alone += rounds.acks(one)
        found.acks_amid += rounds.acks_amid(one)


def say(line: str) -> None:
    """Progress."""
    sys.stderr.write(f"{line}\n")


def dumped(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
