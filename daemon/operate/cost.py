"""Usage by instance and day: answers, tokens, cost."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from daemon.ledger.records import Records
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Instance, Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response

_MICROS = 1_000_000


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    """One instance's usage on one day."""

    instance: str
    day: str
    """UTC, `2026-01-31`."""
    answers: int
    """Given by a responder or from the response cache."""
    cached: int
    """Of these, from the response cache."""
    input_tokens: int
    output_tokens: int
    cost: float
    """In the currency of the providers' prices."""


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    days: int
    """How many days, today included (UTC)."""
    answers: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost: float
    rows: list[CostRow]
    """The latest day first."""


class CostQuery(Parameters, frozen=True, kw_only=True):
    instance: Instance | None = None
    days: Annotated[int, Meta(ge=1, le=366, description="Number of days, today included (UTC).")] = 7


class Costs:
    def __init__(self, records: Records) -> None:
        self._records = records

    async def report(self, instance: str | None, days: int) -> CostReport:
        """Usage today and on the `days` - 1 days before, for one instance or all. Raises `LedgerUnavailable`."""
        used = await self._records.usage(days, instance)
        return CostReport(
            days=days,
            answers=sum(one.answers for one in used),
            cached=sum(one.cached for one in used),
            input_tokens=sum(one.input_tokens for one in used),
            output_tokens=sum(one.output_tokens for one in used),
            cost=sum(one.cost_micros for one in used) / _MICROS,
            rows=[
                CostRow(
                    instance=one.instance,
                    day=one.day.isoformat(),
                    answers=one.answers,
                    cached=one.cached,
                    input_tokens=one.input_tokens,
                    output_tokens=one.output_tokens,
                    cost=one.cost_micros / _MICROS,
                )
                for one in used
            ],
        )


async def _report(costs: Costs, call: AdminCall, asked: CostQuery) -> Response:
    """Usage by instance and day."""
    return json_response(200, await costs.report(asked.instance or None, asked.days))


ROUTES = (Route("GET", "/v1/cost", Costs, _report, "read", CostReport, CostQuery),)
