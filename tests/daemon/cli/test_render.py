"""How durations and money are written."""

from __future__ import annotations

import pytest

from daemon.cli import render


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-1, "0.0 s"),
        (6.23, "6.2 s"),
        (192, "3 min 12 s"),
        (11_520, "3 h 12 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_are_readable(seconds: float | None, words: str) -> None:
    assert render.duration(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0.0, "0"), (2.5, "2.50"), (0.000412, "0.000412"), (1234.5678, "1,234.5678"), (3.0, "3.00")],
)
def test_money_has_two_to_six_decimals(amount: float, words: str) -> None:
    assert render.money(amount) == words
