"""One body on its way in: bounded, whole or thinned.

A body that stays within `max_bytes` is kept as it came. Where a thinner is given, more may come: then it is thinned
from its first byte on, and what is left has the same bound. Somebody may keep it whole beside that, piece by piece:
then what is left is empty where it would be too much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from daemon.web.http1.head import ProtocolError
from daemon.web.http1.messages import Keeper, Thinner, keep_none


class Framing(Protocol):
    """How a body is framed. Takes it out of a connection's buffer, as much as is there."""

    def feed(self, buffer: bytearray) -> bool:
        """Consume from the front of `buffer`; True when the body is complete. What follows it stays.

        Raises:
          ProtocolError: 400 malformed, 413 too large.
        """


class IncomingBody:
    """What is kept of a body that is being received."""

    def __init__(
        self,
        max_bytes: int,
        max_sent_bytes: int = 0,
        thinner: Thinner | None = None,
        keep: Callable[[], Keeper | None] = keep_none,
    ) -> None:
        self.max_bytes = max_bytes
        self._max_sent_bytes = max_bytes if thinner is None else max(max_bytes, max_sent_bytes)
        self._thinner = thinner
        self._is_thinned = False
        self._keep = keep
        self.keeper: Keeper | None = None
        """Has the body whole, from the moment on that it is thinned."""
        self._unwritten = bytearray()
        self._is_given_up = False
        """Too much of it is to be kept: nobody has it but the keeper."""
        self._kept = bytearray()
        self.sent_bytes = 0
        """Taken so far, kept or not."""

    def __len__(self) -> int:
        """The bytes kept so far."""
        return len(self._kept)

    @property
    def body(self) -> bytes:
        return bytes(self._kept)

    def expect(self, size: int) -> None:
        """So many bytes more are announced.

        Raises:
          ProtocolError: 413, they would be too many.
        """
        if self.sent_bytes + size > self._max_sent_bytes:
            raise ProtocolError(413, "body_too_large")
        if self._thinner is not None and not self._is_thinned and self.sent_bytes + size > self.max_bytes:
            self.keeper = self._keep()
            if self.keeper is not None:
                self._unwritten += self._kept
            self._thinner.feed(self._kept)
            self._kept = self._thinner.kept
            self._is_thinned = True

    def take(self, piece: bytearray) -> None:
        """Take what was expected.

        Raises:
          ProtocolError: 413, too much of it is to be kept.
        """
        self.sent_bytes += len(piece)
        if self._thinner is not None and self._is_thinned:
            if self.keeper is not None:
                self._unwritten += piece
            if self._is_given_up:
                return
            self._thinner.feed(piece)
        else:
            self._kept += piece
        if len(self._kept) <= self.max_bytes:
            return
        if self.keeper is None:
            raise ProtocolError(413, "body_too_large")
        self._kept, self._is_given_up = bytearray(), True

    async def settle(self) -> None:
        """Hand on what came to whoever keeps it whole."""
        if self.keeper is not None and self._unwritten:
            piece, self._unwritten = bytes(self._unwritten), bytearray()
            await self.keeper.write(piece)


class CountedBody:
    """A body of a known length. Implements `Framing`."""

    def __init__(self, body: IncomingBody, length: int) -> None:
        body.expect(length)
        self._body = body
        self._remaining = length

    def feed(self, buffer: bytearray) -> bool:
        piece = buffer[: self._remaining]
        del buffer[: len(piece)]
        self._remaining -= len(piece)
        self._body.take(piece)
        return not self._remaining
