"""Reading answers: total over any body and any header."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.web.answer import MAX_RETRY_AFTER_SECONDS, HttpAnswer, dig, readable_json, retry_after_seconds

NOW = datetime(2026, 7, 26, 21, 13, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("99999999999", MAX_RETRY_AFTER_SECONDS),
        ("inf", MAX_RETRY_AFTER_SECONDS),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Sun, 26 Jul 2026 21:13:36 GMT", 30.0),
        ("Sun, 26 Jul 2026 21:13:36", 30.0),
        ("Sun, 26 Jul 2026 21:00:00 GMT", 0.0),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_a_date_to_wait_for_is_by_the_peers_own_clock() -> None:
    """Its clock may be hours off ours."""
    headers = {"retry-after": "Sun, 26 Jul 2026 21:13:36 GMT", "date": "Sun, 26 Jul 2026 21:13:06 GMT"}
    assert HttpAnswer(429, headers, b"").retry_after_seconds == 30.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Sun, 26 Jul 2026 21:13:06 GMT", NOW.timestamp()),
        ("Sun, 26 Jul 2026 18:13:06 -0300", NOW.timestamp()),
        ("", None),
        ("soon", None),
        ("Sun, 99 Jul 2026 21:13:06 GMT", None),
    ],
)
def test_the_peers_clock(header: str, seconds: float | None) -> None:
    assert HttpAnswer(200, {"date": header}, b"").date_seconds == seconds


@given(st.text())
def test_any_date_is_read_or_not(header: str) -> None:
    assert isinstance(HttpAnswer(200, {"date": header}, b"").date_seconds, float | None)


@given(st.text())
def test_retry_after_is_total_and_bounded(header: str) -> None:
    """I8: a peer's wish is bounded."""
    seconds = retry_after_seconds(header, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(st.binary())
def test_any_body_reads_as_something_or_none(body: bytes) -> None:
    readable_json(body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"9" * 10_000, b"\xff\xfe", b"{", b""])
def test_hostile_json_is_unreadable_and_no_error(body: bytes) -> None:
    assert readable_json(body) is None


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"1e999",
            b"-0",
            b"0.1e1",
            b"9007199254740993.0",
            b"18446744073709551616",
            b"-" + b"9" * 30,
            b"NaN",
        ),
        *(
            b'{"a":1,"a":2}',
            b'"\\ud83d"',
            b'"\\ud83d\\ude00"',
            b'"\xed\xa0\x80"',
            b"\xef\xbb\xbf[1]",
            b'{"":null}',
        ),
        "é".join('""').encode("utf-16"),
    ],
)
def test_what_the_standard_library_reads_is_read_as_it_reads_it(body: bytes) -> None:
    read = readable_json(body)
    assert (type(read), repr(read)) == (type(json.loads(body)), repr(json.loads(body)))


def test_dig_stops_at_the_first_thing_of_another_type() -> None:
    value: object = {"choices": [{"message": {"content": "hello"}}]}
    assert dig(value, "choices", 0, "message", "content") == "hello"
    assert dig(value, "choices", 1, "message") is None
    assert dig(value, "choices", "message") is None
    assert dig(value, 0) is None
    assert dig(value, "choices", 0, "message", "content", "more") is None


def test_an_answer_shows_no_body_in_its_repr() -> None:
    """I11: an answer quotes the customer's text and may carry keys."""
    answer = HttpAnswer(200, {"set-cookie": "secret"}, b'{"text": "secret"}')
    assert "secret" not in repr(answer)
    assert answer.json() == {"text": "secret"}
