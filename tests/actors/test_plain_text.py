"""Text for peers and stores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.plain_text import plain_text

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("مرحبا\nكيف الحال", "مرحبا\nكيف الحال"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("nul\x00 bell\x07 \x1b[31mred", "nul bell [31mred"),
        ("half \ud83d emoji", "half  emoji"),
        ("whole 😀\ttab", "whole 😀\ttab"),
    ],
)
def test_keeps_what_is_said_and_drops_what_harms(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@given(ANY_TEXT)
def test_any_text_can_be_stored_afterwards_and_does_not_change_again(text: str) -> None:
    plain = plain_text(text)
    assert "\x00" not in plain
    assert plain.encode().decode() == plain
    assert plain_text(plain) == plain
