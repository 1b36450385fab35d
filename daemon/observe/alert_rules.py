"""When something is so wrong that a person must know, and when it is over. Pure.

Laws of this file:
1. An alert is raised when its value has been above `raise_above` for `raise_seconds`, and cleared when it has been at
   or below `clear_at` for `clear_seconds`. Between the two it stays as it is, so that it never flaps.
2. An unknown value changes no alert and proves nothing: both waits begin again.
3. A share is of what happened within its window. A single failure is not a share: it takes `MIN_BAD`.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

import msgspec

Scope = Literal["install", "daemon"]
"""Who sees it: every daemon on these stores, or this one alone."""
Change = Literal["raised", "cleared"]

CLEAR_SHARE = 0.8
"""An alert is cleared at this part of the value that raises it."""
MIN_BAD = 2


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    meaning: str
    raise_above: float
    clear_at: float
    raise_seconds: float
    clear_seconds: float
    scope: Scope = "daemon"


class AlertState(msgspec.Struct, frozen=True):
    """One alert's. All times are seconds of one monotonic clock."""

    raised: bool = False
    changed_at: float = 0.0
    """When it was raised or cleared last."""
    since: float | None = None
    """Since when the value calls for the other state; None while it does not."""
    value: float | None = None
    """The last known one."""


def rule(
    name: str,
    meaning: str,
    raise_above: float,
    raise_seconds: float,
    clear_seconds: float,
    scope: Scope = "daemon",
) -> AlertRule:
    """With the usual distance between raising and clearing."""
    return AlertRule(
        name=name,
        meaning=meaning,
        raise_above=raise_above,
        clear_at=raise_above * CLEAR_SHARE,
        raise_seconds=raise_seconds,
        clear_seconds=clear_seconds,
        scope=scope,
    )


def step(
    rule: AlertRule, state: AlertState, value: float | None, now: float
) -> tuple[AlertState, Change | None]:
    """The alert's state after the value `now`, and whether that changed it."""
    if value is None:
        return msgspec.structs.replace(state, since=None), None
    calls_for_change = value <= rule.clear_at if state.raised else value > rule.raise_above
    if not calls_for_change:
        return msgspec.structs.replace(state, since=None, value=value), None
    since = now if state.since is None else state.since
    if now - since < (rule.clear_seconds if state.raised else rule.raise_seconds):
        return msgspec.structs.replace(state, since=since, value=value), None
    changed = AlertState(raised=not state.raised, changed_at=now, value=value)
    return changed, "raised" if changed.raised else "cleared"


class Sample(msgspec.Struct, frozen=True):
    """Two counts that only grow, at one moment: failures, and all."""

    at: float
    bad: int
    total: int


class RecentCount:
    """How much a count grew within the last `window_seconds`. It began with 0."""

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._samples: deque[tuple[float, int]] = deque([(-math.inf, 0)])

    def add(self, at: float, total: int) -> int:
        """Add the current count. Call it at a steady pace: one sample is kept for each call within the window."""
        samples = self._samples
        samples.append((at, total))
        while samples[1][0] <= at - self._window_seconds:
            samples.popleft()
        return total - samples[0][1]


class FailureShare:
    """Which share of what happened within the last `window_seconds` failed."""

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> float | None:
        """Add the current counts; returns the share, None while nothing has happened.

        Call it at a steady pace: one sample is kept for each call within the window.
        """
        samples = self._samples
        samples.append(sample)
        while len(samples) > 1 and samples[1].at <= sample.at - self._window_seconds:
            samples.popleft()
        bad, total = sample.bad - samples[0].bad, sample.total - samples[0].total
        if bad < MIN_BAD:
            return 0.0 if total > 0 or len(samples) > 1 else None
        return min(1.0, bad / max(total, bad))
