"""Alerts: when they are raised and cleared, whatever the values do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from daemon.observe.alert_rules import (
    CLEAR_SHARE,
    AlertRule,
    AlertState,
    Change,
    FailureShare,
    Sample,
    rule,
    step,
)

RAISE_SECONDS, CLEAR_SECONDS = 10.0, 60.0
QUEUE = rule("queue_depth", "many wait", 1_000, RAISE_SECONDS, CLEAR_SECONDS)
CLEAR_AT = 1_000 * CLEAR_SHARE

values = st.one_of(
    st.none(),
    st.floats(min_value=0, max_value=5_000, allow_nan=False),
    st.sampled_from([1_000.0, 1_000.1, CLEAR_AT, CLEAR_AT + 0.1]),
)
histories = st.lists(st.tuples(st.floats(min_value=0.1, max_value=30), values), max_size=60)
"""Seconds since the last look, and what was seen."""


def play(
    history: Sequence[tuple[float, float | None]], flag: AlertRule = QUEUE
) -> list[tuple[float, float | None, AlertState, Change | None]]:
    state, now, seen = AlertState(), 0.0, []
    for pause, value in history:
        now += pause
        state, change = step(flag, state, value, now)
        seen.append((now, value, state, change))
    return seen


@given(histories)
def test_changes_alternate_and_keep_their_distance(history: list[tuple[float, float | None]]) -> None:
    """Raised, cleared, raised …: never cleared before `clear_seconds`, nor raised again before `raise_seconds`."""
    changes = [(now, change) for now, _, _, change in play(history) if change]
    assert [change for _, change in changes] == ["raised", "cleared"] * (len(changes) // 2) + ["raised"] * (
        len(changes) % 2
    )
    for (before, _), (after, change) in pairwise(changes):
        assert after - before >= (CLEAR_SECONDS if change == "cleared" else RAISE_SECONDS)


@given(histories)
def test_an_alert_changes_only_after_the_value_called_for_it_long_enough(
    history: list[tuple[float, float | None]],
) -> None:
    """Only a value that calls for the change during the whole time changes an alert."""
    seen = play(history)
    for place, (now, _, state, change) in enumerate(seen):
        if change is None:
            continue
        wanted_seconds = RAISE_SECONDS if change == "raised" else CLEAR_SECONDS
        since = max(at for at, *_ in seen[: place + 1] if now - at >= wanted_seconds)
        for at, value, *_ in seen[: place + 1]:
            if at >= since:
                assert value is not None
                assert value > 1_000 if change == "raised" else value <= CLEAR_AT
        assert state.raised == (change == "raised")
        assert state.changed_at == now


@given(histories)
def test_between_the_two_values_nothing_changes(history: list[tuple[float, float | None]]) -> None:
    """A value that wavers between the two does not make the alert flap, whether it is raised or not."""
    between = [(pause, CLEAR_AT + 1 + (value or 0) % 199) for pause, value in history]
    assert not any(change for *_, change in play(between))
    up = [(1.0, 2_000.0), (RAISE_SECONDS, 2_000.0), *between]
    assert [change for *_, change in play(up) if change] == ["raised"]


@given(histories)
def test_an_unknown_value_changes_nothing(history: list[tuple[float, float | None]]) -> None:
    """A store that is away raises no alert and clears none; the wait begins again."""
    unknown = [(pause, None) for pause, _ in history]
    assert not any(change for *_, change in play(unknown))
    broken = [(5.0, 2_000.0), *unknown, (5.0, None), (RAISE_SECONDS / 2, 2_000.0)]
    assert not any(change for *_, change in play(broken))


def test_with_no_time_to_wait_the_first_value_raises() -> None:
    """With no time to wait for, the first look raises."""
    orphans = rule("orphans", "forgotten", 0, 0, CLEAR_SECONDS)
    changes = [change for *_, change in play([(1, 0.0), (1, 1.0), (1, 0.0), (59, 0.0), (1, 0.0)], orphans)]
    assert changes == [None, "raised", None, None, "cleared"]


def test_a_share_counts_only_its_window() -> None:
    """One failure is no pattern, two of a hundred are; what is older than the window does not count."""
    share = FailureShare(window_seconds=100)
    assert share.add(Sample(0, 50, 1_000)) is None
    assert share.add(Sample(10, 51, 1_050)) == 0.0
    assert share.add(Sample(20, 52, 1_100)) == 0.02
    assert share.add(Sample(109, 52, 1_200)) == 2 / 200
    assert share.add(Sample(111, 52, 1_204)) == 0.0, "one of the two is older than the window"
    assert share.add(Sample(130, 60, 1_224)) == 8 / 124


@given(
    st.lists(st.tuples(st.floats(0.1, 50), st.integers(0, 5), st.integers(0, 50)), min_size=1, max_size=50)
)
def test_a_share_is_between_0_and_1(steps: list[tuple[float, int, int]]) -> None:
    share, now, bad, total = FailureShare(100), 0.0, 0, 0
    for pause, more_bad, more in steps:
        now, bad, total = now + pause, bad + more_bad, total + more
        found = share.add(Sample(now, bad, total))
        assert found is None or 0.0 <= found <= 1.0
