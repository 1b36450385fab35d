"""`make bench-hostile`: the processor time of the costliest bodies, from the request's bytes to those of the answer.

In one process and in memory: HTTP, the gateway's parser, the quarantine with its redaction and a file, the answer. Only
the store is left out. The least of several rounds is shown. Exit code 1 if one body of 1 MiB costs more than 0.3 s, or
a MiB of a photo more than 10 ms.

A photo is measured twice: cut out while it arrives, and kept whole, as if no body were too large.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import trio

from tests.support.hostile import Door, bodies, large_bodies, messages, photo

GOAL_MS, PHOTO_GOAL_MS = 300.0, 10.0
SIZES = {"1 MiB": 1024 * 1024, "64 KiB": 64 * 1024}
PHOTO_MIB = 16


def main() -> int:
    options = _options()
    costs = trio.run(_costs, options.rounds)
    cut, whole = trio.run(_photo_costs, options.rounds)
    if options.json:
        photo_costs = {"cut_ms_per_mib": cut, "whole_ms_per_mib": whole, "ratio": round(cut / whole, 2)}
        sys.stdout.write(json.dumps({"bodies": costs, "photo": photo_costs}, indent=2) + "\n")
    else:
        sys.stdout.write(
            f"{'processor ms of a body of':<28}" + "".join(f"{size:>9}" for size in SIZES) + "\n"
        )
        for name, by_size in costs.items():
            sys.stdout.write(f"{name:<28}" + "".join(f"{cost:>9.1f}" for cost in by_size.values()) + "\n")
        words = (
            f"photo of {PHOTO_MIB} MiB, ms per MiB: {cut} cut out, {whole} whole, ratio {cut / whole:.2f}\n"
        )
        sys.stdout.write(words)
    is_dear = max(by_size["1 MiB"] for by_size in costs.values()) > GOAL_MS or cut > PHOTO_GOAL_MS
    return int(is_dear)


async def _photo_costs(rounds: int) -> tuple[float, float]:
    """Milliseconds for each MiB: cut out, and whole."""
    body, costs = photo(PHOTO_MIB * 1024 * 1024), []
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        for door in (Door(Path(home)), Door(Path(home), 2 * len(body))):
            spent = [await door.cost_seconds(body) for _ in range(rounds)]
            costs.append(round(min(spent) * 1000 / PHOTO_MIB, 2))
    return costs[0], costs[1]


async def _costs(rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds, by body and size."""
    costs: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        door = Door(Path(home))
        for size, size_bytes in SIZES.items():
            for name, body in (bodies(size_bytes) | messages(size_bytes) | large_bodies(size_bytes)).items():
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
