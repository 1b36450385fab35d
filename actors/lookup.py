"""What a lookup is, and what is told of it afterwards. Pure data; `actors/parallel.py` runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

LookupOutcome = Literal["ok", "failed", "timed_out", "skipped"]


RESPONDER = "responder"
"""The stage of the waterfall that is no lookup: a span for each provider that was asked."""


class Lookup(msgspec.Struct, frozen=True):
    call: Callable[[], Awaitable[Any]]
    default: Any = None
    deadline_seconds: float = 3.0
    """When it is given up. What it must still take back from a peer then (a query under way) comes on top."""
    skip: bool = False
    """It is known beforehand that nothing would be found: the default stands."""


class Span(msgspec.Struct, frozen=True):
    """One line of a turn's waterfall."""

    name: str
    stage: str
    started_ms: float
    """After the start of the first stage, milliseconds."""
    took_ms: float
    outcome: LookupOutcome
    error: str = ""
    """The error's class, or a provider's reason; never a text, which may quote a value."""
