"""`make bench-waiting`: what a waiting conversation takes in Redis, and what its appends cost Redis.

The same messages are appended by the mirror's own scripts to an embedded Redis of each size of a stream's node
(`stream-node-max-bytes`), in turn, several times. The memory is the growth of `used_memory` per conversation; the
processor time is the server's own, so the load on this side does not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from unittest import mock

import trio

from actors.messages import Message, WindowPolicy
from daemon.mirror.group_commit import AppendRequest
from daemon.mirror.keys import ConversationKeys
from daemon.mirror.mirror import RedisMirror
from daemon.stores import embedded_redis
from daemon.stores.embedded_redis import run_embedded_redis
from daemon.stores.redis import RedisStore
from tests.support.mirrors import PARTITIONS, fenced_mirror
from tests.support.redis_program import tested_redis_program

NODE_BYTES = (4096, 1024)
"""The default of Redis, and ours."""
GROUP = 64
POLICY = WindowPolicy(window_seconds=3600, max_messages=50)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--conversations", type=int, default=5000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    trio.run(partial(_run, chosen.conversations, chosen.rounds))


async def _run(conversations: int, rounds: int) -> None:
    for messages in (1, 3, 8):
        found: dict[int, list[tuple[float, float]]] = {size: [] for size in NODE_BYTES}
        parts: dict[int, Counter[str]] = {}
        for _ in range(rounds):
            for size in NODE_BYTES:
                per_conversation, per_append, parts[size] = await _measure(size, conversations, messages)
                found[size].append((per_conversation, per_append))
        for size, figures in found.items():
            bytes_, micros = (sorted(column)[len(column) // 2] for column in zip(*figures, strict=True))
            keys = ", ".join(f"{name} {count}" for name, count in parts[size].most_common())
            print(  # noqa: T201
                f"{messages} waiting, nodes of {size}: {bytes_:,.0f} bytes, {micros:.1f} µs per append ({keys})"
            )


async def _measure(size: int, conversations: int, messages: int) -> tuple[float, float, Counter[str]]:
    """Bytes per conversation, the server's microseconds per append, and `MEMORY USAGE` of one conversation's keys."""
    with (
        tempfile.TemporaryDirectory(prefix="majlis-", dir="/tmp") as home,
        mock.patch.dict(embedded_redis.SETTINGS, {"stream-node-max-bytes": str(size)}),
    ):
        async with trio.open_nursery() as nursery:
            run = partial(run_embedded_redis, Path(home), on_event=_ignore, program=tested_redis_program())
            redis = RedisStore((await nursery.start(run)).url, timeout_seconds=60)
            mirror = await fenced_mirror(redis)
            memory, spent = await _info(redis)
            await _append(mirror, conversations, messages)
            memory_after, spent_after = await _info(redis)
            parts = await _parts(redis)
            await redis.close()
            nursery.cancel_scope.cancel()
    micros = (spent_after - spent) / (conversations * messages) * 1e6
    return (memory_after - memory) / conversations, micros, parts


async def _append(mirror: RedisMirror, conversations: int, messages: int) -> None:
    text = "Hello, is the green one still there, and what does it cost with delivery?"
    now = int(time.time())
    for number in range(messages):
        for first in range(0, conversations, GROUP):
            group = [
                AppendRequest(
                    Message(
                        instance="acme",
                        contact=f"55119{contact:08}",
                        id=f"3EB0{contact:08X}{number:08X}",
                        text=text,
                        sent_at=now,
                    ),
                    POLICY,
                    None,
                )
                for contact in range(first, min(first + GROUP, conversations))
            ]
            for outcome in await mirror.append_group(group):
                if isinstance(outcome, Exception):
                    raise outcome


async def _info(redis: RedisStore) -> tuple[int, float]:
    lines = [
        line.split(":", 1) for line in (await redis.command("INFO")).decode().splitlines() if ":" in line
    ]
    info = dict(lines)
    return int(info["used_memory"]), float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def _parts(redis: RedisStore) -> Counter[str]:
    contact = Message(instance="acme", contact="5511900000000", id="x", text="x", sent_at=1).conversation
    keys = ConversationKeys.of(contact.key, contact.partition(PARTITIONS))
    found = {name: await redis.command("MEMORY", "USAGE", key) for name, key in keys._asdict().items()}
    return Counter({name: size for name, size in found.items() if size})


def _ignore(_event: str, _fields: object) -> None:
    pass


if __name__ == "__main__":
    main()
