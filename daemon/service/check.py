"""Checks unit files with systemd's own tool, and installs them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

SECONDS = 60.0
INSTANCE = "8081"
"""The instance name under which a template unit is checked."""
_NOT_OURS = re.compile(
    r"Failed to (?:connect to|get) |Cannot add dependency job, ignoring|Failed to prepare filename"
)


def check(units: Path) -> list[str] | None:
    """The findings of `systemd-analyze verify` on the unit files in a directory; None if it is not installed."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return None
    files = [
        str(path).replace("@.", f"@{INSTANCE}.")
        for path in sorted(units.iterdir())
        if path.suffix in (".service", ".socket")
    ]
    done = _run([program, "--man=no", "--generators=no", "--recursive-errors=no", "verify", *files])
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    found = [line for line in lines if not _NOT_OURS.search(line)]
    return found if done.returncode or found else []


def write(files: Mapping[str, str], root: Path) -> None:
    """Write every file to its place below `root`, each atomically. Raises `OSError`."""
    for where, content in files.items():
        path = root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(content, encoding="utf-8")
        temporary.chmod(0o644)
        temporary.replace(path)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
