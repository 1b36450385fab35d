"""The part of a cut text that may be sent: up to its last whole sentence. Pure, total, linear."""

from __future__ import annotations

import re

_END = re.compile(
    r"(?:(?<![.!?…؟۔।॥፧።‼⁉⁈⁇])[.!?…؟۔।॥፧።‼⁉⁈⁇]++[\"'”’»)\]*_~`]*+(?=\s|\Z)|[。！？｡]++[」』”’）]*+)",
)
"""Marks that end a sentence, with what closes behind them. Scripts without blanks need none after them. A run of
marks is looked at once, from its beginning."""
_LETTER = re.compile(r"[^\W\d_]")
_HEADING_ENDS = (":", "：")


def whole_sentences(text: str) -> str:
    """`text` up to the end of its last whole sentence, or of the last line that is followed by another; else empty.

    A line of a list has no mark at its end, but the next line shows that it was whole. The number of an entry in a list
    ("2.") is no sentence, and a line that only announces what follows (":") is not left as the last one.
    """
    end = text.rfind("\n") if "\n" in text else 0
    for match in _END.finditer(text):
        if match.end() > end and not _is_number(text, match.start()):
            end = match.end()
    lines = text[:end].rstrip().split("\n")
    while lines and (not lines[-1].strip() or lines[-1].rstrip().endswith(_HEADING_ENDS)):
        lines.pop()
    kept = "\n".join(lines).rstrip()
    return kept if _LETTER.search(kept) else ""


def up_to_last_word(text: str) -> str:
    """`text` without the word that was cut, and a mark that shows that it goes on."""
    head = text.rstrip()
    blank = max(head.rfind(" "), head.rfind("\n"))
    return f"{(head[:blank] if blank > 0 else head).rstrip()} …"


def _is_number(text: str, dot: int) -> bool:
    """Whether nothing but digits stands before it in its line."""
    before = text[max(0, dot - 4) : dot]
    _, line_end, digits = before.rpartition("\n")
    return (bool(line_end) or dot <= len(before)) and digits.strip().isdigit()
