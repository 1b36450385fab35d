"""What a policy of the window is worth: how often it cuts people short, and how long they wait for their reply. Pure.

Laws of this file:
1. What decides is the daemon's own `actors.window`; here time goes by, people write, and a model takes its seconds.
2. Stores, gateway and the daemon's own time are left out. Real actors need doubles of the stores, which belong to the
   tests: `make bench-hearing` plays the same people through real actors, and shows that both say the same.
3. Two policies are compared on the same people, who write the same whatever they are answered.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from math import inf

import msgspec

from actors.messages import WindowPolicy
from actors.window import close_reason, types, window_end
from daemon.simulate.people import PersonTurn

MECHANISMS: dict[str, dict[str, int]] = {"supersede": {"max_supersedes": 2}}
"""What may be added to a policy, and what of the window it sets: as `batching` sets it when it is on."""
POLICIES = "rule, rule:SECONDS, quiet or quiet:SECONDS, also with +supersede"
"""For people."""


class HearingPolicy(msgspec.Struct, frozen=True):
    """One way to hear people out."""

    name: str
    window: WindowPolicy = WindowPolicy()


class LeftReply(msgspec.Struct, frozen=True):
    """One reply: when it left, and how many of the turn's messages it and those before it cover."""

    at: float
    covers: int


class HeardOut(msgspec.Struct, frozen=True):
    """What became of one turn of a person."""

    cut: bool
    """A reply left that did not cover the whole turn: the person had not finished."""
    reply_seconds: float
    """From the turn's last message to the reply that covers it."""
    calls: int
    replies: int


class PolicyFigures(msgspec.Struct, frozen=True):
    """A policy on many turns: means."""

    turns: int
    cut: float
    """Share of turns."""
    reply_seconds: float
    calls: float
    """Of the model, per turn of a person."""
    thrown_away: float
    """Share of the calls whose answer became no reply."""


def policy_of(text: str) -> HearingPolicy:
    """The policy of this name: `rule`, or `quiet`, with its seconds or not, as in `quiet:10+supersede`.

    Raises:
      ValueError: there is none.
    """
    base, *more = text.split("+")
    kind, colon, seconds = base.partition(":")
    if kind not in ("rule", "quiet") or not set(more) <= MECHANISMS.keys():
        raise ValueError(f"no policy {text!r}; there are {POLICIES}")
    window = WindowPolicy(kind="quiet" if kind == "quiet" else "rule")
    for name in more:
        window = msgspec.structs.replace(window, **MECHANISMS[name])
    if colon:
        length = _seconds(text, seconds)
        replaced = {"quiet_seconds": length} if kind == "quiet" else {"window_seconds": length}
        window = msgspec.structs.replace(window, **replaced)
    return HearingPolicy(text, window)


def _seconds(text: str, seconds: str) -> float:
    try:
        length = float(seconds)
    except ValueError:
        length = inf
    if not 0 <= length <= 3600:
        raise ValueError(f"the seconds of {text!r} must be a number from 0 to 3600")
    return length


def compared(
    turns: Sequence[PersonTurn], policy: HearingPolicy, model_seconds: float, presence: float
) -> PolicyFigures:
    """How this policy does. `presence`: of which share of people (0 to 1) the gateway tells that they type."""
    return figures_of(heard_by(policy.window, each, model_seconds, each.is_seen(presence)) for each in turns)


def heard_by(window: WindowPolicy, turn: PersonTurn, model_seconds: float, seen: bool) -> HeardOut:
    """One turn of a person, answered by as many turns of ours as it takes."""
    said: list[LeftReply] = []
    covered, free_at, calls = 0, 0.0, 0
    while covered < len(turn.at):
        closed, waiting = _closes(window, turn, covered, free_at, seen)
        reply, called = _answered(window, turn, covered, closed, waiting, model_seconds)
        covered, free_at, calls = reply.covers, reply.at, calls + called
        said.append(reply)
    return outcome(turn, said, calls)


def _answered(
    window: WindowPolicy, turn: PersonTurn, first: int, began: float, waiting: int, model_seconds: float
) -> tuple[LeftReply, int]:
    """The reply to a batch that is frozen at `began`, and the calls for it: what comes meanwhile may end one.

    Here every message asks for an answer, so of `actors.superseding` only how often and how many are left.
    """
    calls, most = 1, min(len(turn.at), first + window.max_batch_messages)
    covered = min(first + waiting, most)
    while calls <= window.max_supersedes and covered < most and turn.at[covered] <= began + model_seconds:
        began = turn.at[covered]
        covered, calls = min(bisect_right(turn.at, began), most), calls + 1
    return LeftReply(began + model_seconds, covered), calls


def _closes(
    window: WindowPolicy, turn: PersonTurn, first: int, free_at: float, seen: bool
) -> tuple[float, int]:
    """When the window is frozen that message `first` opens, not before `free_at`, and how many messages wait then."""
    now = last = opened = turn.at[first]
    waiting, typing_until = 1, -inf
    for event, is_message in _events(turn, first + 1, seen):
        end = window_end(window, opened, last, typing_until)
        soonest = max(now, free_at)
        due = soonest if close_reason(waiting, end, soonest, window) else end
        if due < event:
            return due, waiting
        now = event
        if is_message:
            waiting, last, typing_until = waiting + 1, event, -inf
        else:
            typing_until = types(event)
    raise AssertionError("the last event is the end of time")


def _events(turn: PersonTurn, start: int, seen: bool) -> Iterator[tuple[float, bool]]:
    """From message `start` on: when something comes, and whether it is a message or the word that somebody types."""
    for typed, at in zip(turn.typed[start:], turn.at[start:], strict=True):
        if seen:
            yield from ((moment, False) for moment in typed)
        yield at, True
    yield inf, True


def outcome(turn: PersonTurn, said: Sequence[LeftReply], calls: int) -> HeardOut:
    """What these replies, in their order, were to the person. The last one covers everything."""
    everything = len(turn.at)
    done = next(reply for reply in said if reply.covers >= everything)
    return HeardOut(said[0].covers < everything, done.at - turn.at[-1], calls, len(said))


def figures_of(outcomes: Iterable[HeardOut]) -> PolicyFigures:
    """The means of at least one turn."""
    heard = list(outcomes)
    calls = sum(each.calls for each in heard)
    return PolicyFigures(
        turns=len(heard),
        cut=sum(each.cut for each in heard) / len(heard),
        reply_seconds=sum(each.reply_seconds for each in heard) / len(heard),
        calls=calls / len(heard),
        thrown_away=1 - sum(each.replies for each in heard) / calls,
    )
