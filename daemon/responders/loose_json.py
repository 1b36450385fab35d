"""JSON as models write it: read as far as it can be understood. Pure, total, linear in the length of the text.

Understood beside JSON: text that stops anywhere, 'single' and “typographic” quotes, Python's words and escapes, raw
line ends and unescaped quotes in strings, commas too many or too few, names without quotes. What is correct JSON is
read as `json` reads it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress

import msgspec

MAX_DEPTH = 16
"""What is nested deeper ends the reading: no answer is, and the stack is not ours to spend."""

_STRICT = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"[\s,]*+")
_COLON = re.compile(r"\s*+:\s*+")
_BARE = re.compile(r"[^\s,:{}\[\]\"'“”][^,:{}\[\]\n]*+")
_CLOSING = {'"': '"', "'": "'", "“": "”"}
_STOPS = {opening: re.compile(rf"\\|{closing}") for opening, closing in _CLOSING.items()}

_NAME = r"[\"'“][^\"'“”:\n]{0,64}+"
_ENDS_NAME = re.compile(r"\s*+(?::|\Z)")
_ENDS_ITEM = re.compile(r"\s*+(?:[,\]}]|\Z)")
_ENDS_VALUE = re.compile(
    rf"\s*+(?:\}}|\Z|,\s*+(?:\}}|\Z|{_NAME}(?:\Z|[\"'”]\s*+(?::|\Z))|[A-Za-z_]\w*+\s*+:)|{_NAME}[\"'”]\s*+:)"
)
"""What follows the quote that ends a string. A quote with anything else behind it belongs to the string."""

_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8})|[uxU][0-9a-fA-F]*\Z|(.)|\Z)", re.DOTALL
)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}
_WORDS = {"true": True, "false": False, "null": None, "none": None}


class Reading(msgspec.Struct, frozen=True):
    """What was understood of an object."""

    members: dict[str, object]
    end: int
    """Where it ends in the text."""
    whole: bool
    """False when the text ended, or made no more sense, before the object's end."""


def read_object(text: str, start: int) -> Reading:
    """The object whose brace is at `start`."""
    with suppress(ValueError, RecursionError):
        value, end = _STRICT.raw_decode(text, start)
        if isinstance(value, dict):
            return Reading(value, end, whole=True)
    reader = _Reader(text, start)
    members = reader.members()
    return Reading(members, reader.at, reader.whole)


def unescaped(text: str) -> str:
    """`text` with each escape replaced by its character; one that is cut off is dropped."""
    found = _ESCAPE.sub(_meaning, text)
    # Two escapes may be the halves of one character.
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _meaning(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code:
        return chr(number) if (number := int(code, 16)) <= 0x10FFFF else ""
    return _NAMED.get(match[4], match[4]) if match[4] else ""


class _Reader:
    """Goes through the text once. When `whole` turns false, nothing more is read."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.whole = True

    def members(self, depth: int = 1) -> dict[str, object]:
        """An object, from its brace on."""
        found: dict[str, object] = {}
        self.at += 1
        while self.whole and not self._closed("}"):
            name = self._name()
            colon = _COLON.match(self.text, self.at)
            if name is None or colon is None:
                self.whole = False
                break
            self.at = colon.end()
            found[name] = self._value(depth, _ENDS_VALUE)
        return found

    def _items(self, depth: int) -> list[object]:
        """An array, from its bracket on."""
        found: list[object] = []
        self.at += 1
        while self.whole and not self._closed("]"):
            found.append(self._value(depth, _ENDS_ITEM))
        return found

    def _closed(self, bracket: str) -> bool:
        """Whether the bracket is next, which is then passed; a text that ends here is not whole."""
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        if self.at >= len(self.text):
            self.whole = False
            return True
        if self.text[self.at] != bracket:
            return False
        self.at += 1
        return True

    def _name(self) -> str | None:
        if self.text[self.at] in _CLOSING:
            return self._string(_ENDS_NAME)
        bare = _BARE.match(self.text, self.at)
        if bare is None:
            return None
        self.at = bare.end()
        return bare[0].strip()

    def _value(self, depth: int, ends: re.Pattern[str]) -> object:
        head = self.text[self.at : self.at + 1]
        if head in _CLOSING and head:
            return self._string(ends)
        if head in ("{", "[") and depth < MAX_DEPTH:
            return self.members(depth + 1) if head == "{" else self._items(depth + 1)
        bare = _BARE.match(self.text, self.at)
        if bare is None:
            self.whole = False
            return None
        self.at = bare.end()
        return _scalar(bare[0].strip())

    def _string(self, ends: re.Pattern[str]) -> str:
        stops, start = _STOPS[self.text[self.at]], self.at + 1
        at = start
        while stop := stops.search(self.text, at):
            if stop[0] == "\\":
                at = stop.end() + 1
                continue
            at = stop.end()
            if ends.match(self.text, at):
                self.at = at
                return unescaped(self.text[start : stop.start()])
        self.at, self.whole = len(self.text), False
        return unescaped(self.text[start:])


def _scalar(word: str) -> object:
    """A word without quotes: a constant, a number, or the word itself."""
    if word.casefold() in _WORDS:
        return _WORDS[word.casefold()]
    with suppress(ValueError):
        return float(word)
    return word
