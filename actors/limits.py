"""What an instance and a contact may use, and what happens when they reach it. Pure.

Rates are checked before an answer is taken from the cache, budgets after: a cached answer costs nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.instance import LimitPolicy, Terms
from actors.lookups import Usage

LimitKind = Literal["contact_rate", "instance_rate", "tokens_per_day", "cost_per_day"]


class Reached(msgspec.Struct, frozen=True):
    kind: LimitKind
    policy: LimitPolicy
    wait_seconds: float
    """Until there is room again."""

    @property
    def rule(self) -> str:
        """The rule by which a turn ends for it."""
        return "rate_limited" if self.kind.endswith("rate") else "budget_reached"


def rate(usage: Usage, terms: Terms) -> Reached | None:
    """The rate that this turn would exceed; the contact's own first."""
    if _full(usage.contact_turns, terms.turns_per_minute_per_contact):
        return Reached("contact_rate", terms.on_rate, usage.contact_wait_seconds)
    if _full(usage.instance_turns, terms.turns_per_minute):
        return Reached("instance_rate", terms.on_rate, usage.instance_wait_seconds)
    return None


def budget(usage: Usage, terms: Terms) -> Reached | None:
    """The budget that is used up."""
    if _full(usage.tokens_today, terms.tokens_per_day):
        return Reached("tokens_per_day", terms.on_budget, usage.day_wait_seconds)
    if _full(usage.cost_micros_today, terms.cost_per_day_micros):
        return Reached("cost_per_day", terms.on_budget, usage.day_wait_seconds)
    return None


def _full(used: int, limit: int | None) -> bool:
    return limit is not None and used >= limit
