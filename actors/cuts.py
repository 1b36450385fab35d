"""Where a reply may be cut into messages, and how kind each cut is. Pure, total, linear.

A reply is cut between words. Nothing is cut within a word, an address or a phone number that fits into one message,
and what must be cut is cut between characters as a reader sees them: a family of emoji or a letter with its vowel
signs is one. A cut within `*bold*` or a block of code closes it before and opens it behind.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import regex

PARAGRAPH, LINE, SENTENCE, CLAUSE, WORD, WITHIN = range(6)
"""How kind a cut is, the kindest first."""
_UNKIND = 6
"""By so much less kind is a cut within something marked."""

_GRAPHEME = regex.compile(r"\X")
_BLANKS = re.compile(r"[^\S\xa0\u2007\u202f]+")
"""Where words part; not at a blank that forbids it."""
_CLOSING = r"[\"'»”’)\]*_~]{0,4}\Z"
_SENTENCE_END = re.compile(rf"[.!?…؟۔。！？]{_CLOSING}")
_CLAUSE_END = re.compile(rf"[,;:،؛，；：、]{_CLOSING}")
_ABBREVIATION = re.compile(
    r"(?:\A|[^\w.])(?:\w|\d{1,3}|\w\.\w|dr|mr|mrs|ms|prof|st|no|nr|art|tel|ext|vs|sr|sra|dra|av|eng|inc|approx|max|min)"
    r"\.\Z",
    re.IGNORECASE,
)
"""No sentence ends here: titles, initials, the numbers of a list."""
_HEADS = re.compile(r"(?:[:：][*_]?|\n\*[^*\n]{1,80}\*)\Z")
"""Ends of lines that announce what follows them."""
_ITEM = re.compile(r"[-*•☐☑>]|\d{1,3}[.)]")
_SEEN_BACK = 100
_SEEN_SIGNS = 12
"""So much before a cut is looked at, for a heading and for the end of a sentence."""
_PHONE = re.compile(r"(?<![\w+])\+?\(?\d[\d().-]{0,6}(?: [\d().-]{1,7}){1,8}")
_MIN_PHONE_DIGITS = 7
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"]{1,8000}|(?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
)
_WITHOUT_BLANKS = re.compile("[\u3001-\u30ff\u3400-\u9fff\uff01-\uff60\U00020000-\U0003ffff]")
"""Kana, Han and their signs: words without blanks between them."""
_NEVER_FIRST = frozenset("、。，．！？；：）」』】》〉ー々”’…・ゝゞ")
_NEVER_LAST = frozenset("（「『【《〈“‘")
_MARKED = re.compile(
    r"```(?:(?!```).)++```|(?<![\w*])\*(?=\S)[^*\n]++\*(?!\w)|(?<![\w_])_(?=\S)[^_\n]++_(?!\w)"
    r"|(?<![\w~])~(?=\S)[^~\n]++~(?!\w)",
    re.DOTALL,
)


class Cut(NamedTuple):
    """A place where a reply may be cut. What lies between its ends is blank and belongs to no part."""

    end: int
    """Of the part before it."""
    start: int
    """Of the part behind it."""
    kind: int
    mark: str = ""
    """WhatsApp's marks that are open here."""


