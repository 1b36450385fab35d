"""Whether a target is reached: never said from too little, and never better for having failed more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.targets import (
    ENOUGH,
    Judgement,
    LoadFigures,
    Targets,
    TargetState,
    TurnFigures,
    capacity_state,
    judge,
    share_state,
)

WORSE: dict[TargetState, int] = {"reached": 0, "unknown": 1, "missed": 2}
TARGETS = Targets(
    response_seconds=2.0, errors=0.001, cost_per_message=0.002, conversations=200, messages_per_minute=1_000
)
shares = st.sampled_from([0.0, 0.0001, 0.001, 0.01, 0.05, 0.5, 1.0])
counts = st.integers(0, 20_000)


def by_name(
    turns: TurnFigures, load: LoadFigures | None = None, targets: Targets = TARGETS
) -> dict[str, Judgement]:
    return {verdict.name: verdict for verdict in judge(targets, turns, load)}


@given(counts, counts, shares)
def test_nothing_is_reached_from_too_few_samples(good: int, bad: int, allowed: float) -> None:
    """One failure more must be within the target, else it is luck."""
    state, total = share_state(bad, good + bad, allowed), good + bad
    if state == "reached":
        assert total >= ENOUGH and bad <= allowed * total
        assert allowed == 0 or (share_state(0, total, allowed) == "reached" and allowed * total * 1.0001 >= 1)
    if state == "missed":
        assert bad >= 2 and bad > allowed * total


@given(counts, counts, counts, shares)
def test_a_failure_in_place_of_a_success_never_makes_it_better_and_more_successes_never_worse(
    good: int, bad: int, more: int, allowed: float
) -> None:
    state = WORSE[share_state(bad, good + bad, allowed)]
    assert WORSE[share_state(min(bad + more, good + bad), good + bad, allowed)] >= state
    assert WORSE[share_state(bad, good + bad + more, allowed)] <= max(state, WORSE["unknown"])


@given(counts, counts, counts, counts)
def test_a_quiet_system_has_not_missed_what_it_should_carry(
    peak: int, more: int, target: int, missed: int
) -> None:
    assert capacity_state(peak, target, 0) == ("reached" if peak >= target else "unknown")
    assert capacity_state(peak, target, 1 + missed) == "missed"
    assert WORSE[capacity_state(peak + more, target, 0)] <= WORSE[capacity_state(peak, target, 0)]


@given(st.integers(0, 100_000), st.integers(0, 1_000), counts)
def test_a_higher_cost_is_never_better(cost_micros: int, more: int, messages: int) -> None:
    def state(cost: int) -> TargetState:
        return by_name(TurnFigures(messages=messages, cost_micros=cost))["cost_per_message"].state

    assert WORSE[state(cost_micros + more)] >= WORSE[state(cost_micros)]
    assert state(cost_micros) == "unknown" or messages >= ENOUGH


def test_each_target_says_what_it_is_from() -> None:
    turns = TurnFigures(
        answered=1_999,
        dead=1,
        timed=1_990,
        slow=90,
        response_p95_seconds=1.9,
        messages=4_000,
        cost_micros=12_000_000,
    )
    load = LoadFigures(minutes=60, conversations=250, messages=400, messages_missed=2)
    found = by_name(turns, load)
    assert {name: (one.state, one.actual, one.samples) for name, one in found.items()} == {
        "response_time": ("reached", 1.9, 1_990),
        "errors": ("reached", 0.0005, 2_000),
        "cost_per_message": ("missed", 0.003, 4_000),
        "conversations": ("reached", 250.0, 60),
        "messages_per_minute": ("missed", 400.0, 60),
    }
    assert "turned away" in found["messages_per_minute"].why


def test_few_bad_turns_say_nothing_and_many_say_it_at_once() -> None:
    assert by_name(TurnFigures(answered=9, dead=1))["errors"].state == "unknown"
    assert by_name(TurnFigures(answered=5, dead=5))["errors"].state == "missed"
    assert by_name(TurnFigures(timed=4, slow=4, response_p95_seconds=9.0))["response_time"].state == "unknown"
    assert by_name(TurnFigures(timed=6, slow=6, response_p95_seconds=9.0))["response_time"].state == "missed"


def test_what_is_switched_off_or_of_another_scope_is_left_out() -> None:
    assert by_name(TurnFigures(), LoadFigures(), Targets()) == {}
    assert set(by_name(TurnFigures())) == {"response_time", "errors", "cost_per_message"}
    assert all(
        one.state == "unknown" and one.actual is None
        for one in by_name(TurnFigures(), LoadFigures()).values()
    )


def test_answers_without_a_price_are_no_cheap_ones() -> None:
    found = by_name(TurnFigures(answered=500, unpriced=500))["cost_per_message"]
    assert (found.state, found.actual) == ("unknown", None) and "500 answers" in found.why
