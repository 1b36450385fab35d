"""The text of Word documents and Excel workbooks. Bounded by the child process that runs it: see `reading.py`.

Laws of this file:
1. What the program hides is left out: hidden sheets, rows and columns, hidden and deleted text, comments.
2. A cell is told as it is shown, as far as that can be told: dates without a time of 0:00, per cent, no `.0`.
3. A formula is read by the value that was stored with it. One without a value would be lost silently, so it is refused.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import mammoth
import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from daemon.knowledge import html, tables
from daemon.knowledge.chunks import Sections, TextSection

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXT_PARTS = re.compile(r"word/(?:document|footnotes|endnotes)\d*\.xml")
_SHEETS = re.compile(r"xl/worksheets/[^/]+\.xml")
_PLACE = re.compile(rb'\br="([A-Z]{1,3}\d{1,7})"')
_VALUE = re.compile(rb"<v(?:>| xml:)")
_OFF = frozenset({"0", "false", "off"})
_BROKEN = "is broken or no such file: open it in its program, save it again, then add it"
_PLACES = re.compile(r"0\.(0{1,10})")
_LEADING_ZEROS = re.compile(r"0{2,20}")
_UNIT = re.compile(r'"\s*+([^"\s][^"]{0,15})"|\[\$([^\]\s-]{1,8})|([€£$¥₹])')
"""Of a number, where its format has one: `0.00 "SAR"`, `[$€-2] 0`."""
_MAX_CELLS = 5_000_000
_MAX_COLUMNS = 16_384
_MIDNIGHT = datetime.time()


class UnreadableOffice(Exception):
    """The document cannot be read. The message follows the file's name in a sentence."""


def document(content: bytes) -> Sections:
    """A Word document: one section for each heading and for each table.

    Raises:
      UnreadableOffice: it is protected or broken.
    """
    _must_be_open(content)
    try:
        shown, hidden_chars = _without_hidden(content)
        page = mammoth.convert_to_html(
            shown, convert_image=_no_image, include_embedded_style_map=False, external_file_access=False
        )
    except MemoryError:
        raise
    except Exception:  # of whatever a broken document makes its reader raise
        raise UnreadableOffice(_BROKEN) from None
    return Sections(html.sections(page.value).found, hidden_chars=hidden_chars)


def workbook(content: bytes) -> Sections:
    """An Excel workbook: a table for each visible sheet.

    Raises:
      UnreadableOffice: it is protected or broken, or holds formulas without values.
    """
    _must_be_open(content)
    try:
        _must_have_values(content)
        book = openpyxl.load_workbook(io.BytesIO(content), data_only=True, keep_links=False)
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        found: list[TextSection] = []
        hidden_chars = sum(_chars(sheet) for sheet in book.worksheets if sheet not in sheets)
        for sheet in sheets:
            sections, hidden = _sheet(sheet, len(sheets) > 1)
            found += sections
            hidden_chars += hidden
        return Sections(found, hidden_chars=hidden_chars)
    except (MemoryError, UnreadableOffice):
        raise
    except Exception:  # as above
        raise UnreadableOffice(_BROKEN) from None


def _must_be_open(content: bytes) -> None:
    if content.startswith(b"\xd0\xcf\x11\xe0"):  # a compound file: encrypted, or of the format before 2007
        raise UnreadableOffice(
            "is protected by a password or of an old format: save it without password, as DOCX or XLSX"
        )


# Word


def _no_image(_image: object) -> list[object]:
    return []


def _without_hidden(content: bytes) -> tuple[io.BytesIO, int]:
    """The document without the text that Word hides, and how much that is.

    The document's reader does not know that text can be hidden.
    """
    hidden_chars = 0
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as parts, zipfile.ZipFile(made, "w") as copy:
        for name in parts.namelist():
            part = parts.read(name)
            if _TEXT_PARTS.fullmatch(name) and b"vanish" in part:
                part, hidden = _visible(part)
                hidden_chars += hidden
            copy.writestr(name, part)
    made.seek(0)
    return made, hidden_chars


def _visible(part: bytes) -> tuple[bytes, int]:
    root = ElementTree.fromstring(part)
    hidden_chars = 0
    for parent in list(root.iter()):
        for run in parent.findall(f"{_WORD}r"):
            mark = run.find(f"{_WORD}rPr/{_WORD}vanish")
            if mark is not None and mark.get(f"{_WORD}val", "1") not in _OFF:
                parent.remove(run)
                hidden_chars += sum(len(text.text or "") for text in run.iter(f"{_WORD}t"))
    return ElementTree.tostring(root), hidden_chars


