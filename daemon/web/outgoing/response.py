"""A response, from bytes to status, headers and pieces of the body. Pure; llhttp (`httptools`) reads the grammar.

The laws of this file:
1. Where a response ends is never guessed. An end of the connection ends a body only where nothing else would.
2. What came behind a response, or is framed in two ways, makes the connection unfit for another request.
3. Work is linear in the bytes, and whatever is no body is bounded: heads that never end (answers of 1xx before the one
   that counts are heads too), chunks that are all extension, trailers.
4. Bare line feeds, a length beside `chunked` and spaces behind a chunk's size are borne, as by other clients: to be
   stricter would turn a message that arrived into one of which nobody knows.
"""

from __future__ import annotations

import httptools

MAX_HEAD_BYTES = 100 * 1024
"""Of all heads together."""
MAX_SILENT_BYTES = 64 * 1024
"""Of chunk sizes, extensions and trailers in one piece."""
OVERHEAD_FACTOR = 8
"""So many bytes of them are borne for a byte of the body: one byte a chunk needs five."""


class Garbled(Exception):
    """This is no response, or not the whole of one."""


class ResponseReader:
    """Reads one response. `is_bodiless`: its request was such that its answer has no body, whatever its head says."""

    __slots__ = (
        "_body_bytes",
        "_had_body",
        "_head_bytes",
        "_is_bodiless",
        "_is_clean",
        "_overhead_bytes",
        "_parser",
        "_pieces",
        "_silent_bytes",
        "_stays_open",
        "_until_the_end",
        "headers",
        "is_whole",
        "status",
    )

    def __init__(self, *, is_bodiless: bool = False) -> None:
        self.status = 0
        """0 until the head is there."""
        self.headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self.is_whole = False
        self._is_bodiless = is_bodiless
        self._is_clean = True
        self._stays_open = False
        self._until_the_end = False
        self._had_body = False
        self._head_bytes = self._body_bytes = self._overhead_bytes = self._silent_bytes = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    @property
    def allows_another(self) -> bool:
        """It is whole, and its connection is fit for another request."""
        return self.is_whole and self._stays_open and self._is_clean

    def take(self) -> bytes:
        """What has come of the body since; empty: nothing."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def feed(self, data: bytes) -> None:
        """Take what came. Raises: Garbled."""
        self._had_body = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._is_clean = False  # an answer that is whole is one, whatever came behind it
            if not self.is_whole:
                raise Garbled(type(error).__name__) from None
        if not self.status:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                raise Garbled("endless head")
        elif not self.is_whole:
            self._count(len(data))

    def end(self) -> None:
        """Nothing more will come. Raises: Garbled: it is not whole."""
        if self.is_whole:
            return
        if not self._until_the_end:
            raise Garbled("cut short")
        self.is_whole = True

    def _count(self, size: int) -> None:
        self._silent_bytes = 0 if self._had_body else self._silent_bytes + size
        self._overhead_bytes += size
        if (
            self._silent_bytes > MAX_SILENT_BYTES
            or self._overhead_bytes - self._body_bytes
            > MAX_HEAD_BYTES + MAX_SILENT_BYTES + OVERHEAD_FACTOR * self._body_bytes
        ):
            raise Garbled("too little body in it")

    # What llhttp calls

    def on_message_begin(self) -> None:
        if self.is_whole:
            self._is_clean = False
        self.headers = self.headers if self.status else []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # no trailer
            self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.status or 100 <= status < 200:
            return
        self.status = status
        codings = [value.lower() for name, value in self.headers if name.lower() == b"transfer-encoding"]
        has_length = any(name.lower() == b"content-length" for name, _ in self.headers)
        self._is_clean = not (codings and has_length)
        if self._is_bodiless:
            self._finish()
        elif codings not in ([], [b"chunked"]):
            raise Garbled("unknown transfer coding")
        self._until_the_end = not codings and not has_length

    def on_body(self, piece: bytes) -> None:
        if self.is_whole:
            self._is_clean = False
            return
        self._had_body = True
        self._body_bytes += len(piece)
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self.status and not self.is_whole:
            self._finish()

    def _finish(self) -> None:
        self.is_whole = True
        self._stays_open = self._parser.should_keep_alive()
