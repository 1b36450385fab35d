"""The embedded servers as real processes: where they run, their limits, and what they refuse."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from daemon.stores import child, child_guard, embedded_postgres, supervised
from daemon.stores.embedded_postgres import run_embedded_postgres
from daemon.stores.embedded_redis import run_embedded_redis
from tests.daemon.stores.embedded_harness import (
    ROOT,
    ask_postgres,
    ask_redis,
    processes_in,
    refused,
    running_postgres,
    running_redis,
)
from tests.support.patience import PATIENCE_SECONDS, until


@pytest.mark.parametrize("name", ["d" * 120, "مجلس", "a b,c?d=e"])
async def test_any_data_dir_will_do(data_dir: Path, name: str) -> None:
    """Even one too long for a Unix socket, or with characters that have a meaning in URLs."""
    far = data_dir / name
    async with running_redis(far) as server, running_postgres(far) as postgres:
        assert await ask_redis(server.url, "SET", "kept", "1")
        assert await ask_postgres(postgres.dsn, "SELECT 1") == 1
        sockets = Path(server.url.removeprefix("unix://").partition("?")[0]).parent
        assert not sockets.is_relative_to(far)
        assert sockets.stat().st_mode & 0o777 == 0o700
    assert not sockets.exists()
    async with running_redis(far) as again:
        assert again.url == server.url, "other processes of the daemon's user find the same place"


async def test_a_socket_directory_that_is_a_link_is_not_used(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(data_dir))
    far = data_dir / ("d" * 120)
    async with running_redis(far) as server:
        sockets = Path(server.url.removeprefix("unix://").partition("?")[0]).parent
    assert sockets.parent == data_dir
    elsewhere = data_dir / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    sockets.symlink_to(elsewhere)
    await refused(run_embedded_redis, far, "is not a directory owned by the user the daemon runs as")
    assert elsewhere.stat().st_mode & 0o777 == 0o755


async def test_no_two_servers_on_one_directory(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "LOCK_SECONDS", 0.1)
    async with running_redis(data_dir) as server, running_postgres(data_dir) as postgres:
        for run, name, pid in (
            (run_embedded_redis, "redis", server.pid),
            (run_embedded_postgres, "postgres", postgres.pid),
        ):
            await refused(run, data_dir, f"another {name} .process {pid}. still uses")


async def test_a_postgres_started_by_hand_is_respected(data_dir: Path) -> None:
    """It does not know our lock, only its own."""
    async with running_postgres(data_dir) as server:
        (data_dir / "postgres.lock").unlink()
        await refused(run_embedded_postgres, data_dir, r'lock file "postmaster.pid" already exists')
        assert await ask_postgres(server.dsn, "SELECT 1") == 1


async def test_the_lock_is_the_servers_own(data_dir: Path) -> None:
    async with running_redis(data_dir) as server:
        with (data_dir / "redis.lock").open() as lock:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert int(lock.read()) == server.pid


async def test_a_cluster_of_another_version_is_left_alone(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    await refused(run_embedded_postgres, data_dir, r"made by Postgres 16, and Postgres 18 is installed: dump")


async def test_a_server_that_cannot_start_shows_its_last_log_line(data_dir: Path) -> None:
    """I15: a damaged append-only file is refused, not repaired by dropping data."""
    (data_dir / "redis").mkdir()
    (data_dir / "redis" / "appendonly.aof").write_text("no such format\n" * 10)
    await refused(run_embedded_redis, data_dir, r"redis ended with status 1; its last log line is: .*AOF")


async def test_a_silent_server_times_out(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(embedded_postgres, "_read_state", _always_silent)
    await refused(run_embedded_postgres, data_dir, "postgres did not become ready in")
    assert not processes_in(data_dir)


async def _always_silent(_pid_file: Path, _pid: int) -> str:
    await trio.lowlevel.checkpoint()
    return "silent"


async def test_a_log_is_rotated_at_its_limit(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: the size of a log is bounded."""
    monkeypatch.setattr(supervised, "MAX_LOG_BYTES", 100)
    monkeypatch.setattr(supervised, "LOG_CHECK_SECONDS", 0.05)
    log = data_dir / "log" / "redis.log"
    async with running_redis(data_dir):
        await until(lambda: log.stat().st_size == 0)
    assert "Redis is starting" in log.with_suffix(".log.1").read_text()
    assert log.read_text().startswith(tuple("0123456789")), "the server goes on at the new beginning"


def test_without_user_namespaces_the_error_says_what_to_do(data_dir: Path) -> None:
    """Runs in a namespace of its own, where the process is root and further namespaces are disabled."""
    script = (
        "from pathlib import Path; Path('/proc/sys/user/max_user_namespaces').write_text('0')\n"
        "import sys, trio\nfrom daemon.stores.embedded_postgres import run_embedded_postgres\n"
        "trio.run(lambda: run_embedded_postgres(Path(sys.argv[1]), on_event=lambda event, fields: None))"
    )
    guard = [sys.executable, child_guard.__file__, str(os.getpid()), str(int(signal.SIGKILL)), "0:0"]
    result = subprocess.run(
        [*guard, sys.executable, "-c", script, str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (
        "this system refuses user namespaces: run Majlis as an ordinary user, or set postgres.dsn"
        in result.stderr
    )
