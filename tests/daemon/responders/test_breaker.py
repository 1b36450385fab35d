"""A provider that fails is left alone, and tried again: first the decisions, then the events."""

from __future__ import annotations

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.errors import TurnFailed
from actors.messages import Spent
from daemon.responders.breaker import VERDICTS, Breaker, BreakerPolicy, BreakerState
from tests.support.providers import RecordedFeed

POLICY = BreakerPolicy(failures=3, open_seconds=30, max_open_seconds=100)


def _opened(now: float = 0.0) -> BreakerState:
    state = BreakerState()
    for _ in range(POLICY.failures):
        state = state.failed(now, POLICY)
    return state


def _trial(state: BreakerState, now: float) -> BreakerState:
    allowed, state = state.admit(now)
    assert allowed
    return state


def test_the_breaker_opens_after_a_number_of_failures_in_a_row() -> None:
    state = BreakerState().failed(0, POLICY).failed(0, POLICY)
    assert state.admit(0) == (True, state)
    state = state.succeeded().failed(0, POLICY)
    assert state.condition(0) == "closed"
    state = state.failed(0, POLICY).failed(0, POLICY)
    assert state.condition(0) == "open"
    assert state.admit(29.9) == (False, state)
    assert state.wait_seconds(10) == 20


def test_one_trial_at_a_time_and_its_success_closes() -> None:
    state = _trial(_opened(), 30)
    assert state.condition(30) == "half_open"
    assert not state.admit(31)[0]
    state = state.succeeded()
    assert state == BreakerState()
    assert state.admit(31)[0]


def test_each_failed_trial_doubles_the_time_up_to_a_bound() -> None:
    state, now, waits = _opened(), 0.0, []
    for _ in range(4):
        waits.append(state.wait_seconds(now))
        now += waits[-1]
        state = _trial(state, now).failed(now, POLICY)
    assert waits == [30, 60, 100, 100]


def test_a_trial_that_never_reports_back_lets_another_follow() -> None:
    state = _trial(_opened(), 30)
    assert not state.admit(59.9)[0]
    state = _trial(state, 60)
    assert not state.admit(61)[0]
    assert state.succeeded() == BreakerState()


def test_a_late_failure_does_not_lengthen_the_open_time() -> None:
    state = _opened().failed(20, POLICY)
    assert state.wait_seconds(20) == 10
    assert _trial(state, 30).failed(30, POLICY).wait_seconds(30) == 60


def test_a_late_success_closes_the_breaker() -> None:
    assert _opened().succeeded() == BreakerState()


def test_the_wait_that_the_provider_asks_for_is_respected() -> None:
    held = BreakerState().failed(0, POLICY, retry_after_seconds=20)
    assert held.condition(0) == "held"
    assert not held.admit(19)[0]
    assert not held.succeeded().admit(19)[0]
    assert held.admit(20) == (True, held)
    assert held.condition(20) == "closed"
    opened = held.failed(20, POLICY).failed(20, POLICY, retry_after_seconds=50)
    assert opened.wait_seconds(20) == 50
    assert _opened().failed(0, POLICY, retry_after_seconds=40).wait_seconds(0) == 40


@pytest.mark.parametrize(("wish", "seconds"), [(1e9, 100), (-5, 0), (float("nan"), 0), (float("inf"), 100)])
def test_the_wait_that_a_provider_may_ask_for_is_bounded(wish: float, seconds: float) -> None:
    assert BreakerState().failed(0, POLICY, retry_after_seconds=wish).wait_seconds(0) == seconds


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
    state, now = BreakerState(), 0.0
    for seconds, step, wish in steps:
        now += seconds
        if step == "ask":
            allowed, state = state.admit(now)
            if allowed and state.open_seconds:
                assert not state.admit(now)[0]
        else:
            state = state.succeeded() if step == "succeed" else state.failed(now, POLICY, wish)
        assert 0 <= state.wait_seconds(now) <= POLICY.max_open_seconds + 1e-9
        assert state.admit(now + state.wait_seconds(now) + 1e-6)[0]


# One provider's breaker, with its clock and its events

TWICE = BreakerPolicy(failures=2, open_seconds=30)
FAILURE = TurnFailed("overloaded")


@pytest.fixture
def feed() -> RecordedFeed:
    return RecordedFeed()


@pytest.fixture
def breaker(feed: RecordedFeed) -> Breaker:
    return Breaker("main", TWICE, feed, now=trio.current_time)


