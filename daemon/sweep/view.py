"""The sweep, as the status shows it."""

from __future__ import annotations

import msgspec


class SweepView(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are of this daemon, since its start."""

    instances: int
    """Whose gateway keeps records that can be compared, and whose messages come through our own door."""
    last_done_seconds: float | None = None
    """Since an instance was compared last; None: none was yet."""
    found: dict[str, int] = {}
    """Messages that no webhook had brought, by what became of them."""
    gaps: dict[str, int] = {}
    """Times whose records were not all read, by reason: a message of then may stay unheard."""
    behind: dict[str, str] = {}
    """Some instances that could not be compared, and why."""
