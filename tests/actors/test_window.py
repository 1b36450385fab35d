"""The window: 8 seconds from the first message, or 5 messages. I7."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.messages import WindowPolicy
from actors.window import close_reason, remaining_seconds

POLICY = WindowPolicy()


def test_a_window_without_messages_does_not_close() -> None:
    assert close_reason(0, None, 100.0, POLICY) is None
    assert close_reason(0, 0.0, 100.0, POLICY) is None


def test_closes_at_its_time_not_before() -> None:
    assert close_reason(1, 8.0, 7.999, POLICY) is None
    assert close_reason(1, 8.0, 8.0, POLICY) == "timeout"


def test_fifth_message_closes_at_once() -> None:
    assert close_reason(4, 8.0, 0.1, POLICY) is None
    assert close_reason(5, 8.0, 0.1, POLICY) == "count"


def test_after_a_restart_only_the_rest_is_waited() -> None:
    assert remaining_seconds(deadline_ms=108_000, now_ms=105_500, policy=POLICY) == 2.5
    assert remaining_seconds(deadline_ms=108_000, now_ms=999_000, policy=POLICY) == 0.0


@given(st.integers(0, 2**52), st.integers(0, 2**52), st.floats(0.1, 3600))
def test_a_clock_step_never_makes_the_wait_longer_than_a_window(
    deadline_ms: int, now_ms: int, window: float
) -> None:
    assert 0 <= remaining_seconds(deadline_ms, now_ms, WindowPolicy(window_seconds=window)) <= window
