"""How late the event loop is: a task that wants to run at a moment, and when it did."""

from __future__ import annotations

from collections.abc import Callable

import trio

EVERY_SECONDS = 0.25


async def watch_loop(observe: Callable[[float], None]) -> None:
    """Measure until cancelled. Lag means that something held the loop: one long step, or too many short ones."""
    while True:
        due = trio.current_time() + EVERY_SECONDS
        await trio.sleep_until(due)
        # Trio's clock does not move with the machine's: a lag is never negative.
        observe(max(0.0, trio.current_time() - due))
