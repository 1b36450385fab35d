"""Proof that the daemon still does its work: parts that must turn say so each time, and one may ask which do not.

A part that waits for a store in vain still turns: every wait on a store is bounded, and comes back with an error. So a
store that is away never makes a part late; only a part that hangs does.
"""

from __future__ import annotations

from collections.abc import Callable

import trio


class Liveness:
    """The parts that must turn, each with the longest that one round of it can take."""

    def __init__(self) -> None:
        self._turned_at: dict[str, float] = {}
        self._bounds_seconds: dict[str, float] = {}
        self._gauges: dict[str, Callable[[], float]] = {}

    def expect(self, part: str, bound_seconds: float) -> Callable[[], None]:
        """From now on `part` must turn this often; it calls what is given back at each round."""
        self._bounds_seconds[part] = bound_seconds

        def turned() -> None:
            self._turned_at[part] = trio.current_time()

        turned()
        return turned

    def gauge(self, part: str, bound_seconds: float, hanging_seconds: Callable[[], float]) -> None:
        """`part` knows itself for how long it has hung in one piece of work."""
        self._bounds_seconds[part] = bound_seconds
        self._gauges[part] = hanging_seconds

    def late(self) -> tuple[str, ...]:
        """The parts that hang, by name."""
        now = trio.current_time()
        hanging = {part: now - turned_at for part, turned_at in self._turned_at.items()}
        hanging |= {part: seconds() for part, seconds in self._gauges.items()}
        return tuple(part for part, seconds in hanging.items() if seconds > self._bounds_seconds[part])
