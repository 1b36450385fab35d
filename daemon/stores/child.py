"""One server process: started under the guard, watched without blocking, stopped, and never outliving the daemon.

Rules of this file:

- One data directory has one server. The server inherits the lock on its directory as an open file description, so the
  lock is held exactly as long as any process of that server lives, whatever happened to the daemon that started it.
- A child is started by `subprocess.Popen` in the thread that runs Trio. The kernel sends the parent-death signal when
  the *thread* that forked ends: a worker thread, which `trio.run_process` uses, would kill the child when it retires.
- A child has its own session: Ctrl-C in a terminal reaches only the daemon, which needs its stores while it drains.
- A child gets only the environment variables that a server needs: secrets given to the daemon are not passed on.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import trio

from daemon.stores import child_guard
from daemon.stores.places import EmbeddedStoreError

Sign = Literal["ready", "starting", "silent"]

LOCK_SECONDS = 30.0  # how long to wait for an earlier server, still shutting down after its daemon was killed
STOP_SECONDS = 8.0  # after each of the stop signals
KILL_SECONDS = 5.0
STOP_LIMIT_SECONDS = 30.0  # for the whole stop

_POLL_SECONDS = 0.02
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
_OWN_USER = "-"


@dataclass(frozen=True)
class Server:
    """How to run one server.

    Attributes:
      name: its name in events and errors.
      command: the program and its arguments.
      directory: its data and its working directory.
      lock_path: the lock on that data.
      log_path: receives its output.
      stop_signals: gentlest first; SIGKILL follows the last one.
      parent_death_signal: the signal the kernel sends it when the daemon dies.
      ids: `uid:gid` to appear as in a user namespace of its own, or `-` for no namespace.
      prepare: called before each start, under the lock; may refuse it by an `EmbeddedStoreError`.
      probe: tells the state of the server with the given process id; returns within seconds.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    lock_path: Path
    log_path: Path
    stop_signals: tuple[signal.Signals, ...]
    parent_death_signal: signal.Signals
    ids: str
    prepare: Callable[[], Awaitable[None]]
    probe: Callable[[int], Awaitable[Sign]]


def ids_for_a_server_that_refuses_root() -> str:
    """The `Server.ids` with which Postgres agrees to run.

    It refuses user id 0, and a user id without a name. Both are solved by a user namespace in which the daemon's user
    appears as some ordinary user of the system. Outside the namespace, files stay owned by the daemon's user.

    Raises:
      EmbeddedStoreError: this system has no ordinary user.
    """
    if os.geteuid() != 0:
        with suppress(KeyError):
            pwd.getpwuid(os.geteuid())
            return _OWN_USER
    for entry in pwd.getpwall():
        if entry.pw_uid != 0:
            return f"{entry.pw_uid}:{entry.pw_gid}"
    raise EmbeddedStoreError(
        "Postgres needs an ordinary user in /etc/passwd, and this system has none: add one"
    )


async def take_lock(path: Path, name: str) -> int:
    """Lock `path` and return the file descriptor. Waits up to `LOCK_SECONDS` for a server that is still shutting down.

    Raises:
      EmbeddedStoreError: another server holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = trio.current_time() + LOCK_SECONDS
        while not _locked(descriptor):
            if trio.current_time() > deadline:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise EmbeddedStoreError(
                    f"another {name} (process {holder}) still uses this data_dir: stop it, then start again"
                )
            await trio.sleep(_POLL_SECONDS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def spawn(server: Server, lock: int, stdin: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start the server's command under the guard. Call it in the thread that runs Trio, see the module docstring."""
    guard = [sys.executable, "-I", "-S", child_guard.__file__]
    tie = [str(os.getpid()), str(int(server.parent_death_signal)), server.ids]
    with server.log_path.open("ab") as log:
        process = subprocess.Popen(  # returns after the fork; nothing here waits for the child
            [*guard, *tie, *server.command],
            stdin=stdin or subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=server.directory,
            env=server_environment(),
            pass_fds=(lock,),
            start_new_session=True,
            umask=0o077,
        )
    with suppress(OSError):  # only used in the error message of `take_lock`
        os.pwrite(lock, f"{process.pid:<31}\n".encode(), 0)
    return process


def server_environment() -> dict[str, str]:
    """What a server, or one that is asked for its version, is told of our own environment."""
    return {"LC_ALL": "C"} | {key: os.environ[key] for key in _PASSED_ON if key in os.environ}


async def exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for a child to end, without blocking the thread; returns its exit status."""
    if process.poll() is None:
        descriptor = os.pidfd_open(process.pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
    return process.wait()


async def stop(process: subprocess.Popen[bytes], gently: tuple[signal.Signals, ...] = ()) -> signal.Signals:
    """End a child, gently first; returns the last signal sent.

    Call it inside a shielded scope of `STOP_LIMIT_SECONDS`, so that the child is stopped even if the caller is
    cancelled.
    """
    bounds = [(number, STOP_SECONDS) for number in gently]
    for number, seconds in (*bounds, (signal.SIGKILL, KILL_SECONDS)):
        process.send_signal(number)
        with trio.move_on_after(seconds):
            await exit_of(process)
            return number
    return signal.SIGKILL


def why_ended(status: int) -> str:
    """Describe an exit status in words, as the rest of a sentence that begins with the name of the program."""
    if status == child_guard.NAMESPACE_REFUSED:
        return (
            "does not run as root, and this system refuses user namespaces: "
            "run Majlis as an ordinary user, or set postgres.dsn to a server of your own"
        )
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def last_log_line(log_path: Path) -> str:
    """The last line of the log and where to read the rest, to be appended to an error message."""
    with suppress(OSError), log_path.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
        lines = log.read().decode("utf-8", "replace").strip().splitlines()
        if lines:
            return f"; its last log line is: {lines[-1].strip()} (more in {log_path})"
    return ""
