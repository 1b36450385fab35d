"""Usage by instance and day."""

from __future__ import annotations

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
