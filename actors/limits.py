"""What an instance and a contact may use, and what happens when they reach it. Pure.

Rates are checked before an answer is taken from the cache, budgets after: a cached answer costs nothing. Shares of a
budget and the cost of an answer stop nothing: they raise an alert, so that somebody can act before the budget is gone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.instance import LimitPolicy, Terms
from actors.lookups import Usage

LimitKind = Literal["contact_rate", "instance_rate", "tokens_per_day", "cost_per_day"]
NearKind = Literal["tokens_per_day", "cost_per_day", "cost_per_message"]

ENOUGH_ANSWERS = 20
"""From so many in a day on their average says something."""


class Reached(msgspec.Struct, frozen=True):
    kind: LimitKind
    policy: LimitPolicy
    wait_seconds: float
    """Until there is room again."""
    used: int = 0
    allowed: int = 0

    @property
    def rule(self) -> str:
        """The rule by which a turn ends for it."""
        return "rate_limited" if self.kind.endswith("rate") else "budget_reached"


class Near(msgspec.Struct, frozen=True):
    """Something is worth a look before a budget is used up."""

    kind: NearKind
    share: float
    """Of the budget, from which on there is an alert; of the cost of an answer: 1."""
    used: int
    allowed: int


def rate(usage: Usage, terms: Terms) -> Reached | None:
    """The rate that this turn would exceed; the contact's own first."""
    each: tuple[tuple[LimitKind, int, int | None, float], ...] = (
        ("contact_rate", usage.contact_turns, terms.turns_per_minute_per_contact, usage.contact_wait_seconds),
        ("instance_rate", usage.instance_turns, terms.turns_per_minute, usage.instance_wait_seconds),
    )
    for kind, used, allowed, wait_seconds in each:
        if allowed is not None and used >= allowed:
            return Reached(kind, terms.on_rate, wait_seconds, used, allowed)
    return None


def budget(usage: Usage, terms: Terms) -> Reached | None:
    """The budget that is used up."""
    for kind, used, allowed in _budgets(usage, terms):
        if used >= allowed:
            return Reached(kind, terms.on_budget, usage.day_wait_seconds, used, allowed)
    return None


def near(usage: Usage, terms: Terms) -> tuple[Near, ...]:
    """Budgets of which a share is used that wants an alert, each with the largest such share; and answers that cost
    more than they should, on average over the day.
    """
    found: list[Near] = []
    for kind, used, allowed in _budgets(usage, terms):
        shares = [share for share in terms.warn_at if used >= share * allowed]
        if shares and used < allowed:
            found.append(Near(kind, max(shares), used, allowed))
    wanted, average = terms.cost_per_message_micros, cost_per_answer(usage)
    if wanted is not None and usage.answers_today >= ENOUGH_ANSWERS and average > wanted:
        found.append(Near("cost_per_message", 1.0, round(average), wanted))
    return tuple(found)


def cost_per_answer(usage: Usage) -> float:
    """Millionths, on average over the day; answers from the cache count, and make it less."""
    return usage.cost_micros_today / usage.answers_today if usage.answers_today else 0.0


def _budgets(usage: Usage, terms: Terms) -> list[tuple[Literal["tokens_per_day", "cost_per_day"], int, int]]:
    """Those that are set: kind, what is used, what may be."""
    found: list[tuple[Literal["tokens_per_day", "cost_per_day"], int, int]] = []
    if terms.tokens_per_day is not None:
        found.append(("tokens_per_day", usage.tokens_today, terms.tokens_per_day))
    if terms.cost_per_day_micros is not None:
        found.append(("cost_per_day", usage.cost_micros_today, terms.cost_per_day_micros))
    return found
