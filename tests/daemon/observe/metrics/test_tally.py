"""What is counted between two scrapes: exact, and bounded whatever comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.observe.metrics.tally import OTHER, Histogram, Histograms, Names

BOUNDS = (0.1, 0.5, 1.0)


@given(st.lists(st.one_of(st.floats(0, 2, allow_nan=False), st.sampled_from(BOUNDS))))
def test_a_histogram_counts_up_to_each_bound(values: list[float]) -> None:
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)
    expected = [(str(bound), float(sum(value <= bound for value in values))) for bound in BOUNDS]
    assert histogram.buckets() == [*expected, ("+Inf", float(len(values)))]
    assert histogram.total == sum(values)


@given(st.lists(st.text(max_size=3)))
def test_the_number_of_names_is_bounded(names: list[str]) -> None:
    """The first three keep their names for good, all others share one."""
    known = Names(3)
    shown = [known.of(name) for name in names]
    first = set(list(dict.fromkeys(names))[:3])
    assert shown == [name if name in first else OTHER for name in names]


def test_the_number_of_histograms_is_bounded() -> None:
    many = Histograms(BOUNDS, limit=2)
    for number in range(10):
        many.observe(f"name {number}", 0.2)
    assert set(many.by_name) == {"name 0", "name 1", OTHER}
    assert many.by_name[OTHER].buckets()[-1] == ("+Inf", 8.0)
