"""What follows from how a send ended: until when it may be on its way, since when there is evidence, what failed."""

from __future__ import annotations

import trio

from actors.errors import GatewayHeld, TurnFailed, TurnRefused
from actors.outcome import NotSent
from actors.send_facts import Part

MANY_WAITS = 1_000
"""So many sends of unknown outcome are remembered before those that are over are looked for and dropped."""


class SendWaits:
    """Until when the sends of unknown outcome may still be on their way, by a clock that only goes forward."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def begin(self, key: str, seconds: float) -> None:
        now = trio.current_time()
        if len(self._until) >= MANY_WAITS:
            self._until = {other: until for other, until in self._until.items() if until > now}
        self._until[key] = now + seconds

    def left(self, key: str, seconds: float) -> float:
        """What is left of the wait; one that was not known begins now and takes `seconds`."""
        if key not in self._until:
            self.begin(key, seconds)
        return self._until[key] - trio.current_time()

    def end(self, key: str) -> None:
        self._until.pop(key, None)


def evidence_since_ms(part: Part, wall_ms: int) -> int:
    """From when on the gateway's records are evidence: the first claim that may have sent the part, by our own clock.

    Two clocks that disagree give two moments; the earlier one is the safe one, for records are also told apart by id.
    """
    if part.claimed_at_ms is None:
        return wall_ms
    return min(part.claimed_at_ms, wall_ms - (part.first_claim_ago_ms or 0))


def failure(outcome: NotSent) -> GatewayHeld | TurnFailed | TurnRefused:
    if outcome.remedy == "hold":
        return GatewayHeld(outcome.reason, outcome.retry_after_seconds)
    if outcome.remedy == "refuse":
        return TurnRefused(outcome.reason)
    return TurnFailed(outcome.reason, retry_after_seconds=outcome.retry_after_seconds)
