"""A machine with a real systemd, booted in namespaces of its own over an overlay of this system. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from tests.acceptance.settings import ROOT

BOOT_SECONDS = 60.0
COMMAND_SECONDS = 120.0
POLL_SECONDS = 0.1
_SYSTEMD = Path("/lib/systemd/systemd")
_CGROUPS = Path("/sys/fs/cgroup")
_ENTER = (
    'left=$1; shift; while [ "$left" -gt 0 ]; do echo $$ >"$1"; shift; left=$((left - 1)); done; exec "$@"'
)
"""Enters cgroups before their namespace is made: the machine sees nothing above them."""
_UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--cgroup", "--ipc", "--uts", "--kill-child")

T = TypeVar("T")


def why_not() -> str | None:
    """Why no machine can be booted here; None: it can."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    if not _SYSTEMD.exists():
        return "systemd is not installed here"
    for program in ("unshare", "nsenter", "systemctl"):
        if shutil.which(program) is None:
            return f"{program} is not installed here"
    return None


class Machine:
    """The running machine; commands are run inside of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        """Of its systemd, as seen from outside."""

    def run(self, *command: str, check: bool = True) -> str:
        """Run one command inside; gives back what it said."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-i", "-u", "-C", "--", *command],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "SYSTEMD_PAGER": "cat"},
        )
        if check and done.returncode != 0:
            self.fail(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + ("" if check else done.stderr)

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        return self.run("systemctl", "--no-pager", *arguments, check=check)

    def show(self, unit: str, key: str) -> str:
        """One property of a unit."""
        return self.systemctl("show", "--value", f"--property={key}", unit).strip()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file into the machine."""
        inside = Path(f"/proc/{self.pid}/root{path}")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_text(text)
        inside.chmod(mode)

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit, check=False)

    def wait_for(self, condition: Callable[[], T | None], what: str, seconds: float = 60.0) -> T:
        """Poll until `condition` returns something true, and return it; with a limit."""
        deadline = time.monotonic() + seconds
        while True:
            if found := condition():
                return found
            if time.monotonic() > deadline:
                self.fail(f"waited {seconds} s in vain until {what}")
            time.sleep(POLL_SECONDS)

    def fail(self, why: str) -> NoReturn:
        words = [
            subprocess.run(
                ["nsenter", "-t", str(self.pid), "-m", "-p", "--", *command],
                capture_output=True,
                text=True,
                check=False,
            ).stdout
            for command in (
                ["systemctl", "--no-pager", "status", "majlis*"],
                ["journalctl", "--no-pager", "-n", "60", "-o", "short-monotonic"],
            )
        ]
        raise AssertionError("\n".join([why, *words]))


@contextmanager
def machine() -> Iterator[Machine]:
    """Boot one; nothing of it is left at the end."""
    scratch = Path(tempfile.mkdtemp(prefix="majlis-machine-", dir="/tmp"))
    cgroups = [directory for directory in _hierarchies() if _own_cgroup(directory, scratch.name)]
    shown = dict.fromkeys(path for path in (ROOT, Path(sys.prefix)) if _would_be_missing(path))
    doors = [str(hierarchy / scratch.name / "cgroup.procs") for hierarchy in cgroups]
    boot = [str(Path(__file__).with_name("boot.sh")), str(scratch), *map(str, shown)]
    process = subprocess.Popen(
        ["sh", "-c", _ENTER, "sh", str(len(doors)), *doors, *_UNSHARE, *boot], stdin=subprocess.DEVNULL
    )
    try:
        yield _booted(process)
    finally:
        process.kill()
        process.wait(30)
        _leave_nothing(cgroups, scratch)


def _booted(process: subprocess.Popen[bytes]) -> Machine:
    deadline = time.monotonic() + BOOT_SECONDS
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, ValueError, IndexError, AssertionError, subprocess.TimeoutExpired):
            found = Machine(int(children.read_text().split()[0]))
            if found.systemctl("is-system-running", check=False).strip() in ("running", "degraded"):
                return found
        time.sleep(POLL_SECONDS)
    raise AssertionError("systemd did not boot here")


def _would_be_missing(path: Path) -> bool:
    """The overlay shows the root's own file system alone, and the machine has some directories of its own."""
    own = (Path("/tmp"), Path("/run"), Path("/dev"))
    return path.stat().st_dev != Path("/").stat().st_dev or any(path.is_relative_to(place) for place in own)


def _hierarchies() -> Sequence[Path]:
    if (_CGROUPS / "cgroup.controllers").exists():
        return (_CGROUPS,)
    return [path for path in sorted(_CGROUPS.iterdir()) if (path / "cgroup.procs").exists()]


def _own_cgroup(hierarchy: Path, name: str) -> bool:
    try:
        (hierarchy / name).mkdir()
    except OSError:
        return False
    for key in ("cpuset.cpus", "cpuset.mems"):  # of the old kind, empty at first: nothing may enter
        with suppress(OSError):
            (hierarchy / name / key).write_text((hierarchy / key).read_text())
    return True


def _leave_nothing(hierarchies: Sequence[Path], scratch: Path) -> None:
    for hierarchy in hierarchies:
        for directory, _, _ in os.walk(hierarchy / scratch.name, topdown=False):
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    Path(directory).rmdir()
                except OSError:
                    time.sleep(POLL_SECONDS)
                else:
                    break
    shutil.rmtree(scratch, ignore_errors=True)
