"""Rehearsals: many simulated customers and a simulated gateway against a real daemon, with every message checked.

Stands outside the daemon, so it may import only the settings, the embedded stores and the HTTP server and client.
"""

from daemon.simulate.own_daemon import CannotRehearse
from daemon.simulate.play import Extent
from daemon.simulate.rehearsal import Plan, RehearsalProgress, RehearsalResult, rehearse
from daemon.simulate.report import Report, text_of
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
    "text_of",
]
