"""`make bench-scale`: what a daemon costs when there is much of everything.

- A conversation with 20,000 turns, and a database with 1,000,000: the processor time of a turn, of server, Postgres and
  Redis together, as a ratio to one of a fresh conversation in a fresh database. Both alternate in one run. A fresh
  conversation has little history to tell the model, so the old one is also set beside one of 60 turns.
- 100,000 conversations that wait: bytes of each in the daemon (its proportional set size) and in Redis (used_memory),
  and the seconds from kill -9 until a new daemon has all of them again.
- 20,000 turns queued behind a model that does not answer: how soon /metrics and status are there.

Each goal is printed with `reached` or `MISSED`. A run takes some minutes and, for the million turns, 5 GB of temporary
files, which are removed at the end, after Ctrl-C too. Exit code 0 whatever is reached; 1 when something broke.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench import goals
from bench.goals import Goal
from bench.processes import BenchBroken, end_as_by_ctrl_c
from bench.scale import crowd, old
from bench.turns.home import directory

PARTS = ("old", "waiting", "queued")
AT_ONCE_SECONDS = 0.25
"""A look that takes no longer feels as if it were there at once."""


def main() -> int:
    options = _options()
    end_as_by_ctrl_c()
    try:
        with directory() as folder:
            found = asyncio.run(_measure(folder, options))
    except KeyboardInterrupt:
        return 130
    reached = judged(found)
    if options.json:
        found["goals"] = [goal.document() for goal in reached]
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(["", *_lines(found), "", *goals.lines(reached), *found["broken"], ""]))
    return 1 if found["broken"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="leave the other parts out")
    parser.add_argument("--conversation-turns", type=int, default=20_000, help="default 20000")
    parser.add_argument("--database-turns", type=int, default=1_000_000, help="default 1000000")
    parser.add_argument("--turns", type=int, default=200, help="of a round (default 200)")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison (default 5)")
    parser.add_argument("--waiting", type=int, default=100_000, help="conversations (default 100000)")
    parser.add_argument(
        "--queued", type=int, default=22_000, help="turns, 2,000 of them in flight (default 22000)"
    )
    parser.add_argument("--quick", action="store_true", help="little of everything: does it run at all")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    if options.quick:
        options.conversation_turns, options.database_turns, options.turns, options.rounds = 200, 2000, 20, 1
        options.waiting, options.queued = 1000, 200
    return options


async def _measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of each part; a part that breaks leaves those of the others."""
    size = old.Size(options.conversation_turns, options.database_turns, options.turns, options.rounds)
    parts: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "old": lambda: old.measure(folder, size),
        "waiting": lambda: crowd.waiting(folder, options.waiting),
        "queued": lambda: crowd.queued(folder, options.queued),
    }
    found: dict[str, Any] = {"broken": []}
    for name in options.only or PARTS:
        try:
            found[name] = await parts[name]()
        except BenchBroken as error:
            found["broken"].append(f"{name} broke: {error}")
        else:
            sys.stderr.write("".join(f"  {goal.line()}\n" for goal in judged({name: found[name]})))
    return found


def judged(found: dict[str, Any]) -> list[Goal]:
    """The goals, as far as they were measured."""
    reached = []
    if past := found.get("old"):
        for what, size, key in (
            ("a database with", past["database_turns"], "database"),
            ("a conversation with", past["conversation_turns"], "conversation"),
        ):
            reached.append(Goal(f"{what} {size:,} turns / fresh", past[key]["ratio"], 1.1, is_floor=False))
        ratio = past["conversation_by_full_history"]["ratio"]
        reached.append(
            Goal(
                f"the same / one of {old.FULL_HISTORY_TURNS} turns, of full history",
                ratio,
                1.1,
                is_floor=False,
            )
        )
    if many := found.get("waiting"):
        each = f"{many['conversations']:,} waiting"
        for what, key, scale, mark in (
            ("KB each in the daemon", "daemon_bytes", 1000, 10),
            ("KB each in Redis", "redis_bytes", 1000, 2),
            ("seconds to recover", "recovered_seconds", 1, 10),
        ):
            reached.append(Goal(f"{each}: {what}", many[key] / scale, mark, is_floor=False))
    if queue := found.get("queued"):
        for name, seconds in queue["queued_seconds"].items():
            what = f"{queue['turns']:,} turns queued: seconds of {name}"
            reached.append(Goal(what, seconds, AT_ONCE_SECONDS, is_floor=False))
    return reached


def _lines(found: dict[str, Any]) -> list[str]:
    lines = []
    for key, first in (
        ("database", "fresh"),
        ("conversation", "fresh"),
        ("conversation_by_full_history", "60 turns"),
    ):
        for kind, name in (("fresh", first), ("other", "full of turns")) if "old" in found else ():
            each = ", ".join(f"{sum(cost.values()):.2f}" for cost in found["old"][key][kind])
            lines.append(f"CPU ms per turn, {key.partition('_')[0]}, {name:<16} {each}")
    if many := found.get("waiting"):
        spent = ", ".join(
            f"{key.removeprefix('recovery_cpu_')} {value:.1f}"
            for key, value in many.items()
            if key.startswith("recovery_cpu_")
        )
        lines.append(f"CPU seconds of the new daemon and its stores until recovered: {spent}")
    if queue := found.get("queued"):
        for name, seconds in queue["alone_seconds"].items():
            lines.append(f"seconds of {name} when nothing is queued: {seconds:.3f}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
