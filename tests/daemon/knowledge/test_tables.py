"""Tables: every chunk says what its columns are, and every value stands under its own name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.knowledge.chunks import MAX_CHARS, TextSection, chunks
from daemon.knowledge.tables import apart, sections

PRICES = [["Item", "Size", "Price"], *([f"Honey {n}", "500 g", f"{n} SAR"] for n in range(200))]


def test_each_chunk_of_a_long_price_list_has_its_header() -> None:
    found = chunks(sections("Prices", PRICES))
    assert len(found) > 5
    assert all(
        chunk.heading == "Prices" and chunk.text.startswith("Item | Size | Price\n") for chunk in found
    )
    rows = [line for chunk in found for line in chunk.text.split("\n")[1:]]
    assert rows == [f"Honey {n} | 500 g | {n} SAR" for n in range(200)]


def test_an_empty_cell_keeps_its_place_and_an_empty_column_goes() -> None:
    rows = [["Item", "", "Old", "New"], ["Honey", "", "", "95"], ["Dates", "", "80", ""], ["", "", "", ""]]
    assert list(sections("", rows)) == [TextSection("", "Honey | - | 95\nDates | 80", "Item | Old | New")]


def test_what_stands_above_a_table_is_its_heading() -> None:
    note = "These prices hold for the branch in Riyadh alone, from the first of the month on, and include the tax."
    found = list(sections("Sheet", [["Prices 2026"], [note], ["", ""], ["Item", "Price"], ["Honey", "95"]]))
    assert found == [
        TextSection("Sheet › Prices 2026", note),
        TextSection("Sheet › Prices 2026", "Honey | 95", "Item | Price"),
    ]


def test_a_table_without_names_and_one_of_a_single_column() -> None:
    assert list(sections("", [["Honey", "95"], ["Dates", "75"]])) == [
        TextSection("", "Honey | 95\nDates | 75")
    ]
    assert list(sections("", [["Honey"], ["Dates"]])) == [TextSection("", "Honey\nDates")]
    assert list(sections("", [])) == [TextSection("", "")]


def test_a_header_too_long_for_each_chunk_names_each_value() -> None:
    names = [f"column number {n:03} of the large table of all branches" for n in range(20)]
    [section, _] = sections("", [names, ["Riyadh", *["1"] * 19], ["Jeddah", *["2"] * 19]])
    assert section.header == f"{names[0]}: Riyadh"
    assert section.text.split("\n") == [f"{name}: 1" for name in names[1:]]


def test_tables_within_running_text() -> None:
    text = (
        "Our prices:\n\n| Item | Price |\n|:-----|---:|\n| Honey | 95 |\n| A \\| B |  |\n\nDelivery is free.\n"
        "\nالصنف | السعر\nعسل | 95\nتمر | 75\n\nكليجا | 40\nدبس | 25\n\nEither | or"
    )
    assert list(apart(TextSection("Shop", text))) == [
        TextSection("Shop", "Our prices:\n"),
        TextSection("Shop", "Honey | 95\nA | B", "Item | Price"),
        TextSection("Shop", "\nDelivery is free.\n"),
        TextSection("Shop", "عسل | 95\nتمر | 75", "الصنف | السعر"),
        TextSection("Shop", ""),
        TextSection("Shop", "كليجا | 40\nدبس | 25", "الصنف | السعر"),
        TextSection("Shop", "\nEither | or"),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["#", "Item", "السعر"],
        ["", "Riyadh", "Jeddah"],
        ["Item", "Price", "Price"],
        ["Item", "250 g", "1 kg"],
        ["Item", "2025", "2026"],
    ],
)
def test_names_are_told_from_values_by_what_stands_below(names: list[str]) -> None:
    values = [[f"Honey {n}", f"{n}", f"{n + 3}.50"] for n in range(1, 9)]
    [section] = sections("", [names, *values])
    assert section.header == " | ".join(name or "-" for name in names)


@pytest.mark.parametrize(
    "rows",
    [
        [["Honey", "95 SAR"], ["Dates", "75 SAR"], ["Oil", "SAR 40"], ["Tea", "12 SAR"]],
        [["Honey", "95.50"], ["Dates", "75"], ["Oil", "40"], ["Tea", "12"]],
        [["Honey", "SAR 95"], ["Dates", "SAR 75"], ["Oil", "SAR 40"], ["Tea", "SAR 12"]],
        [["Honey", "500 g"], ["Dates", "1 kg"], ["Oil", "2 l"]],
    ],
)
def test_a_price_names_no_column(rows: list[list[str]]) -> None:
    assert [section.header for section in sections("", rows)] == [""]


def test_names_below_a_letterhead_and_in_two_rows() -> None:
    values = [[f"Honey {n}", f"{n}", f"{n}"] for n in range(1, 5)]
    letterhead = [["Al Noor", "", "Price list"], ["Phone", "0500000000", ""], ["Item", "Size", "Price"]]
    [above, prices] = sections("", [*letterhead, *values])
    assert above.text == "Al Noor | - | Price list\nPhone | 0500000000"
    assert prices.header == "Item | Size | Price"
    [prices] = sections("", [["Item", "Price", ""], ["Item", "Retail", "Wholesale"], *values])
    assert prices.header == "Item | Price Retail | Price Wholesale"


def test_a_second_table_below_blank_rows_has_its_own_names() -> None:
    rows = [["Item", "Price"], ["Honey", "95"], ["", ""], ["Dates", "75"], []]
    rows += [["Delivery"], ["City", "", "Fee"], ["Riyadh", "", "20"]]
    assert list(sections("", rows)) == [
        TextSection("", "Honey | 95\nDates | 75", "Item | Price"),
        TextSection("Delivery", "Riyadh | 20", "City | Fee"),
    ]


_cell = st.text(alphabet="ab 1|-\\", max_size=6)


@given(st.lists(st.lists(_cell, min_size=1, max_size=4).map("|".join), max_size=12))
def test_no_word_of_a_text_with_bars_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    words = {word for word in text.replace("|", " ").replace("\\", " ").split() if word.strip("-")}
    kept = "\n".join(f"{section.header}\n{section.text}" for section in apart(TextSection("", text)))
    assert words <= set(kept.replace("|", " ").replace("\\", " ").split())


@given(st.lists(st.lists(st.text(alphabet="abc1 ", max_size=300), max_size=5), max_size=8))
def test_no_value_is_lost_and_no_chunk_too_long(rows: list[list[str]]) -> None:
    found = chunks(sections("", rows))
    assert all(len(chunk.text) <= MAX_CHARS for chunk in found)
    letters = sorted("".join("".join(row) for row in rows).replace(" ", ""))
    told = sorted("".join(f"{chunk.heading}{chunk.text}" for chunk in found))
    assert not [letter for letter in set(letters) if letters.count(letter) > told.count(letter)]
