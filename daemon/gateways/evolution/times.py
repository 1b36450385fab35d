"""The times of the Evolution gateway. Pure."""

from __future__ import annotations

from daemon.gateways.lenient import integer

MAX_SENT_AT = 253_402_300_799
"""The last second of the year 9999: later times are nonsense, and Postgres has no date for them."""

_MILLISECONDS_FROM = 100_000_000_000


def sent_at(timestamp: object) -> int:
    """Unix seconds of a `messageTimestamp`, which some write in milliseconds; 0 when it is not a time."""
    seconds = integer(timestamp) or 0
    if seconds >= _MILLISECONDS_FROM:
        seconds //= 1000
    return seconds if 0 < seconds <= MAX_SENT_AT else 0
