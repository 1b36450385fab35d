"""A key of this data_dir's own, for an embedded database without `secrets.keys`: made when it is needed first.

Laws of this file:
1. A key that sealed something is never written over: the file is made whole, or it is already there.
2. It is on the disk before anything is sealed with it.
"""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

from actors.errors import Conflict
from daemon.config.secret_keys import KEY_BYTES, BadKey, read_key

NAME = "secret.key"
_MOST_BYTES = 1024
_FOR_OTHERS = 0o077


class KeyFileUnfit(Conflict):
    """The file is there and cannot be used; the text says what to do."""


class KeyFile:
    """`data_dir/secret.key`."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / NAME

    def read(self) -> bytes | None:
        """The key; None: there is no file.

        Raises:
          KeyFileUnfit: it cannot be read, holds no key, or others may read it.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyFileUnfit(f"{self.path} cannot be read ({error.strerror})") from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise KeyFileUnfit(f"{self.path} is no file")
            if found.st_mode & _FOR_OTHERS:
                raise KeyFileUnfit(f"{self.path} is open to other users: run `chmod 600 {self.path}`")
            text = file.read(_MOST_BYTES)
        try:
            return read_key(text.decode("ascii"))
        except (BadKey, UnicodeDecodeError):
            raise KeyFileUnfit(
                f"{self.path} holds no key: bring it back from a backup, or move it away"
            ) from None

    def read_or_make(self) -> bytes:
        """The key; a new one where there is no file. Two at once get the same one.

        Raises:
          KeyFileUnfit: as `read`, or it cannot be made.
        """
        if (key := self.read()) is not None:
            return key
        beside = self.path.with_name(f"{NAME}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            try:
                _write(beside, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
                os.link(beside, self.path)  # fails where it exists, and a reader never sees half of it
            except FileExistsError:
                pass
            finally:
                beside.unlink(missing_ok=True)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise KeyFileUnfit(f"{self.path} cannot be made ({error.strerror})") from error
        key = self.read()
        assert key is not None
        return key


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
