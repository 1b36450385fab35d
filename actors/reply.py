"""From the responder's words to WhatsApp messages. Pure, total, deterministic.

WhatsApp refuses texts over 65,536 characters and folds long ones; readers give up long before. A reply is split
at the kindest boundary that fits: paragraph, line, sentence, word, and only then in the middle of a word.
"""

from __future__ import annotations

from actors.plain_text import plain_text

MAX_PART_CHARS = 4000
MAX_PARTS = 10
ELLIPSIS = "…"

_BOUNDARIES = ("\n\n", "\n", ". ", "! ", "? ", "؟ ", "۔ ", "؛ ", "، ", ", ", " ")


def split(text: str, max_chars: int = MAX_PART_CHARS, max_parts: int = MAX_PARTS) -> tuple[str, ...]:
    """The parts to send, in order; none is empty or longer than `max_chars`.

    What does not fit into `max_parts` is cut, and the cut is shown by an ellipsis.
    """
    parts: list[str] = []
    rest = plain_text(text).strip()
    while rest:
        if len(parts) == max_parts:
            parts[-1] = parts[-1][: max_chars - 1].rstrip() + ELLIPSIS
            break
        end = len(rest) if len(rest) <= max_chars else _boundary(rest, max_chars)
        part, rest = rest[:end].rstrip(), rest[end:].lstrip()
        if part:
            parts.append(part)
    return tuple(parts)


def _boundary(text: str, max_chars: int) -> int:
    """Where to cut: after the last boundary in the second half of the part, the kindest kind first."""
    for boundary in _BOUNDARIES:
        at = text.rfind(boundary, max_chars // 2, max_chars)
        if at >= 0:
            return at + len(boundary)
    return max_chars
