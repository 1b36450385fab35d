"""Cuts sections into chunks that can be found and quoted on their own. Pure.

Rules of this file:
1. Nothing is lost: every word of a section is in one of its chunks, in order.
2. No chunk is longer than `MAX_CHARS`. Longer text is split between paragraphs, else lines, else sentences, else words;
   only a word longer than a chunk is cut.
3. A line that fits is never split: a row of a table or of a price list stays whole.
4. A chunk begins with the last sentence of the previous one if that is short, to show what "it" refers to; one of a
   table begins with the table's header instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

MAX_CHARS = 900
"""About 200 to 300 tokens, Latin or Arabic."""
OVERLAP_CHARS = 120

_SENTENCE = re.compile(r"(?<=[.!?؟。！？…])\s+")
_SEPARATORS = (
    ("\n\n", re.compile(r"\n\s*\n")),
    ("\n", re.compile(r"\n")),
    (" ", _SENTENCE),
    (" ", re.compile(r"\s+")),
)


class TextSection(msgspec.Struct, frozen=True):
    """A part of a file under one heading."""

    heading: str
    text: str
    header: str = ""
    """What each of its chunks begins with: the names of a table's columns; empty: it is no table."""


class Sections(msgspec.Struct, frozen=True):
    """What a reader found in a file."""

    found: list[TextSection]
    encoding: str = ""
    """In which its text was found to be written; empty: its kind leaves no choice, or it is UTF-8."""
    hidden_chars: int = 0
    """Of text that the file holds and does not show: it is left out, and somebody should know."""


class Chunk(msgspec.Struct, frozen=True):
    ordinal: int
    heading: str
    text: str


def chunks(sections: Iterable[TextSection]) -> tuple[Chunk, ...]:
    """All chunks of a file, numbered from 0."""
    cut = ((section.heading, text) for section in sections for text in _cut(section))
    return tuple(Chunk(ordinal, heading, text) for ordinal, (heading, text) in enumerate(cut))


def _cut(section: TextSection) -> Iterator[str]:
    """The chunks of one section: pieces are joined as long as they fit."""
    header = f"{section.header}\n" if section.header else ""
    most = MAX_CHARS - len(header)
    gathered = ""
    for separator, piece in _pieces(section.text.strip(), most):
        joined = f"{gathered}{separator}{piece}" if gathered else piece
        if len(joined) > most:
            yield header + gathered
            overlap = "" if header else _last_sentence(gathered)
            joined = f"{overlap}{separator}{piece}" if overlap else piece
            joined = joined if len(joined) <= most else piece
        gathered = joined
    if gathered:
        yield header + gathered


def _pieces(text: str, most: int, depth: int = 0) -> list[tuple[str, str]]:
    """Pieces of at most so many characters, each with the separator that joins it to the previous one."""
    if len(text) <= most:
        return [("", text)]
    if depth == len(_SEPARATORS):
        return [("", text[start : start + most]) for start in range(0, len(text), most)]
    separator, pattern = _SEPARATORS[depth]
    found: list[tuple[str, str]] = []
    for part in filter(None, map(str.strip, pattern.split(text))):
        (_, first), *others = _pieces(part, most, depth + 1)
        found += [(separator, first), *others]
    return found


def _last_sentence(text: str) -> str:
    last = _SENTENCE.split(text.rpartition("\n")[2])[-1]
    return last if len(last) <= OVERLAP_CHARS else ""
