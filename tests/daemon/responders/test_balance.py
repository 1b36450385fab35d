"""Whom to ask first."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.responders.balance import order

DRAWS = 20_000


@given(st.lists(st.floats()), st.randoms(use_true_random=False))
def test_each_is_asked_once_and_those_without_weight_last_as_they_stand(
    weights: list[float], chance: random.Random
) -> None:
    asked = order(weights, chance.random)
    assert sorted(asked) == list(range(len(weights)))
    heavy = sum(1 for weight in weights if weight > 0)
    rest = [i for i, weight in enumerate(weights) if not weight > 0]
    assert list(asked[heavy:]) == rest


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (5, 3, 2), (0.7, 0.2, 0.1), (1, 0, 9), (1e-9, 3e-9)])
def test_the_first_is_chosen_in_proportion_to_the_weights(weights: tuple[float, ...]) -> None:
    chance = random.Random(7)
    firsts = Counter(order(weights, chance.random)[0] for _ in range(DRAWS))
    for i, weight in enumerate(weights):
        share = weight / sum(weights)
        four_deviations = 4 * (share * (1 - share) / DRAWS) ** 0.5
        assert abs(firsts[i] / DRAWS - share) <= four_deviations


def test_the_second_is_chosen_in_proportion_among_the_rest() -> None:
    chance = random.Random(7)
    orders = Counter(order((2, 1, 1), chance.random) for _ in range(DRAWS))
    assert abs(orders[0, 1, 2] / DRAWS - 1 / 4) < 0.02  # 2/4 for the first, 1/2 for the second
    assert abs(orders[1, 0, 2] / DRAWS - 1 / 6) < 0.02  # 1/4 for the first, 2/3 for the second


@given(st.floats(0, 1, exclude_max=True))
def test_any_draw_will_do(draw: float) -> None:
    assert sorted(order((5e-324, 1e308, 1, 0, float("inf")), lambda: draw)) == [0, 1, 2, 3, 4]
