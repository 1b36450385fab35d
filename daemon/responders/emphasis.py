"""Text with parts that stand out, and WhatsApp's marks for them. Pure, total, linear.

WhatsApp shows `*bold*` when the marks stand at the edges of words, within one line, around something that has none of
them itself. Everything else shows the stars. So a part that would not be shown as meant is widened to whole words,
parted at line ends and addresses (a star at its end would become part of an address), or loses its marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

BOLD, ITALIC, STRUCK = "*", "_", "~"

_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"]+")
_WITHOUT_BLANKS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, kana and Han: nobody can see there where a word ends."""
_ENDS_PHRASE = ":،؛,;!?؟)：，；！？）"
"""After these a blank may be put: "Price:90" reads as well as "Price: 90"."""


_ARABIC = re.compile("[\u0620-\u064a\u066e-\u06d3]")
_VOWEL_SIGNS = re.compile("[\u0640\u064b-\u065f\u0670]")
_BEFORE_WORD = re.compile("[وف]?[بكلس]?(?:ال|لل)?")
_BEHIND_WORD = re.compile("(?:ات|ان|ون|ين|ية|يات|ت|ة|ي|وا?|ا)?(?:ها?|هم|هن|هما|ك|كم|كن|كما|نا|ني|ي)?")
"""What Arabic writes together with a word. Anything else beside a part that stands out is a word of its own."""
_MAX_AFFIX_CHARS = 12


class _Span(NamedTuple):
    start: int
    end: int
    mark: str
    gap: bool = False
    """A blank follows it, so that its mark stands at an edge."""
    lead: bool = False
    """A blank precedes it, for the same reason."""


class MarkedText:
    """A text that grows at its end, with the parts of it that stand out."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._opened: dict[str, list[int]] = {}
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._kept: list[tuple[int, int]] = []
        self.length = 0
        self._closed_at = -1
        self._opened_at = -1

    def add(self, text: str, *, kept: bool = False) -> None:
        """Args: kept: it gets no marks, neither around it nor within."""
        if not text:
            return
        between = self._closed_at == self._opened_at == self.length
        if between and self._pieces and is_word(self._pieces[-1][-1]) and is_word(text[0]):
            self._pieces.append(" ")  # ~~120~~**90** are two prices
            self.length += 1
        if kept:
            self._kept.append((self.length, self.length + len(text)))
        self._pieces.append(text)
        self.length += len(text)

    def open(self, mark: str) -> None:
        self._opened_at = self.length
        self._opened.setdefault(mark, []).append(self.length)

    def close(self, mark: str) -> None:
        if starts := self._opened.get(mark):
            self._spans.setdefault(mark, []).append((starts.pop(), self.length))
            self._closed_at = self.length

    def pieces(self) -> int:
        """A place to which `since` and `cut` refer."""
        return len(self._pieces)

    def since(self, place: int) -> str:
        return "".join(self._pieces[place:])

    def cut(self, place: int) -> None:
        """Take back what was added since."""
        self.length -= len(self.since(place))
        del self._pieces[place:]

    def ends_line(self) -> bool:
        """Whether the next piece begins a line."""
        return not self._pieces or self._pieces[-1].endswith("\n")

    def marked(self) -> str:
        """The text with WhatsApp's marks."""
        text = "".join(self._pieces)
        if not self._spans:
            return text
        kept = bytearray(len(text))
        for start, end in (*self._kept, *(found.span() for found in _ADDRESS.finditer(text))):
            kept[start:end] = b"\1" * (min(end, len(text)) - start)
        spans = [
            span for mark, found in self._spans.items() for span in _shown(text, kept, mark, sorted(found))
        ]
        return _with_marks(text, sorted(spans, key=lambda span: (span.start, -span.end)))


def is_word(character: str) -> bool:
    """Whether it is part of a word: a letter, a digit, a mark on either."""
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def _widens(character: str) -> bool:
    return is_word(character) and not _WITHOUT_BLANKS.match(character)


