"""What the kernel knows about a process, by its id."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

LISTENING = "0A"
"""The state of a listening socket in `/proc/net/tcp`."""


def listening_port(pid: int) -> int | None:
    """The TCP port on which a process listens, from the tables of the kernel; of several, that of its first socket."""
    ports: dict[str, int] = {}
    with suppress(OSError):
        for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == LISTENING:
                ports[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    with suppress(OSError):
        for descriptor in sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda path: int(path.name)):
            with suppress(OSError):
                if (port := ports.get(str(descriptor.readlink()))) is not None:
                    return port
    return None


def exists(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def command_of(pid: int) -> str:
    """The program it runs; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].decode()
    except OSError:
        return ""


def forget_peak(pid: int) -> int:
    """What a process holds in memory now, in bytes; from now on its peak is measured anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _memory(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """The most that it held in memory since its start, or since `forget_peak`."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
