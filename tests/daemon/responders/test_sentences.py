"""What of a cut text may be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.responders.sentences import up_to_last_word, whole_sentences


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("We open at nine. On Friday we", "We open at nine."),
        ("Nine! Or ten? I will a", "Nine! Or ten?"),
        ('He said "nine." And th', 'He said "nine."'),
        ("It costs 3.50 SAR and 4.", "It costs 3.50 SAR and 4."),
        ("It costs 3.5", ""),
        ("نفتح الساعة التاسعة. هل تريد موعدا؟ يوم الجم", "نفتح الساعة التاسعة. هل تريد موعدا؟"),
        ("ہم نو بجے کھلتے ہیں۔ جمعہ کو", "ہم نو بجے کھلتے ہیں۔"),
        ("हम नौ बजे खुलते हैं। शुक्र", "हम नौ बजे खुलते हैं।"),
        ("我们九点开门。星期五我们", "我们九点开门。"),
        ("「九時です。」そして", "「九時です。」"),
        ("Wait… it is nine. And", "Wait… it is nine."),
        ("- shirt: 20\n- shoes: 30\n- ha", "- shirt: 20\n- shoes: 30"),
        ("1. Shirts\n2. Sho", "1. Shirts"),
        ("1. Shirts\n2. ", "1. Shirts"),
        ("We have these.\n\nPrices:\n- sh", "We have these."),
        ("Prices:\n- sh", ""),
        ("Whole.", "Whole."),
        ("*Open today.* And to", "*Open today.*"),
        ("half a sent", ""),
        ("... and", ""),
        ("", ""),
    ],
)
def test_up_to_the_last_whole_sentence(text: str, kept: str) -> None:
    assert whole_sentences(text) == kept


@given(st.text("a. \n:؟。1*…", max_size=60))
def test_it_is_a_beginning_and_nothing_is_lost_by_doing_it_again(text: str) -> None:
    kept = whole_sentences(text)
    assert text.startswith(kept)
    assert whole_sentences(kept + "\n") == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("We open at ni", "We open at …"),
        ("Weopen", "Weopen …"),
        ("one\ntwo", "one …"),
        ("เราเปิด", "เราเปิด …"),
    ],
)
def test_up_to_the_last_word(text: str, kept: str) -> None:
    assert up_to_last_word(text) == kept
