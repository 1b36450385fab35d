"""Lists of expressions: how they are written, and where in a row of words they occur. Pure.

Laws of this file:
1. One line is one expression: a row of words as customers type them. Case, accents and Arabic spellings do not count.
2. `a/b` is one word of several, `answer{s,ed,ing}` one word in any of these forms, `@name` one of a class. `x?` may be
   missing, `x*` may come up to three times. `..` stands for up to two words and `...` for up to four, none of them a
   word of denial: an expression does not hold where something between its words is denied. `#` is any number, `!!` a
   row of question or exclamation marks or an angry face, `^` the beginning of a clause and `$` its end,
   which a `?` follows where it is a question; `&` stands
   before the beginning where a word like "but" does.
3. The time to find what begins at a word is bounded by the lists, never by the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, product

import msgspec

from actors.text import words

NUMBER = "#"
LOUD = "!!"
BEGINNING = "^"
END = "$"
TURN = "&"
QUESTION = "?"
JOINT = "_"
"""Between the words of a compound, which count as one."""
SIGNS = frozenset({NUMBER, LOUD, BEGINNING, END, TURN, QUESTION})
MAX_VARIANTS = 200
"""Of one line: rows of words with and without what may be missing."""
_GAPS = {"..": 2, "...": 4}
_REPEATS = 3
_BRACES = re.compile(r"([^{}]*)\{([^{}]*)\}(.*)")
_NUMBER_WORDS = frozenset(
    words(
        """two three four five six seven eight nine ten dos tres cuatro cinco siete ocho nueve diez dois duas quatro
        sete oito nove dez ثلاث ثلاثه اربع اربعه خمس خمسه سته سبع سبعه ثمان تسع عشر عشره تلات تلاته"""
    )
)
"""Those that are nothing else in another language."""
_ARTICLE = "ال"
_MIN_STEM = 3
_MIN_WITHOUT_S = 4
_GOES_ON = " " * 8
_ANY: frozenset[str] = frozenset()

Classes = Mapping[str, frozenset[str]]


class Hit(msgspec.Struct, frozen=True):
    """An expression that was found: the places of its first word, and after its last."""

    kind: str
    start: int
    end: int


class _Node:
    """What may come after the words so far."""

    __slots__ = ("edges", "kinds")

    def __init__(self) -> None:
        self.edges: dict[frozenset[str], _Node] = {}
        self.kinds: tuple[str, ...] = ()


class Matcher:
    """Finds expressions of several kinds, all at once."""

    def __init__(self, denials: Iterable[str]) -> None:
        self.denials = frozenset(denials)
        self._top = _Node()
        self._firsts: dict[str, list[_Node]] = {}
        self.vocabulary: set[str] = set(self.denials)

    def add(self, kind: str, listed: str, classes: Classes) -> None:
        """Take a list in. Raises `ValueError` for what begins with any word, or has too many variants."""
        for line in _lines(listed):
            self._add(kind, line, classes)

    def hits(self, said: Sequence[str]) -> Iterator[Hit]:
        """What a clause says; of the expressions of one kind that begin at the same word, the longest."""
        end = len(said)
        for start, word in enumerate(said):
            first = self._firsts.get(word)
            if first is None:
                continue
            longest: dict[str, int] = {}
            waiting = [(node, start + 1) for node in first]
            while waiting:
                node, at = waiting.pop()
                for kind in node.kinds:
                    longest[kind] = max(at, longest.get(kind, 0))
                if at == end:
                    continue
                here = said[at]
                for wanted, after in node.edges.items():
                    if here in wanted or (not wanted and here not in self.denials):
                        waiting.append((after, at + 1))
            for kind, to in longest.items():
                yield Hit(kind, start, to)

    def _add(self, kind: str, line: str, classes: Classes) -> None:
        elements = [_element(part, classes) for part in line.split()]
        variants = [tuple(chain.from_iterable(rows)) for rows in product(*elements)]
        if not all(variant and variant[0] for variant in variants) or len(variants) > MAX_VARIANTS:
            raise ValueError(f"begins with any word, or has too many variants: {line}")
        for wanted in {wanted for element in elements for row in element for wanted in row}:
            if not wanted <= self.vocabulary:
                self.vocabulary |= wanted
        for variant in variants:
            node = self._top
            for wanted in variant:
                after = node.edges.get(wanted)
                if after is None:
                    after = node.edges[wanted] = _Node()
                    if node is self._top:
                        for word in wanted:
                            self._firsts.setdefault(word, []).append(after)
                node = after
            if kind not in node.kinds:
                node.kinds = (*node.kinds, kind)


def word_class(listed: str) -> frozenset[str]:
    """The words of a list, each in the notation of an element."""
    return frozenset(word for part in listed.split() for word in _alternatives(part, {}))


def _lines(listed: str) -> Iterator[str]:
    """The expressions of a list. A line that is indented further than an expression goes on with it."""
    line = ""
    for written in listed.splitlines():
        if written.startswith(_GOES_ON):
            line += ("" if line.endswith("/") else " ") + written.strip()
            continue
        if line:
            yield line
        line = written.strip()
    if line:
        yield line


def _element(part: str, classes: Classes) -> list[tuple[frozenset[str], ...]]:
    """The rows of word sets that an element stands for."""
    if part in _GAPS:
        return [(_ANY,) * count for count in range(_GAPS[part] + 1)]
    if part[-1] == "?" and part != QUESTION:
        return [(), (_alternatives(part[:-1], classes),)]
    if part[-1] == "*":
        repeated = _alternatives(part[:-1], classes)
        return [(repeated,) * count for count in range(_REPEATS + 1)]
    return [(_alternatives(part, classes),)]


def _alternatives(part: str, classes: Classes) -> frozenset[str]:
    found: set[str] = set()
    for written in part.split("/"):
        if written.startswith("@"):
            found |= classes[written[1:]]
        elif written in SIGNS:
            found.add(written)
        else:
            found.update(_one_word(form) for form in _forms(written))
    return frozenset(found)


def _forms(written: str) -> Iterator[str]:
    match = _BRACES.fullmatch(written)
    if match is None:
        yield written
        return
    for form in match[2].split(","):
        yield from _forms(match[1] + form + match[3])


@cache
def _one_word(written: str) -> str:
    """A word of a list as `folded` leaves one of a text."""
    if written.isascii() and written.isalnum() and written.islower():
        return folded(written)
    parts = [words(part) for part in written.split(JOINT)]
    if any(len(part) != 1 for part in parts):
        raise ValueError(f"not one word: {written}")
    return JOINT.join(folded(part[0]) for part in parts)


def folded(word: str) -> str:
    """A normalised word without what many words may have: the Arabic article, the s of a plural or a verb.

    Numbers are all the same.
    """
    if word.isdigit() or word in _NUMBER_WORDS:
        return NUMBER
    if word.startswith(_ARTICLE):
        return word[len(_ARTICLE) :] if len(word) >= len(_ARTICLE) + _MIN_STEM else word
    if word[-1] == "s" and len(word) > _MIN_WITHOUT_S and word.isascii():
        return word[:-1]
    return word
