"""One server process: started under the guard, watched without blocking, stopped, and never outliving the daemon.

The laws of this file:

- One data directory has one server. The lock on it is a file description that the server itself inherits, so it is
  held exactly as long as any process of that server lives, whatever became of the daemon that started it.
- A child is started by `subprocess.Popen` in the thread that runs Trio. The parent-death signal fires when the
  *thread* that forked ends, so a worker thread (which is what `trio.run_process` uses) would kill the child when it
  retires.
- A child has its own session: a terminal's Ctrl-C reaches the daemon alone, which still needs its stores to drain.
- A child sees no environment but what a server needs: keys given to the daemon stay with it.
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

LOCK_SECONDS = 30.0  # an earlier server, left dying by a killed daemon, is waited for as long
STOP_SECONDS = 8.0  # for each of the stop signals
KILL_SECONDS = 5.0
STOP_LIMIT_SECONDS = 30.0  # for all of them together

_POLL_SECONDS = 0.02
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
_OWN_USER = "-"


@dataclass(frozen=True)
class Server:
    """How one server is run.

    Attributes:
      name: its word in events and errors.
      command: the program and its arguments.
      directory: its data, and where it runs.
      lock_path: the lock on that data.
      log_path: receives what it prints.
      stop_signals: gentlest first; SIGKILL comes after the last.
      parent_death_signal: what the kernel sends it when the daemon dies.
      ids: `uid:gid` to be known by in a user namespace of its own, or `-` for none.
      prepare: run before each start, under the lock.
      probe: says what the server with this process id shows; returns within seconds.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    lock_path: Path
    log_path: Path
    stop_signals: tuple[signal.Signals, ...]
    parent_death_signal: signal.Signals
    ids: str
    prepare: Callable[[], None]
    probe: Callable[[int], Awaitable[Sign]]


def ids_for_a_server_that_refuses_root() -> str:
    """The `Server.ids` under which Postgres agrees to run.

    It refuses the user id 0, and a user id without a name. Both are helped by a user namespace in which this very user
    appears as some ordinary user of the system; files stay owned by who the daemon runs as.
    """
    if os.geteuid() != 0:
        with suppress(KeyError):
            pwd.getpwuid(os.geteuid())
            return _OWN_USER
    for entry in pwd.getpwall():
        if entry.pw_uid != 0:
            return f"{entry.pw_uid}:{entry.pw_gid}"
    raise EmbeddedStoreError("Postgres needs an ordinary user in /etc/passwd; this system has none")


async def take_lock(path: Path, name: str) -> int:
    """Lock `path`, waiting a bounded time for a server that still dies; returns the file descriptor.

    Raises:
      EmbeddedStoreError: another server holds it.
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
    """Start the server's command through the guard. Call it in the thread that runs Trio, see the head."""
    guard = [sys.executable, "-I", "-S", child_guard.__file__]
    tie = [str(os.getpid()), str(int(server.parent_death_signal)), server.ids]
    with server.log_path.open("ab") as log:
        process = subprocess.Popen(  # it forks and returns; nothing here waits for the child
            [*guard, *tie, *server.command],
            stdin=stdin or subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=server.directory,
            env={"LC_ALL": "C"} | {key: os.environ[key] for key in _PASSED_ON if key in os.environ},
            pass_fds=(lock,),
            start_new_session=True,
            umask=0o077,
        )
    with suppress(OSError):  # only for the reader of an error message
        os.pwrite(lock, f"{process.pid:<31}\n".encode(), 0)
    return process


async def exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a child without blocking; returns its exit status."""
    if process.poll() is None:
        descriptor = os.pidfd_open(process.pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
    return process.wait()


async def stop(process: subprocess.Popen[bytes], gently: tuple[signal.Signals, ...] = ()) -> signal.Signals:
    """End a child, gently first; returns the last signal it was sent.

    Call it under a shield of `STOP_LIMIT_SECONDS`: it must also work when the daemon is in a hurry.
    """
    bounds = [(number, STOP_SECONDS) for number in gently]
    for number, seconds in (*bounds, (signal.SIGKILL, KILL_SECONDS)):
        process.send_signal(number)
        with trio.move_on_after(seconds):
            await exit_of(process)
            return number
    return signal.SIGKILL


def why_ended(status: int) -> str:
    """An exit status in words."""
    if status == child_guard.NAMESPACE_REFUSED:
        return (
            "does not run as root, and this system refuses user namespaces: "
            "run Majlis as an ordinary user, or set postgres.dsn to a server of your own"
        )
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def last_words(log_path: Path) -> str:
    """The last line of the log, and where to read the rest."""
    with suppress(OSError), log_path.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
        lines = log.read().decode("utf-8", "replace").strip().splitlines()
        if lines:
            return f"; its last words were: {lines[-1].strip()} (more in {log_path})"
    return ""
