"""Splitting a reply into parts: total, bounded, nothing lost that fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.reply import ELLIPSIS, MAX_PART_CHARS, split
from actors.text import plain_text


def test_a_short_text_is_one_unchanged_part() -> None:
    assert split("مرحبا\nhow are you?") == ("مرحبا\nhow are you?",)


def test_an_empty_reply_has_no_parts() -> None:
    assert split(" \n\x00 ") == ()


def test_a_long_text_is_cut_at_the_best_boundary() -> None:
    text = "a" * 30 + "\n\n" + "b" * 15 + ". " + "c" * 30
    assert split(text, max_chars=50) == ("a" * 30, "b" * 15 + ". " + "c" * 30)


def test_an_endless_word_is_cut() -> None:
    assert split("x" * 25, max_chars=10) == ("x" * 10, "x" * 10, "x" * 5)


def test_text_that_does_not_fit_is_cut_visibly() -> None:
    parts = split("word " * 100, max_chars=20, max_parts=3)
    assert len(parts) == 3
    assert parts[-1].endswith(ELLIPSIS)
    assert len(parts[-1]) <= 20


@given(st.text(), st.integers(2, 60), st.integers(1, 5))
def test_parts_are_bounded_and_whole(text: str, max_chars: int, max_parts: int) -> None:
    parts = split(text, max_chars, max_parts)
    assert len(parts) <= max_parts
    assert all(part and len(part) <= max_chars for part in parts)
    if not parts or not parts[-1].endswith(ELLIPSIS):
        assert "".join("".join(parts).split()) == "".join(plain_text(text).split())


@given(st.text())
def test_default_split_loses_nothing_that_fits(text: str) -> None:
    assert len(text) <= MAX_PART_CHARS
    cleaned = plain_text(text).strip()
    assert split(text) == ((cleaned,) if cleaned else ())
