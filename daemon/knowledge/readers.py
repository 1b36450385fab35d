"""From a file to sections of text. Runs in the command line's process: a large PDF takes seconds.

Text may be UTF-8, UTF-16 with its mark, or the Arabic code page of Windows, which is tried when a file is no UTF-8: it
is taken when it makes the text Arabic. Anything else would be a guess, and a wrong guess would be told to customers.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from actors.text import plain_text
from daemon.knowledge.chunks import Chunk, TextSection, chunks
from daemon.knowledge.html import sections as html_sections

MAX_BYTES = 20 * 1024 * 1024
MAX_CHUNKS = 5_000
_ARABIC = re.compile("[\u0621-\u064a]")
_LETTER = re.compile(r"[^\W\d_]")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")


class UnreadableFile(Exception):
    """The file cannot be added; the text says why and what to do: `<file> …`."""


class ReadFile(msgspec.Struct, frozen=True):
    name: str
    sha256: str
    bytes: int
    chunks: tuple[Chunk, ...]


def read(path: Path) -> ReadFile:
    """A file with its text cut into chunks.

    Raises:
      UnreadableFile: it is not there, too large, of a kind that cannot be read, or holds no text.
    """
    content = _content(path)
    found = [_tidy(section) for section in _sections(path, content)]
    cut = chunks(section for section in found if section.text)
    if not cut:
        raise UnreadableFile("holds no text: there is nothing to add")
    if len(cut) > MAX_CHUNKS:
        raise UnreadableFile(f"makes {len(cut):,} chunks, {MAX_CHUNKS:,} are the most: split it")
    return ReadFile(path.name, hashlib.sha256(content).hexdigest(), len(content), cut)


def _tidy(section: TextSection) -> TextSection:
    """A heading with nothing under it is a text by itself."""
    heading, text = plain_text(section.heading).strip(), plain_text(section.text).strip()
    return TextSection(heading, text) if text else TextSection("", heading)


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UnreadableFile("is a directory: name the files in it")
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableFile(f"is larger than {MAX_BYTES // 1024 // 1024} MiB: split it")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"cannot be read ({error.strerror}): check its name and its rights") from None


def _sections(path: Path, content: bytes) -> list[TextSection]:
    if content.startswith(b"%PDF-"):
        return list(_pdf(content))
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        kinds = ", ".join(_READERS)
        raise UnreadableFile(f"is of a kind that cannot be read ({kinds} can): save it as PDF or text")
    return list(reader(content))


def _pdf(content: bytes) -> Iterator[TextSection]:
    from daemon.knowledge.pdf import UnreadablePdf, pages  # a large library for one kind of file

    try:
        yield TextSection("", "\n\n".join(pages(content)))
    except UnreadablePdf as error:
        raise UnreadableFile(str(error)) from None


def _text(content: bytes) -> Iterator[TextSection]:
    yield TextSection("", decoded(content))


def _markdown(content: bytes) -> Iterator[TextSection]:
    """One section for each heading; a heading is told with those above it: `Delivery › Riyadh`."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False
    for line in plain_text(decoded(content)).split("\n"):
        fenced ^= _FENCE.match(line) is not None
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        yield TextSection(_heading_path(path), "\n".join(lines))
        depth = len(heading[1])
        path = [*((level, words) for level, words in path if level < depth), (depth, heading[2])]
        lines = []
    yield TextSection(_heading_path(path), "\n".join(lines))


def _heading_path(path: list[tuple[int, str]]) -> str:
    return " › ".join(words for _, words in path)


def _html(content: bytes) -> Iterator[TextSection]:
    declared = _CHARSET.search(content[:2048])
    yield from html_sections(decoded(content, declared[1].decode("ascii") if declared else ""))


def decoded(content: bytes, declared: str = "") -> str:
    """The text in `content`. Raises `Unreadable`."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _as(content, "utf-16", "says it is UTF-16 and is not")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    if declared:
        return _as(content, declared, f"says it is {declared} and is not")
    text = content.decode("cp1256")
    arabic, letters = len(_ARABIC.findall(text)), len(_LETTER.findall(text))
    if b"\x00" in content or arabic * 2 < letters:
        raise UnreadableFile("is no text in UTF-8: save it as UTF-8, then add it")
    return text


def _as(content: bytes, encoding: str, trouble: str) -> str:
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise UnreadableFile(f"{trouble}: save it as UTF-8, then add it") from None


_READERS: dict[str, Callable[[bytes], Iterator[TextSection]]] = {
    ".txt": _text,
    ".csv": _text,
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
}
