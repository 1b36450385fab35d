"""The embedded Postgres: listens on a Unix socket only; its cluster is created completely or not at all."""

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
    last_log_line,
    spawn,
    stop,
    take_lock,
    why_ended,
)
from daemon.stores.places import POSTGRES_MAJOR, EmbeddedStoreError, Places, disk_words, postgres_program
from daemon.stores.supervised import OnEvent, Supervised, as_store_error

DATABASE = "majlis"
USER = "majlis"
CREATE_SECONDS = 300.0

_CREATE_DATABASE = f"CREATE DATABASE {DATABASE}\n".encode()

# Written to postgresql.conf when the cluster is created; an operator may change them there.
_FIRST_SETTINGS = {
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "huge_pages": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# Passed at every start; they override postgresql.conf.
_ENFORCED_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "logging_collector": "off",
    "log_destination": "stderr",
    # Statements and error details contain the messages and numbers of customers. The daemon receives those errors
    # anyway; the server's log is limited to the life of the server itself.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A running Postgres. `dsn` is for asyncpg and stays the same across restarts of the process."""

    dsn: str
    _supervised: Supervised

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None between a crash and the next start."""
        return self._supervised.pid


async def run_embedded_postgres(
    data_dir: Path,
    *,
    on_event: OnEvent,
    task_status: trio.TaskStatus[EmbeddedPostgres] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run Postgres on `<data_dir>/postgres` until cancelled; start it with `nursery.start`.

    The cluster is created at the first start. Also works as root, see `ids_for_a_server_that_refuses_root`.

    Events: `store.creating`, then those of `run_embedded_redis`, each with `store="postgres"`.

    Raises:
      EmbeddedStoreError: it cannot be started on this system; the message says what to change.
    """
    places = Places.below(data_dir)
    server = _server(places, places.data_dir / "postgres")
    supervised = Supervised(server, on_event)
    postgres = EmbeddedPostgres(f"postgresql://{USER}@/{DATABASE}?host={places.sockets}", supervised)
    try:
        await _ensure_cluster(server, on_event)
        await supervised.run(first_ready=lambda: task_status.started(postgres))
    except OSError as error:
        raise as_store_error(server.name, error, server.directory) from error
    finally:
        places.forget_sockets()


def _server(places: Places, directory: Path) -> Server:
    settings = _ENFORCED_SETTINGS | {"unix_socket_directories": str(places.sockets)}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]

    async def prepare() -> None:
        places.ensure_sockets()
        socket_lock = places.postgres_socket.with_name(f"{places.postgres_socket.name}.lock")
        for lock in (directory / "postmaster.pid", socket_lock):
            _remove_foreign_lock(lock, directory)

    async def probe(pid: int) -> Sign:
        return await _read_state(directory / "postmaster.pid", pid)

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
    """Create the cluster and its database in a directory beside, then rename it: a kill leaves no half-made cluster."""
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
        on_event("store.creating", {"store": server.name})
        unfinished = server.directory.with_name(f"{server.directory.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        creation = replace(server, directory=unfinished, parent_death_signal=signal.SIGKILL)
        await _finish(replace(creation, command=_initdb_command(unfinished)), lock)
        await _finish(replace(creation, command=_single_user_command(unfinished)), lock, _CREATE_DATABASE)
        unfinished.rename(server.directory)
    finally:
        os.close(lock)


def _initdb_command(directory: Path) -> tuple[str, ...]:
    settings = [part for key, value in _FIRST_SETTINGS.items() for part in ("--set", f"{key}={value}")]
    return (
        str(postgres_program("initdb")),
        *("-D", str(directory), "-U", USER),
        # The built-in locale sorts by code point and knows the letters of every script, the same on every system.
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        # The directory of the socket is private to this user: that is the authentication.
        *("--auth-local=trust", "--auth-host=reject", "--no-instructions"),
        *settings,
    )


def _single_user_command(directory: Path) -> tuple[str, ...]:
    postgres = str(postgres_program("postgres"))
    return (postgres, "--single", "-D", str(directory), "-c", "exit_on_error=on", "postgres")


async def _finish(step: Server, lock: int, text: bytes = b"") -> None:
    """Run one step of the creation until it ends."""
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
            f"{Path(step.command[0]).name} {why_ended(process.returncode)}{last_log_line(step.log_path)}"
            f"{disk_words(step.directory)}"
        )


async def _read_state(pid_file: Path, pid: int) -> Sign:
    """Read the state from the postmaster's pid file, as `pg_ctl` does: line 1 is its process id, line 8 its state."""
    try:
        lines = (await trio.Path(pid_file).read_text()).splitlines()
    except FileNotFoundError:
        return "silent"
    if not lines or lines[0].strip() != str(pid):
        return "silent"
    return "ready" if len(lines) > 7 and lines[7].strip() == "ready" else "starting"


def _remove_foreign_lock(lock: Path, directory: Path) -> None:
    """Remove the lock file of a killed server if its process id now belongs to another program.

    Postgres only checks that the process id is alive, and would refuse to start until that process ends. After a
    restart of a container, where process ids begin at one again, that is likely. The lock of a process whose working
    directory is `directory` stays: that is a server of ours.
    """
    try:
        pid = abs(int(lock.read_text().split(maxsplit=1)[0]))
        working_directory = Path(f"/proc/{pid}/cwd").readlink()
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return  # no lock file, or no such process: Postgres handles both by itself
    except PermissionError:
        working_directory = Path()  # a process of another user, hence not a server of ours
    if working_directory != directory:
        lock.unlink(missing_ok=True)
