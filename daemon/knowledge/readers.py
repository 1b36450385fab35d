"""Reads the content of files into chunks of text. Runs in a child process of the command line: see `reading.py`.

Text may be UTF-8, UTF-16 with a byte order mark, or Windows' Arabic code page. The latter is tried if a file is not
UTF-8, and accepted if the result is mostly Arabic. Anything else would be a guess, and customers would read its errors.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import PurePath

import msgspec

from actors.text import plain_text
from daemon.knowledge.chunks import Chunk, TextSection, chunks
from daemon.knowledge.html import sections as html_sections

MAX_CHUNKS = 5_000
_ARABIC = re.compile("[\u0621-\u064a]")
_LETTER = re.compile(r"[^\W\d_]")
_CHARSET = re.compile(rb"charset\s*+=\s*+[\"']?\s*+([\w-]+)", re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s++(.+)")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")


class UnreadableFile(Exception):
    """The file cannot be added. The message follows the file name in a sentence, and says what to do."""


class ReadFile(msgspec.Struct, frozen=True):
    name: str
    sha256: str
    bytes: int
    chunks: tuple[Chunk, ...]


def parse(name: str, content: bytes) -> ReadFile:
    """Cut the text of a file into chunks.

    Raises:
      UnreadableFile: it has an unsupported type, cannot be understood, is too long, or contains no text.
    """
    found = [_tidy(section) for section in _sections(name, content)]
    cut = chunks(section for section in found if section.text)
    if not cut:
        raise UnreadableFile("contains no text: there is nothing to add")
    if len(cut) > MAX_CHUNKS:
        raise UnreadableFile(f"makes {len(cut):,} chunks, more than {MAX_CHUNKS:,}: split it")
    return ReadFile(name, hashlib.sha256(content).hexdigest(), len(content), cut)


def _tidy(section: TextSection) -> TextSection:
    """A heading without text below it becomes text itself."""
    heading, text = plain_text(section.heading).strip(), plain_text(section.text).strip()
    return TextSection(heading, text) if text else TextSection("", heading)


def _sections(name: str, content: bytes) -> list[TextSection]:
    if content.startswith(b"%PDF-"):
        return list(_pdf(content))
    reader = _READERS.get(PurePath(name).suffix.lower())
    if reader is None:
        kinds = ", ".join(_READERS)
        raise UnreadableFile(f"has an unsupported type (supported: {kinds}): save it as PDF or text")
    return list(reader(content))


def _pdf(content: bytes) -> Iterator[TextSection]:
    from daemon.knowledge.pdf import (  # imported late: a large library for one type of file
        UnreadablePdf,
        pages,
    )

    try:
        yield TextSection("", "\n\n".join(pages(content)))
    except UnreadablePdf as error:
        raise UnreadableFile(str(error)) from None


def _text(content: bytes) -> Iterator[TextSection]:
    yield TextSection("", decoded(content))


def _markdown(content: bytes) -> Iterator[TextSection]:
    """One section per heading, named with the headings above it: `Delivery › Riyadh`."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False
    for line in plain_text(decoded(content)).split("\n"):
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
    return " › ".join(words for _, words in path)


def _html(content: bytes) -> Iterator[TextSection]:
    declared = _CHARSET.search(content[:2048])
    yield from html_sections(decoded(content, declared[1].decode("ascii") if declared else ""))


def decoded(content: bytes, declared: str = "") -> str:
    """The text in `content`. Raises `Unreadable`."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode(content, "utf-16", "claims to be UTF-16 and is not")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    if declared:
        return _decode(content, declared, f"claims to be {declared} and is not")
    text = content.decode("cp1256")
    arabic, letters = len(_ARABIC.findall(text)), len(_LETTER.findall(text))
    if b"\x00" in content or arabic * 2 < letters:
        raise UnreadableFile("is not UTF-8 text: save it as UTF-8, then add it")
    return text


def _decode(content: bytes, encoding: str, problem: str) -> str:
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise UnreadableFile(f"{problem}: save it as UTF-8, then add it") from None


_READERS: dict[str, Callable[[bytes], Iterator[TextSection]]] = {
    ".txt": _text,
    ".csv": _text,
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
}
