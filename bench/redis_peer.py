"""The other side of `bench.redis_border`: bare redis.asyncio under plain asyncio. Prints µs per GET and per append."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio

from actors.messages import Message
from daemon.mirror import scripts
from daemon.mirror.keys import place

PARTITIONS, INSTALLATION = 8, "ours"
Call = Callable[[int], Awaitable[Any]]


def _message(number: int) -> Message:
    return Message("theirs", f"5511{number:09}", f"M{number}", "Hello there", sent_at=1_700_000_000)


async def _measure(url: str, callers: int, calls: int, first: int) -> tuple[float, float]:
    client: Any = redis.asyncio.Redis.from_url(url, max_connections=callers, protocol=2)
    script = client.register_script(scripts.APPEND.text)
    await script(keys=_keys(_message(0)), args=_arguments(_message(0)))

    def append(number: int) -> Any:
        message = _message(first + number)
        return client.evalsha(scripts.APPEND.sha, 7, *_keys(message), *_arguments(message))

    get = await _spread_on_asyncio(lambda _: client.get("nothing"), callers, calls)
    appends = await _spread_on_asyncio(append, callers, calls)
    await client.aclose()
    return get, appends


def _keys(message: Message) -> tuple[str, ...]:
    _, own, shared = place(message.conversation, PARTITIONS)
    return own.queue, own.state, own.seen, shared.due, shared.active, shared.totals, shared.lock


def _arguments(message: Message) -> tuple[str | int, ...]:
    text = '{"text":"Hello there"}'
    return (
        message.conversation.key,
        message.id,
        text,
        3_600_000,
        50,
        1000,
        "",
        "acknowledged",
        0,
        "",
        INSTALLATION,
    )


async def _spread_on_asyncio(call: Call, callers: int, calls: int) -> float:
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    await call(calls)
    before = time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return (time.process_time() - before) / calls * 1e6


if __name__ == "__main__":
    print(*asyncio.run(_measure(sys.argv[1], *map(int, sys.argv[2:]))))  # noqa: T201
