"""Reads the content of files into chunks of text. Runs in a child process of the command line: see `reading.py`.

A kind of file is a function from its content to sections, and one line in `_READERS`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import PurePath

import msgspec

from actors.text import plain_text
from daemon.knowledge import tables
from daemon.knowledge.chunks import Chunk, Sections, TextSection, chunks
from daemon.knowledge.encodings import NotText
from daemon.knowledge.encodings import decoded as decoded_text

MAX_CHUNKS = 5_000
_CHARSET = re.compile(rb"charset\s*+=\s*+[\"']?\s*+([\w-]+)", re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s++(.+)")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""Excel's own word for it, as the first line."""
_JUDGED_LINES = 50
_MAX_CELL_LINES = 50


class UnreadableFile(Exception):
    """The file cannot be added. The message follows the file name in a sentence, and says what to do."""


class ReadFile(msgspec.Struct, frozen=True):
    name: str
    sha256: str
    bytes: int
    chunks: tuple[Chunk, ...]
    encoding: str = ""
    """In which its text was found to be written; empty: its kind leaves no choice."""
    hidden_chars: int = 0
    """Of text that it does not show, and that was left out."""


def parse(name: str, content: bytes) -> ReadFile:
    """Cut the text of a file into chunks.

    Raises:
      UnreadableFile: it has an unsupported type, cannot be understood, is too long, or contains no text.
    """
    read = _sections(name, content)
    found = [_tidy(piece) for section in read.found for piece in _pieces(section)]
    cut = chunks(section for section in found if section.text)
    if not cut and read.hidden_chars:
        raise UnreadableFile(
            f"shows no text, and hides {read.hidden_chars:,} characters: show them, then add it"
        )
    if not cut:
        raise UnreadableFile("contains no text: there is nothing to add")
    if len(cut) > MAX_CHUNKS:
        raise UnreadableFile(f"makes {len(cut):,} chunks, more than {MAX_CHUNKS:,}: split it")
    digest = hashlib.sha256(content).hexdigest()
    return ReadFile(name, digest, len(content), cut, read.encoding, read.hidden_chars)


def _pieces(section: TextSection) -> Iterator[TextSection]:
    """A section, its tables apart from its text; one that is empty as it is."""
    if section.header or not section.text:
        yield section
        return
    yield from tables.apart(section)


def _tidy(section: TextSection) -> TextSection:
    """A heading without text below it becomes text itself."""
    heading, text = plain_text(section.heading).strip(), plain_text(section.text).strip()
    return TextSection(heading, text, plain_text(section.header)) if text else TextSection("", heading)


def _sections(name: str, content: bytes) -> Sections:
    suffix = PurePath(name).suffix.lower()
    if content.startswith(b"%PDF-"):
        return _pdf(content)
    if advice := _SAVED_AS.get(suffix):
        raise UnreadableFile(f"is of a kind that is not read ({suffix}): save it as {advice}, then add it")
    reader = _READERS.get(suffix)
    if reader is None:
        kinds = ", ".join(_READERS)
        raise UnreadableFile(f"has an unsupported type (supported: {kinds}): save it as PDF or text")
    return reader(content)


def _pdf(content: bytes) -> Sections:
    from daemon.knowledge.pdf import (  # imported late: a large library for one type of file
        UnreadablePdf,
        pages,
    )

    try:
        return Sections([TextSection("", "\n\n".join(pages(content)))])
    except UnreadablePdf as error:
        raise UnreadableFile(str(error)) from None


def _office(content: bytes, *, is_word: bool) -> Sections:
    from daemon.knowledge import office  # imported late, as above

    try:
        return office.document(content) if is_word else office.workbook(content)
    except office.UnreadableOffice as error:
        raise UnreadableFile(str(error)) from None


def _text(content: bytes) -> Sections:
    text, encoding = _decoded(content)
    if _is_tabbed(text):
        return _csv(content)
    return Sections([TextSection("", text)], encoding)


def _is_tabbed(text: str) -> bool:
    """Whether it is a table, as Excel's "Unicode text": as many tabs in each of its first lines."""
    tabs = {line.count("\t") for line in text.split("\n", _JUDGED_LINES)[:_JUDGED_LINES] if line.strip()}
    return len(tabs) == 1 and tabs != {0}


def _csv(content: bytes) -> Sections:
    """A table; its separator is the one by which its first lines have the most columns, all as many."""
    text, encoding = _decoded(content)
    text = plain_text(text)
    named = _SEPARATOR_LINE.match(text)
    separator = named[1] if named else _separator(text)
    text = text[named.end() :] if named else text
    rows = _rows(text, separator)
    return Sections(list(tables.sections("", rows)), encoding)


def _rows(text: str, separator: str) -> list[list[str]]:
    """The rows; a quote that nobody closed is an inch or a slip, and does not swallow the rest."""
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        with suppress(csv.Error):
            rows = list(csv.reader(io.StringIO(text), delimiter=separator, quoting=quoting))
            if quoting == csv.QUOTE_NONE or all(
                cell.count("\n") < _MAX_CELL_LINES for row in rows for cell in row
            ):
                return rows
    raise UnreadableFile("is no table that can be read: save it as CSV again, or as XLSX")


def _separator(text: str) -> str:
    sample = "\n".join(text.split("\n", _JUDGED_LINES)[:_JUDGED_LINES])

    def fits(separator: str) -> tuple[int, int]:
        """How many lines have the usual number of columns, and that number."""
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(sample), delimiter=separator) if row]
        except csv.Error:
            return 0, 0
        usual = max(set(widths), key=widths.count, default=0)
        return (widths.count(usual), usual) if usual > 1 else (0, 0)

    return max(_SEPARATORS, key=fits)


def _markdown(content: bytes) -> Sections:
    """One section per heading, named with the headings above it: `Delivery › Riyadh`."""
    text, encoding = _decoded(content)
    return Sections(list(_markdown_sections(plain_text(text).split("\n"))), encoding)


def _markdown_sections(all_lines: list[str]) -> Iterator[TextSection]:
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False
    for line in all_lines:
        fenced ^= _FENCE.match(line) is not None
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        yield TextSection(_joined(path), "\n".join(lines))
        depth = len(heading[1])
        path = [
            *((level, words) for level, words in path if level < depth),
            (depth, heading[2].rstrip().rstrip("#").rstrip()),
        ]
        lines = []
    yield TextSection(_joined(path), "\n".join(lines))


def _joined(path: list[tuple[int, str]]) -> str:
    return tables.joined(*(words for _, words in path))


def _html(content: bytes) -> Sections:
    from daemon.knowledge.html import sections

    declared = _CHARSET.search(content[:2048])
    text, encoding = _decoded(content, declared[1].decode("ascii") if declared else "")
    return msgspec.structs.replace(sections(text), encoding=encoding)


def _decoded(content: bytes, declared: str = "") -> tuple[str, str]:
    """The text, and the encoding if it is another than UTF-8."""
    try:
        found = decoded_text(content, declared)
    except NotText as error:
        raise UnreadableFile(str(error)) from None
    return found.text, "" if found.encoding == "utf-8" else found.encoding


_READERS: dict[str, Callable[[bytes], Sections]] = {
    ".txt": _text,
    ".csv": _csv,
    ".tsv": _csv,
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": partial(_office, is_word=True),
    ".xlsx": partial(_office, is_word=False),
}
_SAVED_AS = {
    ".doc": "DOCX",
    ".odt": "DOCX",
    ".rtf": "DOCX",
    ".xls": "XLSX",
    ".xlsm": "XLSX",
    ".ods": "XLSX",
    ".ppt": "PDF",
    ".pptx": "PDF",
}
