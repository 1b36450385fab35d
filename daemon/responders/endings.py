"""What it means for a turn that no provider answered: try again, wait, or never. Pure.

Not every provider can help every turn. Out of the question are those that gave a verdict on this very request (it is
too long, or invalid: they would say so again), and those with a wrong key or address. What the others say decides:

one of them failed        try again: the last failure that may pass
all of them refuse a key  wait: an operator has to mend it (those with a wrong address do not change that)
none could be asked       wait until the first of them may; where all are down for long, try again: a turn must end
none is left              never
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

VERDICTS_ON_REQUESTS = frozenset({"too_long", "bad_request"})
"""What a provider would say again of the same request."""

_LATER_BETTER = {"not_found": 0, "blocked": 1}
"""How likely another attempt is to go better, for failures that rarely pass by themselves; of others, more likely."""
_MAY_PASS = 2


class Standing(NamedTuple):
    """How one provider came out of a call."""

    reason: str
    """Of its failure, or why it is left alone; empty: it was not asked, and could have been."""
    asked: bool
    wait_seconds: float = 0.0
    """Until it may be asked again."""
    is_down: bool = False
    """It is left alone for long."""
    is_tried: bool = False
    """One call at a time goes to it, and that one is under way."""

    @property
    def is_out(self) -> bool:
        """Whether it would say the same again of this request."""
        return self.asked and self.reason in VERDICTS_ON_REQUESTS


class NoAnswer(NamedTuple):
    """`failed`: try again. `held`: wait. `refused`: never."""

    kind: Literal["failed", "held", "refused"]
    reason: str
    wait_seconds: float | None = None


def ending(standings: Sequence[Standing]) -> NoAnswer:
    """What is to be done; `standings` are in the order of asking, and there is at least one."""
    left = [each for each in standings if not each.is_out]
    if not left:
        return NoAnswer("refused", standings[-1].reason)
    able = [each for each in left if each.reason != "not_found"] or left
    hopeful = [each for each in able if each.reason != "bad_key"]
    if not hopeful:
        return NoAnswer("held", "responder_refuses_key")
    failed = [each for each in hopeful if each.asked]
    if failed:
        last = max(reversed(failed), key=lambda each: _LATER_BETTER.get(each.reason, _MAY_PASS))
        return NoAnswer("failed", last.reason, _wait(hopeful))
    if all(each.is_down for each in hopeful):
        return NoAnswer("failed", "providers_open", _wait(hopeful))
    # While a trial is running, its breaker expects the worst; the trial ends sooner.
    trying = any(each.is_tried for each in hopeful)
    return NoAnswer("held", "providers_busy", None if trying else _wait(hopeful))


def _wait(standings: Sequence[Standing]) -> float | None:
    return min(each.wait_seconds for each in standings) or None
