"""Real-life files: text in several encodings, Markdown, HTML, PDF in Arabic and English, and broken ones.

The Arabic PDFs hold the same page, made by two programs: one shapes the letters and tells ligatures in pieces, the
other writes presentation forms from the left.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.knowledge import readers
from daemon.knowledge.readers import ReadFile, UnreadableFile, parse

FIXTURES = Path(__file__).parent / "fixtures"
PRICES = """
قائمة أسعار متجر النخيل
العسل والتمور - الرياض، شارع العليا (حي الورود)

عسل سدر جبلي ٥٠٠ غرام: ١٨٠ ريالا
عسل طلح 1 كيلو: 95 ريال
تمر سكري فاخر 3 كيلو: 75 ريالا
تمر عجوة المدينة 1 كيلو: 110 ريال

التوصيل داخل الرياض 20 ريالا، وخارجها 35 ريالا.
الدفع: مدى، Apple Pay، أو نقدا عند الاستلام. خصم 15% على الطلبات.
الاسترجاع خلال 7 أيام من الاستلام بشرط سلامة العبوة.

الصنف | الوزن | السعر
دبس التمر | 500 غرام | 25 ريال
كليجا القصيم | 1 كيلو | 40 ريال
""".strip()


def read(path: Path) -> ReadFile:
    """In this process; `test_reading.py` tries the child process."""
    return parse(path.name, path.read_bytes())


def text_of(path: Path) -> str:
    return "\n\n".join(chunk.text for chunk in read(path).chunks)


@pytest.mark.parametrize("name", ["prices_ar.pdf", "prices_ar_reshaped.pdf"])
def test_an_arabic_price_list_is_read_in_logical_order(name: str) -> None:
    assert text_of(FIXTURES / name) == PRICES


def test_an_english_pdf_with_a_table() -> None:
    text = text_of(FIXTURES / "hours_en.pdf")
    assert "Opening hours (Riyadh branch): Sunday to Thursday, 9:00-22:00." in text
    assert "The office efficiently fits 3.5 offers of fish." in text
    assert "Sidr honey | 500 g | 180 SAR" in text
    assert "\n\nSecond paragraph starts here" in text


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_page(degrees: int) -> None:
    text = text_of(FIXTURES / f"turned_{degrees}.pdf")
    assert text == "First line of the list\nHoney 95 SAR\nDates 75 SAR"


@pytest.mark.parametrize(
    ("name", "words"),
    [("locked.pdf", "protected by a password"), ("scan.pdf", "run OCR")],
)
def test_a_pdf_that_cannot_be_read_says_what_to_do(name: str, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words):
        read(FIXTURES / name)


def test_a_broken_pdf(tmp_path: Path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes((FIXTURES / "hours_en.pdf").read_bytes()[:300])
    with pytest.raises(UnreadableFile, match="save it as PDF again"):
        read(path)
    path.write_bytes(b"no PDF at all")
    with pytest.raises(UnreadableFile, match="save it as PDF again"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1256"])
def test_arabic_text_in_every_common_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "prices.txt"
    path.write_bytes("عسل سدر: 95 ريال\r\nتمر".encode(encoding))
    assert text_of(path) == "عسل سدر: 95 ريال\nتمر"


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.txt"
    for content in (b"\xff\xfe\x00", bytes(range(256))):
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match="save it as UTF-8"):
            read(path)


def test_markdown_keeps_its_headings_with_those_above_them(tmp_path: Path) -> None:
    path = tmp_path / "shop.md"
    path.write_text(
        "intro\n# Delivery\n## Riyadh\n20 SAR\n```\n# no heading\n```\n## Jeddah ##\n35 SAR\n# Returns\n"
    )
    found = [(chunk.heading, chunk.text) for chunk in read(path).chunks]
    assert found == [
        ("", "intro"),
        ("", "Delivery"),
        ("Delivery › Riyadh", "20 SAR\n```\n# no heading\n```"),
        ("Delivery › Jeddah", "35 SAR"),
        ("", "Returns"),
    ]


def test_html_becomes_its_visible_text(tmp_path: Path) -> None:
    path = tmp_path / "shop.html"
    path.write_text(
        "<html><head><title>T</title><style>p {}</style><script>if (a < b) alert('x')</script></head><body>"
        "<p>Hello\n  <b>all</b> &amp; sundry<br>second line</p><h2>Prices <i>today</i></h2>"
        "<table><tr><th>Item<th>Price</tr><tr><td>Honey</td><td>95</td></tr></table>"
        "<ul><li>one<li>two</ul><pre>a\n b</pre><noscript>no</noscript></body></html>"
    )
    assert [(chunk.heading, chunk.text) for chunk in read(path).chunks] == [
        ("", "Hello all & sundry\nsecond line"),
        ("Prices today", "Item | Price\nHoney | 95"),
        ("Prices today", "one\ntwo\n\na\nb"),
    ]


def test_what_a_page_hides_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.html"
    path.write_text(
        "<style>@media print { .menu { color: red } } .gone, #notes { display:none }</style><p hidden>a<p>Open"
        "<div style='DISPLAY : none'>b<p>b</div><p class='big gone'>c</p><div id=notes><h2>d</h2>d</div>"
        "<span style='font-size:0'>e</span><span style='font-size:0.8em'>daily</span><template>f</template><p>at 9"
    )
    assert text_of(path).split() == ["Open", "daily", "at", "9"]


def test_what_a_visitor_can_open_is_read_and_what_is_left_out_is_counted() -> None:
    """Most pages of questions keep their answers closed, and fade things in."""
    page = (
        "<style>.wide{display:none} @media (min-width: 700px) { .wide { display: block } }"
        ".answer{display:none}</style>"
        "<button aria-controls=a1>Delivery?</button><div id=a1 class=answer>one day</div>"
        "<a href='#a2' data-toggle=collapse>Returns?</a><div id=a2 style='display:none'>a week</div>"
        "<details><summary>Gifts?</summary>yes</details><p style='opacity:0;transform:translateY(20px)'>Welcome"
        "<p class=wide>Open at 9<p hidden=until-found>to 17<p class=answer>our <b>notes</b><script>no()</script></p>"
        "<table hidden><tr><td>12345</table>"
    )
    read = parse("faq.html", page.encode())
    said = "Delivery? one day Returns? a week Gifts? yes Welcome Open at 9 to 17"
    assert " ".join(read.chunks[0].text.split()) == said
    assert read.hidden_chars == len("our notes") + len("12345")
    with pytest.raises(UnreadableFile, match="shows no text, and hides 5 characters: show them"):
        parse("faq.html", b"<p hidden>notes")


def test_excels_unicode_text_is_a_table() -> None:
    content = "الصنف\tالسعر\r\nعسل\t95\r\n\r\nتمر\t75\r\n".encode("utf-16")
    assert [chunk.text for chunk in parse("prices.txt", content).chunks] == [
        "الصنف | السعر\nعسل | 95\nتمر | 75"
    ]
    assert parse("notes.txt", b"a\tb\nno table").chunks[0].text == "a\tb\nno table"


def test_tables_of_a_page(tmp_path: Path) -> None:
    """Names go with the rows, a cell over several rows is in each, and a table for layout is none."""
    path = tmp_path / "shop.html"
    path.write_text(
        "<table><tr><td><h1>Shop</h1><table><caption>Prices</caption><thead><tr><td>Group<td>Item<td>Price</thead>"
        "<tr><td rowspan=2>Honey<td>Sidr<br>jar<td>180<tr><td>Talh<td><tr style='display:none'><td>x<td>y<td>z"
        "<tr><td>Dates<td colspan=2>ask</table></td></tr></table>After"
    )
    assert [(chunk.heading, chunk.text) for chunk in read(path).chunks] == [
        ("Shop › Prices", "Group | Item | Price\nHoney | Sidr jar | 180\nHoney | Talh\nDates | ask"),
        ("Shop", "After"),
    ]


def test_html_in_the_encoding_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "shop.htm"
    path.write_bytes('<meta charset="windows-1256"><p>عسل</p>'.encode("cp1256"))
    assert text_of(path) == "عسل"


def test_errors_of_bad_files_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "letter.pages"
    document.write_bytes(b"PK")
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    large = tmp_path / "large.txt"
    large.write_text("word " * 1000)
    for path, words in (
        (document, r"\.xlsx\): save it as PDF"),
        (empty, "contains no text"),
    ):
        with pytest.raises(UnreadableFile, match=words):
            read(path)
    monkeypatch.setattr(readers, "MAX_CHUNKS", 2)
    with pytest.raises(UnreadableFile, match="makes 6 chunks"):
        read(large)


def test_a_pdf_within_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.knowledge.pdf.MAX_PAGES", 0)
    with pytest.raises(UnreadableFile, match="has 1 pages, more than 0"):
        read(FIXTURES / "hours_en.pdf")
    monkeypatch.undo()
    monkeypatch.setattr("daemon.knowledge.pdf.MAX_CHARS", 10)
    with pytest.raises(UnreadableFile, match="has more than 10 letters"):
        read(FIXTURES / "hours_en.pdf")
