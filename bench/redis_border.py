"""`make bench-redis`: processor time per Redis GET and per append through our border, beside bare redis.asyncio.

Both talk to one embedded Redis on one machine, in turn, several times; an append is the mirror's own script with the
same arguments on both sides. Only this process counts, so the load of others hardly does.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from actors.messages import Message, WindowPolicy
from daemon.mirror.group_commit import GroupCommit
from daemon.mirror.mirror import RedisMirror
from daemon.stores.redis import RedisStore
from tests.support.mirrors import INSTALLATION, PARTITIONS, fenced_mirror
from tests.support.stores import redis_in_a_thread

POLICY = WindowPolicy(window_seconds=3600, max_messages=50)
CALLERS = (1, 10, 100)
Call = Callable[[int], Awaitable[object]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", type=int, default=5000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="majlis-", dir="/tmp") as home,
        redis_in_a_thread(Path(home)) as server,
    ):
        trio.run(_stamp, server.url)
        for callers in CALLERS:
            found: dict[str, list[tuple[float, float]]] = {"GET": [], "append": []}
            for number in range(chosen.rounds):
                first = number * chosen.calls
                ours = trio.run(_ours, server.url, callers, chosen.calls, first)
                theirs = _theirs(server.url, callers, chosen.calls, first)
                for what, mine, other in zip(found, ours, theirs, strict=True):
                    found[what].append((mine, other))
            for what, pairs in found.items():
                mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
                print(  # noqa: T201
                    f"{what:6} {callers:4} callers: {mine:6.1f} µs, redis.asyncio {other:6.1f} µs, "
                    f"ratio {mine / other:.2f}"
                )


def _theirs(url: str, callers: int, calls: int, first: int) -> list[float]:
    """In a process of its own: what is imported here changes asyncio."""
    command = [sys.executable, "-m", "bench.redis_peer", url, str(callers), str(calls), str(first)]
    return [float(word) for word in subprocess.run(command, check=True, capture_output=True).stdout.split()]


async def _stamp(url: str) -> None:
    redis_store = RedisStore(url)
    await fenced_mirror(redis_store)
    await redis_store.close()


def _message(number: int, who: str) -> Message:
    return Message(
        instance=who, contact=f"5511{number:09}", id=f"M{number}", text="Hello there", sent_at=1_700_000_000
    )


async def _ours(url: str, callers: int, calls: int, first: int) -> tuple[float, float]:
    store = RedisStore(url)
    store.expect(INSTALLATION)
    mirror = RedisMirror(store, PARTITIONS, appends=store.apart("appends"))
    group = GroupCommit(mirror.append_group, lambda *_: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(group.run)
        get = await _spread(lambda _: store.command("GET", "nothing"), callers, calls)
        append = await _spread(
            lambda number: group.append(_message(first + number, "ours"), POLICY), callers, calls
        )
        nursery.cancel_scope.cancel()
    await store.close()
    return get, append


async def _spread(call: Call, callers: int, calls: int) -> float:
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    await call(calls)  # connects
    before = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    return (time.process_time() - before) / calls * 1e6


if __name__ == "__main__":
    main()
