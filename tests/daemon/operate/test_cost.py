"""Usage by instance and day."""

from __future__ import annotations

from actors.instance import Terms
from daemon.operate.cost import Costs
from tests.daemon.operate.conftest import answered
from tests.support.operators import Operators


async def test_cost_is_the_sum_of_the_rows(operators: Operators) -> None:
    await answered(operators)
    await operators.db.fetch(
        "INSERT INTO majlis_usage (instance, day, answers, cost_micros)"
        " VALUES ('shop', (now() AT TIME ZONE 'UTC')::date, 2, 88000)"
    )
    report = await operators.costs.report(None, 7)
    assert (report.answers, report.cost, report.input_tokens) == (3, 0.5, 800)
    assert [(row.instance, row.cost) for row in report.rows] == [("demo", 0.412), ("shop", 0.088)]
    assert (await operators.costs.report("shop", 7)).cost == 0.088
    assert [row.cost_per_answer for row in report.rows] == [0.412, 0.044]
    assert [(row.tokens_share, row.cost_share) for row in report.rows] == [(None, None)] * 2


async def test_today_says_what_share_of_its_budget_an_instance_has_used(operators: Operators) -> None:
    await answered(operators)
    await operators.db.fetch(
        "INSERT INTO majlis_usage SELECT instance, day - 1, 1, 0, 1, 1, 1 FROM majlis_usage"
    )
    costs = Costs(operators.records, lambda instance: Terms(tokens_per_day=1000, cost_per_day_micros=206_000))
    today, yesterday = (await costs.report(None, 7)).rows
    assert (today.tokens_share, today.cost_share) == (0.86, 2.0)
    assert (yesterday.tokens_share, yesterday.cost_share) == (None, None)
