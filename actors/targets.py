"""Whether a target is reached: judged by what was measured. Pure.

Laws of this file:
1. `reached` needs enough samples: as many as it takes for one failure to be within the target, and never fewer than
   `ENOUGH`.
2. `missed` needs proof: even if everything up to that number had gone well, it would be. One failure proves nothing.
3. Everything between is `unknown`: too little traffic to say. A failure in place of a success never makes it better.
4. What the system could carry shows only under load. A quiet system has not missed its target; one that turned messages
   away below it has, whatever it carried at another time.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Literal

import msgspec

TargetState = Literal["reached", "missed", "unknown"]
TargetName = Literal["response_time", "errors", "cost_per_message", "conversations", "messages_per_minute"]

LOADS: tuple[TargetName, ...] = ("conversations", "messages_per_minute")
"""What the machine is to carry; the others are of turns, and can be asked of one instance."""

ENOUGH = 100
"""Samples without which nothing is reached."""
SLOW_SHARE = 0.05
"""The share of answers that may be slower than the target: it is one for 95 of 100."""

_MICROS = 1_000_000


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What is aimed at; None: nothing."""

    response_seconds: float | None = None
    errors: float | None = None
    cost_per_message: float | None = None
    conversations: int | None = None
    messages_per_minute: int | None = None


class TurnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of the turns that ended."""

    answered: int = 0
    dead: int = 0
    timed: int = 0
    """Answers whose time counts. Those that had to wait for a gateway, a store or an operator are left out."""
    slow: int = 0
    """Of them, those slower than the target."""
    response_p95_seconds: float | None = None
    messages: int = 0
    """Heard in the answered turns whose cost is known."""
    cost_micros: int = 0
    """Of these turns."""
    unpriced: int = 0
    """Answered turns that used tokens for which no price is set."""
    since: datetime | None = None
    """Turns that ended before this are not among them."""


class Minute(msgspec.Struct, frozen=True):
    """What one daemon carried in one minute."""

    minute: datetime
    conversations: int
    """The most at once."""
    messages: int
    turned_away: int
    """Webhooks that were refused because of the load; the gateway sends them again."""


class LoadFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured minute by minute, over all daemons."""

    minutes: int = 0
    """In which there was anything."""
    conversations: int = 0
    """The most at once."""
    messages: int = 0
    """The most in a minute."""
    conversations_missed: int = 0
    """Minutes in which webhooks were turned away with fewer conversations than the target."""
    messages_missed: int = 0
    """The same, with fewer messages."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    name: TargetName
    state: TargetState
    actual: float | None
    """None: nothing was measured."""
    target: float
    samples: int
    failures: int = 0
    """Of the samples, those against it: slow answers, dead letters, minutes in which messages were turned away."""
    why: str = ""
    """What the numbers do not say."""


def judge(targets: Targets, turns: TurnFigures, load: LoadFigures | None) -> tuple[Judgement, ...]:
    """Every target that is set. `load` None: what is asked about is one instance."""
    verdicts = [_response_time(targets, turns), _errors(targets, turns), _cost(targets, turns)]
    if load is not None:
        conversations = (load.conversations, load.conversations_missed)
        messages = (load.messages, load.messages_missed)
        verdicts += [
            _carried("conversations", targets.conversations, *conversations, load.minutes),
            _carried("messages_per_minute", targets.messages_per_minute, *messages, load.minutes),
        ]
    return tuple(verdict for verdict in verdicts if verdict is not None)


def share_state(bad: int, total: int, allowed: float) -> TargetState:
    """Whether at most the share `allowed` of all fails, by `bad` of `total` samples."""
    enough = max(ENOUGH, math.ceil(1 / allowed)) if allowed > 0 else ENOUGH
    if bad > max(1, allowed * max(total, enough)):
        return "missed"
    return "reached" if total >= enough and bad <= allowed * total else "unknown"


def capacity_state(peak: int, target: int, missed: int) -> TargetState:
    """Whether so much was carried. `missed`: how often messages were turned away below the target."""
    if missed:
        return "missed"
    return "reached" if peak >= target else "unknown"


def _response_time(targets: Targets, turns: TurnFigures) -> Judgement | None:
    target = targets.response_seconds
    if target is None:
        return None
    return Judgement(
        name="response_time",
        state=share_state(turns.slow, turns.timed, SLOW_SHARE),
        actual=turns.response_p95_seconds if turns.timed else None,
        target=target,
        samples=turns.timed,
        failures=turns.slow,
    )


def _errors(targets: Targets, turns: TurnFigures) -> Judgement | None:
    target, ended = targets.errors, turns.answered + turns.dead
    if target is None:
        return None
    return Judgement(
        name="errors",
        state=share_state(turns.dead, ended, target),
        actual=turns.dead / ended if ended else None,
        target=target,
        samples=ended,
        failures=turns.dead,
    )


def _cost(targets: Targets, turns: TurnFigures) -> Judgement | None:
    target = targets.cost_per_message
    if target is None:
        return None
    actual = turns.cost_micros / _MICROS / turns.messages if turns.messages else None
    state: TargetState = "unknown"
    if actual is not None and turns.messages >= ENOUGH:
        state = "reached" if actual <= target else "missed"
    why = _unpriced(turns.unpriced)
    return Judgement(
        name="cost_per_message", state=state, actual=actual, target=target, samples=turns.messages, why=why
    )


def _carried(name: TargetName, target: int | None, peak: int, missed: int, minutes: int) -> Judgement | None:
    if target is None:
        return None
    why = f"webhooks were turned away in {missed:,} minutes of less load" if missed else ""
    return Judgement(
        name=name,
        state=capacity_state(peak, target, missed),
        actual=float(peak) if minutes else None,
        target=float(target),
        samples=minutes,
        failures=missed,
        why=why,
    )


def _unpriced(answers: int) -> str:
    if not answers:
        return ""
    words = "1 answer is" if answers == 1 else f"{answers:,} answers are"
    return f"{words} left out: the provider has no prices"
