"""From the responder's words to WhatsApp messages, and the gateway through which they leave. Pure, total.

WhatsApp refuses texts over 65,536 characters and folds long ones; readers give up long before. A reply is split
at the kindest boundary that fits: paragraph, line, sentence, word, and only then in the middle of a word.

The user asked for this order of gateways: what the webhook names, then what is stored for the instance, then what is
configured. Both of the former are words that others may have written, and the gateway's key goes with every send: so
they count only when their origin is on the operator's own list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from actors.text import plain_text

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


def origin_of(address: str) -> str:
    """`https://host:port` of an http(s) address, lower case, without a default port; empty when it has none."""
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:
        return ""
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if (
        scheme not in ("http", "https")
        or not host
        or parts.username is not None
        or parts.password is not None
    ):
        return ""
    if ":" in host:
        host = f"[{host}]"
    is_default = port in (None, {"http": 80, "https": 443}[scheme])
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{port}"


def choose_origin(named: Iterable[str], stored: str, allowed: Sequence[str]) -> str:
    """The first allowed origin of the messages' own words (the latest first), then of the stored address.

    Empty: the configured gateway.
    """
    candidates = (origin_of(address) for address in (*named, stored))
    return next((origin for origin in candidates if origin and origin in allowed), "")


def _boundary(text: str, max_chars: int) -> int:
    """Where to cut: after the last boundary in the second half of the part, the kindest kind first."""
    for boundary in _BOUNDARIES:
        at = text.rfind(boundary, max_chars // 2, max_chars)
        if at >= 0:
            return at + len(boundary)
    return max_chars
