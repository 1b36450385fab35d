"""What policies of the window are worth: turns whose outcome is known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from daemon.simulate.hearing import HeardOut, compared, figures_of, heard_by, policy_of
from daemon.simulate.people import PersonTurn, drawn_turns

MODEL_SECONDS = 3.0


def turn(*at: float, typed: Sequence[Sequence[float]] = ()) -> PersonTurn:
    told = tuple(map(tuple, typed)) or ((),) * len(at)
    return PersonTurn(at, told, shyness=0.5)


@pytest.mark.parametrize(
    ("policy", "at", "heard"),
    [
        # One reply, 8 s after the first message, and what the model takes: 11 - 5.
        ("rule", (0, 5), HeardOut(cut=False, reply_seconds=6, calls=1, replies=1)),
        # The second comes during the call: its own window ends at 17.
        ("rule", (0, 9), HeardOut(cut=True, reply_seconds=11, calls=2, replies=2)),
        # The fifth closes it at once.
        ("rule", (0, 1, 2, 3, 4), HeardOut(cut=False, reply_seconds=3, calls=1, replies=1)),
        # A window that is over when the call ends is answered right after it: 11 + 3 - 10.9.
        ("rule:1", (0, 1.5, 2.0), HeardOut(cut=True, reply_seconds=5, calls=2, replies=2)),
        # It ends the call: both are answered at 9 + 3.
        ("rule+supersede", (0, 9), HeardOut(cut=False, reply_seconds=3, calls=2, replies=1)),
        # Twice at most: the third waits for its own window.
        ("rule+supersede", (0, 9, 10, 11), HeardOut(cut=True, reply_seconds=11, calls=4, replies=2)),
        # 10 s after the last one.
        ("quiet:10", (0, 9), HeardOut(cut=False, reply_seconds=13, calls=1, replies=1)),
        ("quiet:10", (0, 9, 20), HeardOut(cut=True, reply_seconds=13, calls=2, replies=2)),
        # Never more than a minute after the first: the last comes after that.
        ("quiet:50", (0, 40, 61), HeardOut(cut=True, reply_seconds=53, calls=2, replies=2)),
    ],
)
def test_a_turn_is_cut_or_heard_out(policy: str, at: tuple[float, ...], heard: HeardOut) -> None:
    assert heard_by(policy_of(policy).window, turn(*at), MODEL_SECONDS, seen=False) == heard


def test_who_is_seen_typing_is_waited_for() -> None:
    typing = turn(0, 14, typed=((), (5, 12)))
    rule = policy_of("rule").window
    assert heard_by(rule, typing, MODEL_SECONDS, seen=False).cut
    # Its message ends the typing, and the window's time is up then.
    assert heard_by(rule, typing, MODEL_SECONDS, seen=True) == HeardOut(False, 3.0, 1, 1)


def test_the_figures_are_means() -> None:
    people = [turn(0), turn(0, 9)]
    found = compared(people, policy_of("rule"), MODEL_SECONDS, presence=0)
    assert (found.turns, found.cut, found.reply_seconds, found.calls) == (2, 0.5, 11, 1.5)
    assert found.thrown_away == 0
    assert figures_of([HeardOut(False, 3, calls=2, replies=1)]).thrown_away == 0.5


def test_the_rule_is_what_it_is_on_people() -> None:
    """Near what it is on the turns of which the tables were made: 26 % cut, a reply after 10.2 s."""
    people = drawn_turns(5_000)
    rule = compared(people, policy_of("rule"), MODEL_SECONDS, presence=0)
    assert rule.cut == pytest.approx(0.26, abs=0.02)
    assert rule.reply_seconds == pytest.approx(10.2, abs=0.15)
    assert compared(people, policy_of("rule"), MODEL_SECONDS, presence=0.8).cut < 0.85 * rule.cut


@pytest.mark.parametrize("name", ["", "loud", "quiet:", "quiet:x", "rule:-1", "rule:nan", "rule:1e9"])
def test_a_policy_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"policy|seconds"):
        policy_of(name)
