"""Keeps one server running: waits until it answers, restarts it when it dies, stops it with the daemon.

The first start succeeds or raises. After that, the server is restarted whenever it dies, with a growing delay, without
ever giving up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import trio

from daemon.stores.child import (
    STOP_LIMIT_SECONDS,
    Server,
    exit_of,
    last_log_line,
    spawn,
    stop,
    take_lock,
    why_ended,
)
from daemon.stores.places import EmbeddedStoreError, disk_words

OnEvent = Callable[[str, Mapping[str, object]], None]

SILENCE_SECONDS = 60.0  # give up on a starting server that shows no sign of life for this long
START_SECONDS = 1800.0  # a starting server that does may load a large file or recover for this long
FIRST_BACKOFF_SECONDS = 0.1
MAX_BACKOFF_SECONDS = 5.0
HEALTHY_SECONDS = 30.0  # after running this long, the next crash starts with the first backoff again
PROGRESS_SECONDS = 5.0
LOG_CHECK_SECONDS = 60.0
MAX_LOG_BYTES = 4 * 1024 * 1024

_PROBE_EVERY_SECONDS = 0.02


class Supervised:
    """One server under supervision."""

    def __init__(self, server: Server, on_event: OnEvent) -> None:
        self._server = server
        self._on_event = on_event
        self._was_ready = False
        self.pid: int | None = None
        """The process id while the server runs; None between a crash and the next start."""

    async def run(self, first_ready: Callable[[], None]) -> None:
        """Keep the server running until cancelled, then stop it within `STOP_LIMIT_SECONDS`.

        Args:
          first_ready: called once, when the server first answers.

        Raises:
          EmbeddedStoreError: the first start failed.
        """
        backoff_seconds = FIRST_BACKOFF_SECONDS
        while True:
            began = trio.current_time()
            try:
                reason = await self._run_once(first_ready)
            except (EmbeddedStoreError, OSError) as error:
                if not self._was_ready:
                    raise as_store_error(self._server.name, error, self._server.directory) from error
                reason = str(error)
            if trio.current_time() - began > HEALTHY_SECONDS:
                backoff_seconds = FIRST_BACKOFF_SECONDS
            self._emit("store.died", reason=reason, restart_in_seconds=backoff_seconds)
            await trio.sleep(backoff_seconds)
            backoff_seconds = min(backoff_seconds * 2, MAX_BACKOFF_SECONDS)

    async def _run_once(self, first_ready: Callable[[], None]) -> str:
        """Run the server once; returns why it ended."""
        server = self._server
        lock = await take_lock(server.lock_path, server.name)
        try:
            await server.prepare()
            rotate_log(server.log_path)
            process = spawn(server, lock)
        finally:
            os.close(lock)  # the server has inherited it and holds it from here on
        self.pid = process.pid
        try:
            await self._until_ready(process)
            self._emit("store.ready", pid=process.pid)
            if not self._was_ready:
                self._was_ready = True
                first_ready()
            while process.poll() is None:
                with trio.move_on_after(LOG_CHECK_SECONDS):
                    await exit_of(process)
                rotate_log(server.log_path)
            return why_ended(process.returncode)
        finally:
            with trio.move_on_after(STOP_LIMIT_SECONDS, shield=True):
                await self._stop(process)
            self.pid = None

    async def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        name, log_path = self._server.name, self._server.log_path
        began = last_sign = reported = trio.current_time()
        while True:
            if process.poll() is not None:
                raise EmbeddedStoreError(f"{name} {why_ended(process.returncode)}{last_log_line(log_path)}")
            sign = await self._server.probe(process.pid)
            now = trio.current_time()
            if sign == "ready":
                return
            if sign == "starting":
                last_sign = now
            if now - last_sign > SILENCE_SECONDS or now - began > START_SECONDS:
                raise EmbeddedStoreError(
                    f"{name} did not become ready in {now - began:.0f} s{last_log_line(log_path)}"
                )
            if now - reported > PROGRESS_SECONDS:
                reported = now
                self._emit("store.waiting", sign=sign, waited_seconds=round(now - began, 1))
            await trio.sleep(_PROBE_EVERY_SECONDS)

    async def _stop(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            return
        last_signal = await stop(process, self._server.stop_signals)
        if process.returncode is None:
            self._emit("store.stuck", pid=process.pid)
        else:
            self._emit("store.stopped", signal=last_signal.name)

    def _emit(self, event: str, **fields: object) -> None:
        self._on_event(event, {"store": self._server.name, **fields})


def rotate_log(log_path: Path) -> None:
    """Rotate a log larger than `MAX_LOG_BYTES`. It is truncated in place, so the process that appends to it goes on."""
    with suppress(OSError):  # a log that cannot be rotated must not take a store down
        if log_path.stat().st_size > MAX_LOG_BYTES:
            shutil.copyfile(log_path, log_path.with_suffix(".log.1"))
            os.truncate(log_path, 0)


def as_store_error(name: str, error: Exception, directory: Path) -> EmbeddedStoreError:
    """The error of a first start, as an `EmbeddedStoreError` that says what is wrong with the disk, if anything is."""
    words = str(error) if isinstance(error, EmbeddedStoreError) else f"{name} cannot be started: {error}"
    return EmbeddedStoreError(words + disk_words(directory))
