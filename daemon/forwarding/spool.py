"""A large body on its way into the database: whole, in a file without a name, without the gateway's token in it.

Large ones come with media, and are thinned for the parsers; which instance one is for is known only when it has been
read. So each is kept whole beside that, while any instance is in mode `passthrough`.

The laws of this file:
1. Memory holds a piece of it at a time. The disk is written and read by worker threads.
2. All of them together hold `max_bytes` at the most. One that finds no room, or whose disk fails, is not kept, and
   nothing else is refused for that: only who needs it finds out (`SpoolBroken`).
3. Nothing of it outlives the process: the file has no name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO

import trio

from actors.errors import Overloaded
from daemon.forwarding.token import TokenCut

PIECE_BYTES = 1024 * 1024
_END_BYTES = 64


class SpoolBroken(Overloaded):
    """There was no room for it, or its disk failed: it has to be sent again."""


class Spools:
    """All that are kept now."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self.held = 0

    def new(self) -> Spool:
        return Spool(self)

    def take(self, size: int) -> bool:
        if self.held + size > self._max_bytes:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        self.held -= size

    def open(self) -> BinaryIO:
        """Blocks. Raises `OSError`."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._directory, buffering=0)


class Spool:
    """One body. Implements `daemon.web.http1.Keeper`."""

    def __init__(self, spools: Spools) -> None:
        self._spools = spools
        self._file: BinaryIO | None = None
        self._cut = TokenCut()
        self._end = b""
        """What follows the last place; no more of it than it takes to see that it is not the end."""
        self._held = 0
        self._is_broken = False
        self._is_whole = False

    @property
    def places(self) -> list[int]:
        return self._cut.places

    def last_place(self) -> int:
        """The last of the places, where nothing of the document follows it but its end; -1: more does."""
        return len(self.places) - 1 if self._end.strip(b" \t\r\n") == b"}" else -1

    async def write(self, piece: bytes) -> None:
        """The next piece of the body. Never raises, but for being cancelled."""
        if self._is_broken or not self._spools.take(len(piece)):
            self._is_broken = True
            await trio.lowlevel.checkpoint()
            return
        self._held += len(piece)
        await self._in_thread(piece)

    async def finish(self) -> int:
        """The body is whole; its size as it is kept. Raises `SpoolBroken`."""
        if not self._is_broken and not self._is_whole:
            self._is_whole = True
            await self._in_thread(None)
        if self._is_broken:
            raise SpoolBroken("spool")
        return self._cut.size

    async def read(self, start: int) -> bytes:
        """After `finish`: what is kept from there on, a piece of it. Raises `SpoolBroken`."""
        return await trio.to_thread.run_sync(self._read, start)

    def close(self) -> None:
        """It is not needed any more. May be called again."""
        self._is_broken = True
        if self._file is not None:
            self._file.close()
            self._file = None
        self._spools.give_back(self._held)
        self._held = 0

    async def _in_thread(self, piece: bytes | None) -> None:
        try:
            await trio.to_thread.run_sync(self._append, piece)
        except OSError:
            self._is_broken = True

    def _append(self, piece: bytes | None) -> None:
        if self._file is None:
            self._file = self._spools.open()
        stored, before = self._cut.size, len(self._cut.places)
        stays = self._cut.end() if piece is None else self._cut.feed(piece)
        if len(self._cut.places) > before:
            self._end = stays[self._cut.places[-1] - stored :][:_END_BYTES]
        else:
            self._end = (self._end + stays)[:_END_BYTES]
        left = memoryview(stays)
        while left:
            left = left[self._file.write(left) :]

    def _read(self, start: int) -> bytes:
        try:
            assert self._file is not None
            self._file.seek(start)
            piece = self._file.read(min(PIECE_BYTES, self._cut.size - start))
        except (OSError, ValueError) as error:
            raise SpoolBroken("spool") from error
        if len(piece) != min(PIECE_BYTES, self._cut.size - start):
            raise SpoolBroken("spool")
        return piece