class Cuts:
    """The places at which `text`, which begins and ends with something visible, may be cut."""

    def __init__(self, text: str, max_units: int) -> None:
        """Args: max_units: nothing between two cuts is longer."""
        self.text = text
        self._units = units_until(text)
        self._max = max_units
        self._inside = _inside(text, (*self._spans(_ADDRESS), *self._phones()))
        cuts = [Cut(0, 0, WITHIN), *self._between_words(), Cut(len(text), len(text), WITHIN)]
        if _WITHOUT_BLANKS.search(text):
            cuts = _refined(cuts, self._in_scripts_without_blanks)
        for finer in (self._between_graphemes, self._in_whole, self._anywhere):
            if any(self.width(*pair) > max_units for pair in pairwise(cuts)):
                cuts = _refined(cuts, finer)
        self.all = self._with_marks(cuts)

    def width(self, before: Cut, after: Cut) -> int:
        """The length of what lies between two cuts, in UTF-16 units."""
        return self._units[after.end] - self._units[before.start]

    def units(self, at: int) -> int:
        return self._units[at]

    def _spans(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
        """What is never cut, for it fits into one message."""
        spans = (found.span() for found in pattern.finditer(self.text))
        return (span for span in spans if self._units[span[1]] - self._units[span[0]] <= self._max)

    def _phones(self) -> Iterator[tuple[int, int]]:
        for start, end in self._spans(_PHONE):
            if sum(map(str.isdigit, self.text[start:end])) >= _MIN_PHONE_DIGITS:
                yield start, end

    def _between_words(self) -> Iterator[Cut]:
        for blank in _BLANKS.finditer(self.text):
            end, start = blank.span()
            joined = unicodedata.category(self.text[start])[0] == "M" or self.text[start] == "\u200d"
            if not joined and not self._inside[start]:
                yield Cut(end, start, _kind(self.text, end, start))

    def _in_scripts_without_blanks(self, before: Cut, after: Cut) -> Iterator[Cut]:
        if _WITHOUT_BLANKS.search(self.text, before.start, after.end):
            for at in self._graphemes(before, after):
                if not self._inside[at] and _parts_words(self.text[at - 1], self.text[at]):
                    yield Cut(at, at, _kind(self.text, at, at))

    def _between_graphemes(self, before: Cut, after: Cut) -> Iterator[Cut]:
        """Within a word that is too long."""
        if self.width(before, after) > self._max:
            yield from (Cut(at, at, WITHIN) for at in self._graphemes(before, after) if not self._inside[at])

    def _in_whole(self, before: Cut, after: Cut) -> Iterator[Cut]:
        """Within an address that something is glued to."""
        if self.width(before, after) > self._max:
            yield from (Cut(at, at, WITHIN) for at in self._graphemes(before, after))

    def _anywhere(self, before: Cut, after: Cut) -> Iterator[Cut]:
        """Within what no writing has: a character that is longer than a message."""
        if self.width(before, after) > self._max:
            yield from (Cut(at, at, WITHIN) for at in range(before.start + 1, after.end))

    def _graphemes(self, before: Cut, after: Cut) -> Iterator[int]:
        """Where characters, as a reader sees them, begin between two cuts."""
        for grapheme in _GRAPHEME.finditer(self.text, before.start, after.end):
            if grapheme.start() > before.start:
                yield grapheme.start()

    def _with_marks(self, cuts: Sequence[Cut]) -> list[Cut]:
        spans = ((found.start(), found.end()) for found in _MARKED.finditer(self.text))
        found = []
        start = end = 0
        for cut in cuts:
            while end <= cut.end and (span := next(spans, None)):
                start, end = span
            if start < cut.end and cut.start < end:
                mark = _mark(self.text[start:end])
                found.append(cut._replace(kind=cut.kind + _UNKIND, mark=mark))
            else:
                found.append(cut)
        return found


def _refined(cuts: Sequence[Cut], finer: Callable[[Cut, Cut], Iterator[Cut]]) -> list[Cut]:
    """`cuts`, with those between each two of them."""
    return [cut for pair in pairwise(cuts) for cut in (pair[0], *finer(*pair))] + [cuts[-1]]


def units_until(text: str) -> Sequence[int]:
    """How many UTF-16 units stand before each place in `text`."""
    if text.isascii() or max(text) <= "\uffff":
        return range(len(text) + 1)
    return [0, *accumulate(1 + (character > "\uffff") for character in text)]


def _inside(text: str, spans: Iterable[tuple[int, int]]) -> bytearray:
    """For each place whether it is within one of `spans`, and not at its edge."""
    inside = bytearray(len(text) + 1)
    for start, end in spans:
        inside[start + 1 : end] = b"\1" * (end - start - 1)
    return inside


def _kind(text: str, end: int, start: int) -> int:
    """How kind the cut is that leaves out what is between these places."""
    if breaks := text.count("\n", end, start):
        if _HEADS.search("\n" + text[max(0, end - _SEEN_BACK) : end]):
            return CLAUSE
        if breaks > 1:
            return PARAGRAPH
        continues = text[start - 1] in " \t" and not _ITEM.match(text, start)
        return SENTENCE if continues else LINE
    before = text[max(0, end - _SEEN_SIGNS) : end]
    if before[-1:].isalnum():
        return WORD
    if _SENTENCE_END.search(before) and not _ABBREVIATION.search(before):
        return SENTENCE
    return CLAUSE if _CLAUSE_END.search(before) else WORD


def _parts_words(before: str, after: str) -> bool:
    """Whether a line may end between these characters of a script without blanks."""
    if after in _NEVER_FIRST or before in _NEVER_LAST:
        return False
    return bool(_WITHOUT_BLANKS.match(before) or _WITHOUT_BLANKS.match(after))


def _mark(marked: str) -> str:
    """All marks that stand around it."""
    if marked.startswith("```"):
        return "```"
    count = 0
    while count < 3 and marked[count] in "*_~" and marked[-1 - count] == marked[count]:
        count += 1
    return marked[:count]
