"""The grammar of a head. What is refused, and how, stands in `hostile_requests`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.web.http1.head import Head, ProtocolError, _read_head, check_partial_head, parse_head

START = b"POST /webhook/demo HTTP/1.1\r\n"
HOST = b"Host: a\r\n"


def test_a_plain_head() -> None:
    raw = START.replace(b"demo", b"d%C3%A9%2Fmo/x?a=1&b=%20&a=2") + HOST
    head = parse_head(raw + b"X-Empty:\r\nAccept: a\r\naccept:  b \r\nContent-Length: 5\r\n\r\n", 100)
    assert head.method == "POST"
    assert head.segments == ("webhook", "dé/mo", "x")
    assert head.query == {"a": "2", "b": " "}
    assert head.headers == {"host": "a", "x-empty": "", "accept": "a, b", "content-length": "5"}
    assert (head.content_length, head.chunked, head.keep_alive) == (5, False, True)


@pytest.mark.parametrize(
    ("start", "connection", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: x, Close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_keep_alive(start: bytes, connection: bytes, keeps: bool) -> None:
    assert parse_head(b"GET / HTTP/" + start + b"\r\n" + HOST + connection + b"\r\n", 9).keep_alive is keeps


def test_absolute_form_and_upgrade_offer_and_leading_line_break() -> None:
    raw = b"\r\nGET http://a:80/x?y=z HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    head = parse_head(raw, 100)
    assert (head.path, head.query) == ("/x", {"y": "z"})


@given(
    st.lists(
        st.sampled_from(("0", "7", "007", "123456789", "1234567890", "+1", "1 ", "")), min_size=1, max_size=4
    ),
    st.sampled_from((b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH: ")),
    st.sampled_from((b"", b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: h2c\r\n")),
)
def test_a_remembered_head_reads_as_if_it_were_new(lengths: list[str], name: bytes, more: bytes) -> None:
    """Whatever was read before, a head means the same, and what is doubtful is refused every time."""

    def outcome(read: Callable[[bytes, int], Head], raw: bytes) -> object:
        try:
            return read(raw, 100)
        except ProtocolError as error:
            return error.status, error.reason

    for length in lengths:
        raw = START + HOST + name + length.encode() + b"\r\n" + more + b"\r\n"
        assert outcome(parse_head, raw) == outcome(_read_head, raw)


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"GET / HTTP/1.1\nHost: a\n\n", b"GET /\0", b"GET /\rx"])
def test_hopeless_at_once(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        check_partial_head(data, 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    for raw in (
        noise,
        START + HOST + noise + b"\r\n\r\n",
        b"GET " + noise + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    ):
        try:
            head = parse_head(raw, 100)
        except ProtocolError as refused:
            assert refused.status in (400, 417, 431, 501, 505)
        else:
            assert not (head.chunked and head.content_length)
