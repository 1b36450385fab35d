"""The strict decoder of chunked bodies. What is refused stands in `hostile_requests`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.web.http1.chunked import ChunkedBody
from daemon.web.http1.head import ProtocolError
from daemon.web.http1.incoming import IncomingBody

MAX = 1000


def decode(raw: bytes) -> tuple[bytes, bytes] | None:
    """Body and what follows it; None when more is wanted."""
    buffer = bytearray(raw)
    body = IncomingBody(MAX)
    return (body.body, bytes(buffer)) if ChunkedBody(body).feed(buffer) else None


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;name=value\r\nhello\r\n00\r\nTrailer: x\r\n\r\n", b"hello"),
        (b"A\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n", b"0123456789!"),
    ],
)
def test_good(raw: bytes, body: bytes) -> None:
    assert decode(raw + b"GET") == (body, b"GET")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=10), st.data())
def test_splits_do_not_matter(pieces: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\nNEXT"
    buffer, body, done = bytearray(), IncomingBody(MAX), False
    chunks = ChunkedBody(body)
    position = 0
    while position < len(raw):
        step = data.draw(st.integers(1, 30))
        buffer += raw[position : position + step]
        position += step
        done = done or chunks.feed(buffer)
    assert done
    assert (body.body, bytes(buffer)) == (b"".join(pieces), b"NEXT")


@given(st.binary(max_size=400))
def test_any_bytes_end(noise: bytes) -> None:
    try:
        decode(noise)
    except ProtocolError as refused:
        assert refused.status in (400, 413)
