"""I1–I6, I10, I14 under every kind of fault at once. The short form; `make prove-chaos` is the long one."""

from __future__ import annotations

from tests.chaos.faults import KINDS
from tests.chaos.run import play

SEED = 7
SECONDS = 10.0
LONGEST_SECONDS = 1.0
GAP_SECONDS = 0.25


def test_nothing_is_lost_doubled_or_reordered_in_chaos() -> None:
    """Written = ended, also where no webhook came; in exactly one batch, in order; no proven send is doubled; and
    nobody is answered over a person of the business."""
    report = play(SEED, SECONDS, longest_seconds=LONGEST_SECONDS, gap_seconds=GAP_SECONDS, say=print)
    assert not report.violations, report
    assert set(report.faults) == set(KINDS)
    assert report.acknowledged and report.delivered and report.swept, f"nothing was tried: {report}"