async def test_failures_in_a_row_open_it_and_a_good_trial_closes_it(
    autojump_clock: MockClock, breaker: Breaker, feed: RecordedFeed
) -> None:
    """Each step is emitted: every failure, the opening with its length, the closing."""
    for _ in range(2):
        assert breaker.admit()
        breaker.failed(FAILURE)
    assert not breaker.admit() and breaker.wait_seconds == 30
    await trio.sleep(30)
    assert breaker.admit()
    assert not breaker.admit()  # one trial at a time
    breaker.succeeded()
    assert breaker.admit() and breaker.admit()
    assert feed.events == [
        ("provider.failed", {"provider": "main", "reason": "overloaded"}),
        ("provider.failed", {"provider": "main", "reason": "overloaded"}),
        ("provider.opened", {"provider": "main", "reason": "overloaded", "seconds": 30.0}),
        ("provider.closed", {"provider": "main"}),
    ]


async def test_a_failed_trial_is_emitted_as_opening_again(
    autojump_clock: MockClock, breaker: Breaker, feed: RecordedFeed
) -> None:
    for _ in range(2):
        breaker.failed(FAILURE)
    await trio.sleep(30)
    assert breaker.admit()
    breaker.failed(FAILURE)
    assert [fields["seconds"] for name, fields in feed.events if name == "provider.opened"] == [30.0, 60.0]
    assert breaker.wait_seconds == 60


async def test_a_cancelled_trial_does_not_block_others_for_ever(
    autojump_clock: MockClock, breaker: Breaker
) -> None:
    for _ in range(2):
        breaker.failed(FAILURE)
    await trio.sleep(30)
    assert breaker.admit()
    assert not breaker.admit()
    await trio.sleep(30)
    assert breaker.admit()


async def test_a_wait_asked_for_after_one_failure_is_respected(
    autojump_clock: MockClock, breaker: Breaker, feed: RecordedFeed
) -> None:
    breaker.failed(TurnFailed("rate_limited", "", 7.0))
    assert not breaker.admit()
    assert feed.names() == ["provider.failed"]
    await trio.sleep(7)
    assert breaker.admit()


@pytest.mark.parametrize("reason", sorted(VERDICTS))
async def test_what_is_said_of_one_prompt_leaves_nobody_alone(
    autojump_clock: MockClock, breaker: Breaker, feed: RecordedFeed, reason: str
) -> None:
    """I9: however often one customer's words are turned down, the next customer's call goes out, and a trial that ends
    so shows that the provider works."""
    for _ in range(3 * TWICE.failures):
        assert breaker.admit()
        breaker.failed(TurnFailed(reason))
    assert breaker.admit() and breaker.view.state in ("closed", "rejecting")
    assert "provider.opened" not in feed.names()
    for _ in range(TWICE.failures):
        breaker.failed(FAILURE)
    await trio.sleep(30)
    assert breaker.admit()
    breaker.judged(reason, Spent())
    assert breaker.admit() and "provider.closed" in feed.names()


async def test_a_provider_that_turns_everything_down_is_shown_and_asked(
    autojump_clock: MockClock, breaker: Breaker, feed: RecordedFeed
) -> None:
    for reason in ("bad_request", "blocked", "bad_request"):
        assert breaker.admit()
        breaker.failed(TurnFailed(reason, spent=Spent(7)))
    assert _view(breaker)[2:6] == ("rejecting", 0, 3, "bad_request")
    assert [fields for name, fields in feed.events if name == "provider.rejecting"] == [
        {"provider": "main", "reason": "blocked"}
    ]
    assert feed.events[0][1]["input_tokens"] == 7
    breaker.failed(TurnFailed("too_long"))  # an answer to what was asked, as a good one is
    assert breaker.view.state == "closed"


async def test_the_view_shows_the_state_and_no_secret(autojump_clock: MockClock, breaker: Breaker) -> None:
    assert _view(breaker)[:9] == ("main", "", "closed", 0, 0, "", 0, 0, 0)
    breaker.admit()
    breaker.failed(TurnFailed("rate_limited", "", 7.0))
    assert _view(breaker)[:9] == ("main", "", "held", 1, 1, "rate_limited", 7, 0, 0)
    await trio.sleep(7)
    breaker.admit()
    breaker.failed(FAILURE)
    assert _view(breaker)[:9] == ("main", "", "open", 2, 2, "overloaded", 30, 0, 0)
    await trio.sleep(30)
    assert breaker.view.state == "half_open"
    breaker.admit()
    breaker.succeeded()
    assert _view(breaker)[:9] == ("main", "", "closed", 0, 3, "overloaded", 0, 1, 0)


def _view(breaker: Breaker) -> tuple[object, ...]:
    return msgspec.structs.astuple(breaker.view)
