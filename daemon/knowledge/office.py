"""The text of Word documents and Excel workbooks. Bounded by the child process that runs it: see `reading.py`.

Laws of this file:
1. What the program hides is left out: hidden sheets, rows and columns, hidden and deleted text, comments.
2. A cell is told as it is shown, as far as that can be told: dates without a time of 0:00, per cent, no `.0`.
3. A formula is told by the value that was stored with it. One without a value would be lost silently, so it is refused.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import mammoth
import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from daemon.knowledge import html, tables
from daemon.knowledge.chunks import TextSection

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXT_PARTS = re.compile(r"word/(?:document|footnotes|endnotes)\d*\.xml")
_SHEETS = re.compile(r"xl/worksheets/[^/]+\.xml")
_PLACE = re.compile(rb'\br="([A-Z]{1,3}\d{1,7})"')
_OFF = frozenset({"0", "false", "off"})
_BROKEN = "is broken or no such file: open it in its program, save it again, then add it"
_PLACES = re.compile(r"0\.(0{1,10})")
_LEADING_ZEROS = re.compile(r"0{2,20}")
_UNIT = re.compile(r'"\s*+([^"\s][^"]{0,15})"|\[\$([^\]\s-]{1,8})|([€£$¥₹])')
"""Of a number, where its format has one: `0.00 "SAR"`, `[$€-2] 0`."""
_MAX_CELLS = 5_000_000
_MIDNIGHT = datetime.time()


class UnreadableOffice(Exception):
    """The document cannot be read. The message follows the file's name in a sentence."""


def document(content: bytes) -> list[TextSection]:
    """A Word document: one section for each heading and for each table.

    Raises:
      UnreadableOffice: it is protected or broken.
    """
    _must_be_open(content)
    try:
        page = mammoth.convert_to_html(_without_hidden(content), convert_image=_no_image)
    except MemoryError:
        raise
    except Exception:  # of whatever a broken document makes its reader raise
        raise UnreadableOffice(_BROKEN) from None
    return html.sections(page.value)


def workbook(content: bytes) -> Iterator[TextSection]:
    """An Excel workbook: a table for each visible sheet.

    Raises:
      UnreadableOffice: it is protected or broken, or holds formulas without values.
    """
    _must_be_open(content)
    try:
        _must_have_values(content)
        book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            yield from _sheet(sheet, len(sheets) > 1)
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


def _without_hidden(content: bytes) -> io.BytesIO:
    """The document without the text that Word hides; its reader does not know that text can be hidden."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as parts, zipfile.ZipFile(made, "w") as copy:
        for name in parts.namelist():
            part = parts.read(name)
            is_text = _TEXT_PARTS.fullmatch(name) and b"vanish" in part
            copy.writestr(name, _visible(part) if is_text else part)
    made.seek(0)
    return made


def _visible(part: bytes) -> bytes:
    root = ElementTree.fromstring(part)
    for parent in list(root.iter()):
        for run in parent.findall(f"{_WORD}r"):
            mark = run.find(f"{_WORD}rPr/{_WORD}vanish")
            if mark is not None and mark.get(f"{_WORD}val", "1") not in _OFF:
                parent.remove(run)
    return ElementTree.tostring(root)


# Excel


def _must_have_values(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        for name in filter(_SHEETS.fullmatch, parts.namelist()):
            for before in parts.read(name).split(b"</c>"):
                cell = before[before.rfind(b"<c ") :]
                if b"<f" in cell and b"<v>" not in cell:
                    place = _PLACE.search(cell)
                    raise UnreadableOffice(
                        f"has formulas without values (e.g. in {place[1].decode() if place else name}): open it in "
                        "Excel or another spreadsheet program, save it, then add it"
                    )


def _sheet(sheet: Worksheet, is_named: bool) -> Iterator[TextSection]:
    if sheet.max_row * sheet.max_column > _MAX_CELLS:
        raise UnreadableOffice(
            f"has more than {_MAX_CELLS:,} cells in sheet {sheet.title}, counting empty ones with a format: "
            "copy what is to be known into a new workbook"
        )
    hidden_rows = {row for row, shape in sheet.row_dimensions.items() if shape.hidden}
    hidden_columns = {
        column
        for shape in sheet.column_dimensions.values()
        if shape.hidden
        for column in range(shape.min, shape.max + 1)
    }
    merged = _merged(sheet)
    rows = [
        [
            merged.get((cell.row, cell.column)) or _shown(cell)
            for cell in row
            if cell.column not in hidden_columns
        ]
        for number, row in enumerate(sheet.iter_rows(), 1)
        if number not in hidden_rows
    ]
    yield from tables.sections(sheet.title if is_named else "", rows)


def _merged(sheet: Worksheet) -> dict[tuple[int, int], str]:
    """The texts of cells that are merged downwards: each row that they stand beside is told them."""
    found: dict[tuple[int, int], str] = {}
    for area in sheet.merged_cells.ranges:
        text = _shown(sheet.cell(area.min_row, area.min_col))
        for row in range(area.min_row, min(area.max_row, sheet.max_row) + 1):
            found[row, area.min_col] = text
    return found


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
