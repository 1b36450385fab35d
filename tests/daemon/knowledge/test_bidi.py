"""From visual to logical order. `seen` is left to right, as the letters are printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.knowledge.bidi import in_visual_order, logical


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ("plain words, 1,250.50 and 20%", "plain words, 1,250.50 and 20%"),
        ("لاير 180 :لسع", "عسل: 180 ريال"),
        ("لاير 1,250.50 :لسع", "عسل: 1,250.50 ريال"),
        (".ادقن وأ ،Apple Pay ،ىدم :عفدلا", "الدفع: مدى، Apple Pay، أو نقدا."),
        ("%15 مصخ", "خصم 15%"),
        ("12:30 ىلإ 9:00 نم", "من 9:00 إلى 12:30"),
        ("2026/11/21 خيرات", "تاريخ 2026/11/21"),
        ("iPhone 15 ديدج لاوج", "جوال جديد iPhone 15"),
        ("3G ةكبش", "شبكة 3G"),
        (")دورولا يح( ايلعلا", "العليا (حي الورود)"),
        ("(دورولا يح) ايلعلا", "العليا (حي الورود)"),
        ("رعسلا\tنزولا\tفنصلا", "الصنف\tالوزن\tالسعر"),
        ("20% :ריחמ", "מחיר: 20%"),
        ("the word لسع means honey", "the word عسل means honey"),
    ],
)
def test_visual_order_becomes_logical_order(seen: str, said: str) -> None:
    assert logical(seen) == said


def test_a_mixed_line_follows_the_direction_of_its_page() -> None:
    assert logical("iPhone 15 Pro لاوج", page_from_right=True) == "جوال iPhone 15 Pro"
    assert logical("iPhone 15 Pro لاوج") == "iPhone 15 Pro جوال"
    assert logical("iPhone 15", page_from_right=True) == "iPhone 15"


def test_lam_alef_is_a_ligature_in_either_order() -> None:
    assert in_visual_order("لا") == in_visual_order("ال") == "ال"
    assert in_visual_order("fi") == "fi"


@given(st.text(alphabet="abc ١٢123عسل()،.,:%-\t", max_size=40))
def test_no_letter_is_lost(seen: str) -> None:
    unbracketed = str.maketrans("", "", "()")
    assert sorted(logical(seen).translate(unbracketed)) == sorted(seen.translate(unbracketed))
