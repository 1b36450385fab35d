"""When to leave a peer alone. Pure: the time is an argument.

Laws of this file:
1. So many failures in a row open the breaker; while it is open, nobody calls.
2. Afterwards one call at a time goes through as a trial. Its success closes the breaker; its failure opens it for
   twice as long, up to a bound. A trial that never reports back holds nobody up longer than an open breaker would.
3. A time that the peer itself names is kept to, after the first failure too, up to the same bound.

Calls that began before the breaker opened may end later: their failure neither opens nor lengthens anything, unless
a trial is out, from which it cannot be told; their success is a success, for it shows that the peer is well.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Condition = Literal["closed", "held", "open", "half_open"]
"""Calls go through | not before the time the peer named | not before the breaker's own | one trial at a time."""


class BreakerPolicy(msgspec.Struct, frozen=True):
    failures: int = 5
    """In a row, before it opens."""
    open_seconds: float = 30.0
    max_open_seconds: float = 300.0


class Breaker(msgspec.Struct, frozen=True):
    """What is remembered of one peer. A new one is closed."""

    failures: int = 0
    """In a row, up to now."""
    open_seconds: float = 0.0
    """For how long it opened last; 0 while it is closed."""
    wait_until: float = 0.0
    """Nobody calls before, on the clock of `now`."""
    trial: bool = False
    """A trial was let through and has not reported back."""


def allow(state: Breaker, now: float) -> tuple[bool, Breaker]:
    """Whether a call may go out now, and what to remember of that.

    Who is let through must say how it ended, by `succeeded` or `failed`.
    """
    if now < state.wait_until:
        return False, state
    if not state.open_seconds:
        return True, state
    return True, msgspec.structs.replace(state, trial=True, wait_until=now + state.open_seconds)


def succeeded(state: Breaker) -> Breaker:
    """After a call that the peer answered. The time that a busy peer named stays while the breaker is closed."""
    return Breaker() if state.open_seconds else Breaker(wait_until=state.wait_until)


def failed(
    state: Breaker, now: float, policy: BreakerPolicy, retry_after_seconds: float | None = None
) -> Breaker:
    """After a call that failed for a reason that lies with the peer.

    Args:
      retry_after_seconds: the peer's own wish.
    """
    wish = retry_after_seconds if retry_after_seconds and retry_after_seconds > 0 else 0.0
    failures, length = state.failures + 1, state.open_seconds
    until = max(state.wait_until, now + min(wish, policy.max_open_seconds))
    if length and not state.trial:
        return msgspec.structs.replace(state, failures=failures, wait_until=until)
    if length or failures >= policy.failures:
        length = min(length * 2 or policy.open_seconds, policy.max_open_seconds)
        until = now + max(length, min(wish, policy.max_open_seconds))
    return Breaker(failures, length, until)


def wait_seconds(state: Breaker, now: float) -> float:
    """How long until a call may go out again; 0 when it may now."""
    return max(0.0, state.wait_until - now)


def condition(state: Breaker, now: float) -> Condition:
    """In one word, for operators."""
    if not state.open_seconds:
        return "held" if now < state.wait_until else "closed"
    return "half_open" if state.trial or now >= state.wait_until else "open"
