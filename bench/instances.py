"""`make bench-instances`: what a change of one instance costs, by how many instances there are.

A real daemon process with its embedded Redis and Postgres. Instances with twenty settings and a secret each are added
until there are as many as a row of the table says; then one of them is changed again and again over the admin socket.
Shown are the processor time of the daemon and of its Postgres per change, without what they take when nobody changes
anything, and how long a change takes. Exit code 1 if the most instances cost more than three times what the fewest do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.processes import BenchBroken
from bench.servers import Server, majlis
from daemon.web.client import unix_post

SIZES = (10, 100, 300)
GOAL_RATIO = 3.0
IDLE_SECONDS = 10.0
SETTLE_SECONDS = 3.0
SETTINGS: dict[str, object] = {
    "batching.max_messages": 4,
    "country": "SA",
    "escalation.notify_numbers": ["+966551110001"],
    "escalation.repeat_seconds": 600,
    "gateway.base_url": "http://127.0.0.1:9",
    "gateway.timeout_seconds": 20,
    "hours": ["sun-thu 09:00-22:00"],
    "knowledge.max_tokens": 700,
    "limits.tokens_per_day": 1_000_000,
    "limits.turns_per_minute": 100,
    "machines.replies": 20,
    "mode": "live",
    "opt_out.message": "You get no more messages from us.",
    "reply.max_chars": 1_000,
    "reply.max_parts": 3,
    "responder.deadline_seconds": 40,
    "responder.max_answer_chars": 3_000,
    "responder.providers.0.model": "any",
    "takeover.automatic_texts": ["We are closed."],
    "timezone": "Asia/Riyadh",
}


class Cost(NamedTuple):
    """Of one change; milliseconds."""

    instances: int
    daemon: float
    postgres: float
    took: float
    """The median; the others are means."""

    @property
    def processor(self) -> float:
        return self.daemon + self.postgres


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        server = majlis(Path(home) / "majlis", turns=False)
        try:
            server.wait_ready()
            book = _Book(server, Path(home) / "majlis" / "var" / "run" / "admin.sock")
            costs = [book.cost(size, options.changes) for size in sorted(options.sizes)]
        finally:
            server.stop()
    ratio = costs[-1].processor / costs[0].processor
    if options.json:
        found = {"costs": [cost._asdict() for cost in costs], "ratio": ratio}
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        sys.stdout.write(_table(costs, ratio))
    return 0 if ratio <= GOAL_RATIO else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-instances", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="default 10 100 300")
    parser.add_argument("--changes", type=int, default=50, help="of each measurement (default 50)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args()


class _Book:
    """The instances of a daemon."""

    def __init__(self, server: Server, socket: Path) -> None:
        self._server = server
        self._socket = socket
        self._added = 0
        self._seconds: Iterator[int] = count(1)

    def cost(self, instances: int, changes: int) -> Cost:
        while self._added < instances:
            self._add(f"shop{self._added}")
            self._added += 1
        time.sleep(SETTLE_SECONDS)
        idle = self._spent(lambda: time.sleep(IDLE_SECONDS))
        took: list[float] = []
        busy = self._spent(lambda: took.extend(self._change(place % instances) for place in range(changes)))
        each = {role: (busy[role] - idle[role] * busy["wall"] / idle["wall"]) / changes for role in busy}
        return Cost(instances, each["server"] * 1000, each["postgres"] * 1000, median(took) * 1000)

    def _spent(self, work: Callable[[], object]) -> dict[str, float]:
        before, began_at = self._server.cpu_seconds(), time.monotonic()
        work()
        wall, after = time.monotonic() - began_at, self._server.cpu_seconds()
        return {role: after[role] - before[role] for role in after} | {"wall": wall}

    def _add(self, name: str) -> None:
        own = {"prompt": f"You help the customers of {name}.", "gateway.api_key": f"key of {name}"}
        self._post(f"/v1/instances/{name}/add", {"set": {**SETTINGS, **own}})

    def _change(self, place: int) -> float:
        began_at = time.monotonic()
        self._post(
            f"/v1/instances/shop{place}/set", {"set": {"batching.window_seconds": next(self._seconds)}}
        )
        return time.monotonic() - began_at

    def _post(self, path: str, body: object) -> None:
        status, answer = unix_post(str(self._socket), path, body)
        if status != 200:
            raise BenchBroken(f"{path} was answered {status}: {answer}")


def _table(costs: list[Cost], ratio: float) -> str:
    word = "reached" if ratio <= GOAL_RATIO else "MISSED"
    lines = [
        "| instances | daemon, ms | Postgres, ms | it takes, ms |",
        "| --- | --- | --- | --- |",
        *(f"| {one.instances} | {one.daemon:.1f} | {one.postgres:.1f} | {one.took:.0f} |" for one in costs),
        "",
        f"{costs[-1].instances} instances cost {ratio:.1f} times what {costs[0].instances} do; "
        f"goal: at most {GOAL_RATIO:.0f} – {word}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
