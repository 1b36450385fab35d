"""`majlis migrate --redis-engine`: takes the embedded Redis' data to the engine that a new data_dir would get.

Laws of this file:

1. The old directory is only read by the engine that wrote it, and kept under another name in the end.
2. The new engine works on a copy, beside. What it then holds is compared, key by key, with what the old one held.
3. Nothing is named `redis` that is not whole and on disk. A kill between any two steps leaves either directory there,
   or one of two renames to be made up for at the next start (`finish_move`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import trio

from actors.errors import MirrorUnavailable
from daemon.stores.child import last_log_line
from daemon.stores.embedded_redis import EmbeddedRedis, run_redis_engine
from daemon.stores.places import LITTLE_DISK_BYTES, EmbeddedStoreError, Places, disk_words, private_directory
from daemon.stores.redis import RedisStore
from daemon.stores.redis_content import RedisContent, content_of, difference
from daemon.stores.redis_engine import (
    MODERN,
    RECORD,
    Engine,
    UnfitEngine,
    engine_for,
    finish_move,
    preferred,
    remember,
    sync,
    written_by,
)
from daemon.stores.supervised import PROGRESS_SECONDS, OnEvent

COMMAND_SECONDS = 60.0
REWRITE_SECONDS = 1800.0
_POLL_SECONDS = 0.05
_LEFT_OUT = shutil.ignore_patterns("temp-*", RECORD, f"{RECORD}.new")


class Moved(msgspec.Struct, frozen=True):
    """What was done."""

    before: str
    after: str
    keys: int
    compared: bool
    """False where the engine that wrote the data is not here any more, so that only the new one read them."""
    kept: Path
    """The old directory, to be removed by hand."""


async def move_redis(data_dir: Path, program: Path | None, on_event: OnEvent) -> Moved | None:
    """Move the data of a daemon that does not run. None: there is nothing to do.

    Args:
      program: the setting `redis.program`.

    Raises:
      EmbeddedStoreError: it cannot be done, and nothing has changed; the text says why.
    """
    places = Places.below(data_dir)
    try:
        finish_move(places)
        writer = written_by(places.redis)
        if writer is None:
            return None
        target = await preferred(program)
        same = writer.version < MODERN or (target.name, target.program) == (writer.name, writer.program)
        if target.continues(writer) and same:
            return None
        _refuse_to_go_back(writer, target)
        _ensure_room(places)
        try:
            return await _Move(places, writer, target, on_event).run()
        except ExceptionGroup as group:  # of the nursery that the servers run in
            failed, others = group.split(EmbeddedStoreError)
            if failed is None or others is not None:
                raise
            words = f"{_only(failed)}; nothing was changed, the data stay with {writer.name}"
            raise EmbeddedStoreError(words) from failed
        finally:
            finish_move(places)  # also a copy that came to nothing holds what people wrote
    except OSError as error:  # of a copy, many, whose words are lists of paths
        why = f" ({error.strerror})" if error.strerror else ""
        words = f"the files of the data cannot be copied or renamed{why}{disk_words(places.data_dir)}"
        raise EmbeddedStoreError(
            f"{words}; the next start finds them as they were, or moved, whole"
        ) from error


def _only(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _refuse_to_go_back(writer: Engine, target: Engine) -> None:
    backwards = target.version < MODERN if writer.version >= MODERN else False
    if backwards or (target.make == writer.make and target.version[:2] < writer.version[:2]):
        raise UnfitEngine(
            f"the data in data_dir were written by {writer.name}, and {target.program} is {target.name}, which does "
            "not read them: install a newer one, or set redis.program to one"
        )


def _ensure_room(places: Places) -> None:
    """Once for the copy and once for what the new engine writes anew."""
    size = sum(file.stat().st_size for file in places.redis.rglob("*") if file.is_file())
    needed, free = 2 * size + LITTLE_DISK_BYTES, shutil.disk_usage(places.data_dir).free
    if free < needed:
        raise EmbeddedStoreError(
            f"the disk of {places.data_dir} has {free // 1024**2} MiB free, and the move needs "
            f"{needed // 1024**2} MiB: make room"
        )


class _Move:
    def __init__(self, places: Places, writer: Engine, target: Engine, on_event: OnEvent) -> None:
        self._places = places
        self._writer = writer
        self._target = target
        self._on_event = on_event
        self._told_at = trio.current_time()

    async def run(self) -> Moved:
        places, target = self._places, self._target
        before = await self._content_before()
        self._tell("copying the files")
        await trio.to_thread.run_sync(
            partial(shutil.copytree, places.redis, places.moving_redis, ignore=_LEFT_OUT, symlinks=True)
        )
        private_directory(places.moving_redis)
        remember(places.moving_redis, target)
        self._tell(f"{target.name} reads the copy")
        async with self._running(places.moving_redis, target) as redis:
            after = await content_of(redis, partial(self._progress, "read by the new engine"))
            self._compare(before, after)
            await self._rewrite(redis)
        await trio.to_thread.run_sync(_sync_tree, places.moving_redis)
        return Moved(self._writer.name, target.name, after.keys, before is not None, self._swap())

    async def _content_before(self) -> RedisContent | None:
        """What the engine holds that wrote the data; None if there is none here any more."""
        try:
            old = await engine_for(self._places.redis, None)
        except UnfitEngine:
            self._tell(f"{self._writer.name} is not here any more: what is read cannot be compared")
            return None
        self._writer = old
        self._tell(f"{old.name} reads its data")
        async with self._running(self._places.redis, old) as redis:
            return await content_of(redis, partial(self._progress, "read by the old engine"))

    def _compare(self, before: RedisContent | None, after: RedisContent) -> None:
        if before is None and not after.keys:
            wrong = "it holds nothing at all"
        else:
            wrong = difference(before, after) if before is not None else ""
        if wrong:
            raise EmbeddedStoreError(
                f"{self._target.name} does not read what {self._writer.name} wrote ({wrong})"
            )

    async def _rewrite(self, redis: RedisStore) -> None:
        """Have the new engine write all of it in its own form: it must be able to, and what it read goes away."""
        self._tell(f"{self._target.name} writes its own files")
        await redis.command("BGREWRITEAOF")
        info: dict[str, str] = {}
        with trio.move_on_after(REWRITE_SECONDS):
            while True:
                lines = (await redis.command("INFO", "persistence")).decode().splitlines()
                info = dict(line.split(":", 1) for line in lines if ":" in line)
                if info["aof_rewrite_in_progress"] == info["aof_rewrite_scheduled"] == "0":
                    break
                await trio.sleep(_POLL_SECONDS)
        if info.get("aof_last_bgrewrite_status") != "ok" or info["aof_rewrite_in_progress"] != "0":
            words = (
                f"{self._target.name} cannot write its append-only file{disk_words(self._places.data_dir)}"
            )
            raise EmbeddedStoreError(words)

    def _swap(self) -> Path:
        """Put the new directory in the old one's place; returns where the old one is."""
        places = self._places
        places.moving_redis.rename(places.moved_redis)
        sync(places.data_dir)
        kept = self._free_name()
        places.redis.rename(kept)
        sync(places.data_dir)
        finish_move(places)
        return kept

    def _free_name(self) -> Path:
        name = f"redis.before-{self._target.name.lower().replace(' ', '-')}"
        candidates = (
            self._places.data_dir / f"{name}{suffix}" for suffix in ("", *(f".{n}" for n in range(2, 1000)))
        )
        return next(path for path in candidates if not path.exists())

    @asynccontextmanager
    async def _running(self, directory: Path, engine: Engine) -> AsyncIterator[RedisStore]:
        async def run(task_status: trio.TaskStatus[EmbeddedRedis] = trio.TASK_STATUS_IGNORED) -> None:
            def first_ready(server: EmbeddedRedis) -> None:
                task_status.started(server)

            await run_redis_engine(self._places, directory, engine, self._on_event, first_ready)

        async with trio.open_nursery() as nursery:
            server: EmbeddedRedis = await nursery.start(run)
            redis = RedisStore(server.url, timeout_seconds=COMMAND_SECONDS)
            try:
                yield redis
            except MirrorUnavailable as error:
                words = f"{engine.name} stopped answering ({error}){last_log_line(self._places.logs / 'redis.log')}"
                raise EmbeddedStoreError(words) from error
            finally:
                with trio.move_on_after(COMMAND_SECONDS, shield=True):
                    await redis.close()
            nursery.cancel_scope.cancel()

    def _progress(self, what: str, keys: int) -> None:
        if trio.current_time() - self._told_at > PROGRESS_SECONDS:
            self._tell(f"{keys} keys {what}")

    def _tell(self, step: str) -> None:
        self._told_at = trio.current_time()
        self._on_event("store.moving", {"store": "redis", "step": step})


def _sync_tree(directory: Path) -> None:
    for folder, _, files in os.walk(directory):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))
