"""The gateway's token in a webhook: cut out before the webhook is stored, and put in again when it leaves. Pure.

The laws of this file:
1. The value of every key `apikey` is cut out, however deep it stands, if it is a text. All other bytes stay.
2. Only what stands at the top of the gateway's own document is put in again; a place inside `data`, which somebody else
   may have had a hand in, gets `null`. The words of a customer are no key: inside a text every quote has a backslash.
3. Linear, and on whole pieces; how the document was divided on the way does not matter. So many places are remembered;
   beyond them `null` is written at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

MAX_PLACES = 64
NULL = b"null"

_KEY = b'"apikey"'
_SPACE_BYTES = 64
_COLON = re.compile(rb'[ \t\r\n]{0,%d}+:[ \t\r\n]{0,%d}+"' % (_SPACE_BYTES, _SPACE_BYTES))
_LONGEST = len(_KEY) + 2 * _SPACE_BYTES + 2
_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


class TokenCut:
    """Takes a document piece by piece, and gives back what may be stored of it."""

    def __init__(self) -> None:
        self.places: list[int] = []
        """In what is stored: before this byte a value was cut out."""
        self.size = 0
        """Of what was given back so far."""
        self._held = b""
        self._last = b""
        """The byte before what is held."""
        self._is_cutting = False
        self._is_escaped = False

    def feed(self, piece: bytes) -> bytes:
        """What of the document is known to stay."""
        return self._take(piece, is_end=False)

    def end(self) -> bytes:
        """The rest of it."""
        return self._take(b"", is_end=True)

    def _take(self, piece: bytes, is_end: bool) -> bytes:
        data, at, kept = self._held + piece, 0, []
        while True:
            if self._is_cutting:
                at = self._after_value(data, at)
                if self._is_cutting:
                    break  # all that is here belongs to the value
            place, value = self._find(data, at, is_end)
            if value:
                kept.append(data[at:value])
                self._cut(kept)
                at = value + 1
                continue
            whole = len(data) if is_end else max(at, place if place >= 0 else len(data) - _LONGEST)
            kept.append(data[at:whole])
            at = whole
            break
        self._last = data[at - 1 : at] or self._last
        self._held = data[at:]
        stays = b"".join(kept)
        self.size += len(stays)
        return stays

    def _cut(self, kept: list[bytes]) -> None:
        self._is_cutting = True
        if len(self.places) < MAX_PLACES:
            self.places.append(self.size + sum(map(len, kept)))
        else:
            kept.append(NULL)

    def _find(self, data: bytes, at: int, is_end: bool) -> tuple[int, int]:
        """Where the value of the next key begins, its quote; 0: there is none. Before it, where a key may begin of
        which not enough is here; -1: nowhere."""
        start = at
        while (key := data.find(_KEY, start)) >= 0:
            start = key + len(_KEY)
            before = data[key - 1 : key] if key else self._last
            if before == b"\\":
                continue
            if colon := _COLON.match(data, start):
                return key, colon.end() - 1
            if len(data) - key < _LONGEST and not is_end:
                return key, 0
        return -1, 0

    def _after_value(self, data: bytes, at: int) -> int:
        """Where the value ends that is being cut, after its quote."""
        at += int(self._is_escaped and at < len(data))
        self._is_escaped = False
        rest = _REST.match(data, at)
        end = len(data) if rest is None else rest.end()
        if data[end : end + 1] == b'"':
            self._is_cutting = False
            return end + 1
        self._is_escaped = data[end : end + 1] == b"\\"
        return len(data)


def own_place(document: bytes) -> int:
    """Which of the places that are cut out of this document (from 0) is the gateway's own; -1: none.

    Media may be left out of the document, which hold no keys. Where it is no JSON, nothing is put in again.
    """
    cut = TokenCut()
    stored = cut.feed(document) + cut.end()
    if not cut.places:
        return -1
    numbers = [b"[[%d]]" % number for number in range(len(cut.places))]
    numbered = b"".join(with_values(stored, cut.places, numbers, is_last=True))
    try:
        found: object = msgspec.json.decode(numbered)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return -1
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    outer = found if isinstance(found, dict) else {}
    inner = outer.get("body")  # a proxy may have put the payload into another document
    payload = inner if isinstance(inner, dict) and "data" not in outer else outer
    match payload.get("apikey"):
        case [[int() as number]] if number < len(cut.places):
            return number
    return -1


def with_values(
    piece: bytes, places: Sequence[int], values: Sequence[bytes], start: int = 0, *, is_last: bool
) -> Iterator[bytes]:
    """A piece of what is stored, which begins there at `start`, with a value at each place; in pieces again.

    A place between two pieces belongs to the latter.
    """
    at, end = 0, start + len(piece) + is_last
    for place, value in zip(places, values, strict=True):
        if start <= place < end:
            yield piece[at : place - start]
            yield value
            at = place - start
    yield piece[at:]