def _shown(text: str, kept: bytearray, mark: str, spans: list[tuple[int, int]]) -> Iterator[_Span]:
    """Those parts of spans of one kind that WhatsApp will show, in order and apart."""
    widened: list[_Span] = []
    for first, last in _parted(text, kept, spans):
        before = widened[-1] if widened else _Span(0, 0, mark)
        if last <= before.end:
            continue
        start = first
        while (
            start > before.end and is_word(text[start]) and _widens(text[start - 1]) and not kept[start - 1]
        ):
            start -= 1
        end, gap = _widened(text, kept, last)
        lead = _is_other_word(text[start:first], text[first], _BEFORE_WORD)
        if lead:
            start = first
        if widened and start <= before.end and not before.gap:
            widened[-1] = _Span(before.start, end, mark, gap, before.lead)
        else:
            widened.append(_Span(start, end, mark, gap, lead))
    yield from (span for span in widened if _is_clear(text, span))


def _parted(text: str, kept: bytearray, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans, joined where they overlap, parted at line ends and at what is kept, without blanks at their ends."""
    reached = 0
    for start, end in spans:
        at = max(start, reached)
        reached = max(reached, end)
        breaks = [at - 1, *(i for i in range(at, end) if kept[i] or text[i] == "\n"), end]
        for before, after in pairwise(breaks):
            part = text[before + 1 : after]
            if part.strip():
                first = before + 1 + len(part) - len(part.lstrip())
                yield first, first + len(part.strip())


def _widened(text: str, kept: bytearray, end: int) -> tuple[int, bool]:
    """Where a part ends so that a mark may stand there, and whether it needs a blank behind it for that."""
    if end == len(text) or kept[end] or not is_word(text[end]):
        return end, False
    if text[end - 1] in _ENDS_PHRASE and not (text[end].isdigit() and text[end - 2 : end - 1].isdigit()):
        return end, True
    last = end
    while end < len(text) and _widens(text[end]) and not kept[end]:
        end += 1
    return (last, True) if _is_other_word(text[last:end], text[last - 1], _BEHIND_WORD) else (end, False)


def _is_other_word(beside: str, nearest: str, affix: re.Pattern[str]) -> bool:
    """Whether letters beside a part, of which one or the other are Arabic, are a word that lacks a blank."""
    if not beside or not _ARABIC.search(beside + nearest):
        return False
    return len(beside) > _MAX_AFFIX_CHARS or not affix.fullmatch(_VOWEL_SIGNS.sub("", beside))


def _is_clear(text: str, span: _Span) -> bool:
    """Whether marks around it are read as such."""
    before, after = text[max(0, span.start - 1) : span.start], text[span.end : span.end + 1]
    return (
        span.mark not in (before, after)
        and (span.lead or not (before and is_word(before)))
        and (span.gap or not (after and is_word(after)))
        and text.find(span.mark, span.start, span.end) < 0
    )


def _with_marks(text: str, spans: list[_Span]) -> str:
    """`text` with marks around `spans`, which stand in order; of two that cross, the later one has none."""
    pieces: list[str] = []
    opened: list[_Span] = []
    at = 0

    def close_until(place: int) -> None:
        nonlocal at
        while opened and opened[-1].end <= place:
            span = opened.pop()
            ends_too = bool(opened) and opened[-1].end == span.end
            pieces.extend((text[at : span.end], span.mark, " " if span.gap and not ends_too else ""))
            at = span.end

    for span in spans:
        close_until(span.start)
        if opened and span.end > opened[-1].end:
            continue
        begins_too = bool(opened) and opened[-1].start == span.start
        pieces.extend((text[at : span.start], " " if span.lead and not begins_too else "", span.mark))
        at = span.start
        opened.append(span)
    close_until(len(text))
    pieces.append(text[at:])
    return "".join(pieces)
