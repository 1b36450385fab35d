from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.retry import HOLD_MAX_SECONDS, JITTER, backoff_seconds, hold_seconds

SCHEDULE = (1.0, 2.0, 4.0)


def test_delays_follow_the_schedule_and_its_end_repeats() -> None:
    assert [backoff_seconds(attempts, SCHEDULE, 0.5) for attempts in range(5)] == [1, 2, 4, 4, 4]


def test_a_longer_retry_after_is_honoured_and_a_shorter_one_is_not() -> None:
    assert backoff_seconds(0, SCHEDULE, 0.5, retry_after_seconds=30) == 30
    assert backoff_seconds(0, SCHEDULE, 0.5, retry_after_seconds=0.1) == 1


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_and_holds_are_bounded(count: int, draw: float) -> None:
    delay = SCHEDULE[min(count, 2)]
    assert delay * (1 - JITTER) <= backoff_seconds(count, SCHEDULE, draw) <= delay * (1 + JITTER)
    assert 0 < hold_seconds(count, draw) <= HOLD_MAX_SECONDS * (1 + JITTER)
