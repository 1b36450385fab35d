"""I1–I6, I10, I14 under every kind of fault at once. The short form; `make prove-chaos` is the long one."""

from __future__ import annotations

from tests.chaos.faults import KINDS
from tests.chaos.run import play

SEED = 7
SECONDS = 15.0
LONGEST_SECONDS = 1.0


def test_nothing_is_lost_doubled_or_reordered_in_chaos() -> None:
    """Acknowledged = ended, in exactly one batch, in order, and no proven send is doubled."""
    report = play(SEED, SECONDS, longest_seconds=LONGEST_SECONDS, say=print)
    assert not report.violations, report
    assert set(report.faults) == set(KINDS)
    assert report.acknowledged > 0 and report.delivered > 0, "nothing was tried"
