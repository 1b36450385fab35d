"""Usage by instance and day: answers, tokens, cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from actors.instance import Terms
from daemon.ledger.records import Records
from daemon.ledger.rows import DailyUsage
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
    """In the currency of the providers' prices; of answers in vain too."""
    superseded: int = 0
    """Answers that were given up, because the customer wrote more while they were made."""
    cost_estimated: float = 0.0
    """Of the cost, what those are estimated to have cost: a call that is cut off tells nobody."""
    cost_per_answer: float = 0.0
    """On average; answers from the response cache count."""
    tokens_share: float | None = None
    """Today: of `limits.tokens_per_day`, 1 is all of it. None: there is no such budget, or it is another day's."""
    cost_share: float | None = None
    """The same of `limits.cost_per_day`."""


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    days: int
    """How many days, today included (UTC)."""
    answers: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost: float
    superseded: int = 0
    cost_estimated: float = 0.0
    cost_per_answer: float = 0.0
    rows: list[CostRow]
    """The latest day first."""


class CostQuery(Parameters, frozen=True, kw_only=True):
    instance: Instance | None = None
    days: Annotated[int, Meta(ge=1, le=366, description="Number of days, today included (UTC).")] = 7


class Costs:
    """`terms` gives what is in force for an instance now."""

    def __init__(self, records: Records, terms: Callable[[str], Terms]) -> None:
        self._records = records
        self._terms = terms

    async def report(self, instance: str | None, days: int) -> CostReport:
        """Usage today and on the `days` - 1 days before, for one instance or all. Raises `LedgerUnavailable`."""
        used = await self._records.usage(days, instance)
        today = datetime.now(UTC).date()
        return CostReport(
            days=days,
            answers=sum(one.answers for one in used),
            cached=sum(one.cached for one in used),
            input_tokens=sum(one.input_tokens for one in used),
            output_tokens=sum(one.output_tokens for one in used),
            cost=sum(one.cost_micros for one in used) / _MICROS,
            superseded=sum(one.superseded for one in used),
            cost_estimated=sum(one.estimated_micros for one in used) / _MICROS,
            cost_per_answer=_average(sum(one.cost_micros for one in used), sum(one.answers for one in used)),
            rows=[self._row(one, one.day == today) for one in used],
        )

    def _row(self, used: DailyUsage, is_today: bool) -> CostRow:
        terms = self._terms(used.instance) if is_today else None
        tokens = used.input_tokens + used.output_tokens
        return CostRow(
            instance=used.instance,
            day=used.day.isoformat(),
            answers=used.answers,
            cached=used.cached,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cost=used.cost_micros / _MICROS,
            superseded=used.superseded,
            cost_estimated=used.estimated_micros / _MICROS,
            cost_per_answer=_average(used.cost_micros, used.answers),
            tokens_share=_share(tokens, terms.tokens_per_day) if terms else None,
            cost_share=_share(used.cost_micros, terms.cost_per_day_micros) if terms else None,
        )


def _average(cost_micros: int, answers: int) -> float:
    return round(cost_micros / answers) / _MICROS if answers else 0.0


def _share(used: int, allowed: int | None) -> float | None:
    return round(used / allowed, 4) if allowed else None


async def _report(costs: Costs, call: AdminCall, asked: CostQuery) -> Response:
    """Usage by instance and day."""
    return json_response(200, await costs.report(asked.instance or None, asked.days))


ROUTES = (Route("GET", "/v1/cost", Costs, _report, "read", CostReport, CostQuery),)