# Excel


def _must_have_values(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        for name in filter(_SHEETS.fullmatch, parts.namelist()):
            for before in parts.read(name).split(b"</c>"):
                cell = before[before.rfind(b"<c ") :]
                if b"<f" in cell and not _VALUE.search(cell):
                    place = _PLACE.search(cell)
                    raise UnreadableOffice(
                        f"has formulas without values (e.g. in {place[1].decode() if place else name}): open it in "
                        "Excel or another spreadsheet program, save it, then add it"
                    )


def _sheet(sheet: Worksheet, is_named: bool) -> tuple[Iterator[TextSection], int]:
    """The sections of a sheet, and how many characters it hides."""
    hidden_columns = {
        column
        for shape in sheet.column_dimensions.values()
        if shape.hidden
        for column in range(shape.min, min(shape.max, _MAX_COLUMNS) + 1)
    }
    hidden_chars = 0
    texts: dict[int, dict[int, str]] = {}
    for row, column, text in _texts(sheet):
        if column in hidden_columns or (row in sheet.row_dimensions and sheet.row_dimensions[row].hidden):
            hidden_chars += len(text)
        else:
            texts.setdefault(row, {})[column] = text
    _spread_merged(sheet, texts)
    columns = sorted({column for row in texts.values() for column in row})
    if len(texts) * len(columns) > _MAX_CELLS:
        raise UnreadableOffice(
            f"has more than {_MAX_CELLS:,} cells in sheet {sheet.title}, counting the empty ones among the others: "
            "split it"
        )
    rows: list[list[str]] = []
    before = 0
    for number, row_texts in sorted(texts.items()):
        if rows and number > before + 1 and not _all_hidden(sheet, before + 1, number):
            rows.append([])
        rows.append([row_texts.get(column, "") for column in columns])
        before = number
    return tables.sections(sheet.title if is_named else "", rows), hidden_chars


def _all_hidden(sheet: Worksheet, first: int, end: int) -> bool:
    """Whether no row among these is seen; blank ones that are seen part tables."""
    return all(row in sheet.row_dimensions and sheet.row_dimensions[row].hidden for row in range(first, end))


def _texts(sheet: Worksheet) -> Iterator[tuple[int, int, str]]:
    """What the cells say that say something: a sheet may end a million rows below the last one of them."""
    for (row, column), cell in sorted(sheet._cells.items()):
        if text := _shown(cell).strip():
            yield row, column, text


def _chars(sheet: Worksheet) -> int:
    return sum(len(text) for _, _, text in _texts(sheet))


def _spread_merged(sheet: Worksheet, texts: dict[int, dict[int, str]]) -> None:
    """A cell that is merged downwards is repeated in each row that it stands beside."""
    rows = sorted(texts)
    for area in sheet.merged_cells.ranges:
        text = texts.get(area.min_row, {}).get(area.min_col)
        if text:
            for row in rows[bisect_left(rows, area.min_row) : bisect_right(rows, area.max_row)]:
                texts[row][area.min_col] = text


def _shown(cell: Any) -> str:
    value = cell.value
    if isinstance(value, bool):
        return "✓" if value else ""
    if isinstance(value, datetime.datetime | datetime.time):
        return _moment(value)
    if isinstance(value, int | float):
        return _number(value, cell.number_format or "")
    return "" if value is None or cell.data_type == "e" else str(value)


def _moment(value: datetime.datetime | datetime.time) -> str:
    if isinstance(value, datetime.time):
        return value.strftime("%H:%M")
    return value.strftime("%Y-%m-%d" if value.time() == _MIDNIGHT else "%Y-%m-%d %H:%M")


def _number(value: float, shape: str) -> str:
    """A number with the places, zeros in front, per cent and currency of its format."""
    if "%" in shape:
        return f"{round(value * 100, 4):g}%"
    if _LEADING_ZEROS.fullmatch(shape) and value == int(value):
        return str(int(value)).zfill(len(shape))
    places = _PLACES.search(shape)
    number = f"{value:.{len(places[1])}f}" if places else f"{value:.10g}"
    unit = _UNIT.search(shape)
    return f"{number} {(unit[1] or unit[2] or unit[3]).strip()}" if unit else number
