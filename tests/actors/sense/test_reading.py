"""What is left of expressions after denials, courtesy, suppositions and what is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sense.patterns import Matcher, word_class
from actors.sense.reading import LANGUAGES, MAX_CHARS, Sense, read

NEITHER = Sense()
HUMAN = Sense(human=True)
SENSITIVE = Sense(sensitive=True)
BOTH = Sense(human=True, sensitive=True)


@pytest.mark.parametrize(
    ("text", "sense"),
    [
        ("no problem", NEITHER),
        ("no problem but I want a refund", SENSITIVE),
        ("No problem.\nCall me please", HUMAN),
        ("no, I have a problem", SENSITIVE),
        ("I got my refund, thanks", NEITHER),
        ("I haven't got my refund", SENSITIVE),
        ("when will I have my money back?", SENSITIVE),
        ("I have never seen bad service here", NEITHER),
        ("I have never seen such bad service", SENSITIVE),
        ("another shop sent me broken cups", NEITHER),
        ("your other shop sent me broken cups", SENSITIVE),
        ("nunca me ha llegado nada roto", NEITHER),
        ("nunca recebi meu reembolso", SENSITIVE),
        ("عمركم ما تأخرتوا علي", NEITHER),
        ("لسه ما رجعت لي الفلوس", SENSITIVE),
        ("no problem waiting, my order is broken though", SENSITIVE),
        ("ما في مشكلة", NEITHER),
        ("ما في مشكلة بس ابي فلوسي", SENSITIVE),
        ("لا، عندي مشكلة", SENSITIVE),
        ("sem problema, mas quero reembolso", SENSITIVE),
        ("sin problema pero quiero un reembolso", SENSITIVE),
        ("I don't need an agent", NEITHER),
        ("I don't need a bot, I need an agent", HUMAN),
        ("the agent was very kind", NEITHER),
        ("the agent was rude", SENSITIVE),
        ("what if it arrives broken?", NEITHER),
        ("if you don't refund me I call my lawyer", SENSITIVE),
        ("it arrived broken", SENSITIVE),
        ("it arrived broken. all solved now, thanks", NEITHER),
        ("all solved now. but today it arrived broken", SENSITIVE),
        ("the problem is not solved", SENSITIVE),
        ("I have a problem that nobody has fixed", SENSITIVE),
        ("no me resolvieron el problema", SENSITIVE),
        ("que legal, obrigada", NEITHER),
        ("legal", SENSITIVE),
        ("nao quero robo", HUMAN),
        ("es un robo", SENSITIVE),
        ("do you repair phones? the screen is broken", NEITHER),
        ("my screen arrived broken", SENSITIVE),
        ("no problem, I\u2019ll come by after 5", NEITHER),
        ("ill pass by after work", NEITHER),
        ("we were ill after eating at yours", SENSITIVE),
        ("heeelp meee", HUMAN),
        ("موظفففف", HUMAN),
        ("I\u2019m not happy with this, don\u2019t call me", SENSITIVE),
        ("AGENT\u200b, my card was charged twice", BOTH),
        ("", NEITHER),
        ("👍", NEITHER),
    ],
)
def test_a_text_says_what_a_person_would_hear(text: str, sense: Sense) -> None:
    assert read(text) == sense


@pytest.mark.parametrize("angry", ["where is my order?!", "where is my order???", "where is my order 😡"])
def test_a_neutral_question_becomes_a_complaint_by_its_tone(angry: str) -> None:
    assert read("where is my order?") == NEITHER
    assert read(angry) == SENSITIVE


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_expression_of_a_language_can_be_read(language: str) -> None:
    """One that cannot would stop the start of the daemon."""
    lists = LANGUAGES[language]
    classes = {name: word_class(listed) for name, listed in lists.classes.items()}
    matcher = Matcher(word_class(lists.denials))
    for listed in (lists.human, lists.demands, lists.troubles, lists.harmless, lists.mentions):
        matcher.add("kind", listed, classes)
    assert len(matcher.vocabulary) > 500


def test_only_the_beginning_of_a_text_is_read() -> None:
    assert read("a " * (MAX_CHARS // 2) + "agent") == NEITHER
    assert read("\ufdfa" * 2000 + " agent") == NEITHER


@given(st.text(st.characters(exclude_categories=())))
def test_anything_can_be_read(text: str) -> None:
    assert isinstance(read(text), Sense)
