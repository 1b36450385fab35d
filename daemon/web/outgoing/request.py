"""A request, from its parts to the bytes that go. Pure.

The laws of this file:
1. Nothing is smuggled in: no line break, no control character in a method, a target, a name or a value.
2. The body is exactly as long as its head says, or the request is refused; of a body that comes in pieces no byte goes
   beyond that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_NO_VALUE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]|\A[\t\x20]|[\t\x20]\Z")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_REMEMBERED_LINES = 256
"""Most requests have the same ones."""


class Unwritable(Exception):
    """This cannot be a request."""


class BodyFraming:
    """Frames the pieces of a body as the head has announced it."""

    def __init__(self, length: int | None) -> None:
        self._length = length
        """None: chunked."""
        self._sent_bytes = 0

    def piece(self, data: bytes) -> bytes:
        """Raises: Unwritable: it is longer than announced."""
        self._sent_bytes += len(data)
        if self._length is None:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if self._sent_bytes > self._length:
            raise Unwritable("longer than announced")
        return data

    def end(self) -> bytes:
        """Raises: Unwritable: it is shorter than announced."""
        if self._length is None:
            return b"0\r\n\r\n"
        if self._sent_bytes < self._length:
            raise Unwritable("shorter than announced")
        return b""


def written(method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, BodyFraming]:
    """The head's bytes, and how the body is framed. Raises: Unwritable."""
    start = method.encode("ascii", "replace")
    if not (_TOKEN.fullmatch(start) and _TARGET.fullmatch(target)):
        raise Unwritable("bad request line")
    lines = [b"%b %b HTTP/1.1\r\n" % (start, target)]
    lengths, codings = [], []
    for name, value in headers:
        lines.append(_line(name, value))
        match name.lower():
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value)
    lines.append(b"\r\n")
    return b"".join(lines), BodyFraming(_length(lengths, codings))


@lru_cache(_REMEMBERED_LINES)
def _line(name: bytes, value: bytes) -> bytes:
    """Raises: Unwritable."""
    if not _TOKEN.fullmatch(name) or _NO_VALUE.search(value):
        raise Unwritable("bad header")
    return b"%b: %b\r\n" % (name, value)


def _length(lengths: Sequence[bytes], codings: Sequence[bytes]) -> int | None:
    match lengths, codings:
        case [], []:
            return 0
        case [length], [] if _LENGTH.fullmatch(length):
            return int(length)
        case [], [coding] if coding.lower() == b"chunked":
            return None
    raise Unwritable("two lengths, or none that can be read")
