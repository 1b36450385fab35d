"""The report: numbers that agree with the books, and text that fits 80 columns."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.simulate.latencies import LatencyHistogram, Summary
from daemon.simulate.report import Report, text_of

SECONDS = st.floats(0, 5_000, allow_nan=False)
COUNTS = st.integers(0, 10**9)


@given(st.lists(SECONDS, min_size=1))
def test_percentiles_are_near_and_never_too_low(values: list[float]) -> None:
    """At most 6 % too high, within the resolution, and never above the maximum."""
    summary = summary_of(values)
    ordered = sorted(values)
    for share, reported in (
        (0.50, summary.p50_seconds),
        (0.95, summary.p95_seconds),
        (0.99, summary.p99_seconds),
    ):
        true = ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
        if true < 1_000:
            assert true - 1e-5 <= reported <= max(true * 1.06, 1e-4) + 1e-5
    assert summary.max_seconds == pytest.approx(max(values), abs=1e-6)


@given(st.lists(SECONDS))
def test_a_histogram_is_small_and_complete(values: list[float]) -> None:
    """At most ten rows in rising order, with every value in one of them."""
    summary = summary_of(values)
    assert len(summary.histogram) <= 10
    assert sum(row.count for row in summary.histogram) == summary.count == len(values)
    edges = [row.up_to_seconds for row in summary.histogram]
    assert edges == sorted(set(edges))
    if values:
        assert summary.histogram[0].count
        assert summary.histogram[-1].count


@given(
    counts=st.fixed_dictionaries(
        dict.fromkeys(
            ("customers", "sent", "repeated", "acknowledged", "given_up", "answered", "replies"), COUNTS
        )
    ),
    faults=st.fixed_dictionaries(
        dict.fromkeys(("lost", "waiting", "doubled", "unmatched", "strangers"), COUNTS)
    ),
    out_of_order=st.none() | COUNTS,
    values=st.lists(SECONDS, max_size=30),
    troubles=st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=40), COUNTS, max_size=5
    ),
    interrupted=st.booleans(),
    seconds=st.just(0.0) | st.floats(0.001, 10**7),
)
def test_the_text_fits_eighty_columns(
    counts: dict[str, int],
    faults: dict[str, int],
    out_of_order: int | None,
    values: list[float],
    troubles: dict[str, int],
    interrupted: bool,
    seconds: float,
) -> None:
    report = msgspec.structs.replace(
        faultless(),
        **counts,
        **faults,
        out_of_order=out_of_order,
        ack=summary_of(values),
        answer=summary_of(values),
        troubles=troubles,
        interrupted=interrupted,
        seconds=seconds,
        sending_seconds=seconds,
        restarts=(seconds,),
        examples=("demo/999000000001",),
    )
    too_long = [line for line in text_of(report).splitlines() if len(line) > 80]
    assert not too_long, too_long


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lost": 3}, "lost          3"),
        ({"doubled": 1}, "doubled       1"),
        ({"out_of_order": 2}, "out of order  2"),
        ({"given_up": 1}, "given up      1 that the gateway could not deliver in ten attempts"),
    ],
)
def test_a_fault_is_reported(change: dict[str, int], words: str) -> None:
    report = msgspec.structs.replace(faultless(), **change, examples=("demo/999000000001",))
    assert not report.is_faultless
    text = text_of(report)
    assert words in text
    assert "majlis show demo/999000000001" in text
    assert "Nothing was lost" not in text


def test_all_is_well() -> None:
    """A faultless run reads like one, and an unchecked order is not reported as good."""
    report = faultless()
    assert report.is_faultless
    assert text_of(report).endswith("Nothing was lost.")
    assert "out of order  none" in text_of(report)
    unchecked = msgspec.structs.replace(report, out_of_order=None)
    assert unchecked.is_faultless
    assert "out of order  not checked" in text_of(unchecked)
    so_far = msgspec.structs.replace(report, interrupted=True, waiting=2)
    assert "seed 1, interrupted" in text_of(so_far)
    assert "waiting       2 not answered yet" in text_of(so_far)


def summary_of(values: list[float]) -> Summary:
    latencies = LatencyHistogram()
    for value in values:
        latencies.add(value)
    return latencies.summary()


def faultless() -> Report:
    return Report(
        seed=1,
        customers=2,
        seconds=10.0,
        sending_seconds=5.0,
        interrupted=False,
        restarts=(),
        sent=5,
        repeated=1,
        acknowledged=5,
        troubles={},
        given_up=0,
        answered=5,
        replies=3,
        lost=0,
        waiting=0,
        doubled=0,
        out_of_order=0,
        unmatched=0,
        strangers=0,
        examples=(),
        ack=summary_of([0.001, 0.002]),
        answer=summary_of([8.0, 8.1]),
    )
