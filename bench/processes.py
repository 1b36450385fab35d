"""Child processes of the benchmarks, and processor times of processes and machine from the kernel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from daemon.stores import child_guard

STOP_SECONDS = 30.0
_HERTZ = os.sysconf("SC_CLK_TCK")


class BenchBroken(Exception):
    """The benchmark cannot go on; the message says why."""


class Process:
    """A child that dies with the benchmark. Its output goes to a file, shown if it fails."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str], cwd: Path
    ) -> None:
        self._log = log
        guard = [
            sys.executable,
            "-I",
            "-S",
            child_guard.__file__,
            str(os.getpid()),
            str(int(signal.SIGTERM)),
            "-",
        ]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*guard, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                cwd=cwd,
            )
        self.pid = self._process.pid

    def check(self) -> None:
        """Raise `BenchBroken` when the process has ended."""
        if self._process.poll() is not None:
            status = self._process.returncode
            raise BenchBroken(f"{self._log.stem} ended with status {status}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    def kill(self) -> None:
        """End it at once; what it started ends with it."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def end_as_by_ctrl_c() -> None:
    """Let both signals end this process so that everything is cleaned up, also where a shell had Ctrl-C ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(roots: Sequence[int]) -> dict[str, float]:
    """Processor time so far of `roots` and their descendants, by role: `server`, `redis`, `postgres`."""
    by_role: Counter[str] = Counter()
    for pid in _family(roots):
        by_role.update(_cpu_seconds(pid))
    return dict(by_role)


class MachineTime(NamedTuple):
    """Time of all processors since boot, in seconds."""

    total: float
    busy: float
    stolen: float
    """What the hypervisor gave to other machines."""

    @classmethod
    def now(cls) -> MachineTime:
        ticks = [int(field) for field in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
        total, idle, stolen = sum(ticks), ticks[3] + ticks[4], ticks[7]
        return cls(total / _HERTZ, (total - idle - stolen) / _HERTZ, stolen / _HERTZ)


def _family(roots: Sequence[int]) -> set[int]:
    """The processes `roots` and all their descendants."""
    parents = {
        int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    }
    family, fresh = set(roots), set(roots)
    while fresh:
        fresh = {pid for pid, stat in parents.items() if stat and int(stat[1]) in fresh} - family
        family |= fresh
    return family


def _cpu_seconds(pid: int) -> dict[str, float]:
    stat = _stat(pid)
    if not stat:
        return {}
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return {}
    role = name.partition("-")[0] if name in ("redis-server", "postgres") else "server"
    # its own time and that of its children that ended: a backend of Postgres may come and go
    return {role: sum(map(int, stat[11:15])) / _HERTZ}


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
