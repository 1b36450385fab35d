"""Whom to ask first, among several of different weight. Pure: chance is an argument."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def order(weights: Sequence[float], draw: Callable[[], float]) -> tuple[int, ...]:
    """The indices of `weights` in random order: each next one is chosen in proportion to the weights that are left.

    Those with no weight (0, or nothing that is a positive number) come after all others, as they stand.

    Args:
      draw: gives uniform random numbers in [0, 1).
    """
    # A race: each runner arrives after an exponentially distributed time, at a rate that is its weight. Who arrives
    # first is distributed as asked, and so is who arrives first among the rest.
    arrivals = [(0, -math.log1p(-draw()) / w, i) if w > 0 else (1, 0.0, i) for i, w in enumerate(weights)]
    return tuple(i for _, _, i in sorted(arrivals))
