"""From what is seen, left to right, to what was written: Unicode's bidirectional rules, backwards. Pure.

Where two writings look the same ("iPhone 15" and "15 iPhone" in an Arabic line), the likelier one is taken: Latin words
keep the numbers that follow them.
"""

from __future__ import annotations

import re
import unicodedata

COLUMN = "\t"
"""Parts cells; nothing is read across it."""

_CLASSES = {"L": "L", "EN": "E", "AN": "A", "R": "R", "AL": "R", "ET": "T", "CS": "C", "ES": "S", "WS": "W"}
"""Unicode's classes in one letter each; `B` is a column, `N` all the rest."""

_FROM_LEFT = re.compile(
    r"[EA]*L(?:[LEACSTNW]*[LEA]T*)?"  # Latin words, with what stands between them and the numbers after them
    r"|T*E+(?:[CS]E+)*T*"  # 1,250.50 and 10-15 and 20%, in a Hebrew line
    r"|A+(?:CA+)*"  # 1,250.50 in an Arabic line, where signs are no part of a number
)
_FROM_RIGHT = re.compile("R(?:[^LB]*R)?")
_BRACKETS = "()[]{}«»<>"
_MIRRORED = str.maketrans(_BRACKETS, ")(][}{»«><")


_LAM_ALEF = re.compile("^ل[اأإآ]$")


def as_seen(ligature: str) -> str:
    """The letters of one sign, left to right. Lam-alef is told both ways; alef-lam is never one sign."""
    return ligature[::-1] if _LAM_ALEF.match(ligature) else ligature


def reads_from_right(text: str) -> bool:
    """Whether most of its letters are Arabic or Hebrew."""
    classes = "".join(map(_class, text))
    return classes.count("R") > classes.count("L")


def logical(seen: str, page_from_right: bool = False) -> str:
    """`seen` as it is read. A line with letters of both kinds is read as its page is."""
    classes = "".join(map(_class, seen))
    if "R" not in classes:
        return seen
    if any(unicodedata.bidirectional(letter) == "AL" for letter in seen):
        classes = classes.replace(
            "E", "A"
        )  # by the same rules, numbers among Arabic letters are Arabic numbers
    if page_from_right or reads_from_right(seen):
        return _unmirrored(_from_right(seen, classes))
    return _from_left(seen, classes)


def _from_right(seen: str, classes: str) -> str:
    read: list[str] = []
    at = 0
    while at < len(seen):
        run = _FROM_LEFT.match(classes, at)
        end = run.end() if run else at + 1
        read.append(seen[at:end])
        at = end
    return "".join(reversed(read))


def _from_left(seen: str, classes: str) -> str:
    read: list[str] = []
    at = 0
    for run in _FROM_RIGHT.finditer(classes):
        read += seen[at : run.start()], _from_right(seen[run.start() : run.end()], run[0])
        at = run.end()
    return "".join(read) + seen[at:]


def _class(letter: str) -> str:
    return "B" if letter == COLUMN else _CLASSES.get(unicodedata.bidirectional(letter), "N")


def _unmirrored(text: str) -> str:
    """A bracket looks the other way from the right; some files name what is seen, others what was meant."""
    first = next((letter for letter in text if letter in _BRACKETS), "(")
    return text.translate(_MIRRORED) if _BRACKETS.index(first) % 2 else text
