"""When to leave a provider alone. Pure: the time, or a clock, is an argument.

`BreakerState` decides; `Breaker` holds the state of one provider and emits its changes. All instances that use the same
provider on the same terms share one breaker.

Laws of this file:
1. `failures` failures in a row open the breaker; while it is open, no call goes out.
2. Afterwards one call at a time goes through as a trial. Its success closes the breaker; its failure opens it for
   twice as long, up to a bound. A trial that never reports back blocks others no longer than an open breaker would.
3. A wait that the provider asks for is respected, even after the first failure, up to the same bound.
4. Only the provider's own failures count. A verdict on what one customer wrote (refused, too long, stopped by a filter
   before the provider) opens nothing: nobody else waits for it. Neither does a request that is turned down as invalid,
   for it may be about one conversation; but where `failures` calls in a row end so, the view says `rejecting`: that is
   hardly one customer's doing, and its settings want a look. It is asked all the same.

Calls that began before the breaker opened may end later. Their failure neither opens nor lengthens anything, unless a
trial is running, from which they cannot be distinguished. Their success is a success, because it shows that the
provider works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from actors.errors import TurnFailed
from actors.messages import Spent
from actors.ports import Feed

Condition = Literal["closed", "held", "open", "half_open", "rejecting"]
"""Calls go through | not before the time the provider named | not before the breaker's own | one trial at a time |
calls go through, and the last ones were turned down."""

REJECTIONS = frozenset({"bad_request", "blocked"})
"""The provider, or what stands before it, will not have this request, and perhaps no other one."""
VERDICTS = REJECTIONS | {"too_long", "refused_by_policy"}
"""What is said of one prompt, by a provider that works."""


class BreakerPolicy(msgspec.Struct, frozen=True):
    failures: int = 5
    """How many failures in a row open it."""
    open_seconds: float = 30.0
    max_open_seconds: float = 300.0


class BreakerState(msgspec.Struct, frozen=True):
    """What is remembered about one provider. A new one is closed."""

    failures: int = 0
    """In a row, up to now."""
    open_seconds: float = 0.0
    """How long it stays open this time; 0 while it is closed."""
    wait_until: float = 0.0
    """No call goes out before, on the clock of `now`."""
    trial: bool = False
    """A trial was let through and has not reported back."""
    rejections: int = 0
    """In a row, up to now; the provider's own failures between them are not looked at."""

    def admit(self, now: float) -> tuple[bool, BreakerState]:
        """Whether a call may go out now, and the state afterwards.

        The caller reports how an admitted call ended, by `succeeded`, `failed` or `given_up`.
        """
        if now < self.wait_until:
            return False, self
        if not self.open_seconds:
            return True, self
        return True, msgspec.structs.replace(self, trial=True, wait_until=now + self.open_seconds)

    def succeeded(self) -> BreakerState:
        """The state after a call that was answered. A wait that a busy provider asked for stays while it is closed."""
        return BreakerState() if self.open_seconds else BreakerState(wait_until=self.wait_until)

    def rejected(self) -> BreakerState:
        """The state after a call that was turned down: as after an answer, but for the count."""
        return msgspec.structs.replace(self.succeeded(), rejections=self.rejections + 1)

    def failed(
        self, now: float, policy: BreakerPolicy, retry_after_seconds: float | None = None
    ) -> BreakerState:
        """The state after a call that the provider failed.

        Args:
          retry_after_seconds: the wait that the provider asked for.
        """
        wish = retry_after_seconds if retry_after_seconds and retry_after_seconds > 0 else 0.0
        failures, length = self.failures + 1, self.open_seconds
        until = max(self.wait_until, now + min(wish, policy.max_open_seconds))
        if length and not self.trial:
            return msgspec.structs.replace(self, failures=failures, wait_until=until)
        if length or failures >= policy.failures:
            length = min(length * 2 or policy.open_seconds, policy.max_open_seconds)
            until = now + max(length, min(wish, policy.max_open_seconds))
        return BreakerState(failures, length, until, rejections=self.rejections)

    def given_up(self, now: float) -> BreakerState:
        """The state after a call that was cut off: it proved nothing, so another one may be the trial at once."""
        return msgspec.structs.replace(self, trial=False, wait_until=now) if self.trial else self

    def wait_seconds(self, now: float) -> float:
        """How long until a call may go out again; 0 when it may now."""
        return max(0.0, self.wait_until - now)

    def condition(self, now: float) -> Condition:
        """In one word, for operators."""
        if not self.open_seconds:
            return "held" if now < self.wait_until else "closed"
        return "half_open" if self.trial or now >= self.wait_until else "open"


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as operators see it, without key or address."""

    name: str
    instance: str = ""
    """The instance whose own provider it is; empty: one of the defaults."""
    state: Condition
    failures: int = 0
    """In a row, up to now."""
    calls: int = 0
    """Since the daemon started."""
    last_reason: str = ""
    """The reason of the last failure; it stays when calls succeed again."""
    wait_seconds: float = 0.0
    """Until it may be asked again."""
    succeeded: int = 0
    """How many of the calls were answered, including refusals of the prompt."""
    rejections: int = 0
    """In a row, up to now: calls that were turned down as invalid, or blocked."""
    in_flight: int = 0
    """Calls under way now, those of other entries with the same server, key and model included."""
    max_in_flight: int = 0
    """How many it takes at once."""


class Breaker:
    """The circuit breaker of one provider.

    Args:
      now: the clock, seconds; it never steps back.
    """

    def __init__(self, name: str, policy: BreakerPolicy, feed: Feed, *, now: Callable[[], float]) -> None:
        self.name = name
        self.last_reason = ""
        self._policy = policy
        self._feed = feed
        self._now = now
        self._state = BreakerState()
        self._failed_again = False
        self._calls = 0
        self._succeeded = 0

    @property
    def wait_seconds(self) -> float:
        return self._state.wait_seconds(self._now())

    @property
    def condition(self) -> Condition:
        condition = self._state.condition(self._now())
        rejecting = condition == "closed" and self._state.rejections >= self._policy.failures
        return "rejecting" if rejecting else condition

    @property
    def is_down(self) -> bool:
        """Open, and the last trial failed as well: the trouble is not brief."""
        return self._failed_again and self.condition == "open"

    @property
    def view(self) -> ProviderView:
        return ProviderView(
            name=self.name,
            state=self.condition,
            failures=self._state.failures,
            calls=self._calls,
            last_reason=self.last_reason,
            wait_seconds=self.wait_seconds,
            succeeded=self._succeeded,
            rejections=self._state.rejections,
        )

    def admit(self) -> bool:
        """Whether a call may go out now. Report its end by `succeeded`, `failed` or `given_up`."""
        admitted, self._state = self._state.admit(self._now())
        self._calls += admitted
        return admitted

    def succeeded(self) -> None:
        self._succeeded += 1
        self._works(self._state.succeeded())

    def given_up(self) -> None:
        """Whoever asked does not wait for the end any more."""
        self._state = self._state.given_up(self._now())

    def judged(self, reason: str, spent: Spent) -> None:
        """The provider works, and said something of the prompt: one of `VERDICTS`."""
        if reason == "refused_by_policy":  # that ends the turn: no next provider is asked
            self.succeeded()
            return
        self.last_reason = reason
        self._emit_failed(reason, spent)
        if reason not in REJECTIONS:
            self._works(self._state.succeeded())
            return
        self._works(self._state.rejected())
        if self._state.rejections == self._policy.failures:
            self._feed.emit("provider.rejecting", provider=self.name, reason=reason)

    def _works(self, state: BreakerState) -> None:
        before, self._state = self._state, state
        self._failed_again = False
        if before.open_seconds:
            self._feed.emit("provider.closed", provider=self.name)

    def _emit_failed(self, reason: str, spent: Spent) -> None:
        cost = msgspec.structs.asdict(spent) if spent != Spent() else {}
        self._feed.emit("provider.failed", provider=self.name, reason=reason, **cost)

    def failed(self, failure: TurnFailed) -> None:
        if failure.reason in VERDICTS:
            self.judged(failure.reason, failure.spent)
            return
        before, now = self._state, self._now()
        self._state = before.failed(now, self._policy, failure.retry_after_seconds)
        self.last_reason = failure.reason
        self._failed_again |= before.trial
        self._emit_failed(failure.reason, failure.spent)
        if self._state.open_seconds and (before.trial or not before.open_seconds):
            self._feed.emit(
                "provider.opened",
                provider=self.name,
                reason=failure.reason,
                seconds=round(self._state.wait_seconds(now), 1),
            )
