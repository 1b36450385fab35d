"""Which encoding a text file was written in, and its text. Pure.

Laws of this file:
1. What is UTF-8 is UTF-8. UTF-16 and UTF-32 are known by their marks, UTF-16 also by its zeros.
2. Files are put together from others: each line that is no UTF-8 is read for itself, all of them in one code page. That
   is the declared one where they are possible in it, else one of Windows' that their letters speak for.
3. A file with control characters is no text. What remains unclear is refused: customers would read its errors.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

CODE_PAGES = frozenset((*(f"windows-{number}" for number in range(1250, 1259)), "windows-874"))
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32's begins as UTF-16's does."""
_AS_BROWSERS_DO = {
    "ascii": "windows-1252",
    "us-ascii": "windows-1252",
    "latin1": "windows-1252",
    "iso-8859-1": "windows-1252",
    "iso-8859-9": "windows-1254",
    "iso-8859-11": "windows-874",
}
"""The code page that is meant by these names, by https://encoding.spec.whatwg.org."""
_NO_ENCODINGS = frozenset({"unicode-escape", "raw-unicode-escape", "punycode", "idna", "undefined", "utf-7"})
"""Python's own, and what can say anything: no page is written in them."""
_MAX_JUDGED_BYTES = 65_536
_SAMPLE_BYTES = 4_096
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MIXED_WORD = re.compile("[A-Za-z\u00c0-\u024f][\u0370-\u06ff]|[\u0370-\u06ff][A-Za-z\u00c0-\u024f]")
"""Latin letters beside those of another script: few people write so, and wrong code pages always do."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffe\uffff]")


class NotText(Exception):
    """The content cannot be read as text. The message follows the file's name in a sentence."""


class Decoded(NamedTuple):
    text: str
    encoding: str
    """`utf-8`, `windows-1256`, or both where the lines differ: `utf-8 and windows-1256`."""


def decoded(content: bytes, declared: str = "") -> Decoded:
    """The text of a file.

    Args:
      declared: the encoding that the file itself names; empty: it names none.

    Raises:
      NotText: it is no text, or in no encoding that can be recognised.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _strictly(content.removeprefix(mark) if encoding == "utf-8" else content, encoding)
    zeros = _zeros(content)
    if zeros and _fits(content, zeros):
        return _strictly(content, zeros)
    if _BINARY.search(content):
        raise NotText("is not text: save it as UTF-8 text, then add it")
    try:
        return Decoded(content.decode(), "utf-8")
    except UnicodeDecodeError:
        return _line_by_line(content, declared)


def _strictly(content: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(content.decode(encoding), encoding)
    except UnicodeDecodeError:
        raise NotText(f"claims to be {encoding.upper()} and is not: save it as UTF-8, then add it") from None


def _zeros(content: bytes) -> str:
    """The UTF-16 whose zeros these are: every other byte of its ASCII characters is one. Empty: none."""
    sample = content[:_SAMPLE_BYTES]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 10 < max(1, len(sample)) or min(even, odd) * 20 > max(even, odd):
        return ""
    return "utf-16-be" if even > odd else "utf-16-le"


def _line_by_line(content: bytes, declared: str) -> Decoded:
    lines = content.split(b"\n")
    read: list[str | None] = [_utf8(line) for line in lines]
    others = [line for line, text in zip(lines, read, strict=True) if text is None]
    page = _code_page(b"\n".join(others), declared)
    text = "\n".join(
        line.decode(page) if text is None else text for line, text in zip(lines, read, strict=True)
    )
    is_mixed = any(text is not None and not text.isascii() for text in read)
    return Decoded(text, f"utf-8 and {page}" if is_mixed else page)


def _utf8(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _code_page(content: bytes, declared: str) -> str:
    """The code page of lines that are no UTF-8. Raises `NotText`."""
    named = _AS_BROWSERS_DO.get(declared.lower(), declared.lower())
    if named and not named.startswith("utf") and _fits(content, named):
        return named
    import chardet  # for the few files that are no UTF-8

    guesses = chardet.detect_all(content[:_MAX_JUDGED_BYTES], include_encodings=CODE_PAGES)
    found = [str(guess["encoding"]).lower() for guess in guesses if guess["encoding"]]
    possible = [page for page in found if _fits(content, page)]
    if not possible:
        raise NotText("is in no encoding that can be told: save it as UTF-8, then add it")
    return next((page for page in possible if not _MIXED_WORD.search(content.decode(page))), possible[0])


def _fits(content: bytes, encoding: str) -> bool:
    try:
        if codecs.lookup(encoding).name in _NO_ENCODINGS:
            return False
        return not _UNPRINTABLE.search(content.decode(encoding))
    except (UnicodeError, LookupError):
        return False
