"""Word documents, workbooks, CSV files: what is shown is read, what is hidden is not."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Sequence

import openpyxl
import pytest

from daemon.knowledge.readers import UnreadableFile, parse

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def told(name: str, content: bytes) -> list[tuple[str, str]]:
    return [(chunk.heading, chunk.text) for chunk in parse(name, content).chunks]


def docx(body: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as parts:
        parts.writestr("[Content_Types].xml", CONTENT_TYPES)
        parts.writestr("_rels/.rels", RELATIONS)
        parts.writestr(
            "word/document.xml", f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
        )
    return made.getvalue()


def paragraph(text: str, style: str = "", run: str = "") -> str:
    styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{styled}<w:r><w:rPr>{run}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


def word_table(rows: Sequence[Sequence[str]]) -> str:
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def test_a_word_document_with_headings_a_table_and_revisions() -> None:
    body = (
        paragraph("Shop", "Heading1")
        + paragraph("التوصيل", "Heading2")
        + paragraph("داخل الرياض 20 ريالا")
        + f"<w:sdt><w:sdtContent>{paragraph('in a content control')}</w:sdtContent></w:sdt>"
        + "<w:p><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        + "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
        + paragraph("our margin is 40", run="<w:vanish/>")
        + paragraph("not hidden", run='<w:vanish w:val="0"/>')
        + word_table([["Item", "Price"], ["Honey", "95 SAR"], ["Dates", ""]])
    )
    assert parse("shop.docx", docx(body)).hidden_chars == len("our margin is 40")
    assert told("shop.docx", docx(body)) == [
        ("", "Shop"),
        ("Shop › التوصيل", "داخل الرياض 20 ريالا\n\nin a content control\n\ninserted\n\nnot hidden"),
        ("Shop › التوصيل", "Item | Price\nHoney | 95 SAR\nDates"),
    ]


def workbook(fill: object) -> bytes:
    book = openpyxl.Workbook()
    assert callable(fill)
    fill(book)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def test_a_workbook_says_what_it_shows() -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        sheet.title = "Prices"
        sheet.append(["Price list"])
        sheet.append(["Group", "Item", "Code", "Price", "Margin", "From", "Cut"])
        sheet.append(["Honey", "Sidr", 7, 180, 0.4, datetime.datetime(2026, 12, 1), 0.15])
        sheet.append([None, "Talh", 12, 95.5, 0.4, datetime.datetime(2026, 12, 1, 9, 30), None])
        sheet.append(["Dates", "Sukkari", 3, 75, 0.4, None, None])
        sheet.merge_cells("A3:A4")
        sheet.column_dimensions["E"].hidden = True
        sheet.append(["secret", "row", 1, 1, 1, None, None])
        sheet.row_dimensions[6].hidden = True
        for row in range(3, 6):
            sheet.cell(row, 3).number_format = "0000"
            sheet.cell(row, 4).number_format = '#,##0.00 "SAR"'
            sheet.cell(row, 7).number_format = "0%"
        notes = book.create_sheet("Notes")
        notes.append(["Delivery is free"])
        book.create_sheet("Costs").append(["our costs"])
        book["Costs"].sheet_state = "hidden"

    hidden = ("Margin", "0.4", "0.4", "0.4", "secret", "row", "1", "1", "1", "our costs")
    assert parse("prices.xlsx", workbook(fill)).hidden_chars == len("".join(hidden))
    assert told("prices.xlsx", workbook(fill)) == [
        (
            "Prices › Price list",
            "Group | Item | Code | Price | From | Cut\n"
            "Honey | Sidr | 0007 | 180.00 SAR | 2026-12-01 | 15%\n"
            "Honey | Talh | 0012 | 95.50 SAR | 2026-12-01 09:30\n"
            "Dates | Sukkari | 0003 | 75.00 SAR",
        ),
        ("Notes", "Delivery is free"),
    ]


def test_a_sheet_is_as_large_as_what_it_says() -> None:
    """One cell that somebody once touched makes a sheet of a million rows, or of sixteen thousand columns."""

    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        sheet.append(["Item", "Price", "Size"])
        sheet.append(["Honey", 95])
        sheet.cell(1_048_576, 6).number_format = "0%"
        sheet.cell(40, 16_384).value = "checked"

    assert told("prices.xlsx", workbook(fill)) == [
        ("", "Item | Price | Size\nHoney | 95\n- | - | - | checked")
    ]


def test_formulas_without_values_are_not_lost_silently() -> None:
    def fill(book: openpyxl.Workbook) -> None:
        book.active.append(["Honey", "=90*2"])

    with pytest.raises(UnreadableFile, match=r"formulas without values \(e\.g\. in B1\): open it in Excel"):
        parse("prices.xlsx", workbook(fill))


@pytest.mark.parametrize("name", ["letter.docx", "prices.xlsx"])
def test_broken_and_protected_documents_say_what_to_do(name: str) -> None:
    for content, words in (
        (b"PK\x03\x04 broken", "open it in its program, save it again"),
        (b"no such thing", "open it in its program, save it again"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 512, "protected by a password or of an old format"),
    ):
        with pytest.raises(UnreadableFile, match=words):
            parse(name, content)


def test_kinds_that_are_not_read_say_as_what_to_save_them() -> None:
    for name, kind in (("old.doc", "DOCX"), ("old.XLS", "XLSX"), ("slides.pptx", "PDF")):
        with pytest.raises(UnreadableFile, match=f"save it as {kind}"):
            parse(name, b"anything")


@pytest.mark.parametrize(
    "content",
    [
        b"Item,Price\nHoney,95\n",
        b"sep=;\r\nItem;Price\r\nHoney;95\r\n",
        "Item;Price\nHoney;95\n".encode("utf-16"),
        b"Item\tPrice\nHoney\t95",
        b'\xef\xbb\xbf"Item","Price"\n"Honey","95"\n',
    ],
)
def test_csv_by_any_separator(content: bytes) -> None:
    assert told("prices.csv", content) == [("", "Item | Price\nHoney | 95")]


def test_a_csv_price_list_keeps_its_header_and_its_lines_within_cells() -> None:
    rows = "".join(f'"Honey, {n}","two\nlines",{n}.50\n' for n in range(100))
    found = told("prices.csv", f"Item,About,Price\n{rows}".encode("cp1252"))
    assert len(found) > 3
    assert all(text.startswith("Item | About | Price\nHoney, ") for _, text in found)
    assert "Honey, 99 | two lines | 99.50" in found[-1][1].split("\n")


def test_a_quote_that_nobody_closed_swallows_no_row() -> None:
    rows = "".join(f"Item {n},{n}\n" for n in range(100))
    found = told("prices.csv", f'Item,Price\nScreen,"32\n{rows}'.encode())
    assert found[0][1].startswith('Item | Price\nScreen | "32\nItem 0 | 0\n')
    assert found[-1][1].endswith("\nItem 99 | 99")


def test_a_cell_as_long_as_a_book_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="save it as CSV again"):
        parse("prices.csv", b'Item,Price\n"' + b"a" * 200_000)
