"""`make bench-border`: the processor time of `SELECT 1` through the daemon's Postgres border, beside the driver's own.

The driver alone is a bare asyncpg connection under plain asyncio, in a thread of its own; an empty crossing by
`trio_asyncio` is what any call would cost on top. They take turns in one process, against one real Postgres. Only the
time of the thread that asks counts, not the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import trio
import trio_asyncio

from daemon.stores.embedded_postgres import run_embedded_postgres
from daemon.stores.postgres import Postgres

SQL = "SELECT $1::int AS one"
WARM_UP = 50
AT_ONCE = (1, 10)
GOAL = 2.5
"""Of the border, in times of the driver alone."""
BARE, CROSSING, OURS = "asyncpg alone, on asyncio", "an empty crossing", "through daemon/stores/postgres.py"


def main() -> int:
    options = _options()
    found = trio.run(_bench, options)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else _table(found))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-border", description=__doc__)
    parser.add_argument(
        "--statements", type=int, default=2_000, help="of each kind in each round (default 2,000)"
    )
    parser.add_argument("--rounds", type=int, default=9, help="default 9")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args()


async def _bench(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Microseconds of processor time for a call, of each kind in each round, for each number of callers at once."""
    with tempfile.TemporaryDirectory(prefix="border-") as home:
        async with trio.open_nursery() as nursery, trio_asyncio.open_loop():
            run = partial(run_embedded_postgres, Path(home), on_event=lambda _event, _fields: None)
            server = await nursery.start(run)
            found = [await _measured(server.dsn, options, at_once) for at_once in AT_ONCE]
            nursery.cancel_scope.cancel()
    return found


async def _measured(dsn: str, options: argparse.Namespace, at_once: int) -> dict[str, Any]:
    found: dict[str, list[float]] = {BARE: [], CROSSING: [], OURS: []}
    count = options.statements
    db = Postgres(dsn, max_connections=at_once)
    await db.open()
    for number in range(options.rounds):
        kinds: list[tuple[str, Callable[[], Awaitable[float]]]] = [
            (BARE, partial(trio.to_thread.run_sync, _alone, dsn, count, at_once)),
            (CROSSING, partial(_spread, trio_asyncio.aio_as_trio(_nothing), count, at_once)),
            (OURS, partial(_spread, partial(db.value, SQL, 1), count, at_once)),
        ]
        for kind, measure in kinds[:: -1 if number % 2 else 1]:
            found[kind].append(await measure())
    await db.close()
    return {"at_once": at_once, "statements": count, "us": found}


async def _nothing() -> None:
    """What crosses."""


async def _spread(call: Callable[[], Awaitable[object]], count: int, at_once: int) -> float:
    for _ in range(WARM_UP):
        await call()
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            await call()

    began = time.thread_time()
    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(caller)
    return (time.thread_time() - began) / count * 1e6


def _alone(dsn: str, count: int, at_once: int) -> float:
    async def asked() -> float:
        connections = [await asyncpg.connect(dsn) for _ in range(at_once)]

        async def ask(connection: Any, times: int) -> None:
            for _ in range(times):
                await connection.fetch(SQL, 1)

        for connection in connections:
            await ask(connection, WARM_UP // at_once + 1)
        began = time.thread_time()
        await asyncio.gather(*(ask(connection, count // at_once) for connection in connections))
        spent = time.thread_time() - began
        for connection in connections:
            await connection.close()
        return spent / (count // at_once * at_once) * 1e6

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(asked())


def _table(found: list[dict[str, Any]]) -> str:
    lines: list[str] = []
    for one in found:
        figures: dict[str, list[float]] = one["us"]
        lines.append(
            f"{one['at_once']} at once, {one['statements']:,} a round; medians (and range), µs a call"
        )
        lines += [
            f"  {kind:<36}{median(of):>8.1f}  ({min(of):.1f}-{max(of):.1f})" for kind, of in figures.items()
        ]
        ratio = median(ours / bare for ours, bare in zip(figures[OURS], figures[BARE], strict=True))
        word = "reached" if ratio <= GOAL else "MISSED"
        lines += [f"  {'through the border : driver alone':<36}{ratio:>8.2f}  goal ≤ {GOAL}  {word}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
