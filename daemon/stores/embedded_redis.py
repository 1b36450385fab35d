"""The embedded Redis: listens on a Unix socket only, and writes to disk before it answers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from daemon.stores.child import Server, Sign
from daemon.stores.places import Places, private_directory
from daemon.stores.redis_engine import (
    APPEND_ONLY_FOLDER,
    Engine,
    UnfitEngine,
    engine_for,
    finish_move,
    look_at,
    remember,
    written_by,
)
from daemon.stores.supervised import OnEvent, Supervised, as_store_error

STREAM_NODE_BYTES = 1024
_PROBE_SECONDS = 2.0

SETTINGS = {  # every one of Redis 6.2 to 8 and Valkey 7.2 to 9 knows these
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "always",  # an acknowledged write survives a power cut
    "no-appendfsync-on-rewrite": "no",
    "aof-use-rdb-preamble": "yes",
    "aof-load-truncated": "yes",  # a kill may cut the last command short; it was never acknowledged
    "auto-aof-rewrite-percentage": "100",
    "auto-aof-rewrite-min-size": "64mb",
    "save": "",
    "maxmemory": "2gb",  # when full: webhooks get 503, turns go on and free memory; without a limit: the OOM killer
    "maxmemory-policy": "noeviction",
    # A waiting conversation is a few entries, and the first of them would reserve a node of 4 KiB for all to come.
    "stream-node-max-bytes": str(STREAM_NODE_BYTES),
    "crash-log-enabled": "no",  # a crash report contains the arguments of the last command, hence messages of customers
    "loglevel": "notice",
}


@dataclass(frozen=True)
class EmbeddedRedis:
    """A running Redis. `url` is for redis-py and stays the same across restarts of the process."""

    url: str
    _supervised: Supervised

    @property
    def pid(self) -> int | None:
        """The server's process id; None between a crash and the next start."""
        return self._supervised.pid


async def run_embedded_redis(
    data_dir: Path,
    *,
    on_event: OnEvent,
    program: Path | None = None,
    task_status: trio.TaskStatus[EmbeddedRedis] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run Redis on `<data_dir>/redis` until cancelled; start it with `nursery.start`.

    `program` is the setting `redis.program`; `redis_engine.py` says what runs without one.

    Events: `store.ready`, `store.waiting`, `store.died`, `store.stopped`, `store.stuck`, each with `store="redis"`.

    Raises:
      EmbeddedStoreError: it cannot be started on this system; the message says what to change.
    """
    places = Places.below(data_dir)
    directory = places.redis
    try:
        finish_move(places)
        private_directory(directory)
    except OSError as error:
        raise as_store_error("redis", error, directory) from error
    engine = await engine_for(directory, program)

    def first_ready(redis: EmbeddedRedis) -> None:
        task_status.started(redis)

    await run_redis_engine(places, directory, engine, on_event, first_ready)


async def run_redis_engine(
    places: Places,
    directory: Path,
    engine: Engine,
    on_event: OnEvent,
    first_ready: Callable[[EmbeddedRedis], None],
) -> None:
    """Run one engine on one directory until cancelled; it is recorded as the writer of what is in there.

    Args:
      first_ready: called once, when it first answers.

    Raises:
      EmbeddedStoreError: it cannot be started, or is not what it was any more.
    """
    supervised = Supervised(_server(places, directory, engine), on_event)
    redis = EmbeddedRedis(f"unix://{places.redis_socket}?db=0", supervised)
    try:
        await supervised.run(first_ready=lambda: first_ready(redis))
    finally:
        places.forget_sockets()


def _server(places: Places, directory: Path, engine: Engine) -> Server:
    settings = {"dir": str(directory), "unixsocket": str(places.redis_socket), **SETTINGS}
    options = [part for key, value in settings.items() for part in (f"--{key}", value)]

    async def prepare() -> None:
        places.ensure_sockets()
        for folder in (directory, directory / APPEND_ONLY_FOLDER):
            for leftover in folder.glob("temp-*"):
                leftover.unlink()  # from an AOF rewrite that a kill interrupted; Redis never uses it again
        # An update of the system may have changed the program since the last start.
        remember(directory, await _as_it_is_now(directory, engine))

    async def probe(_pid: int) -> Sign:
        return await _ping(places.redis_socket)

    return Server(
        name="redis",
        command=(engine.program, *options),
        directory=directory,
        lock_path=places.data_dir / "redis.lock",
        log_path=places.logs / "redis.log",
        stop_signals=(signal.SIGTERM,),
        # A kill loses nothing (appendfsync always), and a server busy with a script ignores gentler signals.
        parent_death_signal=signal.SIGKILL,
        ids="-",
        prepare=prepare,
        probe=probe,
    )


async def _as_it_is_now(directory: Path, engine: Engine) -> Engine:
    found, writer = await look_at(Path(engine.program), engine.source), written_by(directory)
    if writer is not None and not found.continues(writer):
        raise UnfitEngine(
            f"the data in {directory} were written by {writer.name}, and {found.program} is {found.name} now: "
            "start the daemon again, which looks for another"
        )
    return found


async def _ping(socket: Path) -> Sign:
    answer = b""
    with trio.move_on_after(_PROBE_SECONDS):
        try:
            async with await trio.open_unix_socket(socket) as stream:
                await stream.send_all(b"PING\r\n")
                while not answer.endswith(b"\r\n"):
                    received = await stream.receive_some()
                    if not received:
                        break
                    answer += received
        except (OSError, trio.BrokenResourceError):
            return "silent"
    if answer.startswith(b"-LOADING"):
        return "starting"
    return "ready" if answer else "silent"  # any answer will do: daemon/mirror/checks.py checks the settings
