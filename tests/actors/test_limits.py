"""What is told of a budget before it is used up, and of answers that cost too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import limits
from actors.instance import Terms
from actors.limits import ENOUGH_ANSWERS, Near
from actors.lookups import Usage

BUDGET = Terms(tokens_per_day=1000, cost_per_day_micros=2_000_000)
DEAR = Terms(cost_per_message_micros=100)


@pytest.mark.parametrize(
    ("usage", "terms", "expected"),
    [
        (Usage(tokens_today=499), BUDGET, []),
        (Usage(tokens_today=500), BUDGET, [Near("tokens_per_day", 0.5, 500, 1000)]),
        (Usage(tokens_today=799), BUDGET, [Near("tokens_per_day", 0.5, 799, 1000)]),
        (Usage(tokens_today=800), BUDGET, [Near("tokens_per_day", 0.8, 800, 1000)]),
        (Usage(tokens_today=1000), BUDGET, []),
        (
            Usage(tokens_today=999, cost_micros_today=1_600_000),
            BUDGET,
            [Near("tokens_per_day", 0.8, 999, 1000), Near("cost_per_day", 0.8, 1_600_000, 2_000_000)],
        ),
        (Usage(tokens_today=900), Terms(tokens_per_day=1000, warn_at=()), []),
        (Usage(tokens_today=900), Terms(), []),
        (Usage(cost_micros_today=101 * ENOUGH_ANSWERS, answers_today=ENOUGH_ANSWERS - 1), DEAR, []),
        (Usage(cost_micros_today=100 * ENOUGH_ANSWERS, answers_today=ENOUGH_ANSWERS), DEAR, []),
        (
            Usage(cost_micros_today=101 * ENOUGH_ANSWERS, answers_today=ENOUGH_ANSWERS),
            DEAR,
            [Near("cost_per_message", 1.0, 101, 100)],
        ),
    ],
)
def test_what_is_near(usage: Usage, terms: Terms, expected: list[Near]) -> None:
    assert list(limits.near(usage, terms)) == expected


@given(st.integers(0, 3000), st.lists(st.floats(0, 1), max_size=5))
def test_a_budget_is_near_or_used_up_and_never_both(used: int, shares: list[float]) -> None:
    """The largest share that was passed is told, so that each is told once while the day goes on."""
    terms = Terms(tokens_per_day=1000, warn_at=tuple(shares))
    usage = Usage(tokens_today=used)
    near = limits.near(usage, terms)
    assert not (near and limits.budget(usage, terms))
    if near:
        assert near[0].share == max(share for share in shares if share * 1000 <= used)
