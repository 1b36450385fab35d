"""Many conversations that wait: what each takes in memory, and how soon a daemon that was killed has them again.

And whether an overloaded daemon still says how it is.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.processes import BenchBroken
from bench.servers import ROOT
from bench.turns import world
from bench.turns.home import HELD, INSTANCE, Home, start
from daemon.web.client import unix_get

LANES = 48
SETTLE_SECONDS = 5.0
RECOVER_SECONDS = 300.0
NEVER_SECONDS = 3600.0
LOOKS = 5


async def waiting(folder: Path, conversations: int) -> dict[str, Any]:
    """Bytes of the daemon and of Redis for each, and the seconds until a killed daemon has all of them again."""
    with ExitStack() as stack:
        home = await start(folder / "crowd", "crowd", ROOT, stack, log_level="info")
        await home.connect(LANES)
        await _write(home, HELD, 100, "9662")  # what the first ones take is no conversation's
        await asyncio.sleep(SETTLE_SECONDS)
        daemon, redis = _pss_bytes(home), _redis_bytes(home)
        _say(f"{conversations:,} conversations write one message each …")
        await _write(home, HELD, conversations, "9663")
        await asyncio.sleep(SETTLE_SECONDS)
        grown, grown_redis = _pss_bytes(home) - daemon, _redis_bytes(home) - redis
        _say("the daemon is killed, and starts again …")
        recovered = await _recover(home, conversations)
        home.server.processes[0].kill()  # it would answer all of them
    return {
        "conversations": conversations,
        "daemon_bytes": grown / conversations,
        "redis_bytes": grown_redis / conversations,
        **recovered,
    }


async def queued(folder: Path, turns: int) -> dict[str, Any]:
    """How soon `/metrics` and `status` answer while turns are queued: the model never answers."""
    with ExitStack() as stack:
        home = await start(folder / "queue", "queue", ROOT, stack)
        home.model_seconds = NEVER_SECONDS
        await home.connect(LANES)
        alone = await _looks(home)
        _say(f"{turns:,} conversations write to a model that does not answer …")
        await _write(home, INSTANCE, turns, "9664")
        amid = await _looks(home)
        home.server.processes[0].kill()  # it would wait for the model
    return {"turns": turns, "alone_seconds": alone, "queued_seconds": amid}


async def _write(home: Home, instance: str, count: int, prefix: str) -> None:
    left = iter(range(count))

    async def write() -> None:
        for number in left:
            data = world.message(
                f"{prefix}{number:08}", f"What is the price of kilo {number}?", f"{prefix}{number:028X}"
            )
            await home.post(instance, world.event("messages.upsert", instance, data))

    await asyncio.gather(*(write() for _ in range(LANES)))


async def _recover(home: Home, conversations: int) -> dict[str, float]:
    """Seconds, and processor seconds of daemon and stores: on a busy machine the latter say more."""
    process = home.server.processes[0]
    process.kill()
    killed_at = time.monotonic()
    await home.launch(RECOVER_SECONDS)
    while _recovered(home.log) < conversations:
        if time.monotonic() - killed_at > RECOVER_SECONDS:
            raise BenchBroken(f"{_recovered(home.log):,} conversations are recovered, not {conversations:,}")
        await asyncio.sleep(0.1)
    took = time.monotonic() - killed_at
    return {
        "recovered_seconds": took,
        **{f"recovery_cpu_{role}": s for role, s in home.server.cpu_seconds().items()},
    }


def _recovered(log: Path) -> int:
    """Conversations that have an actor or a timer again, by the daemon's events."""
    found = (json.loads(line) for line in log.read_text().splitlines() if "recovery.finished" in line)
    return sum(event["conversations"] for event in found)


async def _looks(home: Home) -> dict[str, float]:
    """Seconds until each answers, medians."""

    async def metrics() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        if not answer.startswith(b"HTTP/1.1 200"):
            raise BenchBroken(f"/metrics is answered {answer[:60]!r}")

    async def status() -> None:
        code, _ = await asyncio.to_thread(unix_get, str(home.admin_socket), "/v1/status")
        if code != 200:
            raise BenchBroken(f"status is answered {code}")

    found = {}
    for name, look in (("/metrics", metrics), ("status", status)):
        times = []
        for _ in range(LOOKS):
            since = time.monotonic()
            await look()
            times.append(time.monotonic() - since)
        found[name] = statistics.median(times)
    return found


def _pss_bytes(home: Home) -> int:
    """The memory of the daemon's process: its share of what it shares."""
    lines = Path(f"/proc/{home.server.processes[0].pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _redis_bytes(home: Home) -> int:
    with home.server.redis() as store:
        return int(store.info("memory")["used_memory"])


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
