"""Who should take the conversation."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import notices
from actors.escalation import (
    REASONS,
    RULES,
    EscalationInput,
    EscalationRule,
    Interaction,
    asks_for_human,
    low_quality,
    reason,
    reason_told,
    repeats_question,
    sensitive_topic,
    told_reason,
)
from actors.identity import Conversation
from actors.instance import Terms
from actors.messages import Batch

HUMAN_KEYWORDS = (
    "human support",
    "speak to someone",
    "agent",
    "representative",
    "talk to person",
    "customer service",
    "help me",
    "موظف",
    "خدمة العملاء",
    "ساعدني",
    "atendente",
    "asesor",
)
SENSITIVE_KEYWORDS = (
    "complaint",
    "legal",
    "lawyer",
    "refund",
    "compensation",
    "issue",
    "problem",
    "dispute",
    "billing",
    "charge",
    "شكوى",
    "محامي",
    "استرجاع",
    "تعويض",
    "مشكلة",
    "problema",
    "reembolso",
    "reclamação",
    "queja",
)
"""Bare, they count as they always did."""

ANY_TEXT = st.text(st.characters(exclude_categories=()))
INTERACTIONS = st.builds(Interaction, ANY_TEXT, st.none() | st.floats())


def _past(*texts: str) -> tuple[Interaction, ...]:
    return tuple(Interaction(text) for text in texts)


def _rated(*qualities: float | None) -> tuple[Interaction, ...]:
    return tuple(Interaction(f"question {i}", quality) for i, quality in enumerate(qualities))


@pytest.mark.parametrize("keyword", HUMAN_KEYWORDS)
def test_each_keyword_asks_for_a_human(keyword: str) -> None:
    assert asks_for_human(EscalationInput(keyword))
    assert asks_for_human(EscalationInput(f"please {keyword.upper()}!"))


@pytest.mark.parametrize("keyword", SENSITIVE_KEYWORDS)
def test_each_keyword_is_a_sensitive_topic(keyword: str) -> None:
    assert sensitive_topic(EscalationInput(keyword))
    assert sensitive_topic(EscalationInput(f"about: {keyword.upper()}."))


@pytest.mark.parametrize(
    "text",
    [
        "Can I talk to a person?",
        "are there any AGENTS here",
        "ممكن أكلم موظف؟",
        "أبغى أحد يرد عليّ",
        "عايزة أتكلم مع حد",
        "حولني على خدمه العملاء لو سمحت",
        "وين المُوظفين",
        "ابي اكلم المدير",
        "الدعـــم الفني",
        "هل يمكنني التحدث مع إنسان",
    ],
)
def test_common_ways_to_ask_for_a_person_are_recognised(text: str) -> None:
    assert reason(EscalationInput(text)) == "asks_for_human"


@pytest.mark.parametrize(
    "text",
    [
        "I want my refunds",
        "the lawyer's letter",
        "عندي مُشكلة",
        "سأرسل لكم محاميًّا والمحامي يتصل",
        "بالشكوى الرسمية",
        "انخصم من حسابي مرتين",
        "كيف استرجاع المبلغ",
        "what is your refund policy?",
        "الفاتورة غلط",
    ],
)
def test_matters_for_a_person_are_sensitive_topics(text: str) -> None:
    assert reason(EscalationInput(text)) == "sensitive_topic"


@pytest.mark.parametrize(
    "text",
    [
        "ما في مشكلة، شكراً",
        "no problem",
        "send me the invoice",
        "ارسلوا لي الفاتورة",
        "a box of tissues",
        "tissue",
        "legalise",
        "illegal",
        "the agentur, the agency",
        "charger",
        "representation",
        "customer of your service",
        "هل يوجد خصم؟",
        "كود خصم 20%",
        "كم بعد الخصم",
        "متى يوصل المندوب",
        "عندكم توصيل يوم الأحد",
        "وكيل تويوتا",
        "السلام عليكم",
        "",
        "👍",
    ],
)
def test_everyday_words_stay_with_the_responder(text: str) -> None:
    assert reason(EscalationInput(text)) == ""


def test_an_instance_may_have_its_own_words_for_a_human() -> None:
    own = ("Concierge ", "المشرف", "人工", " ", "")
    assert asks_for_human(EscalationInput("le concierge", keywords=own))
    assert asks_for_human(EscalationInput("وين مشرف", keywords=own))
    assert asks_for_human(EscalationInput("我要找人工客服", keywords=own))
    assert not asks_for_human(EscalationInput("an agent", keywords=own))


def test_an_instances_own_words_count_whatever_stands_beside_them() -> None:
    assert asks_for_human(EscalationInput("I don't need an agent", keywords=("agent",)))
    assert asks_for_human(EscalationInput("no problem", keywords=("problem",)))
    assert not sensitive_topic(EscalationInput("no problem", keywords=("problem",)))


def test_empty_keywords_leave_the_default_ones() -> None:
    assert asks_for_human(EscalationInput("an agent", keywords=("", " ?")))


@pytest.mark.parametrize(
    ("text", "before", "repeated"),
    [
        ("Where is my order?", ("where is my order", "WHERE is my order??"), True),
        ("أين طلبي؟", ("اين طلبى", "أَيْنَ طلبي!!", "hello"), True),
        ("the price", ("the price", "the price", "the price"), True),
        ("the price", ("the price",), False),
        ("the price", ("the price", "the size", "the price"), False),
        ("the size", ("the price", "the price", "the price"), False),
        ("the price\nthe price", ("the price", "The price?\nthe price"), True),
        ("the price\nthe price\nthe price", (), False),
        ("the price\nthe price", ("the price",), False),
        ("price?", ("price?", "price?"), False),
        ("1", ("1", "1"), False),
        ("1 2", ("1 2", "1 2"), False),
        ("١٢٣", ("123", "123"), False),
        ("نعم", ("نعم", "نعم"), False),
        ("نعم نعم", ("نعم نعم", "نعم نعم"), False),
        ("ايوه تمام", ("أيوه تمام", "ايوه تمام"), False),
        ("شكراً جزيلا", ("شكرا جزيلا", "شكرا جزيلاً"), False),
        ("ok, thank you!", ("ok thank you", "OK thank you"), False),
        ("sim, obrigada", ("sim obrigada", "Sim obrigada"), False),
        ("sí gracias", ("si gracias", "si, gracias"), False),
        ("no no no", ("no no no", "no no no"), False),
        ("السلام عليكم", ("السلام عليكم", "السلام عليكم"), False),
        ("السلام عليكم وين الطلب", ("السلام عليكم وين الطلب",) * 2, True),
        ("good morning", ("Good morning!", "good morning"), False),
        ("bom dia, tudo bem?", ("Bom dia tudo bem",) * 2, False),
        ("thank you for the price", ("thank you for the price", "thank you for the price"), True),
        ("", ("", ""), False),
        ("👍", ("👍", "👍"), False),
        ("where is my order", ("where is order my", "where is my order"), False),
    ],
)
def test_three_times_the_same_in_a_row_is_repeated(
    text: str, before: tuple[str, ...], repeated: bool
) -> None:
    assert repeats_question(EscalationInput(text, _past(*before))) is repeated


@pytest.mark.parametrize(
    ("answers", "repeated"),
    [(("a", "a"), True), (("a", "b"), False), (("", ""), False), (("a", ""), False), (("a", "a", "b"), True)],
)
def test_a_single_word_is_a_question_that_is_repeated_only_if_its_answers_were_the_same(
    answers: tuple[str, ...], repeated: bool
) -> None:
    past = tuple(Interaction("السعر", answer=answer) for answer in answers)
    assert repeats_question(EscalationInput("السعر؟", past)) is repeated
    yes = tuple(Interaction("نعم", answer="a") for _ in answers)
    assert not repeats_question(EscalationInput("نعم", yes))


def test_pictures_voices_and_choices_repeat_nothing() -> None:
    past = tuple(Interaction("Delivery and pickup", answer="a") for _ in range(4))
    assert repeats_question(EscalationInput("Delivery and pickup", past))
    assert not repeats_question(EscalationInput("Delivery and pickup", past, is_typed=False))


@pytest.mark.parametrize(
    ("qualities", "threshold", "low"),
    [
        ((0.1, 0.39, 0.0), 3, True),
        ((0.1, 0.4, 0.0), 3, False),
        ((0.1, None, 0.9, 0.2), 2, True),
        ((None, None, None), 1, False),
        ((float("nan"),), 1, False),
        ((0.1,), 0, True),
        ((0.9,), 0, False),
        ((), -1, False),
        ((0.9, 0.9, 0.9, 0.9, 0.9, 0.1), 1, False),
        ((0.1,) * 9, 6, False),
    ],
)
def test_enough_bad_answers_among_the_last_five(
    qualities: tuple[float | None, ...], threshold: int, low: bool
) -> None:
    assert low_quality(EscalationInput("hello", _rated(*qualities), threshold=threshold)) is low


def test_the_first_matching_rule_gives_the_reason() -> None:
    said = "agent, I have a problem"
    bad = tuple(Interaction(said, 0.1) for _ in range(5))
    assert [rule.reason for rule in RULES if rule.applies(EscalationInput(said, bad))] == [
        "asks_for_human",
        "repeated_question",
        "low_quality",
        "sensitive_topic",
    ]
    assert reason(EscalationInput(said, bad)) == "asks_for_human"
    assert reason(EscalationInput(said, bad, keywords=("concierge",))) == "repeated_question"
    assert reason(EscalationInput("a problem", bad)) == "low_quality"
    assert reason(EscalationInput("a problem", bad, threshold=6)) == "sensitive_topic"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason)
def test_each_rule_has_a_reason_in_english_and_arabic(rule: EscalationRule) -> None:
    batch = Batch(Conversation("shop", "966500000001"), 1, 1, 1, "timeout", 0, 0, 0, ())
    [notice] = notices.escalated(batch, rule.reason, Terms(notify_numbers=("966500000002",)))
    english, _, arabic = notice.body.splitlines()[0].removeprefix("shop: +966500000001 ").partition(" / ")
    assert re.search(r"[a-z]+ [a-z]+", english) and re.search("[\u0621-\u064a]+ [\u0621-\u064a]+", arabic)


@given(ANY_TEXT, st.lists(INTERACTIONS, max_size=7), st.lists(ANY_TEXT, max_size=3), st.integers())
def test_there_is_a_known_reason_for_anything(
    text: str, past: list[Interaction], keywords: list[str], threshold: int
) -> None:
    known = {"", *(rule.reason for rule in RULES)}
    assert reason(EscalationInput(text, tuple(past), tuple(keywords), threshold)) in known


def test_a_reason_is_told_under_its_other_name_and_read_back() -> None:
    names = (("asks_for_human", "user_request"), ("low_quality", "low_confidence"))
    assert [told_reason(reason, names) for reason in REASONS] == [
        "user_request",
        "repeated_question",
        "low_confidence",
        "sensitive_topic",
    ]
    assert [reason_told(told_reason(reason, names), names) for reason in REASONS] == list(REASONS)
    assert reason_told("of other software", names) == "of other software"
    assert reason_told("both", (("low_quality", "both"), ("sensitive_topic", "both"))) == "both"
