"""What a trace is, before any protocol. Pure data.

Laws of this file:
1. A span begins and ends at explicit times, Unix nanoseconds, and never ends before it begins.
2. No attribute holds a phone number, a text or a key: its maker ensures that, with `word` for what others said.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from actors.text import shown_text
from daemon.observe.logs import mask_digits

MAX_WORD_CHARS = 200

Value = str | int | float | Sequence[str]
SpanKind = Literal["internal", "client", "consumer"]


class Moment(NamedTuple):
    """Something that happened within a span, and took no time."""

    name: str
    at_ns: int
    attributes: Mapping[str, Value]


class TraceSpan(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = {}
    kind: SpanKind = "internal"
    error: str = ""
    """Why it failed, in one word; empty: it did not."""
    moments: tuple[Moment, ...] = ()
    id: bytes = msgspec.field(default_factory=lambda: secrets.token_bytes(8))


class Trace(msgspec.Struct, frozen=True):
    """One root and its children."""

    id: bytes
    root: TraceSpan
    children: tuple[TraceSpan, ...]

    @property
    def size(self) -> int:
        """How many spans."""
        return 1 + len(self.children)


def word(said: object) -> str:
    """A reason or a class, as it may leave the daemon: short, one line, and no long number in it."""
    return mask_digits(shown_text(str(said))).replace("\n", " ")[:MAX_WORD_CHARS]
