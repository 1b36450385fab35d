"""A peer that fails is left alone, and tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.responders.breaker import (
    Breaker,
    BreakerPolicy,
    allow,
    condition,
    failed,
    succeeded,
    wait_seconds,
)

POLICY = BreakerPolicy(failures=3, open_seconds=30, max_open_seconds=100)


def _opened(now: float = 0.0) -> Breaker:
    state = Breaker()
    for _ in range(POLICY.failures):
        state = failed(state, now, POLICY)
    return state


def _trial(state: Breaker, now: float) -> Breaker:
    allowed, state = allow(state, now)
    assert allowed
    return state


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    state = failed(failed(Breaker(), 0, POLICY), 0, POLICY)
    assert allow(state, 0) == (True, state)
    state = failed(succeeded(state), 0, POLICY)
    assert condition(state, 0) == "closed"
    state = failed(failed(state, 0, POLICY), 0, POLICY)
    assert condition(state, 0) == "open"
    assert allow(state, 29.9) == (False, state)
    assert wait_seconds(state, 10) == 20


def test_one_trial_at_a_time_and_its_success_closes() -> None:
    state = _trial(_opened(), 30)
    assert condition(state, 30) == "half_open"
    assert not allow(state, 31)[0]
    state = succeeded(state)
    assert state == Breaker()
    assert allow(state, 31)[0]


def test_each_failed_trial_doubles_the_time_up_to_a_bound() -> None:
    state, now, waits = _opened(), 0.0, []
    for _ in range(4):
        waits.append(wait_seconds(state, now))
        now += waits[-1]
        state = failed(_trial(state, now), now, POLICY)
    assert waits == [30, 60, 100, 100]


def test_a_trial_that_never_reports_back_lets_another_follow() -> None:
    state = _trial(_opened(), 30)
    assert not allow(state, 59.9)[0]
    state = _trial(state, 60)
    assert not allow(state, 61)[0]
    assert succeeded(state) == Breaker()


def test_a_straggler_neither_lengthens_nor_doubles() -> None:
    state = failed(_opened(), 20, POLICY)
    assert wait_seconds(state, 20) == 10
    assert wait_seconds(failed(_trial(state, 30), 30, POLICY), 30) == 60


def test_a_straggler_that_succeeds_closes() -> None:
    assert succeeded(_opened()) == Breaker()


def test_the_time_that_the_peer_names_is_kept_to() -> None:
    held = failed(Breaker(), 0, POLICY, retry_after_seconds=20)
    assert condition(held, 0) == "held"
    assert not allow(held, 19)[0]
    assert not allow(succeeded(held), 19)[0]
    assert allow(held, 20) == (True, held)
    assert condition(held, 20) == "closed"
    opened = failed(failed(held, 20, POLICY), 20, POLICY, retry_after_seconds=50)
    assert wait_seconds(opened, 20) == 50
    assert wait_seconds(failed(_opened(), 0, POLICY, retry_after_seconds=40), 0) == 40


@pytest.mark.parametrize(("wish", "seconds"), [(1e9, 100), (-5, 0), (float("nan"), 0), (float("inf"), 100)])
def test_the_peer_cannot_ask_for_too_much(wish: float, seconds: float) -> None:
    assert wait_seconds(failed(Breaker(), 0, POLICY, retry_after_seconds=wish), 0) == seconds


STEPS = st.lists(
    st.tuples(
        st.floats(0, 50),
        st.sampled_from(["ask", "succeed", "fail"]),
        st.none() | st.floats(),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_a_call_goes_out_again_in_bounded_time(
    steps: list[tuple[float, str, float | None]],
) -> None:
    state, now = Breaker(), 0.0
    for seconds, step, wish in steps:
        now += seconds
        if step == "ask":
            allowed, state = allow(state, now)
            if allowed and state.open_seconds:
                assert not allow(state, now)[0]
        else:
            state = succeeded(state) if step == "succeed" else failed(state, now, POLICY, wish)
        assert 0 <= wait_seconds(state, now) <= POLICY.max_open_seconds + 1e-9
        assert allow(state, now + wait_seconds(state, now) + 1e-6)[0]
