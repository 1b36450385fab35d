"""The body of an answer within its bound, counted after decompression."""

from __future__ import annotations

import zlib
from collections.abc import Callable


class BodyRefused(Exception):
    """The answer's body cannot be taken; the message is the reason."""


def bounded_decoder(encoding: str) -> Callable[[bytes, int], bytes]:
    """Decodes a chunk into so many bytes at most. Compression is not asked for; some proxies compress anyway.

    Raises:
      BodyRefused: it is compressed in another way.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return lambda chunk, allowed: chunk[:allowed]
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(wbits=47).decompress  # gzip or zlib, recognized by the header
        case _:
            raise BodyRefused("bad_encoding")


def append(body: bytearray, chunk: bytes, decode: Callable[[bytes, int], bytes], max_body_bytes: int) -> None:
    """Raises: BodyRefused."""
    try:
        body += decode(chunk, max_body_bytes + 1 - len(body))
    except zlib.error:
        raise BodyRefused("bad_encoding") from None
    if len(body) > max_body_bytes:
        raise BodyRefused("too_large")
