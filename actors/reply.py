"""From the responder's words to WhatsApp messages, and the gateway through which they leave. Pure, total.

WhatsApp refuses texts over 65,536 characters and folds long ones; readers give up long before. Each message may cost
money at the gateway. So a reply that is too long for one is cut into as few as its words allow; and where there is a
choice, at the kindest place that leaves them so few: between paragraphs, lines, sentences, clauses, words (`cuts.py`).

The user asked for this order of gateways: what the webhook names, then what is stored for the instance, then what is
configured. Both of the former are words that others may have written, and the gateway's key goes with every send: so
they count only when their origin is on the operator's own list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from actors.cuts import SENTENCE, Cut, Cuts, units_until
from actors.text import plain_text

MAX_PART_CHARS = 4000
MAX_PARTS = 10
ELLIPSIS = "…"
_AFTER_SENTENCE = f"\xa0{ELLIPSIS}"
_MIN_MARKED = 64
"""In shorter messages marks are cut like words; they would leave no room."""


def split(text: str, max_chars: int = MAX_PART_CHARS, max_parts: int = MAX_PARTS) -> tuple[str, ...]:
    """The parts to send, in order; none is empty or longer than `max_chars`.

    Characters are counted as WhatsApp's own programs count them, in UTF-16 units: an emoji is two or more. What does
    not fit into `max_parts` is cut, and the cut is shown by an ellipsis.
    """
    whole = plain_text(text).strip()
    if not whole:
        return ()
    if units_until(whole)[-1] <= max_chars:
        return (whole,)
    reply = _fewest(whole, max_chars)
    if reply.count > max_parts:  # each part leaves room for what shows the cut
        reply = _fewest(whole, max_chars - len(_AFTER_SENTENCE)).shortened(max_parts)
    return tuple(reply.parts())


class _Reply:
    """A text, and one choice of places to cut it at."""

    def __init__(self, found: Cuts, cuts: Sequence[Cut], max_units: int, tail: str = "") -> None:
        """Args: cuts: those of `found` that are used, none further than `max_units` from the next; tail: what the last
        part ends with.
        """
        self._found, self._cuts, self._max, self._tail = found, cuts, max_units, tail
        self._starts = [found.units(cut.start) for cut in cuts]
        self._ends = [found.units(cut.end) for cut in cuts]
        self._ends[-1] += len(tail)
        self._latest = [len(cuts) - 1]
        """By the number of parts that are still to come: the first cut from which the rest fits into them."""
        while self._latest[-1]:
            first = bisect_left(self._starts, self._ends[self._latest[-1]] - max_units)
            self._latest.append(min(first, self._latest[-1] - 1))

    @property
    def count(self) -> int:
        """The fewest parts."""
        return len(self._latest) - 1

    def parts(self) -> Iterator[str]:
        at = 0
        for left in reversed(range(self.count)):
            places = range(max(self._latest[left], at + 1), self._reach(at, self._max) + 1)
            end = min(places, key=lambda place: (self._cuts[place].kind, -place)) if left else places[-1]
            before, after = self._cuts[at], self._cuts[end]
            text = self._found.text[before.start : after.end].strip()
            if text:
                yield f"{before.mark}{text}{after.mark[::-1]}{'' if left else self._tail}"
            at = end

    def shortened(self, max_parts: int) -> _Reply:
        """As much as fits into `max_parts`, up to the end of a sentence or else of a word, and an ellipsis, for which
        each part has left room.
        """
        at, max_units = 0, self._max + len(_AFTER_SENTENCE)
        for _ in range(max_parts - 1):
            at = self._reach(at, max_units)
        last = self._reach(at, self._max)
        half = bisect_left(self._ends, (self._starts[at] + self._ends[last]) / 2)
        sentences = (place for place in range(last, max(half, at), -1) if self._cuts[place].kind <= SENTENCE)
        last = next(sentences, last)
        tail = _AFTER_SENTENCE if self._cuts[last].kind <= SENTENCE else ELLIPSIS
        return _Reply(self._found, self._cuts[: last + 1], max_units, tail)

    def _reach(self, at: int, max_units: int) -> int:
        """The last cut to which one part can go."""
        return max(at + 1, bisect_right(self._ends, self._starts[at] + max_units) - 1)


def _fewest(text: str, max_units: int) -> _Reply:
    """The choice of cuts that makes the fewest parts; of two, the one that leaves marked words whole."""
    found = Cuts(text, max_units)
    room = 2 * max(len(cut.mark) for cut in found.all)
    if not room or max_units < _MIN_MARKED:
        return _Reply(found, [cut._replace(mark="") for cut in found.all], max_units)
    closer = Cuts(text, max_units - room)
    through = _Reply(closer, closer.all, max_units - room)
    around = [cut for cut in found.all if not cut.mark]
    if any(found.width(*pair) > max_units for pair in pairwise(around)):
        return through
    whole = _Reply(found, around, max_units)
    return whole if whole.count <= through.count else through


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
