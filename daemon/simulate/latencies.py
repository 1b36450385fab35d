"""Latencies counted in logarithmic buckets, in bounded memory. Pure."""

from __future__ import annotations

import math

import msgspec

_PER_DECADE = 40  # edges 6 % apart
_FLOOR_SECONDS = 1e-4
_BUCKETS = 7 * _PER_DECADE  # up to 1,000 seconds; the last bucket also counts everything above
_DIGITS = 6  # microseconds
_MAX_ROWS = 10
_STRIDES = (2, 4, 8, 20, 40)
"""Numbers of buckets that may make one row, finest first; each divides a decade."""


class HistogramRow(msgspec.Struct, frozen=True):
    up_to_seconds: float
    count: int


class Summary(msgspec.Struct, frozen=True):
    """Percentiles are at most 6 % too high; 0 if nothing was counted."""

    count: int
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float
    max_seconds: float
    histogram: tuple[HistogramRow, ...]


class LatencyHistogram:
    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._count = 0
        self._max_seconds = 0.0

    def add(self, seconds: float) -> None:
        self._counts[_bucket(seconds)] += 1
        self._count += 1
        self._max_seconds = max(self._max_seconds, seconds)

    def summary(self) -> Summary:
        return Summary(
            count=self._count,
            p50_seconds=self._percentile(0.50),
            p95_seconds=self._percentile(0.95),
            p99_seconds=self._percentile(0.99),
            max_seconds=round(self._max_seconds, _DIGITS),
            histogram=self._rows(),
        )

    def _percentile(self, share: float) -> float:
        wanted, seen = math.ceil(share * self._count), 0
        for number, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return round(min(_upper_edge(number), self._max_seconds), _DIGITS)
        return 0.0

    def _rows(self) -> tuple[HistogramRow, ...]:
        """At most ten rows, as fine as possible, from the first non-empty one to the last."""
        for stride in _STRIDES:
            rows = [
                HistogramRow(_upper_edge(start + stride - 1), sum(self._counts[start : start + stride]))
                for start in range(0, _BUCKETS, stride)
            ]
            filled = [place for place, row in enumerate(rows) if row.count]
            if not filled:
                return ()
            shown = tuple(rows[filled[0] : filled[-1] + 1])
            if len(shown) <= _MAX_ROWS:
                break
        return shown


def _bucket(seconds: float) -> int:
    if seconds <= _FLOOR_SECONDS:
        return 0
    place = math.ceil(math.log10(seconds / _FLOOR_SECONDS) * _PER_DECADE) - 1
    return min(max(place, 0), _BUCKETS - 1)


def _upper_edge(bucket: int) -> float:
    return round(_FLOOR_SECONDS * float(10 ** ((bucket + 1) / _PER_DECADE)), _DIGITS)
