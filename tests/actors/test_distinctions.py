"""Which questions are the same but for their wording."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.asked import exact_form
from actors.distinctions import features, features_text
from tests.support.question_pairs import OTHER, SAME


@pytest.mark.parametrize(("first", "second"), OTHER)
def test_questions_with_different_answers_differ(first: str, second: str) -> None:
    assert features(first) != features(second)
    assert exact_form(first) != exact_form(second)


def test_most_wordings_of_one_question_have_the_same_features() -> None:
    """Of those for which nothing was left out it would be none: then the cache by meaning were no use."""
    missed = [pair for pair in SAME if features(pair[0]) != features(pair[1])]
    assert len(missed) <= len(SAME) * 0.1, missed


def test_a_word_that_is_not_known_counts_in_any_language() -> None:
    for known in ("price of {}", "كم سعر {}", "preço de {}", "precio de {}", "Preis von {}"):
        assert features(known.format("sidr")) != features(known.format("talh"))
        assert features(known.format("sidr talh")) != features(known.format("talh sidr"))


WORDS = st.sampled_from(["price", "how", "much", "the", "عسل", "سعر", "لا", "no", "3", "kg", "+", "US"])


@settings(max_examples=30)
@given(st.lists(WORDS, max_size=6).map(" ".join), st.sampled_from(["sidr", "عسل", "7", "#", "🍕"]))
def test_a_name_a_number_or_a_sign_more_is_another_question(text: str, more: str) -> None:
    assert features(f"{text} price") != features(f"{text} price {more}")


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    assert features_text(text) == features_text(text)
    assert set(features_text(text).split("\n")) == features(text)
