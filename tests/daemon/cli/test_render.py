"""How durations and money are written."""

from __future__ import annotations

import json

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


HOSTILE = {"text": "السعر \u202e59\u202c\u2066\u2069\x9b2J\x7f"}


def test_json_on_a_terminal_is_escaped_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_json(HOSTILE)
    shown = capsys.readouterr().out
    assert json.loads(shown) == HOSTILE
    assert "السعر" in shown and not set("\u202e\u202c\u2066\u2069\x9b\x7f") & set(shown)


def test_a_cell_shows_no_overrides() -> None:
    assert render.cell(HOSTILE["text"]).plain == "السعر 592J"
