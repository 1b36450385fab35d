"""Expressions as they are written in lists, and where they occur."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sense.patterns import Hit, Matcher, word_class

CLASSES = {"thing": word_class("order{,ing} box"), "the": word_class("the my")}


def _found(expression: str, said: str) -> list[tuple[int, int]]:
    matcher = Matcher(word_class("not never"))
    matcher.add("kind", expression, CLASSES)
    return [(hit.start, hit.end) for hit in matcher.hits(said.split())]


@pytest.mark.parametrize(
    ("expression", "said", "places"),
    [
        ("call me", "please call me now", [(1, 3)]),
        ("call/ring me", "ring me or call me", [(0, 2), (3, 5)]),
        ("call{,s,ed} me", "he called me", [(1, 3)]),
        ("order broken", "order is broken", []),
        ("@thing is broken", "box is broken", [(0, 3)]),
        ("where is @the? order", "where is order", [(0, 3)]),
        ("where is @the? order", "where is my order", [(0, 4)]),
        ("where is @the? order", "where is this order", []),
        ("no @the* order", "no the my the order", [(0, 5)]),
        ("no @the* order", "no order", [(0, 2)]),
        ("no @the* order", "no the my the my order", []),
        ("order .. broken", "order came broken", [(0, 3)]),
        ("order .. broken", "order broken", [(0, 2)]),
        ("order .. broken", "order a b c broken", []),
        ("order ... broken", "order a b c d broken", [(0, 6)]),
        ("order .. broken", "order not broken", []),
        ("order not broken", "order not broken", [(0, 3)]),
        ("# times", "# time", [(0, 2)]),
        ("^ help $", "^ help $", [(0, 3)]),
        ("^ help $", "^ help them $", []),
        ("money $ ?", "money $ ?", [(0, 3)]),
        ("مُشكلة/الأمر", "مشكله امر", [(0, 1), (1, 2)]),
        ("customer_service", "customer_service", [(0, 1)]),
        ("my? order", "my order", [(0, 2), (1, 2)]),
        ("charges", "charge", [(0, 1)]),
    ],
)
def test_an_expression_occurs_where_it_should(
    expression: str, said: str, places: list[tuple[int, int]]
) -> None:
    assert _found(expression, said) == places


def test_of_the_expressions_of_a_kind_that_begin_at_a_word_the_longest_counts() -> None:
    matcher = Matcher(())
    matcher.add("kind", "call me\ncall me back", {})
    matcher.add("other", "call", {})
    assert set(matcher.hits(["call", "me", "back"])) == {Hit("kind", 0, 3), Hit("other", 0, 1)}


def test_a_line_that_is_indented_further_goes_on_with_the_expression() -> None:
    listed = """
    call/
        ring me
    help
        us
"""
    assert _found(listed, "ring me") == [(0, 2)]
    assert _found(listed, "help us") == [(0, 2)]
    assert _found(listed, "help") == []


@pytest.mark.parametrize("expression", [".. order", "a? .. b", "a? b?", "two-words", "a ... ... ... ... b"])
def test_an_expression_without_a_first_word_or_with_too_many_variants_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"begins with|not one word"):
        _found(expression, "")


@given(st.lists(st.sampled_from(["no", "the", "my", "order", "a", "broken", "not"]), max_size=12))
def test_a_hit_is_within_the_clause(said: list[str]) -> None:
    for expression in ("no @the* order", "order ... broken", "my .. order", "a"):
        assert all(0 <= start < end <= len(said) for start, end in _found(expression, " ".join(said)))
