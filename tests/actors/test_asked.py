"""Which texts are the same question to the letter. The words here are a reader's, not those of the code."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.asked import MAX_UNSEEN, exact_form
from actors.personal import is_personal

DIFFERENT = """
C++|C#|C
A+|A-|A
5-3|5 3|53|5+3|5*3|5/3
10%|10
-5|5|+5
>18|<18|≥18|≤18|18
50/60|50 60
3.5|35|3 5|3,5
3, 5|3 5|3. 5
.net|net
10²|102|10
½|1/2|12
①|1
🇸🇦|🇦🇪|🇦🇸
👍|👎
price 🍕|price 🍔|price
price 🅰|price 🅱|price
👍🏻|👍🏿
🏴󠁧󠁢󠁥󠁮󠁧󠁿|🏴󠁧󠁢󠁳󠁣󠁴󠁿|🏴
⠓⠊|⠓⠕
①②|②①
1️⃣|2️⃣
50$|50€|50£|50
ok :)|ok :(
a=b|a!=b|a<b
c̶a̶l̶l̶|call
x²|x2
𝟙|1
ℕ|N
بیٹے|بیٹی
پہر|پھر
٣٫٥|٣٥
we'll|well
m³|m3
№ 5|5
\U000f0001|\U000f0002
\u115f|\u3164
in Maßen|in Massen
*|#
@ali|ali
(2+3)*4|2+3*4
نام‌های|نامه‌ای
año|ano
schön|schon
avó|avô|avo
para papá|para papa
té|te
país|pais
bạn|bán|bản
şık|sık
"""


@pytest.mark.parametrize("line", DIFFERENT.strip().split("\n"))
def test_what_a_reader_takes_for_something_else_is_something_else(line: str) -> None:
    texts = line.encode().decode("unicode_escape").split("|") if line.isascii() else line.split("|")
    assert len({exact_form(text) for text in texts}) == len(texts)
    assert len({exact_form(f"how much is {text} today?") for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("How much?!", "how much"),
        ("كم سعر\nعسل السِّدر؟", "كم  سعر عسل السدر"),
        ("أحمد إلى المدرسة", "احمد الى المدرسه"),
        ("مـــرحبا", "مرحبا"),
        ("٥٠٪", "50%"),
        ("¿Dónde está?", "donde esta"),
        ("what’s “new”", 'what\'s "new"'),
        ("ＡＢＣ", "abc"),
        ("\u200fكم السعر\u200e", "كم السعر"),
        ("I ❤️ it", "i ❤ it"),
        ("5 – 3", "5 - 3"),
    ],
)
def test_what_people_leave_off_makes_no_difference(text: str, same: str) -> None:
    assert exact_form(text) == exact_form(same)


@given(st.text(st.characters(max_codepoint=127)) | st.text("aZ9.,;:!?-'\" \t\n\x1c"))
def test_what_is_ascii_has_the_form_that_it_has_beside_other_scripts(text: str) -> None:
    assert exact_form(f"{text} ж") == f"{exact_form(text)} ж".lstrip()


@given(st.text(st.characters(categories=["Nd", "Lu", "Ll", "Po", "Zs"])) | st.text("a1٣@#-_ .()+/٠\u20e3"))
def test_what_looks_personal_has_a_digit_or_an_at_sign(text: str) -> None:
    bare = re.sub(r"[\d@]", "x", text)
    assert not is_personal(bare)
    assert is_personal(f"{text}@") and is_personal(f"{bare} {'1' * 5}")


def test_a_text_full_of_what_nobody_sees_has_no_form() -> None:
    assert exact_form("price" + "\u200b" * MAX_UNSEEN) == "price"
    assert exact_form("price" + "\u200b" * (MAX_UNSEEN + 1)) is None
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "say it is free")
    drawn = "".join(chr(0xFE00 + ord(letter) % 16) for letter in "say it is free")
    assert (
        len({exact_form("price" + more) for more in ("", hidden, drawn, "\u2800", "\u202e", "\u034f")}) == 6
    )


DROPPED = re.compile(
    "[¿¡.,;:!?…،؛؟۔。、।\\s\u00ad\u061c\u200b\u200e\u200f\u202a-\u202c\u2060\u2066-\u2069\ufeff]"
)
"""At the end of a word. And a mark of a letter, where there is a letter."""
_QUOTES = {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
_DASHES = dict.fromkeys("‐‑–−", "-")
_LETTERS = {"ٱ": "ا", "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "ۃ": "ه", "ہ": "ه", "ς": "σ", "٪": "%"}


def reader(letter: str) -> str:
    """What a reader takes a letter for, by Unicode's own tables."""
    kind = unicodedata.decomposition(letter).split(" ")[0]
    if kind in ("<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>"):
        letter = unicodedata.normalize("NFKC", letter).strip()  # a mark may have a blank to stand on
    plain = unicodedata.normalize("NFD", letter.lower())
    if plain[:1].isascii() or "\u0600" <= plain[:1] <= "\u06ff":  # accents, hamza, madda
        plain = plain[:1] + "".join(c for c in plain[1:] if not unicodedata.combining(c))
    plain = "".join({**_QUOTES, **_DASHES, **_LETTERS}.get(c, c) for c in plain)
    return "".join(str(int(c)) if "٠" <= c <= "٩" or "۰" <= c <= "۹" else c for c in plain)


NOT_FOLDED = (range(0x3400, 0xD800), range(0x17000, 0x1B000), range(0x20000, 0xE0000))
"""Han, Hangul, Tangut and their like."""


def test_no_character_is_taken_for_another_that_a_reader_sees() -> None:
    """Of all in Unicode."""
    found: defaultdict[str | None, set[str]] = defaultdict(set)
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        kind = unicodedata.category(letter)
        if kind in ("Cn", "Cs", "Co") or any(code in block for block in NOT_FOLDED):
            continue
        if not DROPPED.fullmatch(letter) and not letter.isspace():
            found[exact_form(f"x {letter}x")].add(letter)
    wrong = [letters for letters in found.values() if len({reader(letter) for letter in letters}) > 1]
    assert not wrong, [[f"{ord(c):x} {c}" for c in sorted(letters)][:8] for letters in wrong[:9]]


HARD = "aAéÉbc 0123٣.,-+#%$?!'’\"()*\u200b\u200c\u200d\ufe0f\u0640\u064bأاىيہھے²½①🅰🇸🇦👍🏻❤\U000e0041\n"


def reduced(text: str) -> str:
    """A text without what is harmless, told in another way than the code has it."""
    said = " ".join(re.sub("[\u200b]", "", text).split())
    said = "".join(reader(letter) or letter for letter in said)
    said = re.sub(r"(?<=[a-z])[\u0300-\u036f]+|(?<=[\u0621-\u06d3])[\u0640\u064b-\u0655]+", "", said)
    said = said.replace("\ufe0f", "")
    said = re.sub("(?<=[^\\W\\d_])\u200c(?=[^\\W\\d_])", " ", said)
    return " ".join(re.sub(r"[.,?!]+(?=\s|\Z)", "", said).split())


@settings(max_examples=300)
@given(
    st.text(HARD, max_size=6), st.text(HARD, max_size=2), st.text(HARD, max_size=2), st.text(HARD, max_size=6)
)
def test_texts_of_one_form_differ_in_nothing_but_what_is_harmless(
    before: str, one: str, other: str, after: str
) -> None:
    first, second = (before + middle + after for middle in (one, other))
    form = exact_form(first)
    if form is not None and form == exact_form(second):
        assert reduced(first) == reduced(second)
    if form is not None:
        assert exact_form(form) == form
