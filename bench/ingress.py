"""`make bench-ingress`: acknowledged webhooks per second and their latency, compared to two servers doing the same job.

The load is such as gateways send: a conversation writes as many messages as a window takes, and then another does
(`traffic.py`). No server answers anybody, and what was stored stays; but no conversation has more than that waiting, so
an acknowledgement costs the same at the end of a run as at its beginning.

All servers run at the same time, each with its own Redis that fsyncs before each response. The rounds are interleaved,
so that noise of the machine affects all alike. After the rounds each store is counted: a server whose store holds fewer
messages than it acknowledged fails the run. README.md says what is compared, docs/performance.md has figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import report, servers
from bench.processes import BenchBroken, MachineTime, Process, end_as_by_ctrl_c, free_port
from bench.report import Sample, Series
from bench.servers import Server
from bench.traffic import instance_name, webhooks

ROOT = Path(__file__).parent.parent
RATE = 300.0
NAMES = ("majlis", "fastapi", "fastify")


def main() -> int:
    options = _options()
    end_as_by_ctrl_c()
    try:
        found = _bench(options)
    except BenchBroken as error:
        sys.stderr.write(f"bench-ingress: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else report.table(found))
    return 1 if found["faults"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-ingress", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time of each load (default 5)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="loads of each kind for each server (default 3)"
    )
    parser.add_argument("--quick", action="store_true", help="one round of one second: does it run at all")
    parser.add_argument("--connections", type=int, default=60, help="keep-alive connections (default 60)")
    parser.add_argument("--conversations", type=int, default=1000, help="that write at a time (default 1000)")
    parser.add_argument(
        "--turns", action="store_true", help="Majlis closes its windows and answers meanwhile"
    )
    parser.add_argument("--only", choices=NAMES, action="append", help="leave the other servers out")
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "var", help="where the stores write (default var/)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 1.0, 1
    return options


def _bench(options: argparse.Namespace) -> dict[str, Any]:
    with _directory(options.data_dir) as home, ExitStack() as stack:
        ceiling = _generator_ceiling(home, options)
        running, left_out = _start(home, options, stack)
        for server in running:
            _check_deduplication(server)
        measured = _rounds(running, options)
        figures = {name: report.summary(series) for name, series in measured.items()}
        return {
            "machine": report.machine(home, running[0].redis_version()),
            "load": {
                "seconds": options.seconds,
                "rounds": options.rounds,
                "connections": options.connections,
                "conversations": options.conversations,
                "rate": RATE,
                "majlis_answers": options.turns,
                "generator_ceiling": round(ceiling),
            },
            "servers": figures,
            "goals": [goal.document() for goal in report.reached(figures)],
            "left_out": left_out,
            "faults": _faults(running, measured, options.turns),
        }


@contextmanager
def _directory(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _start(home: Path, options: argparse.Namespace, stack: ExitStack) -> tuple[list[Server], dict[str, str]]:
    """Start the servers one after another; a peer whose runtime is missing is left out, with the reason."""
    wanted = options.only or NAMES
    running: list[Server] = []
    left_out: dict[str, str] = {}

    def add(server: Server) -> None:
        stack.callback(server.stop)
        server.wait_ready()
        running.append(server)

    settings = servers.DURABLE
    if "majlis" in wanted:
        _say("starting majlis …")
        add(servers.majlis(home / "majlis", options.turns))
        settings = running[0].redis_settings()
        if settings["appendfsync"] != "always":
            raise BenchBroken(f"the Redis of majlis has appendfsync {settings['appendfsync']}, not always")
    for name, start in (("fastapi", servers.fastapi), ("fastify", servers.fastify)):
        if name in wanted:
            _say(f"starting {name} …")
            try:
                add(start(home / name, settings))
            except LookupError as error:
                left_out[name] = str(error)
                _say(f"{name} is left out: {error}")
    return running, left_out


def _check_deduplication(server: Server) -> None:
    """The same webhook twice is stored once, so that all servers do the same job."""
    before = server.stored()
    request = next(webhooks(server.port, 1, int(time.time()), run=0))
    body = request.partition(b"\r\n\r\n")[2]
    answers = [server.post(f"/webhook/{instance_name(0)}", body) for _ in range(2)]
    expected = ["accepted", "duplicate" if server.tells_duplicates else "accepted"]
    if answers != expected or server.stored() != before + 1:
        raise BenchBroken(f"{server.name} answered one webhook sent twice with {answers}, not {expected}")


def _rounds(running: Sequence[Server], options: argparse.Namespace) -> dict[str, Series]:
    measured = {server.name: Series() for server in running}
    run = 0
    for number in range(options.rounds):
        first = number % len(running)
        for server in (*running[first:], *running[:first]):
            run += 1
            _say(f"round {number + 1} of {options.rounds}: {server.name}")
            series = measured[server.name]
            series.at_rate.append(_load(server, options, run, RATE))
            series.saturated.append(_load(server, options, run + 1_000_000, None))
    return measured


def _load(server: Server, options: argparse.Namespace, run: int, rate: float | None) -> Sample:
    cpu_before, before = server.cpu_seconds(), MachineTime.now()
    result = _generate(server.port, options, run, rate)
    cpu_after, after = server.cpu_seconds(), MachineTime.now()
    spent = {role: cpu_after[role] - cpu_before.get(role, 0.0) for role in cpu_after}
    spent["generator"] = result["generator_cpu_seconds"]
    total, busy = after.total - before.total, after.busy - before.busy
    acknowledged = max(1, result["accepted"])
    return Sample(
        acks_per_second=result["measured"] / result["measured_seconds"],
        latencies_us=result["latencies_us"],
        accepted=result["accepted"],
        failures=result["failures"],
        cpu_us_per_ack={role: seconds / acknowledged * 1e6 for role, seconds in spent.items()},
        stolen_share=(after.stolen - before.stolen) / total,
        foreign_share=max(0.0, busy - sum(spent.values())) / total,
    )


def _generate(port: int, options: argparse.Namespace, run: int, rate: float | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.load", "--port", str(port), "--run", str(run)]
    command += ["--connections", str(options.connections), "--conversations", str(options.conversations)]
    command += ["--seconds", str(options.seconds), *(["--rate", str(rate)] if rate else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchBroken(f"the load generator stopped: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _generator_ceiling(home: Path, options: argparse.Namespace) -> float:
    """The rate of the generator against a server that does nothing: it must be far above the servers."""
    port = free_port()
    responder = Process(
        [sys.executable, "-m", "bench.responder", str(port)], home / "responder.log", {}, ROOT
    )
    try:
        servers.wait_listening(port, responder.check)
        result = _generate(port, options, run=1, rate=None)
        return float(result["measured"] / result["measured_seconds"])
    finally:
        responder.stop()


def _faults(running: Sequence[Server], measured: Mapping[str, Series], turns: bool) -> list[str]:
    """What makes the figures worthless: answers that were no acknowledgement, or acknowledged messages not stored."""
    faults = []
    for server in running:
        series = measured[server.name]
        for sample in (*series.saturated, *series.at_rate):
            faults += [f"{server.name}: {count} answers {line}" for line, count in sample.failures.items()]
        answers_meanwhile = (
            turns and server.name == "majlis"
        )  # then messages leave the store as they are answered
        stored, acknowledged = server.stored(), series.accepted + 1  # one from the check of deduplication
        if stored != acknowledged and not answers_meanwhile:
            faults.append(f"{server.name}: {acknowledged} acknowledged, {stored} stored")
    return faults


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
