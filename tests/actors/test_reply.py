"""Splitting a reply into parts: total, bounded, nothing lost that fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.reply import ELLIPSIS, MAX_PART_CHARS, MAX_PARTS, choose_origin, origin_of, split
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


def test_a_text_that_just_fits_is_never_split() -> None:
    for text in ("x" * 10, "ab cd, efg", "abc\n\ndef g", "abcdef. gh"):
        assert split(text, max_chars=10) == (text,)
    assert split("x" * 11, max_chars=10) == ("x" * 10, "x")


def test_a_part_is_at_least_half_full_however_kind_an_earlier_boundary_is() -> None:
    """One early paragraph would cost a message of its own, and the last parts of a long reply would be cut off."""
    assert split("a\n\n" + "b" * 12, max_chars=10) == ("a\n\n" + "b" * 7, "b" * 5)
    assert split("aaaa. b cc dddd", max_chars=10) == ("aaaa. b", "cc dddd")
    assert split("aaaaa. b cc dd", max_chars=10) == ("aaaaa.", "b cc dd")  # right at the half it counts


def test_as_many_parts_as_allowed_are_not_cut() -> None:
    assert split("aaaa bbbb cccc", max_chars=4, max_parts=3) == ("aaaa", "bbbb", "cccc")
    assert split("aaaa bbbb cccc d", max_chars=4, max_parts=3) == ("aaaa", "bbbb", "ccc" + ELLIPSIS)
    assert len(split("word " * 20_000)) == MAX_PARTS


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


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Gate.Example/path?x=1", "https://gate.example"),
        (" http://gate.example:80/ ", "http://gate.example"),
        ("https://gate.example:443", "https://gate.example"),
        ("http://gate.example:443", "http://gate.example:443"),
        ("https://gate.example:8443/a", "https://gate.example:8443"),
        ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080"),
        ("ftp://gate.example", ""),
        ("gate.example", ""),
        ("https://", ""),
        ("https://gate.example:port", ""),
        ("https://user@gate.example", ""),
        ("https://:secret@gate.example", ""),
        ("https://gate.example@evil.example/", ""),
    ],
)
def test_an_origin_is_scheme_host_and_port_and_nothing_that_hides_another_host(
    address: str, origin: str
) -> None:
    assert origin_of(address) == origin


def test_the_key_goes_only_to_an_origin_that_the_operator_allows() -> None:
    """Webhooks and stored addresses are words of others; the latest allowed one of the former comes first."""
    allowed = ("https://one.example", "https://two.example:8443")
    assert choose_origin(["https://evil.example"], "https://evil.example", allowed) == ""
    assert choose_origin(["https://evil.example"], "https://one.example/x", allowed) == "https://one.example"
    assert choose_origin(["https://two.example:8443"], "https://one.example", allowed) == allowed[1]
    assert choose_origin(["https://two.example"], "", allowed) == ""
    assert choose_origin([""], "", ("",)) == ""
