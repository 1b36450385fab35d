"""Keeps the newest payloads that could not be read, for an operator to look at.

Keys and tokens are redacted before anything is written. Only the daemon's user may read the folder and the files.
Nothing here fails or delays a request: an error goes to a callback, and if the disk does not answer within
`_STORE_SECONDS`, the copy is lost and counted in `dropped`.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import trio

_STORE_SECONDS = 1.0
_NAME = re.compile(rb"(?i)(?<![\w-])[\w-]++(?: key[\w-]*+)?\\?[\"']?\s*+[:=]\s*+")
"""A name with what parts it from its value. The look-behind makes it linear: no word is read from its middle on."""
_SECRET_NAME = re.compile(rb"(?i)api[-_ ]?key|authorization|token|secret|password|jwt")
_VALUE = re.compile(rb"(?i)\\?\"(?:\\.|[^\"\\])*+\"?|'[^']*+'?|(?:bearer\s++)?[^\s,;&}\]]+", re.DOTALL)
_REDACTED = b'"[redacted]"'
_NOT_A_WORD = re.compile(r"[^a-z0-9_]+")


class Quarantine:
    """At most `max_files` files of at most `max_file_bytes` each in `directory`; the oldest go first."""

    def __init__(
        self,
        directory: Path,
        on_error: Callable[[OSError], None],
        max_files: int = 100,
        max_file_bytes: int = 64 * 1024,
    ) -> None:
        self.stored = 0
        self.dropped = 0
        self._directory = directory
        self._on_error = on_error
        self._max_files = max_files
        self._max_file_bytes = max_file_bytes
        self._limiter = trio.CapacityLimiter(1)  # one writer, so that pruning sees every file

    async def store(self, body: bytes, reason: str) -> None:
        """Keep `body`. Raises nothing."""
        with trio.move_on_after(_STORE_SECONDS) as scope:
            try:
                await trio.to_thread.run_sync(
                    self._write, body, reason, abandon_on_cancel=True, limiter=self._limiter
                )
                self.stored += 1
            except OSError as error:
                self.dropped += 1
                self._on_error(error)
        if scope.cancelled_caught:
            self.dropped += 1

    async def forget(self, days: int) -> int:
        """Delete those stored more than `days` days ago; returns how many. Raises: OSError."""
        return await trio.to_thread.run_sync(self._forget, days * 86_400, limiter=self._limiter)

    def _forget(self, seconds: float) -> int:
        oldest = f"{time.time_ns() - int(seconds * 1e9):020d}"
        old = [path for path in self._directory.glob("*.payload") if path.name < oldest]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def _write(self, body: bytes, reason: str) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        word = _NOT_A_WORD.sub("_", reason.lower())[:40]
        path = self._directory / f"{time.time_ns():020d}-{word}.payload"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(redact(body[: self._max_file_bytes])[: self._max_file_bytes])
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        self._prune()

    def _prune(self) -> None:
        for path in sorted(self._directory.glob("*.payload"))[: -self._max_files]:
            path.unlink(missing_ok=True)


def redact(body: bytes) -> bytes:
    """`body` with the value of everything that looks like a key or token redacted, whether it is JSON or not.

    NUL bytes are removed too, so that the same patterns work for a body in UTF-16. Linear in the length of `body`.
    """
    body = body.replace(b"\0", b"")
    kept: list[bytes] = []
    done = 0
    for name in _NAME.finditer(body):
        if name.start() < done or not _SECRET_NAME.search(name[0]):
            continue
        if value := _VALUE.match(body, name.end()):
            kept += (body[done : name.end()], _REDACTED)
            done = value.end()
    return b"".join((*kept, body[done:]))
