"""What a provider's circuit lets through, and what it tells. Its rules themselves: test_breaker.py."""

from __future__ import annotations

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.errors import TurnFailed
from daemon.responders.breaker import BreakerPolicy
from daemon.responders.circuit import Circuit
from tests.support.providers import Told

POLICY = BreakerPolicy(failures=2, open_seconds=30)
FAILURE = TurnFailed("overloaded")


@pytest.fixture
def feed() -> Told:
    return Told()


@pytest.fixture
def circuit(feed: Told) -> Circuit:
    return Circuit("main", POLICY, feed, instance="demo")


async def test_failures_in_a_row_open_it_and_a_good_trial_closes_it(
    autojump_clock: MockClock, circuit: Circuit, feed: Told
) -> None:
    """Each step is told: every failure, the opening with its length, the closing."""
    for _ in range(2):
        assert circuit.admit()
        circuit.failed(FAILURE)
    assert not circuit.admit() and circuit.wait_seconds == 30
    await trio.sleep(30)
    assert circuit.admit()
    assert not circuit.admit()  # one trial at a time
    circuit.succeeded()
    assert circuit.admit() and circuit.admit()
    assert feed.events == [
        ("provider.failed", {"provider": "main", "reason": "overloaded"}),
        ("provider.failed", {"provider": "main", "reason": "overloaded"}),
        ("provider.opened", {"provider": "main", "reason": "overloaded", "seconds": 30.0}),
        ("provider.closed", {"provider": "main"}),
    ]


async def test_a_bad_trial_is_told_as_opening_again(
    autojump_clock: MockClock, circuit: Circuit, feed: Told
) -> None:
    for _ in range(2):
        circuit.failed(FAILURE)
    await trio.sleep(30)
    assert circuit.admit()
    circuit.failed(FAILURE)
    assert [fields["seconds"] for name, fields in feed.events if name == "provider.opened"] == [30.0, 60.0]
    assert circuit.wait_seconds == 60


async def test_a_trial_that_was_cancelled_holds_nobody_up_for_ever(
    autojump_clock: MockClock, circuit: Circuit
) -> None:
    for _ in range(2):
        circuit.failed(FAILURE)
    await trio.sleep(30)
    assert circuit.admit()
    assert not circuit.admit()
    await trio.sleep(30)
    assert circuit.admit()


async def test_a_wish_to_be_left_alone_is_kept_after_one_failure(
    autojump_clock: MockClock, circuit: Circuit, feed: Told
) -> None:
    circuit.failed(TurnFailed("rate_limited", "", 7.0))
    assert not circuit.admit()
    assert feed.names() == ["provider.failed"]
    await trio.sleep(7)
    assert circuit.admit()


async def test_the_view_says_how_it_is_and_nothing_secret(
    autojump_clock: MockClock, circuit: Circuit
) -> None:
    assert seen(circuit) == ("main", "demo", "closed", 0, 0, "", 0, 0)
    circuit.admit()
    circuit.failed(TurnFailed("rate_limited", "", 7.0))
    assert seen(circuit) == ("main", "demo", "held", 1, 1, "rate_limited", 7, 0)
    await trio.sleep(7)
    circuit.admit()
    circuit.failed(FAILURE)
    assert seen(circuit) == ("main", "demo", "open", 2, 2, "overloaded", 30, 0)
    await trio.sleep(30)
    assert circuit.view.state == "half_open"
    circuit.admit()
    circuit.succeeded()
    assert seen(circuit) == ("main", "demo", "closed", 0, 3, "overloaded", 0, 1)


def seen(circuit: Circuit) -> tuple[object, ...]:
    return msgspec.structs.astuple(circuit.view)
