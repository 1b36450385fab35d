"""Rehearsals: many customers and the gateway at once, played against a real daemon, and books kept of both ends."""

from daemon.simulate.own_daemon import CannotRehearse
from daemon.simulate.play import Extent
from daemon.simulate.rehearsal import Plan, RehearsalProgress, RehearsalResult, rehearse
from daemon.simulate.report import Report, words_of
from daemon.simulate.script import Shares

__all__ = [
    "CannotRehearse",
    "Extent",
    "Plan",
    "RehearsalProgress",
    "RehearsalResult",
    "Report",
    "Shares",
    "rehearse",
    "words_of",
]
