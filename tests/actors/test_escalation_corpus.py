"""How well the rules read: a corpus of what customers write, in two halves of the same shape.

`made.yaml` is read while the rules are made. Of the half that is set aside only numbers are shown, so that nobody makes
a rule for a line of it.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from actors.escalation import EscalationInput, asks_for_human, sensitive_topic

CORPUS = Path(__file__).parent / "escalation_corpus"
MADE, SET_ASIDE = "made", "set_aside"
RULES = {"human": asks_for_human, "sensitive": sensitive_topic}
PRECISION, RECALL = 0.95, 0.9
OF_A_LANGUAGE = 0.8
"""No language is far below the others: the least of its precision and its recall."""
MIN_LINES = {"ar": 60, "en": 50, "es": 50, "pt": 50}
"""Of the half that was made beside the rules; the whole has sixty and more in each language."""


class Line(NamedTuple):
    language: str
    label: str
    text: str


class Score(NamedTuple):
    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)


HALVES = (MADE, SET_ASIDE)


@cache
def _lines(half: str) -> tuple[Line, ...]:
    written = yaml.safe_load((CORPUS / f"{half}.yaml").read_text(encoding="utf-8"))
    return tuple(Line(line["lang"], line["is"], line["text"]) for line in written)


@cache
def _faults(half: str, rule: str) -> tuple[tuple[Line, bool, bool], ...]:
    """Each line, whether the rule should hold there, and whether it does."""
    lines = _lines(half)
    return tuple(
        (line, rule in line.label.split(), RULES[rule](EscalationInput(line.text))) for line in lines
    )


def _score(half: str, rule: str, language: str = "") -> Score:
    pairs = Counter(
        (wanted, found) for line, wanted, found in _faults(half, rule) if language in ("", line.language)
    )
    return Score(pairs[True, True], pairs[False, True], pairs[True, False])


def _shown(half: str, rule: str) -> str:
    """The lines that were read wrongly; of the half that is set aside, how many."""
    wrong = [(line, found) for line, wanted, found in _faults(half, rule) if wanted != found]
    if half != MADE:
        return f"{len(wrong)} lines are read wrongly"
    return "\n".join(
        f"{line.language}, {'too much' if found else 'missed'}: {line.text!r}" for line, found in wrong
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("half", HALVES)
def test_a_rule_finds_what_it_should_and_little_else(half: str, rule: str) -> None:
    score = _score(half, rule)
    assert score.precision >= PRECISION, _shown(half, rule)
    assert score.recall >= RECALL, _shown(half, rule)


@pytest.mark.parametrize("language", MIN_LINES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("half", HALVES)
def test_no_language_is_far_below_the_others(half: str, rule: str, language: str) -> None:
    score = _score(half, rule, language)
    assert min(score.precision, score.recall) >= OF_A_LANGUAGE, (score, _shown(half, rule))


def test_the_half_that_was_made_beside_the_rules_has_traps_in_every_language() -> None:
    languages = Counter(line.language for line in _lines(MADE))
    assert all(languages[language] >= least for language, least in MIN_LINES.items())
    assert {line.label for line in _lines(MADE)} == {"none", "human", "sensitive", "human sensitive"}


def test_no_line_is_in_both_halves() -> None:
    assert {line.text for line in _lines(MADE)}.isdisjoint(line.text for line in _lines(SET_ASIDE))
