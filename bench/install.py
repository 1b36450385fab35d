"""The environments of the peers: bench/.venv from the hashed lock, and the Fastify peers' node_modules by `npm ci`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HOME = Path(__file__).parent
FASTAPI_DIR = HOME / "peers" / "fastapi_redis"
FASTIFY_DIR = HOME / "peers" / "fastify_bullmq"
_VENV = HOME / ".venv"
_MIN_NODE = 20


def fastapi_python() -> Path:
    """The Python that has FastAPI and its locked dependencies; installed if missing or older than the lock."""
    python = _VENV / "bin" / "python"
    lock = HOME / "requirements-bench.lock"
    if not _is_fresh(_VENV, lock):
        sys.stderr.write("Installing the FastAPI peer into bench/.venv …\n")
        venv.create(_VENV, with_pip=True, clear=True)
        _run(
            python,
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            lock,
        )
        _mark_fresh(_VENV, lock)
    return python


def fastapi_python_if_there() -> Path | None:
    """The same, if it is installed."""
    return _VENV / "bin" / "python" if _is_fresh(_VENV, HOME / "requirements-bench.lock") else None


def fastify_node() -> Path:
    """The node program, with the Fastify peer's packages in place.

    Raises:
      LookupError: no node 20 or newer, or no npm; the text says what that means.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise LookupError("node and npm are not installed")
    version = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < _MIN_NODE:
        raise LookupError(f"node {version} is older than {_MIN_NODE}")
    packages, lock = FASTIFY_DIR / "node_modules", FASTIFY_DIR / "package-lock.json"
    if not _is_fresh(packages, lock):
        sys.stderr.write("Installing the Fastify peer …\n")
        # no package needs its install script: the native one is prebuilt
        _run(
            Path(npm),
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            cwd=FASTIFY_DIR,
        )
        _mark_fresh(packages, lock)
    return Path(node)


def _run(program: Path, *arguments: str | Path, cwd: Path = HOME) -> None:
    subprocess.run([program, *arguments], check=True, cwd=cwd, stdout=sys.stderr)


def _is_fresh(directory: Path, lock: Path) -> bool:
    stamp = directory / ".majlis-lock"
    return stamp.is_file() and stamp.read_text() == _digest(lock)


def _mark_fresh(directory: Path, lock: Path) -> None:
    (directory / ".majlis-lock").write_text(_digest(lock))


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()
