"""Helpers for tests that run embedded servers: start, query, kill, inspect processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
import trio

from daemon.stores.embedded_postgres import EmbeddedPostgres, run_embedded_postgres
from daemon.stores.embedded_redis import EmbeddedRedis, run_embedded_redis
from daemon.stores.places import EmbeddedStoreError
from tests.support.patience import PATIENCE_SECONDS, until
from tests.support.redis_program import tested_redis_program

ROOT = Path(__file__).parents[3]


@dataclass
class Events:
    """The events of the servers."""

    seen: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)

    def __call__(self, event: str, fields: Mapping[str, object]) -> None:
        self.seen.append((event, fields))

    def count(self, event: str) -> int:
        return sum(1 for name, _ in self.seen if name == event)


@asynccontextmanager
async def running_redis(
    data_dir: Path, events: Events | None = None, chooses: bool = False
) -> AsyncIterator[EmbeddedRedis]:
    """`chooses`: the engine as without the setting `redis.program`; else the one that is tested."""
    program = None if chooses else tested_redis_program()
    async with trio.open_nursery() as nursery:
        run = partial(run_embedded_redis, data_dir, on_event=events or Events(), program=program)
        yield await nursery.start(run)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def running_postgres(data_dir: Path, events: Events | None = None) -> AsyncIterator[EmbeddedPostgres]:
    async with trio.open_nursery() as nursery:
        run = partial(run_embedded_postgres, data_dir, on_event=events or Events())
        yield await nursery.start(run)
        nursery.cancel_scope.cancel()


async def ask_redis(url: str, *command: str) -> Any:
    def ask() -> Any:
        with redis.Redis.from_url(url, decode_responses=True, socket_timeout=PATIENCE_SECONDS) as client:
            return client.execute_command(*command)

    return await trio.to_thread.run_sync(ask)


async def ask_postgres(dsn: str, sql: str) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(dsn, timeout=PATIENCE_SECONDS)
        try:
            return await connection.fetchval(sql, timeout=PATIENCE_SECONDS)
        finally:
            connection.terminate()

    return await trio.to_thread.run_sync(lambda: asyncio.run(ask()))


async def refused(run: Callable[..., Awaitable[None]], data_dir: Path, match: str) -> None:
    """Assert that the server does not start and that its error matches."""
    with trio.fail_after(PATIENCE_SECONDS), pytest.raises(EmbeddedStoreError, match=match):
        await run(data_dir, on_event=Events())


def processes_in(data_dir: Path) -> list[int]:
    """The running processes whose working directory is below `data_dir`."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if (entry / "cwd").readlink().is_relative_to(data_dir.resolve()):
                found.append(int(entry.name))
    return found


async def kill(data_dir: Path, start: Callable[[], int | None], events: Events) -> None:
    """Kill a server and wait until a new one has replaced it."""
    first, lives = start(), events.count("store.ready")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: events.count("store.ready") > lives)
    assert start() not in (None, first)


PARENT = """
import json, sys, trio
from functools import partial
from pathlib import Path
from daemon.stores.embedded_postgres import run_embedded_postgres
from daemon.stores.embedded_redis import run_embedded_redis

async def main():
    data_dir, ignore = Path(sys.argv[1]), lambda event, fields: None
    async with trio.open_nursery() as nursery:
        redis = await nursery.start(partial(run_embedded_redis, data_dir, on_event=ignore))
        postgres = await nursery.start(partial(run_embedded_postgres, data_dir, on_event=ignore))
        print(json.dumps({"redis": redis.pid, "postgres": postgres.pid}), flush=True)

trio.run(main)
"""


@asynccontextmanager
async def a_daemon(
    data_dir: Path, **environment: str
) -> AsyncIterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """Run both stores in a separate process; yields it and the process ids of the stores."""
    with start_python(PARENT, data_dir, environment) as process:
        assert process.stdout
        try:
            yield process, json.loads(await trio.to_thread.run_sync(process.stdout.readline))
        finally:
            process.kill()


def start_python(script: str, data_dir: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()
