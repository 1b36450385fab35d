"""Reading what anyone may have written: total readers, and text that every store accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.gateways.lenient import NotJson, clean, decode, integer, line

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT, st.integers(0, 50))
def test_clean_is_storable_bounded_and_idempotent(value: str, max_chars: int) -> None:
    cleaned = clean(value, max_chars)
    cleaned.encode()
    assert "\x00" not in cleaned
    assert len(cleaned) <= max_chars
    assert clean(cleaned, max_chars) == cleaned


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=50))
def test_clean_leaves_good_text_alone(value: str) -> None:
    assert clean(value, 50) == value


def test_a_name_is_cut_to_one_line() -> None:
    assert line(" a\r\n\tb\x00 ") == "a b"
    assert line(7) == ""


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        ("7", 7),
        (" 7 ", 7),
        ("7.9", 7),
        (7.9, 7),
        ({"low": 7, "high": 0, "unsigned": True}, 7),
        ({"low": -1, "high": 0}, 0xFFFF_FFFF),
        ({"low": 0, "high": 1}, 1 << 32),
        ({"low": -1, "high": -1}, -1),
        ({"low": -1, "high": -1, "unsigned": True}, (1 << 64) - 1),
        ({"low": 10**400}, 0),
        (True, None),
        (None, None),
        ([7], None),
        ({"low": "7"}, None),
        ("seven", None),
        ("9" * 5000, None),
        ("1e400", None),
        ("nan", None),
        (float("inf"), None),
    ],
)
def test_integers_are_read_from_every_form(value: Any, number: int | None) -> None:
    assert integer(value) == number


@given(st.recursive(st.none() | st.integers() | ANY_TEXT, st.lists, max_leaves=5))
def test_decode_reads_all_that_javascript_writes(value: Any) -> None:
    assert decode(json.dumps(value).encode()) == value


@given(st.binary())
def test_decode_raises_one_error_only(body: bytes) -> None:
    try:
        decode(body)
    except NotJson as error:
        assert error.__context__ is None
