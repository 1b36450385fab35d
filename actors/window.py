"""The batching window. Pure.

Laws of this file:
1. A window is armed by its first message and by nothing else; later messages never move its end later.
2. It closes when its time is up or enough messages wait, whichever comes first, or when an operator flushes it.
3. Its end survives restarts: the mirror stores it, and what remains of it is waited, never the whole again.
"""

from __future__ import annotations

from actors.messages import CloseReason, WindowPolicy


def close_reason(
    waiting: int, deadline: float | None, now: float, policy: WindowPolicy
) -> CloseReason | None:
    """Why the window closes now, or None while it stays open.

    Args:
      waiting: messages in the window.
      deadline: when its time is up, on the same clock as `now` (seconds); None when nothing armed it.
      now: the current time, seconds.
    """
    if waiting <= 0:
        return None
    if waiting >= policy.max_messages:
        return "count"
    if deadline is not None and now >= deadline:
        return "timeout"
    return None


def remaining_seconds(deadline_ms: int, now_ms: int, policy: WindowPolicy) -> float:
    """What remains of a stored window; never negative, never more than a whole window.

    The bound matters when the mirror's clock was set back while no daemon ran: a burst must not wait an hour.
    """
    return min(max(0.0, (deadline_ms - now_ms) / 1000), policy.window_seconds)
