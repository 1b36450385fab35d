"""When the gateway delivers a webhook again, as Evolution does, on a scale of its own. Pure."""

from __future__ import annotations

import random

MAX_TRIES = 10
REFUSED_FOR_GOOD = frozenset({400, 401, 403, 404, 422})
"""What Evolution never repeats."""

_FIRST_DELAY_SECONDS, _MAX_DELAY_SECONDS, _JITTER = 5.0, 300.0, 0.2


class Retries:
    """Args: scale: by what Evolution's own delays (5 s, doubling, at most 300 s) are multiplied."""

    def __init__(self, scale: float, seed: int) -> None:
        self._scale = scale
        self._chance = random.Random(f"{seed}/retries")

    def delay_seconds(self, tries: int, status: int | None) -> float | None:
        """How long to wait after the try of this number, from 1; None: give the message up. No `status`: no answer."""
        if tries >= MAX_TRIES or status in REFUSED_FOR_GOOD:
            return None
        nominal = min(_FIRST_DELAY_SECONDS * float(2 ** (tries - 1)), _MAX_DELAY_SECONDS)
        return nominal * self._scale * self._chance.uniform(1 - _JITTER, 1 + _JITTER)
