"""The daemon's process life: start, ready, drain, end. Its parts are put together in `daemon/run/daemon.py`.

Laws of this file:
1. The listener opens first and stays until the end: until ready, and while draining, it answers 503, so that the
   gateway sends again. It never restarts because of another part.
2. Ready means: stores checked, leases held, partitions fenced, everything left behind picked up again.
3. Stop in two phases: no new work, then `drain_seconds` for what runs, then cancel. What is left is in the mirror.
   A second signal goes straight to the cancel.
4. Where a service manager holds the listening socket, a restart refuses nobody: webhooks are acknowledged until the
   drain is over, because they are durable at once and the next process answers them; only then does accepting end. New
   connections wait until the next process is ready, or for `HELD_DOOR_SECONDS` of its start; then law 1 applies.
5. SIGHUP reloads settings; from a terminal that closes it is a stop.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import trio

from actors.errors import MajlisError
from actors.ports import Feed
from daemon.observe.readiness import Health
from daemon.operate import AdminApi
from daemon.operate.call import Caller
from daemon.operate.stop import Stop, StopCause
from daemon.run.watchdog import Watchdog
from daemon.web.http1 import HttpServer, Request, Response, UnixListener, json_response

CLOSE_SECONDS = 2.0
"""For requests still being answered when everything else has ended."""

HELD_DOOR_SECONDS = 10.0
"""Within the time that gateways wait for an answer."""


class CannotStart(MajlisError):
    """The daemon cannot start as it is set up; the text is a sentence that says what to change."""


class Running(Protocol):
    """The parts that do the work, once the stores are up."""

    async def start(self, work: trio.Nursery) -> None:
        """Check the stores, take up what was left behind; returns when ready."""

    async def drain(self) -> None:
        """Finish what runs; bounded by the caller."""

    def halt(self) -> None:
        """End what still runs; it is safe in the mirror."""

    async def close(self) -> None:
        """Give up leases and connections; bounded by itself."""


DoorListeners = Sequence[trio.SocketListener | UnixListener]
BringUp = Callable[[trio.Nursery], Awaitable[Running]]


class Life:
    def __init__(
        self,
        *,
        ingress: HttpServer,
        admin: HttpServer,
        health: Health,
        feed: Feed,
        drain_seconds: float,
        bring_up: BringUp,
        on_ready: Callable[[trio.Nursery], None],
        watchdog: Watchdog,
        stop: Stop,
        door_is_held: bool,
    ) -> None:
        """Args:
        bring_up: starts the embedded stores in the nursery and makes all other parts.
        on_ready: called once with the nursery of the work, when everything that was left behind is picked up.
        stop: asked for by SIGTERM and SIGINT, or by another part that wants the daemon to stop.
        door_is_held: another process keeps the listening sockets open when this one ends.
        """
        self._ingress = ingress
        self._admin = admin
        self._health = health
        self._feed = feed
        self._drain_seconds = drain_seconds
        self._bring_up = bring_up
        self._on_ready = on_ready
        self._watchdog = watchdog
        self._door_is_held = door_is_held
        self._stop = stop
        self._ready = trio.Event()
        self._door_is_open = False
        self._running: Running | None = None
        self._exit_status = 0

    async def run(self, listeners: DoorListeners, admin: UnixListener) -> int:
        """Run until a signal ends it; returns the exit status.

        Raises:
          CannotStart: a store cannot be started as it is set up.
        """
        async with trio.open_nursery() as doors:
            await doors.start(self._watch_signals, doors.cancel_scope)
            await doors.start(self._watchdog.run)
            if self._door_is_held:
                doors.start_soon(self._open_late, listeners, name="ingress door")
            else:
                self._door_is_open = True
                await doors.start(lambda task_status: self._ingress.serve(listeners, task_status=task_status))
            await doors.start(lambda task_status: self._admin.serve([admin], task_status=task_status))
            async with trio.open_nursery() as stores:
                async with trio.open_nursery() as work:
                    work.start_soon(self._start, stores, work, name="start")
                    await self._drain(await self._stop.wait())
                    work.cancel_scope.cancel()
                await self._close()
                stores.cancel_scope.cancel()
            doors.cancel_scope.cancel()
        self._feed.emit("daemon.stopped")
        return self._exit_status

    async def _open_late(self, listeners: DoorListeners) -> None:
        with trio.move_on_after(HELD_DOOR_SECONDS):
            await self._ready.wait()
        if self._stop.cause is None:
            self._door_is_open = True
            await self._ingress.serve(listeners)

    async def _shut(self, patient: bool = False) -> None:
        """Accept nothing more and finish what was asked."""
        if self._door_is_open:
            with trio.move_on_after(CLOSE_SECONDS):
                await self._ingress.drain(patient)

    async def _start(self, stores: trio.Nursery, work: trio.Nursery) -> None:
        self._running = await self._bring_up(stores)
        await self._running.start(work)
        self._health.started()
        self._on_ready(work)
        self._ready.set()
        self._watchdog.ready()

    async def _drain(self, cause: StopCause) -> None:
        self._watchdog.stopping(self._drain_seconds, cause.words)
        if not self._door_is_held:
            self._health.drain()
        self._feed.emit("daemon.draining", None, seconds=self._drain_seconds, **cause.fields)
        if self._running is not None:
            with trio.move_on_after(self._drain_seconds):
                await self._running.drain()
            self._running.halt()
        if self._door_is_held:
            await self._shut(patient=True)
            self._health.drain()

    async def _close(self) -> None:
        if self._running is not None:
            await self._running.close()
        await self._shut()
        with trio.move_on_after(CLOSE_SECONDS):
            await self._admin.drain()

    async def _watch_signals(
        self, everything: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        closes_with_terminal = _has_terminal()
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP and not closes_with_terminal:
                    self._watchdog.reload()
                    continue
                if self._stop.cause is not None:
                    self._feed.emit("daemon.cut_short", signal=signal.Signals(number).name)
                    self._exit_status = 128 + number
                    everything.cancel()
                    return
                self._stop.ask(StopCause(signal=signal.Signals(number).name))


def _has_terminal() -> bool:
    """Whether a terminal controls this process: it sends SIGHUP when it closes."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


@contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[None]:
    """Hold `data_dir` for this process.

    Raises:
      CannotStart: another daemon runs on it, or it cannot be written.
    """
    path = data_dir / "run" / "majlis.lock"
    try:
        # One by one: `parents` would leave data_dir open to everyone. One that is there keeps its mode, since other
        # things may be in it; `majlis doctor` says so.
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        for folder in (data_dir, path.parent):
            folder.mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(cannot_write(data_dir, "data_dir", error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        words = f"another majlis runs on {data_dir}: stop it first, or give this one a data_dir of its own."
        raise CannotStart(words) from error
    finally:
        os.close(descriptor)


_MENDS = {
    errno.ENOSPC: "its disk is full, make room",
    errno.EDQUOT: "this user's quota on its disk is used up, make room or raise it",
    errno.EROFS: "its disk is read-only, mount it writable",
    errno.EIO: "its disk fails, check it",
    errno.ENOTDIR: "it is not a directory, move that file away",
    errno.EEXIST: "it is not a directory, move that file away",
    errno.EMFILE: "too many files are open, raise the limit (LimitNOFILE)",
    errno.ENFILE: "too many files are open on this machine, raise fs.file-max",
}


def cannot_write(place: Path, setting: str, error: OSError) -> str:
    """A sentence about a place that cannot be written: the cause, and what to do."""
    mend = _MENDS.get(error.errno or 0, "give this user write access")
    return f"{place} cannot be used ({error.strerror or error}): {mend}, or set {setting}."


def cannot_listen(listen: str, error: Exception) -> str:
    """A sentence about the webhooks' door, or another TCP door, that cannot be opened."""
    if listen.startswith("unix:"):
        path = Path(listen.removeprefix("unix:"))
        if isinstance(error, FileExistsError | ValueError) or not isinstance(error, OSError):
            return f"{listen} cannot be listened on: {error}; set ingress.listen to another path."
        return f"{listen} cannot be listened on: {cannot_write(path, 'ingress.listen', error)}"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"{listen} is taken by another program: stop it, or set ingress.listen to a free port."
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return f"this user may not listen on {listen}: set ingress.listen to a port above 1023."
    return f"{listen} cannot be listened on: {error}."


def cannot_open_admin(admin_socket: Path, error: Exception) -> str:
    """A sentence about an admin socket that cannot be made."""
    if isinstance(error, FileExistsError | ValueError) or not isinstance(error, OSError):
        return (
            f"the admin socket cannot be opened: {error}; set admin.socket to another path ({admin_socket})."
        )
    return f"the admin socket cannot be opened: {cannot_write(admin_socket, 'admin.socket', error)}"


class AdminDoor:
    """The admin interface from the first moment on: until the stores run, it answers that the daemon is starting.

    Args:
      api: None until the stores run.
    """

    def __init__(self, health: Health, api: Callable[[], AdminApi | None]) -> None:
        self._health = health
        self._api = api

    async def handle(self, request: Request) -> Response:
        """For the admin socket, whose peers the kernel names."""
        api = self._api()
        return self._starting() if api is None else await api.handle(request)

    async def answer(self, request: Request, caller: Caller) -> Response:
        """For a caller that another door let in."""
        api = self._api()
        return self._starting() if api is None else await api.answer(request, caller)

    def _starting(self) -> Response:
        words = f"this cannot be done yet: {' '.join(self._health.readiness().reasons)}"
        return json_response(503, {"status": "error", "reason": "starting", "message": words})
