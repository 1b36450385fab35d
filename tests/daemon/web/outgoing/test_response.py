"""Responses from bytes: in whatever pieces they come, and what is borne of those that lie."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.web.outgoing.response import MAX_HEAD_BYTES, Garbled, ResponseReader
from tests.contract.test_http_contract import ANSWERS, BROKEN, ENDED, ENDLESS


def read(pieces: list[bytes], *, ends: bool) -> tuple[object, ...] | str:
    response = ResponseReader()
    try:
        for piece in pieces:
            response.feed(piece)
        if ends:
            response.end()
    except Garbled:
        return "garbled"
    whole = response.is_whole, response.allows_another
    return response.status, response.headers, response.take(), *whole


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted({**ANSWERS, **BROKEN}.keys() - {"large", "tiny-chunks"})),
    st.lists(st.integers(0, 200), max_size=12),
    st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]),
)
def test_how_the_bytes_are_divided_says_nothing(name: str, cuts: list[int], behind: bytes) -> None:
    """I6: a response in pieces is the same, and so is one that is none."""
    raw = {**ANSWERS, **BROKEN}[name]
    raw += b"" if name in (*ENDED, *BROKEN) else behind
    places = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(places) if a < b]
    assert read(pieces, ends=name in ENDED) == read([raw] if raw else [], ends=name in ENDED)


def test_an_answer_to_a_question_for_the_head_alone_has_no_body() -> None:
    response = ResponseReader(is_bodiless=True)
    response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert (response.is_whole, response.allows_another) == (True, True)
    response.feed(b"hello")
    assert (response.take(), response.allows_another) == (b"", False)


@pytest.mark.parametrize("behind", [b"HTTP/1.1 200 OK\r\n", b"x", b"\x00"])
def test_what_comes_behind_an_answer_is_not_of_it_and_taints_the_connection(behind: bytes) -> None:
    """I6: or it would answer the next request."""
    for name in ("length", "chunked", "no-content", "early-hints"):
        response = ResponseReader()
        response.feed(ANSWERS[name])
        assert (name, response.allows_another) == (name, True)
        response.feed(behind)
        assert (name, response.is_whole, response.allows_another) == (name, True, False)


def test_a_head_of_some_size_is_read() -> None:
    response = ResponseReader()
    for piece in (b"HTTP/1.1 200 OK\r\nA: ", b"b" * (MAX_HEAD_BYTES - 100), b"\r\nContent-Length: 0\r\n\r\n"):
        response.feed(piece)
    assert response.is_whole


@pytest.mark.parametrize("name", sorted(ENDLESS.keys() - {"body"}))
def test_what_never_ends_is_given_up(name: str) -> None:
    """I8: before much of it came."""
    begins, goes_on = ENDLESS[name]
    response = ResponseReader()
    response.feed(begins)
    with pytest.raises(Garbled):
        for _ in range(2_000_000 // len(goes_on)):
            response.feed(goes_on)
