"""Where the tests' files live that need not survive a power cut: in memory, if there is plenty of it.

Hundreds of tests make a database of a thousand files each, or start a daemon on one. On a disk, copying and removing
these files costs as much processor time as a small test, and each commit waits for the disk.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_ROOMY_BYTES = 8 * 1024**3


@cache
def scratch_dir() -> Path:
    """A directory with a short name: the names of sockets below it have little room."""
    memory, disk = Path("/dev/shm"), Path("/tmp")
    try:
        room = os.statvfs(memory)
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return disk
    available = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
    is_roomy = min(room.f_bavail * room.f_frsize, available) >= _ROOMY_BYTES
    return memory if is_roomy and os.access(memory, os.W_OK) else disk
