"""When something is so wrong that a person must know, and when it is well again. Pure.

Laws of this file:
1. A flag goes up when its value has been above `raise_above` for `raise_seconds`, and comes down when it has been at or
   below `clear_at` for `clear_seconds`: between the two it stays as it is, so that no value flutters a flag.
2. An unknown value changes no flag and proves nothing: what was waited for is waited for anew.
3. A share is of what happened within its window, and a single failure is none: `MIN_BAD` of them are a pattern.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

Scope = Literal["install", "daemon"]
"""Whose trouble it is: every daemon on these stores sees it, or this one alone."""
Change = Literal["raised", "cleared"]

CLEAR_SHARE = 0.8
"""A flag comes down at this part of the value that raised it."""
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
    """One flag. All times are seconds of one monotonic clock."""

    raised: bool = False
    changed_at: float = 0.0
    """When it went up or came down last."""
    since: float | None = None
    """From when on the value has been asking for the other state; None while it does not."""
    value: float | None = None
    """As it was known last."""


def rule(
    name: str,
    meaning: str,
    raise_above: float,
    raise_seconds: float,
    clear_seconds: float,
    scope: Scope = "daemon",
) -> AlertRule:
    """With the usual distance between going up and coming down."""
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
    """What a value of now makes of a flag."""
    if value is None:
        return msgspec.structs.replace(state, since=None), None
    asks = value <= rule.clear_at if state.raised else value > rule.raise_above
    if not asks:
        return msgspec.structs.replace(state, since=None, value=value), None
    since = now if state.since is None else state.since
    if now - since < (rule.clear_seconds if state.raised else rule.raise_seconds):
        return msgspec.structs.replace(state, since=since, value=value), None
    changed = AlertState(raised=not state.raised, changed_at=now, value=value)
    return changed, "raised" if changed.raised else "cleared"


class Sample(msgspec.Struct, frozen=True):
    """Two counts that only grow, at one moment: what went wrong, and all."""

    at: float
    bad: int
    total: int


class FailureShare:
    """Which part of what happened within the last `window_seconds` went wrong."""

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> float | None:
        """Take note of the counts of now; gives back the share, None while nothing has happened.

        Call it at a steady pace: what is remembered is one sample for each call within the window.
        """
        samples = self._samples
        samples.append(sample)
        while len(samples) > 1 and samples[1].at <= sample.at - self._window_seconds:
            samples.popleft()
        bad, total = sample.bad - samples[0].bad, sample.total - samples[0].total
        if bad < MIN_BAD:
            return 0.0 if total > 0 or len(samples) > 1 else None
        return min(1.0, bad / max(total, bad))
