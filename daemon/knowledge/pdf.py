"""The text of a PDF, from its letters and their places.

A PDF says where each letter stands, not what was written: Arabic lies in it from the left, from the right, or in
pieces. So the order in the file means nothing. Letters that stand level make a line, `bidi` says how it is read. Two
columns of text side by side are read as rows of a table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import median
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from actors.text import plain_text
from daemon.knowledge.bidi import as_seen, logical, reads_from_right

MAX_PAGES = 500
MAX_CHARS = 2_000_000
_DESCENT_SHARE = 0.2
"""So much of a letter's height is below the base line."""
_LEVEL_SHARE = 0.4
"""Middles so close, in heights, are level."""
_SPACE_SHARE = 0.2
"""A gap so wide is a blank."""
_COLUMN_SHARE = 2.0
"""A gap so wide is the border of a column."""
_PARAGRAPH_SHARE = 1.9
"""Lines so far apart are two paragraphs."""
_LOCKED = 4
_VOWEL_MARK = re.compile("[\u064b-\u065f\u0670]")
_PRESENTATION_FORM = re.compile("[\ufb00-\ufdff\ufe70-\ufefc]")


class UnreadablePdf(Exception):
    """The text says what is wrong with the file and what to do: `<file> …`."""


class Glyph(NamedTuple):
    """One letter and its place, in points from the lower left corner."""

    text: str
    left: float
    bottom: float
    right: float
    top: float

    @property
    def middle(self) -> float:
        return (self.bottom + self.top) / 2

    @property
    def height(self) -> float:
        return self.top - self.bottom


def pages(content: bytes) -> list[str]:
    """The text of each page.

    Raises:
      UnreadablePdf: it is no PDF, locked, too long, or a picture of text.
    """
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _LOCKED:
            raise UnreadablePdf("is locked by a password: save it without one, then add it") from None
        raise UnreadablePdf("is no PDF that can be read: save it anew as PDF, then add it") from None
    try:
        return _pages(document)
    except pypdfium2.PdfiumError:
        raise UnreadablePdf("has a page that cannot be read: save it anew as PDF, then add it") from None
    finally:
        document.close()


def _pages(document: pypdfium2.PdfDocument) -> list[str]:
    if len(document) > MAX_PAGES:
        raise UnreadablePdf(f"has {len(document)} pages, {MAX_PAGES} are the most: split it")
    found: list[str] = []
    size = 0
    for number in range(len(document)):
        found.append(_page(document[number]))
        size += len(found[-1])
        if size > MAX_CHARS:
            raise UnreadablePdf(f"has more than {MAX_CHARS:,} letters: split it")
    if not any(found):
        raise UnreadablePdf("holds pictures and no text (a scan?): let a program with OCR read it first")
    return found


def _page(page: pypdfium2.PdfPage) -> str:
    text_page = page.get_textpage()
    try:
        return read(list(_glyphs(text_page, page.get_rotation())))
    finally:
        text_page.close()
        page.close()


def _glyphs(text_page: pypdfium2.PdfTextPage, turned: int) -> Iterator[Glyph]:
    """Every letter that stands in the file. Blanks, of whom only the base line is known, get the last one's height."""
    height = 0.0
    for index in range(text_page.count_chars()):
        text = plain_text(chr(pdfium.FPDFText_GetUnicode(text_page, index)))
        if not text or pdfium.FPDFText_IsGenerated(text_page, index) == 1:
            continue
        left, bottom, right, top = _upright(text_page.get_charbox(index, loose=True), turned)
        if text.isspace():
            yield Glyph(
                " ", left, bottom - _DESCENT_SHARE * height, right, bottom + (1 - _DESCENT_SHARE) * height
            )
        elif unicodedata.category(text) != "Cf" and not _VOWEL_MARK.match(text):
            # The place of a vowel mark does not tell whose it is; words are understood and found without.
            height = top - bottom
            yield Glyph(text, left, bottom, right, top)


def _upright(box: tuple[float, float, float, float], turned: int) -> tuple[float, float, float, float]:
    """A place on the page as it is looked at: `turned` so many degrees clockwise."""
    left, bottom, right, top = box
    match turned:
        case 90:
            return bottom, -right, top, -left
        case 180:
            return -right, -top, -left, -bottom
        case 270:
            return -top, left, -bottom, right
        case _:
            return box


def read(glyphs: Sequence[Glyph]) -> str:
    """Pure: what these letters say, line by line, an empty line between paragraphs."""
    from_right = reads_from_right("".join(glyph.text for glyph in glyphs))
    said: list[str] = []
    above = None
    for line in _lines([glyph for glyph in glyphs if glyph.height > 0]):
        words = _said(line, from_right)
        if not words:
            continue
        middle, height = _level(line)
        if above is not None and above - middle > _PARAGRAPH_SHARE * height:
            said.append("")
        said.append(words)
        above = middle
    return "\n".join(said)


def _lines(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    """Letters that stand level, from the top down."""
    lines: list[list[Glyph]] = []
    for glyph in sorted(glyphs, key=lambda glyph: -glyph.middle):
        near = lines and abs(lines[-1][0].middle - glyph.middle) < _LEVEL_SHARE * glyph.height
        if near:
            lines[-1].append(glyph)
        else:
            lines.append([glyph])
    return lines


def _level(line: Sequence[Glyph]) -> tuple[float, float]:
    return median(glyph.middle for glyph in line), median(glyph.height for glyph in line)


def _said(line: Sequence[Glyph], page_from_right: bool) -> str:
    """One line as it is read. Cells of a row are parted by a stroke."""
    seen = ""
    edge = None
    for glyph in sorted(_whole(line), key=lambda glyph: (glyph.left, glyph.right)):
        gap = glyph.left - edge if edge is not None else 0.0
        if gap > _COLUMN_SHARE * glyph.height:
            seen = seen.rstrip() + "\t"
        elif (gap > _SPACE_SHARE * glyph.height or glyph.text == " ") and not seen.endswith((" ", "\t")):
            seen += " "
        seen += glyph.text.strip()
        edge = max(edge or glyph.right, glyph.right) if glyph.text != " " else edge
    spelt = _PRESENTATION_FORM.sub(
        lambda form: unicodedata.normalize("NFKC", form[0]), logical(seen, page_from_right)
    )
    return " | ".join(" ".join(cell.split()) for cell in spelt.split("\t")).strip()


def _whole(line: Sequence[Glyph]) -> Iterator[Glyph]:
    """Letters that share one place are one sign, a ligature."""
    for place, group in groupby(line, key=lambda glyph: glyph[1:]):
        yield Glyph(as_seen("".join(glyph.text for glyph in group)), *place)
