"""Remembers how one provider has been of late, so that one that is ill is left alone for a while.

The rules are `breaker.py`; here is the clock, and what is told of it. Everybody who uses the same provider on
the same terms shares one circuit. Only what lies with the provider counts: a refused prompt shows that it is well.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio

from actors.errors import TurnFailed
from actors.ports import Feed
from daemon.responders import breaker
from daemon.responders.breaker import Breaker, BreakerPolicy, Condition


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    """For operators; no key and no address in it."""

    name: str
    instance: str = ""
    """Whose own provider it is; empty: the default's."""
    state: Condition
    failures: int = 0
    """In a row, up to now."""
    calls: int = 0
    """Since the daemon started."""
    last_reason: str = ""
    """Of the last failure; it stays when calls succeed again."""
    wait_seconds: float = 0.0
    """Until it may be asked again."""
    succeeded: int = 0
    """Of the calls, those that were answered, if only by a refusal of the prompt."""


class Circuit:
    """Before one provider. Who is let through tells how it ended; a call that was cancelled need not."""

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy,
        feed: Feed,
        *,
        instance: str = "",
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self.name = name
        self._instance = instance
        self.last_reason = ""
        self._failed_again = False
        self._policy = policy
        self._feed = feed
        self._now = now
        self._state = Breaker()
        self._calls = 0
        self._succeeded = 0

    @property
    def wait_seconds(self) -> float:
        return breaker.wait_seconds(self._state, self._now())

    @property
    def condition(self) -> Condition:
        return breaker.condition(self._state, self._now())

    @property
    def is_down(self) -> bool:
        """Open, and the last trial failed as well: this is no passing trouble."""
        return self._failed_again and self.condition == "open"

    @property
    def view(self) -> ProviderView:
        return ProviderView(
            name=self.name,
            instance=self._instance,
            state=self.condition,
            failures=self._state.failures,
            calls=self._calls,
            last_reason=self.last_reason,
            wait_seconds=self.wait_seconds,
            succeeded=self._succeeded,
        )

    def admit(self) -> bool:
        """Whether a call may go out now."""
        admitted, self._state = breaker.allow(self._state, self._now())
        self._calls += admitted
        return admitted

    def succeeded(self) -> None:
        before, self._state = self._state, breaker.succeeded(self._state)
        self._failed_again = False
        self._succeeded += 1
        if before.open_seconds:
            self._feed.emit("provider.closed", provider=self.name)

    def failed(self, failure: TurnFailed) -> None:
        before, now = self._state, self._now()
        self._state = breaker.failed(before, now, self._policy, failure.retry_after_seconds)
        self.last_reason = failure.reason
        self._failed_again |= before.trial
        self._feed.emit("provider.failed", provider=self.name, reason=failure.reason)
        if self._state.open_seconds and (before.trial or not before.open_seconds):
            self._feed.emit(
                "provider.opened",
                provider=self.name,
                reason=failure.reason,
                seconds=round(breaker.wait_seconds(self._state, now), 1),
            )
