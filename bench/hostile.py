"""`make bench-hostile`: the processor time of the costliest bodies, from the request's bytes to those of the answer.

In one process and in memory: HTTP, the gateway's parser, the quarantine with its redaction and a file, the answer. Only
the store is left out. The least of several rounds is shown. Exit code 1 if one body of 1 MiB costs more than 0.3 s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import trio

from tests.support.hostile import Door, bodies

GOAL_MS = 300.0
SIZES = {"1 MiB": 1024 * 1024, "64 KiB": 64 * 1024}


def main() -> int:
    options = _options()
    costs = trio.run(_costs, options.rounds)
    if options.json:
        sys.stdout.write(json.dumps(costs, indent=2) + "\n")
    else:
        sys.stdout.write(
            f"{'processor ms of a body of':<28}" + "".join(f"{size:>9}" for size in SIZES) + "\n"
        )
        for name, by_size in costs.items():
            sys.stdout.write(f"{name:<28}" + "".join(f"{cost:>9.1f}" for cost in by_size.values()) + "\n")
    return int(max(by_size["1 MiB"] for by_size in costs.values()) > GOAL_MS)


async def _costs(rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds, by body and size."""
    costs: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        door = Door(Path(home))
        for size, size_bytes in SIZES.items():
            for name, body in bodies(size_bytes).items():
                spent = [await door.cost_seconds(body) for _ in range(rounds)]
                costs.setdefault(name, {})[size] = round(min(spent) * 1000, 1)
    return costs


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-hostile")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
