"""Rehearsals: many simulated customers and a simulated gateway against a real daemon, with every message checked.

Beside them, without any daemon, what policies of the window are worth (`hearing.py`, `people.py`). Stands outside the
daemon, so it may import only the settings, the embedded stores and the HTTP server and client.
"""

from daemon.simulate.hearing import (
    POLICIES,
    HeardOut,
    HearingPolicy,
    LeftReply,
    PolicyFigures,
    compared,
    figures_of,
    outcome,
    policy_of,
)
from daemon.simulate.own_daemon import CannotRehearse
from daemon.simulate.people import NotTurns, PersonTurn, drawn_turns, sampled, turns_in
from daemon.simulate.play import Extent
from daemon.simulate.rehearsal import Plan, RehearsalProgress, RehearsalResult, rehearse
from daemon.simulate.report import Report, text_of
from daemon.simulate.script import Shares

__all__ = [
    "POLICIES",
    "CannotRehearse",
    "Extent",
    "HeardOut",
    "HearingPolicy",
    "LeftReply",
    "NotTurns",
    "PersonTurn",
    "Plan",
    "PolicyFigures",
    "RehearsalProgress",
    "RehearsalResult",
    "Report",
    "Shares",
    "compared",
    "drawn_turns",
    "figures_of",
    "outcome",
    "policy_of",
    "rehearse",
    "sampled",
    "text_of",
    "turns_in",
]
