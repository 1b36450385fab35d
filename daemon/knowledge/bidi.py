"""Converts text from visual order (left to right, as displayed) to logical order (as read). Pure.

This inverts Unicode's bidirectional algorithm. If two logical orders look the same ("iPhone 15" and "15 iPhone" in an
Arabic line), the likelier one is taken: Latin words keep the numbers that follow them.
"""

from __future__ import annotations

import re
import unicodedata

COLUMN = "\t"
"""Separates cells; text is never reordered across it."""

_CLASSES = {"L": "L", "EN": "E", "AN": "A", "R": "R", "AL": "R", "ET": "T", "CS": "C", "ES": "S", "WS": "W"}
"""Unicode's bidirectional classes as one letter each; `B` is a column separator, `N` anything else."""

_FROM_LEFT = re.compile(
    r"[EA]*L(?:[LEACSTNW]*[LEA]T*)?"  # Latin words, what stands between them, and the numbers after them
    r"|T*E+(?:[CS]E+)*T*"  # 1,250.50 and 10-15 and 20%, in a Hebrew line
    r"|A+(?:CA+)*"  # 1,250.50 in an Arabic line, where signs are no part of a number
)
_FROM_RIGHT = re.compile("R(?:[^LB]*R)?")
_BRACKETS = "()[]{}«»<>"
_MIRRORED = str.maketrans(_BRACKETS, ")(][}{»«><")


_LAM_ALEF = re.compile("^ل[اأإآ]$")


def in_visual_order(ligature: str) -> str:
    """The letters of a ligature in visual order. Files store lam-alef in either order; alef-lam is never a ligature."""
    return ligature[::-1] if _LAM_ALEF.match(ligature) else ligature


def reads_from_right(text: str) -> bool:
    """Whether most letters are Arabic or Hebrew."""
    classes = "".join(map(_class, text))
    return classes.count("R") > classes.count("L")


def logical(visual: str, page_from_right: bool = False) -> str:
    """`visual` in logical order. A line with both kinds of letters is read in the direction of its page."""
    classes = "".join(map(_class, visual))
    if "R" not in classes:
        return visual
    if any(unicodedata.bidirectional(letter) == "AL" for letter in visual):
        # Unicode's rule W2: among Arabic letters, numbers are Arabic numbers.
        classes = classes.replace("E", "A")
    if page_from_right or reads_from_right(visual):
        return _unmirrored(_from_right(visual, classes))
    return _from_left(visual, classes)


def _from_right(visual: str, classes: str) -> str:
    read: list[str] = []
    at = 0
    while at < len(visual):
        run = _FROM_LEFT.match(classes, at)
        end = run.end() if run else at + 1
        read.append(visual[at:end])
        at = end
    return "".join(reversed(read))


def _from_left(visual: str, classes: str) -> str:
    read: list[str] = []
    at = 0
    for run in _FROM_RIGHT.finditer(classes):
        read += visual[at : run.start()], _from_right(visual[run.start() : run.end()], run[0])
        at = run.end()
    return "".join(read) + visual[at:]


def _class(letter: str) -> str:
    return "B" if letter == COLUMN else _CLASSES.get(unicodedata.bidirectional(letter), "N")


def _unmirrored(text: str) -> str:
    """Undo mirrored brackets: some files store the bracket that is displayed, others the one that was typed."""
    first = next((letter for letter in text if letter in _BRACKETS), "(")
    return text.translate(_MIRRORED) if _BRACKETS.index(first) % 2 else text
