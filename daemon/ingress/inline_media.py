"""Media that a gateway puts into its webhooks as text, cut out while the webhook arrives. Pure.

Some channels send every photo in base64, whatever they are told, so that a caption comes in a webhook of many MiB. What
is cut is never read here; the rest, the caption with it, is read as ever.

The laws of this file:
1. No text is lost. A value is cut only if it belongs to a name, its first bytes are an unbroken run of base64, and more
   follows. These stay: `SHORT_BYTES` under a name that only media have, else `LONG_BYTES`, which are more characters
   than any reader takes of a text.
2. Nothing else changes: all other bytes stay as they came, and how they were divided on the way does not matter.
3. What was cut ends in `MARK`, for who reads the document. Nothing in base64 looks like it.
4. Linear, and on whole pieces: no byte is looked at by itself, a quote in a crowd of quotes neither.

Why the few bytes before a value tell that it is one: inside a string of JSON every quote has a backslash before it. So
a quote after a colon begins a string, or it ends one, and then no document goes on with base64.
"""

from __future__ import annotations

import re

from daemon.ingress.inbound import MAX_TEXT_CHARS
from daemon.ingress.paths import after_webhook
from daemon.web.http1 import Request

SHORT_BYTES = 4 * 1024
LONG_BYTES = 2 * MAX_TEXT_CHARS + SHORT_BYTES
"""A multiple of the other. An escape of two bytes is one character, and base64 needs no longer one."""
MARK = "[media_inline_dropped]"

_MARK = MARK.encode()
_PIECE_BYTES = 128 * 1024
_BEFORE_BYTES = 64
_OPENING = re.compile(rb':[ \t\r\n]*+"\Z')
_MEDIA_OPENING = re.compile(rb'"(?:base64|jpegThumbnail)"[ \t\r\n]*+:[ \t\r\n]*+"\Z')
_BASE64 = re.compile(rb"(?:data:[\w.+;=/-]{1,128}+,)?[A-Za-z0-9+/=_-]*+(?:\\[/rn][A-Za-z0-9+/=_-]*+)*+")
_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""The rest of a string, to its last quote or to the end of what is here."""


class InlineMedia:
    """Takes a document piece by piece; `kept` is what is left of it so far."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self._begin = self._at = 0
        """In `kept`: between them is no quote, and what came before them will not be cut any more."""
        self._is_cutting = False
        self._is_escaped = False
        """The piece before ended between a backslash and what it escapes."""

    def feed(self, data: bytes | bytearray) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            self._take(data[start : start + _PIECE_BYTES])

    def _take(self, piece: bytes | bytearray) -> None:
        while piece:
            if self._is_cutting:
                piece = self._after_value(piece)
            self.kept += piece
            piece = self._cut()

    def _after_value(self, piece: bytes | bytearray) -> bytes | bytearray:
        """What follows the value that is being cut, its closing quote first; empty: it goes on."""
        start = int(self._is_escaped)
        self._is_escaped = False
        end = piece.find(b'"', start)
        if end < 0:
            end = len(piece)
        if piece.find(b"\\", start, end) >= 0:
            rest = _REST.match(piece, start)  # has a tenth of the speed of a search, and is seldom needed
            end = len(piece) if rest is None else rest.end()
            self._is_escaped = piece[end:] == b"\\"
        self._is_cutting = self._is_escaped or end >= len(piece)
        return b"" if self._is_cutting else piece[end:]

    def _cut(self) -> bytes:
        """Cut the first value that is to be cut, if there is one; returns what came after the place of the cut."""
        kept = self.kept
        while len(kept) - self._at > SHORT_BYTES:
            end = self._at + SHORT_BYTES
            # The last quote of a stretch, not the first: so a crowd of them costs no more than one.
            quote = kept.rfind(b'"', self._at, end + 1)
            if quote >= 0:
                self._begin = self._at = quote + 1
                continue
            self._at = end
            if place := self._end_of_media():
                after = bytes(kept[place:])
                del kept[place:]
                kept += _MARK
                self._begin = self._at = len(kept)
                self._is_cutting = True
                return after
        return b""

    def _end_of_media(self) -> int:
        """Where to cut the media that fill this stretch; 0: they do not, or it is too early to say."""
        start, end = self._begin, self._at
        opening = {SHORT_BYTES: _MEDIA_OPENING, LONG_BYTES: _OPENING}.get(end - start)
        if opening is None or not opening.search(self.kept[max(0, start - _BEFORE_BYTES) : start]):
            return 0
        media = _BASE64.match(self.kept, start, end)
        if media is None or bytes(self.kept[media.end() : end]) not in (b"", b"\\"):
            return 0
        return media.end()


def without_media(document: bytes, max_bytes: int) -> bytes:
    """`document`, whole; without the media in it, if it is larger than `max_bytes`."""
    if len(document) <= max_bytes:
        return document
    media = InlineMedia()
    media.feed(document)
    return bytes(media.kept)


def of_webhook(request: Request) -> InlineMedia | None:
    """For the body of a webhook; None: nothing else may be large."""
    is_webhook = request.method == "POST" and after_webhook(request.segments) is not None
    return InlineMedia() if is_webhook else None


def was_cut(value: object) -> bool:
    """Whether something was cut from this value of a document that was read."""
    return isinstance(value, str) and len(value) > SHORT_BYTES and value.endswith(MARK)
