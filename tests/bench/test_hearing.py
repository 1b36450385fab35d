"""`make bench-hearing`: real actors say what `majlis simulate --policy` says, and the goals are judged rightly."""

from __future__ import annotations

import pytest

from bench.hearing.cases import CASES, MOST, NOBODY, RULE, Case, judged
from bench.hearing.real import heard
from daemon.simulate import PolicyFigures, drawn_turns, policy_of
from daemon.simulate.hearing import heard_by

TURNS = 40


@pytest.mark.parametrize("case", sorted({Case(each.policy, each.presence, 3.0) for each in CASES}))
def test_real_actors_say_the_same(case: Case) -> None:
    people = drawn_turns(TURNS, seed=7)
    window = policy_of(case.policy).window
    for real, turn in zip(heard(people, case), people, strict=True):
        simulated = heard_by(window, turn, case.model_seconds, turn.is_seen(case.presence))
        assert real.reply_seconds == pytest.approx(simulated.reply_seconds, abs=0.01)
        assert (real.cut, real.calls, real.replies) == (simulated.cut, simulated.calls, simulated.replies)


def test_goals_are_those_of_the_policies_that_were_played() -> None:
    def of(cut: float, reply_seconds: float) -> PolicyFigures:
        return PolicyFigures(100, cut, reply_seconds, 1.3, 0.0)

    rule = Case(RULE, NOBODY, 3.0)
    simulated = {rule: of(0.2505, 10.2)}
    assert [goal.is_reached for goal in judged({rule: of(0.25, 10.2)}, simulated)] == [True, True]
    found = {
        rule: of(0.25, 10.2),
        Case("rule+supersede", NOBODY, 3.0): of(0.21, 9.8),
        Case("rule+think", NOBODY, 3.0): of(0.25, 8.0),
        Case("quiet:10+supersede+think", MOST, 3.0): of(0.14, 10.4),
    }
    assert [goal.is_reached for goal in judged(found, simulated)][2:] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
