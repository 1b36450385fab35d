"""A chunked request body, from bytes to body. Pure and strict.

Sizes are plain hexadecimal, lines end in CR LF and nothing else, extensions are bounded and ignored, trailers
are bounded, checked and dropped. All that is not body counts against a bound of its own, so that a body sent
one byte a chunk cannot cost more than a body is worth.
"""

from __future__ import annotations

import re

from daemon.web.http1.head import FIELD_LINE, ProtocolError
from daemon.web.http1.incoming import IncomingBody

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER = re.compile(FIELD_LINE)
_MAX_LINE_BYTES = 256
_MAX_TRAILER_BYTES = 8 * 1024


class ChunkedBody:
    """Takes a chunked body out of a connection's buffer, as much as is there. Implements `Framing`."""

    def __init__(self, body: IncomingBody) -> None:
        self._body = body
        self._overhead_bytes = 0
        self._remaining = 0  # bytes of the current chunk still to come
        self._in_chunk = False  # its size is read, its closing CR LF is not
        self._in_trailers = False

    def feed(self, buffer: bytearray) -> bool:
        """Consume from the front of `buffer`; True when the body is complete. What follows it stays.

        Raises:
          ProtocolError: 400 malformed, 413 too large.
        """
        while True:
            if self._in_chunk:
                if not self._take_data(buffer):
                    return False
                continue
            line = self._take_line(buffer)
            if line is None:
                return False
            if self._in_trailers:
                if line == b"\r\n":
                    return True
                if not _TRAILER.fullmatch(line):
                    raise ProtocolError(400, "bad_trailer")
            else:
                self._open_chunk(line)

    def _open_chunk(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise ProtocolError(400, "bad_chunk")
        size = int(match[1], 16)
        self._body.expect(size)
        self._remaining = size
        self._in_chunk = size > 0
        self._in_trailers = size == 0

    def _take_data(self, buffer: bytearray) -> bool:
        """Move the chunk's data; True when its closing line break was read too."""
        if self._remaining:
            piece = buffer[: self._remaining]
            self._remaining -= len(piece)
            del buffer[: len(piece)]
            self._body.take(piece)
        if self._remaining or len(buffer) < 2:
            return False
        if not buffer.startswith(b"\r\n"):
            raise ProtocolError(400, "bad_chunk")
        del buffer[:2]
        self._spend(2)
        self._in_chunk = False
        return True

    def _take_line(self, buffer: bytearray) -> bytes | None:
        limit = _MAX_TRAILER_BYTES if self._in_trailers else _MAX_LINE_BYTES
        end = buffer.find(b"\n", 0, limit)
        if end < 0:
            if len(buffer) >= limit:
                raise ProtocolError(400, "bad_chunk")
            return None
        line = bytes(buffer[: end + 1])
        if not line.endswith(b"\r\n"):
            raise ProtocolError(400, "bad_chunk")
        del buffer[: end + 1]
        self._spend(len(line))
        return line

    def _spend(self, overhead_bytes: int) -> None:
        self._overhead_bytes += overhead_bytes
        if self._overhead_bytes > self._body.max_bytes + _MAX_TRAILER_BYTES:
            raise ProtocolError(400, "chunks_too_small")
