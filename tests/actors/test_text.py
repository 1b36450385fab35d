"""What may be stored of a text, and that words that are the same for a reader are the same for the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.text import (
    contains_phrase,
    first_words,
    normalised,
    plain_text,
    search_text,
    shown_text,
    words,
    words_of,
)

HARD = "aeizAI\u0130\u0131\u0345\u03a3\u03c2\u1fb3ß\ufb01ＡÅ '’_1٣۴ \u200b\u200f\u00a0\n\r\x00\ud83d👍\ufe0f"
ARABIC = "اأإآٱىيیؤئةهءكک\u0640\u064b\u0651\u0654\u0670\u06e5\ufe70\ufe71\ufefb\u0301\u05b0é"
ASCII = st.text(st.characters(max_codepoint=127)) | st.text("aZ_9' .,?!\t\n\r\x0b\x00\x1c\x7f")
"""Read on a way of its own. A word of another script behind it sends it the way of all texts."""
ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.text(HARD + ARABIC)


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
def test_plain_text_keeps_the_words_and_drops_harmful_characters(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@given(ANY_TEXT)
def test_any_text_can_be_stored_afterwards_and_does_not_change_again(text: str) -> None:
    plain = plain_text(text)
    assert "\x00" not in plain
    assert plain.encode().decode() == plain
    assert plain_text(plain) == plain


@given(ASCII)
def test_what_is_ascii_is_read_as_all_texts_are(text: str) -> None:
    assert plain_text(f"{text}ж") == f"{plain_text(text)}ж" or text.endswith("\r")
    assert normalised(f"{text} ж") == f"{normalised(text)} ж".lstrip()
    assert words(f"{text} ж") == (*words(text), "ж")
    assert words_of(normalised(text)) == words(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("  ReFund \n\t now ", "refund now"),
        ("ＡＢＣ ﬁne", "abc fine"),
        ("réclamation", "reclamation"),
        ("İSTANBUL Straße", "istanbul strasse"),
        ("مُحَامِيّ", "محامي"),
        ("شكـــــوى", "شكوي"),
        ("أحمد إلى آخر ٱلله", "احمد الي اخر الله"),
        ("مسؤول شيئا خدمة", "مسوول شييا خدمه"),
        ("یکې ہے", "يكي هي"),
        ("٠١٢٣٤٥٦٧٨٩ ۰۱۲۳۴۵۶۷۸۹", "0123456789 0123456789"),
        ("re\u200bfu\u200fnd\ufeff", "refund"),
        ("ﻣﺸﻜﻠﺔ", "مشكله"),
        ("й नमस्ते", "й नमस्ते"),
        ("half \ud83d emoji\x00", "half emoji"),
    ],
)
def test_spellings_of_the_same_word_are_equal(text: str, same: str) -> None:
    assert normalised(text) == same


@given(ANY_TEXT)
def test_normalised_text_can_be_stored_and_does_not_change_again(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert once.encode().decode() == once
    assert once == " ".join(once.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ()),
        ("?! 👍 1️⃣ --", ("1",)),
        ("Hello,world", ("hello", "world")),
        ("the lawyer’s l'avocat", ("the", "lawyer", "s", "l", "avocat")),
        ("order_no=#12", ("order", "no", "12")),
        ("नमस्ते, दुनिया!", ("नमस्ते", "दुनिया")),
        ("找人工ok", ("找", "人", "工", "ok")),
        ("وين، طلبي؟", ("وين", "طلبي")),
    ],
)
def test_words_are_whole(text: str, said: tuple[str, ...]) -> None:
    assert words(text) == said


@given(ANY_TEXT)
def test_no_word_is_empty_or_has_a_blank(text: str) -> None:
    assert all(word and word.split() == [word] for word in words(text))


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("I have an ISSUE!", "issue"),
        ("three issues", "issue"),
        ("two batches of boxes, many enquiries", "batch"),
        ("two batches of boxes, many enquiries", "box"),
        ("two batches of boxes, many enquiries", "enquiry"),
        ("please: human   support", "human support"),
        ("عندي شكوى", "شَكوَى"),
        ("بالشكوى", "شكوى"),
        ("والمحامي", "محامي"),
        ("للمشكلة", "مشكلة"),
        ("بفاتورة", "فاتورة"),
        ("وبمشكلة", "مشكلة"),
        ("خدمة عملاء", "خدمة العملاء"),
        ("لخدمة العملاء", "خدمة العملاء"),
        ("我要找人工客服", "人工"),
    ],
)
def test_a_phrase_is_found(text: str, phrase: str) -> None:
    assert contains_phrase(words(text), words(phrase))


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("a tissue", "issue"),
        ("issued", "issue"),
        ("human and support", "human support"),
        ("support human", "human support"),
        ("human", "human support"),
        ("anything", ""),
        ("", "issue"),
        ("مشكلجي", "مشكلة"),
        ("العملاء خدمة", "خدمة العملاء"),
        ("أوبر", "بر"),
    ],
)
def test_another_word_or_order_is_not_found(text: str, phrase: str) -> None:
    assert not contains_phrase(words(text), words(phrase))


@given(st.lists(ANY_TEXT, max_size=4), ANY_TEXT, st.lists(ANY_TEXT, max_size=4))
def test_a_phrase_is_found_anywhere(before: list[str], phrase: str, after: list[str]) -> None:
    wanted = words(phrase)
    said = (*words(" ".join(before)), *wanted, *words(" ".join(after)))
    assert contains_phrase(said, wanted) == bool(wanted)


@pytest.mark.parametrize(
    ("text", "sought"),
    [
        ("سعر التوصيل", "سعر توصيل"),
        ("والعطور بالدرهم", "عطور درهم"),
        ("للشركات وبالجملة", "شركات جمله"),
        ("ولد الوو ورد", "ولد الوو ورد"),
        ("بيت فستان كتاب لبن", "بيت فستان كتاب لبن"),
        ("The Price: ٢٥", "the price 25"),
    ],
)
def test_search_drops_the_article_and_leaves_first_letters(text: str, sought: str) -> None:
    assert search_text(text) == sought


BIDI = "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def test_what_an_operator_is_shown_reorders_nothing() -> None:
    """An override in a message would turn round what stands beside it on a terminal."""
    assert shown_text(f"السعر{BIDI} 95\x1b[2J") == "السعر 95[2J"


def test_a_message_keeps_the_isolates_that_its_writer_set() -> None:
    assert plain_text("رقم \u2066A-12\u2069") == "رقم \u2066A-12\u2069"


@given(ANY_TEXT)
def test_the_first_words_of_a_short_text_are_its_words(text: str) -> None:
    assert first_words(text, 4_000) == words(text)


def test_first_words_are_bounded_by_what_they_grow_to() -> None:
    assert len(" ".join(first_words("\ufdfa" * 100, 100))) <= 100
    assert first_words("one two three", 7) == ("one", "two")
