"""The Postgres that Majlis brings itself: on a Unix socket alone, created whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from daemon.stores.child import (
    STOP_LIMIT_SECONDS,
    Server,
    Sign,
    exit_of,
    ids_for_a_server_that_refuses_root,
    last_words,
    spawn,
    stop,
    take_lock,
    why_ended,
)
from daemon.stores.places import POSTGRES_MAJOR, EmbeddedStoreError, Places, postgres_program
from daemon.stores.supervised import OnEvent, Supervised, as_store_error

DATABASE = "majlis"
USER = "majlis"
CREATE_SECONDS = 300.0

_CREATE_DATABASE = f"CREATE DATABASE {DATABASE}\n".encode()

# Written into the new cluster's postgresql.conf, where an operator may change them.
_FIRST_SETTINGS = {
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "huge_pages": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# Given at every start, over anything the file says.
_LAWS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "logging_collector": "off",
    "log_destination": "stderr",
    # What people wrote, and their numbers, stand in statements and in the details of their errors. The daemon
    # receives those errors itself; the server's log keeps to the server's own life.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A running Postgres. `dsn` is for asyncpg and stays the same whatever becomes of the process."""

    dsn: str
    _supervised: Supervised

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None between a death and the next start."""
        return self._supervised.pid


async def run_embedded_postgres(
    data_dir: Path,
    *,
    on_event: OnEvent,
    task_status: trio.TaskStatus[EmbeddedPostgres] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run Postgres on `<data_dir>/postgres` until cancelled; start it with `nursery.start`.

    The cluster is created at the first start. Works for root too, see `ids_for_a_server_that_refuses_root`.

    Events: `store_creating`, then those of `run_embedded_redis`, each with `store="postgres"`.

    Raises:
      EmbeddedStoreError: it cannot be started here; the message says what to change.
    """
    places = Places.below(data_dir)
    server = _server(places, places.data_dir / "postgres")
    supervised = Supervised(server, on_event)
    postgres = EmbeddedPostgres(f"postgresql://{USER}@/{DATABASE}?host={places.sockets}", supervised)
    try:
        await _ensure_cluster(server, on_event)
        await supervised.run(first_ready=lambda: task_status.started(postgres))
    except OSError as error:
        raise as_store_error(server.name, error) from error
    finally:
        places.forget_sockets()


def _server(places: Places, directory: Path) -> Server:
    settings = _LAWS | {"unix_socket_directories": str(places.sockets)}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]

    def prepare() -> None:
        places.ensure_sockets()
        socket_lock = places.postgres_socket.with_name(f"{places.postgres_socket.name}.lock")
        for lock in (directory / "postmaster.pid", socket_lock):
            _forget_a_stranger(lock, directory)

    async def probe(pid: int) -> Sign:
        return await _sign_of(directory / "postmaster.pid", pid)

    return Server(
        name="postgres",
        command=(str(postgres_program("postgres")), "-D", str(directory), *options),
        directory=directory,
        lock_path=places.data_dir / "postgres.lock",
        log_path=places.logs / "postgres.log",
        stop_signals=(signal.SIGINT, signal.SIGQUIT),  # fast, then immediate
        parent_death_signal=signal.SIGQUIT,  # the postmaster ends its own children at once; recovery is quick
        ids=ids_for_a_server_that_refuses_root(),
        prepare=prepare,
        probe=probe,
    )


async def _ensure_cluster(server: Server, on_event: OnEvent) -> None:
    """Create the cluster with its database beside its place and move it there: a kill leaves no half of one."""
    try:
        major = (server.directory / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        major = ""
    if major not in ("", str(POSTGRES_MAJOR)):
        raise EmbeddedStoreError(
            f"{server.directory} was made by Postgres {major}, and Postgres {POSTGRES_MAJOR} is installed: dump the "
            "database with the old programs and restore it, or set postgres.dsn to a server of your own"
        )
    if major:
        return
    lock = await take_lock(server.lock_path, server.name)
    try:
        on_event("store_creating", {"store": server.name})
        unfinished = server.directory.with_name(f"{server.directory.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        workshop = replace(server, directory=unfinished, parent_death_signal=signal.SIGKILL)
        await _finish(replace(workshop, command=_initdb_command(unfinished)), lock)
        await _finish(replace(workshop, command=_single_user_command(unfinished)), lock, _CREATE_DATABASE)
        unfinished.rename(server.directory)
    finally:
        os.close(lock)


def _initdb_command(directory: Path) -> tuple[str, ...]:
    settings = [part for key, value in _FIRST_SETTINGS.items() for part in ("--set", f"{key}={value}")]
    return (
        str(postgres_program("initdb")),
        *("-D", str(directory), "-U", USER),
        # The built-in locale sorts by code point and knows every script's letters, the same on each system.
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        # The socket's directory is private to this user: that is the authentication.
        *("--auth-local=trust", "--auth-host=reject", "--no-instructions"),
        *settings,
    )


def _single_user_command(directory: Path) -> tuple[str, ...]:
    postgres = str(postgres_program("postgres"))
    return (postgres, "--single", "-D", str(directory), "-c", "exit_on_error=on", "postgres")


async def _finish(step: Server, lock: int, text: bytes = b"") -> None:
    """Run one step of the creation to its end."""
    with tempfile.TemporaryFile() as stdin:
        stdin.write(text)
        stdin.seek(0)
        process = spawn(step, lock, stdin)
    try:
        with trio.move_on_after(CREATE_SECONDS):
            await exit_of(process)
    finally:
        with trio.move_on_after(STOP_LIMIT_SECONDS, shield=True):
            if process.poll() is None:
                await stop(process)
    if process.returncode != 0:
        raise EmbeddedStoreError(
            f"creating the {step.name} cluster failed: "
            f"{Path(step.command[0]).name} {why_ended(process.returncode)}{last_words(step.log_path)}"
        )


async def _sign_of(pid_file: Path, pid: int) -> Sign:
    """What the postmaster tells in its pid file, as `pg_ctl` reads it: first line its id, eighth its state."""
    try:
        lines = (await trio.Path(pid_file).read_text()).splitlines()
    except FileNotFoundError:
        return "silent"
    if not lines or lines[0].strip() != str(pid):
        return "silent"
    return "ready" if len(lines) > 7 and lines[7].strip() == "ready" else "starting"


def _forget_a_stranger(lock: Path, directory: Path) -> None:
    """Remove a lock file left by a killed server when its process id belongs to something else by now.

    Postgres sees only that the id is alive, and would refuse to start until that process ends; after a restart of a
    container, where ids begin again from one, that is likely. A process that runs in `directory` is respected.
    """
    try:
        pid = abs(int(lock.read_text().split(maxsplit=1)[0]))
        works_in = Path(f"/proc/{pid}/cwd").readlink()
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return  # nothing there, or nobody alive: Postgres copes by itself
    except PermissionError:
        works_in = Path()  # another user's process: not a server of ours
    if works_in != directory:
        lock.unlink(missing_ok=True)
