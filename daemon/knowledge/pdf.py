"""Extracts the text of a PDF from its letters and their positions.

A PDF records where each letter is drawn, not the order of reading: Arabic is stored from the left, from the right, or
in pieces. So the order in the file is ignored. Letters at the same height make a line, and `bidi` puts the line into
reading order. Two columns of text side by side are read as rows of a table.
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
from daemon.knowledge.bidi import in_visual_order, logical, reads_from_right

MAX_PAGES = 500
MAX_CHARS = 2_000_000
_DESCENT_SHARE = 0.2
"""The part of a letter's height below the base line."""
_LEVEL_SHARE = 0.4
"""Letters whose middles are closer than this, in letter heights, are on one line."""
_SPACE_SHARE = 0.2
"""A wider gap is a space."""
_COLUMN_SHARE = 2.0
"""A wider gap separates two columns."""
_PARAGRAPH_SHARE = 1.9
"""Lines farther apart belong to different paragraphs."""
_LOCKED = 4
_VOWEL_MARK = re.compile("[\u064b-\u065f\u0670]")
_PRESENTATION_FORM = re.compile("[\ufb00-\ufdff\ufe70-\ufefc]")


class UnreadablePdf(Exception):
    """The message follows the file name in a sentence, and says what to do."""


class Glyph(NamedTuple):
    """One letter and its box, in points from the lower left corner of the page."""

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
      UnreadablePdf: it is not a PDF, locked, too long, or contains only images.
    """
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _LOCKED:
            raise UnreadablePdf("is protected by a password: save it without one, then add it") from None
        raise UnreadablePdf("is not a readable PDF: save it as PDF again, then add it") from None
    try:
        return _pages(document)
    except pypdfium2.PdfiumError:
        raise UnreadablePdf("has a page that cannot be read: save it as PDF again, then add it") from None
    finally:
        document.close()


def _pages(document: pypdfium2.PdfDocument) -> list[str]:
    if len(document) > MAX_PAGES:
        raise UnreadablePdf(f"has {len(document)} pages, more than {MAX_PAGES}: split it")
    found: list[str] = []
    size = 0
    for number in range(len(document)):
        found.append(_page(document[number], MAX_CHARS - size))
        size += len(found[-1])
    if not any(found):
        raise UnreadablePdf("contains images and no text (a scan?): run OCR on it first")
    return found


def _page(page: pypdfium2.PdfPage, max_chars: int) -> str:
    text_page = page.get_textpage()
    try:
        if text_page.count_chars() > max_chars:
            raise UnreadablePdf(f"has more than {MAX_CHARS:,} letters: split it")
        return read(list(_glyphs(text_page, page.get_rotation())))
    finally:
        text_page.close()
        page.close()


def _glyphs(text_page: pypdfium2.PdfTextPage, turned: int) -> Iterator[Glyph]:
    """Every letter in the file. Spaces, which have only a base line, get the height of the previous letter."""
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
            # Vowel marks are left out: their position does not show which letter they belong to, and words are
            # understood and found without them.
            height = top - bottom
            yield Glyph(text, left, bottom, right, top)


def _upright(box: tuple[float, float, float, float], turned: int) -> tuple[float, float, float, float]:
    """A box on the page as displayed, when the page is rotated by `turned` degrees clockwise."""
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
    """Pure: the text of these letters, line by line, with an empty line between paragraphs."""
    from_right = reads_from_right("".join(glyph.text for glyph in glyphs))
    lines: list[str] = []
    above = None
    for line in _lines([glyph for glyph in glyphs if glyph.height > 0]):
        words = _line_text(line, from_right)
        if not words:
            continue
        middle, height = _level(line)
        if above is not None and above - middle > _PARAGRAPH_SHARE * height:
            lines.append("")
        lines.append(words)
        above = middle
    return "\n".join(lines)


def _lines(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    """Group letters at the same height into lines, from the top down."""
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


def _line_text(line: Sequence[Glyph], page_from_right: bool) -> str:
    """The text of one line. Cells of a row are separated by ` | `."""
    seen = ""
    edge = None
    for glyph in sorted(_with_ligatures(line), key=lambda glyph: (glyph.left, glyph.right)):
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


def _with_ligatures(line: Sequence[Glyph]) -> Iterator[Glyph]:
    """Join letters that share one box into one glyph, a ligature."""
    for place, group in groupby(line, key=lambda glyph: glyph[1:]):
        yield Glyph(in_visual_order("".join(glyph.text for glyph in group)), *place)
