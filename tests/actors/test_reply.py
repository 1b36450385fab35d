"""Splitting a reply into parts: total, bounded, nothing lost that fits."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from actors.reply import ELLIPSIS, MAX_PART_CHARS, MAX_PARTS, choose_origin, origin_of, split
from actors.text import plain_text


def test_a_short_text_is_one_unchanged_part() -> None:
    assert split("مرحبا\nhow are you?") == ("مرحبا\nhow are you?",)


def test_an_empty_reply_has_no_parts() -> None:
    assert split(" \n\x00 ") == ()


def test_a_long_text_is_cut_at_the_best_boundary() -> None:
    text = "a" * 30 + "\n\n" + "b" * 15 + ". " + "c" * 30
    assert split(text, max_chars=50) == ("a" * 30, "b" * 15 + ". " + "c" * 30)


def test_an_endless_word_is_cut() -> None:
    assert split("x" * 25, max_chars=10) == ("x" * 10, "x" * 10, "x" * 5)


def test_text_that_does_not_fit_is_cut_visibly() -> None:
    parts = split("word " * 100, max_chars=20, max_parts=3)
    assert len(parts) == 3
    assert parts[-1].endswith(ELLIPSIS)
    assert len(parts[-1]) <= 20


def test_a_text_that_just_fits_is_never_split() -> None:
    for text in ("x" * 10, "ab cd, efg", "abc\n\ndef g", "abcdef. gh"):
        assert split(text, max_chars=10) == (text,)
    assert split("x" * 11, max_chars=10) == ("x" * 10, "x")


def test_a_kinder_cut_makes_no_part_more() -> None:
    """Each part may cost money: an early paragraph is no reason for a third message."""
    assert split("a\n\n" + "b" * 12, max_chars=10) == ("a\n\n" + "b" * 7, "b" * 5)
    assert split("aaaa. b cc dddd", max_chars=10) == ("aaaa.", "b cc dddd")
    assert split("aaaa. b cc ddddd eee", max_chars=10) == ("aaaa. b cc", "ddddd eee")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("one two. three four five", ("one two.", "three four five")),
        ("see Dr. Salem at 9. Bring it", ("see Dr. Salem at 9.", "Bring it")),
        ("costs 3.5 or so, not more ok", ("costs 3.5 or so,", "not more ok")),
        ("نعم متوفر؟ لا، بعد غد إن شاء", ("نعم متوفر؟", "لا، بعد غد إن شاء")),
        (
            "北京店今天开门。明天也开门的哦请你来看看吧好吗",
            ("北京店今天开门。", "明天也开门的哦请你来看看吧好吗"),
        ),
        ("We open:\n- sun 9 to 5\n- mon 9", ("We open:\n- sun 9 to 5", "- mon 9")),
        ("*Hours of ours*\nfrom nine\nto five", ("*Hours of ours*\nfrom nine", "to five")),
        ("call us: +966 50 123 4567 ok", ("call us:", "+966 50 123 4567 ok")),
        ("please ring +966 50 123 4567 ok", ("please ring", "+966 50 123 4567 ok")),
        ("a lot of *bold words* here", ("a lot of", "*bold words* here")),
    ],
)
def test_the_kindest_cut_is_taken(text: str, parts: tuple[str, ...]) -> None:
    assert split(text, max_chars=26 if "Hours" in text or "open" in text else 20) == parts


def test_an_address_is_whole_however_long() -> None:
    address = "https://example.com/" + "a" * 70
    assert split(f"{'x ' * 30}{address} {'y ' * 30}".strip(), max_chars=100)[1].startswith(address)
    assert split(f"请访问{address}谢谢" * 2, max_chars=100)[0].count(address) == 1
    assert (
        "".join(split("https://example.com/" + "a" * 150, max_chars=100))
        == "https://example.com/" + "a" * 150
    )


@pytest.mark.parametrize("character", ["👨\u200d👩\u200d👧\u200d👦", "🇸🇦", "👍🏽", "سَّ", "क्षि", "e\u0301"])
def test_no_character_is_cut_in_two(character: str) -> None:
    parts = split(character * 60, max_chars=101)
    assert len(parts) > 1
    assert all(part == character * part.count(character) for part in parts)


def test_what_is_bold_where_it_is_cut_is_bold_before_and_after() -> None:
    parts = split(f"*{'word ' * 30}end* and more", max_chars=100)
    assert [part.count("*") for part in parts] == [2, 2]
    assert split(f"```{'line of code' * 4}\n{'more' * 20}``` and so on", max_chars=100)[0].endswith("```")


_WRITTEN = st.lists(
    st.sampled_from(
        (
            *("word ", "b. ", "Dr. No ", "\n", "\n\n", "- item ", "*bold text* ", "x" * 30, "```a\nb``` "),
            *(
                "https://x.com/a_b/c ",
                "+966 50 123 4567 ",
                "a@b.com ",
                "مرحبا ",
                "سَلَامٌ، ",
                "北京开店。",
                "क्षि ",
            ),
            *("👨\u200d👩\u200d👧\u200d👦", "🇸🇦", "👍🏽"),
        )
    ),
    min_size=1,
    max_size=60,
)


@given(_WRITTEN.map("".join), st.integers(70, 160))
def test_parts_are_the_text_and_whole_characters(text: str, max_chars: int) -> None:
    parts = split(text, max_chars, 1_000)
    assert all(part and len(part.encode("utf-16-le")) <= 2 * max_chars for part in parts)
    seen = [_letters(found) for found in regex.findall(r"\X", text)]
    assert [
        _letters(found) for part in parts for found in regex.findall(r"\X", part) if _letters(found)
    ] == list(filter(None, seen))
    for whole in ("https://x.com/a_b/c", "+966 50 123 4567", "a@b.com"):
        assert sum(part.count(whole) for part in parts) == text.count(whole)


@given(_WRITTEN.map("".join), st.integers(70, 160))
def test_there_are_as_few_parts_as_words_allow(text: str, max_chars: int) -> None:
    """Filling each part with words as far as they go, marks or not, needs no fewer."""
    count, room = 1, max_chars
    for word in text.replace("+966 50 123 4567", "+966-50-123-4567").split():
        size = len(word.encode("utf-16-le")) // 2
        if size > max_chars or "北" in word or "```" in word:
            return
        if size > room:
            count, room = count + 1, max_chars
        room -= size + 1
    if "\n\n" not in text and "*" not in text and "  " not in text:
        assert len(split(text, max_chars, 1_000)) <= count


def _letters(text: str) -> str:
    return "".join(text.split()).translate(str.maketrans("", "", "*_`"))


def test_as_many_parts_as_allowed_are_not_cut() -> None:
    assert split("aaaa bbbb cccc", max_chars=4, max_parts=3) == ("aaaa", "bbbb", "cccc")
    assert split("aaaa bbbb cccc d", max_chars=4, max_parts=3) == ("aaaa", "bbbb", "cc" + ELLIPSIS)
    assert len(split("word " * 20_000)) == MAX_PARTS


@given(st.text(), st.integers(5, 60), st.integers(1, 5))
def test_parts_are_bounded_and_whole(text: str, max_chars: int, max_parts: int) -> None:
    parts = split(text, max_chars, max_parts)
    assert len(parts) <= max_parts
    assert all(part and len(part) <= max_chars for part in parts)
    if not parts or not parts[-1].endswith(ELLIPSIS):
        assert "".join("".join(parts).split()) == "".join(plain_text(text).split())


@given(st.text())
def test_default_split_loses_nothing_that_fits(text: str) -> None:
    assert len(text) <= MAX_PART_CHARS
    cleaned = plain_text(text).strip()
    assert split(text) == ((cleaned,) if cleaned else ())


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Gate.Example/path?x=1", "https://gate.example"),
        (" http://gate.example:80/ ", "http://gate.example"),
        ("https://gate.example:443", "https://gate.example"),
        ("http://gate.example:443", "http://gate.example:443"),
        ("https://gate.example:8443/a", "https://gate.example:8443"),
        ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080"),
        ("ftp://gate.example", ""),
        ("gate.example", ""),
        ("https://", ""),
        ("https://gate.example:port", ""),
        ("https://user@gate.example", ""),
        ("https://:secret@gate.example", ""),
        ("https://gate.example@evil.example/", ""),
    ],
)
def test_an_origin_is_scheme_host_and_port_and_nothing_that_hides_another_host(
    address: str, origin: str
) -> None:
    assert origin_of(address) == origin


def test_the_key_goes_only_to_an_origin_that_the_operator_allows() -> None:
    """Webhooks and stored addresses are words of others; the latest allowed one of the former comes first."""
    allowed = ("https://one.example", "https://two.example:8443")
    assert choose_origin(["https://evil.example"], "https://evil.example", allowed) == ""
    assert choose_origin(["https://evil.example"], "https://one.example/x", allowed) == "https://one.example"
    assert choose_origin(["https://two.example:8443"], "https://one.example", allowed) == allowed[1]
    assert choose_origin(["https://two.example"], "", allowed) == ""
    assert choose_origin([""], "", ("",)) == ""
