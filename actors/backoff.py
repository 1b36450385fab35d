"""When to try again. Pure: the random draw is an argument."""

from __future__ import annotations

from collections.abc import Sequence

JITTER = 0.2
"""A delay is spread by ±20 %, so that conversations that failed together do not come back together."""

HOLD_FIRST_SECONDS = 1.0
HOLD_MAX_SECONDS = 30.0


def backoff_seconds(
    attempts: int, schedule: Sequence[float], draw: float, retry_after_seconds: float | None = None
) -> float:
    """Delay before the next attempt of a turn that failed `attempts` times before this failure.

    Args:
      schedule: delays after the first, second, … failure, seconds; the last one repeats.
      draw: a uniform random number in [0, 1).
      retry_after_seconds: the peer's own wish; honoured when it is longer.
    """
    delay = schedule[min(attempts, len(schedule) - 1)] * (1 + JITTER * (2 * draw - 1))
    return max(delay, retry_after_seconds or 0.0)


def hold_seconds(holds: int, draw: float) -> float:
    """Delay before looking again at a peer that is away, after `holds` looks: 1 s doubling up to 30 s."""
    delay = min(HOLD_FIRST_SECONDS * float(2 ** min(holds, 10)), HOLD_MAX_SECONDS)
    return delay * (1 + JITTER * (2 * draw - 1))
