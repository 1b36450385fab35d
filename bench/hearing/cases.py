"""What is compared, and what must come of it. A new policy is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bench.goals import Goal
from daemon.simulate import PolicyFigures

MODELS = (1.0, 3.0, 6.0)
"""Seconds that the model takes."""
JUDGED = 3.0
"""The model of the goals."""
NOBODY, HALF, MOST = 0.0, 0.5, 0.8
"""Of which share of people it is told that they type."""
RULE = "rule"


class Case(NamedTuple):
    """One row of the table of one model."""

    policy: str
    presence: float
    model_seconds: float


POLICIES: Mapping[str, tuple[float, ...]] = {
    RULE: (NOBODY, HALF, MOST),
    "rule+supersede": (NOBODY,),
    "quiet:8": (NOBODY, HALF, MOST),
    "quiet:10": (NOBODY, HALF, MOST),
    "quiet:10+supersede": (NOBODY, HALF, MOST),
}
"""By the names that `daemon.simulate.policy_of` knows: with which presence each is played."""

CASES = [
    Case(policy, presence, model)
    for model in MODELS
    for policy, presences in POLICIES.items()
    for presence in presences
]


def judged(found: Mapping[Case, PolicyFigures], simulated: Mapping[Case, PolicyFigures]) -> list[Goal]:
    """The goals of the policies that were played.

    Args:
      simulated: what `majlis simulate --policy` says of the same people, as far as it can.
    """
    rule = found[Case(RULE, NOBODY, JUDGED)]
    apart = [
        (abs(found[case].cut - figures.cut) * 100, abs(found[case].reply_seconds - figures.reply_seconds))
        for case, figures in simulated.items()
    ]
    goals = [
        Goal(
            "majlis simulate: cut, points from real actors", max(cut for cut, _ in apart), 0.1, is_floor=False
        ),
        Goal(
            "majlis simulate: reply, s from real actors", max(late for _, late in apart), 0.02, is_floor=False
        ),
    ]

    def cut(policy: str, presence: float, mark: float) -> None:
        if figures := found.get(Case(policy, presence, JUDGED)):
            what = f"{policy}, presence {presence:.0%}: cut against the rule"
            goals.append(Goal(what, figures.cut / rule.cut, mark, is_floor=False))

    def sooner(policy: str, mark: float) -> None:
        if figures := found.get(Case(policy, NOBODY, JUDGED)):
            what = f"{policy}: reply sooner than by the rule, s"
            goals.append(Goal(what, rule.reply_seconds - figures.reply_seconds, mark))

    cut("rule+supersede", NOBODY, 0.87)
    sooner("rule+supersede", 0.0)
    cut("rule+think", NOBODY, 1.005)
    sooner("rule+think", 2.4)
    cut("quiet:10+supersede+think", MOST, 0.53)
    if figures := found.get(Case("quiet:10+supersede+think", MOST, JUDGED)):
        what = f"quiet:10+supersede+think, presence {MOST:.0%}: reply, s"
        goals.append(Goal(what, figures.reply_seconds, 10.3, is_floor=False))
    return goals
