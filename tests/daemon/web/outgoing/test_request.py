"""What can be a request."""

from __future__ import annotations

import pytest

from daemon.web.outgoing.request import Unwritable, written


def test_a_request_is_written() -> None:
    head, framing = written("POST", b"/a?b=c", [(b"Host", b"h"), (b"A", b""), (b"Content-Length", b"2")])
    assert head == b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nA: \r\nContent-Length: 2\r\n\r\n"
    assert framing.piece(b"a") + framing.piece(b"b") + framing.end() == b"ab"


def test_a_body_of_unknown_length_is_chunked() -> None:
    _, framing = written("POST", b"/", [(b"Transfer-Encoding", b"chunked")])
    pieces = [framing.piece(piece) for piece in (b"x" * 16, b"", b"y")]
    assert b"".join(pieces) + framing.end() == b"10\r\n" + b"x" * 16 + b"\r\n1\r\ny\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "name", "value"),
    [
        ("GET", b"/", b"A", b"b\r\nc: d"),
        ("GET", b"/", b"A", b"b\nc: d"),
        ("GET", b"/", b"A", b"b\n"),
        ("GET", b"/", b"A", b"\x00"),
        ("GET", b"/", b"A", b"\x7f"),
        ("GET", b"/", b"A", b" b"),
        ("GET", b"/", b"A", b"b\t"),
        ("GET", b"/", b"A b", b"c"),
        ("GET", b"/", b"A\n", b"c"),
        ("GET", b"/", b"", b"c"),
        ("GET", b"/ HTTP/1.1\r\nA: b", b"A", b"b"),
        ("GET", b"/\n", b"A", b"b"),
        ("GET", b"", b"A", b"b"),
        ("G T", b"/", b"A", b"b"),
        ("GÉT", b"/", b"A", b"b"),
        ("GET", b"/", b"Content-Length", b"1, 1"),
        ("GET", b"/", b"Content-Length", b"+1"),
        ("GET", b"/", b"Content-Length", "١".encode()),
        ("GET", b"/", b"Transfer-Encoding", b"gzip, chunked"),
    ],
)
def test_nothing_is_smuggled_in(method: str, target: bytes, name: bytes, value: bytes) -> None:
    """I12."""
    with pytest.raises(Unwritable):
        written(method, target, [(name, value)])


@pytest.mark.parametrize("second", [(b"content-length", b"1"), (b"TRANSFER-ENCODING", b"chunked")])
def test_two_lengths_are_none(second: tuple[bytes, bytes]) -> None:
    with pytest.raises(Unwritable):
        written("POST", b"/", [(b"Content-Length", b"1"), second])


@pytest.mark.parametrize("body", [b"a", b"abc"])
def test_a_body_has_the_length_that_was_announced(body: bytes) -> None:
    """I6: or the next request on this connection would begin within this one."""
    _, framing = written("POST", b"/", [(b"Content-Length", b"2")])
    with pytest.raises(Unwritable):
        framing.piece(body)
        framing.end()
