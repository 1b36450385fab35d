"""Rehearsals: many simulated customers and a simulated gateway against a real daemon, with every message checked.

Beside them, without any daemon, what policies of the window are worth (`hearing.py`, `people.py`). Stands outside the
daemon, so it may import only the settings, the embedded stores and the HTTP server and client.
"""

from daemon.simulate.hearing import Figures, HearingPolicy, compared, policy_of
from daemon.simulate.own_daemon import CannotRehearse
from daemon.simulate.people import NotTurns, PersonTurn, drawn_turns, turns_in
from daemon.simulate.play import Extent
from daemon.simulate.rehearsal import Plan, RehearsalProgress, RehearsalResult, rehearse
from daemon.simulate.report import Report, text_of
from daemon.simulate.script import Shares

__all__ = [
    "CannotRehearse",
    "Extent",
    "Figures",
    "HearingPolicy",
    "NotTurns",
    "PersonTurn",
    "Plan",
    "RehearsalProgress",
    "RehearsalResult",
    "Report",
    "Shares",
    "compared",
    "drawn_turns",
    "policy_of",
    "rehearse",
    "text_of",
    "turns_in",
]
