"""`majlis status`: what needs attention, whatever state the stores are in."""

from __future__ import annotations

import time

import msgspec
import pytest
import trio

from actors.errors import LedgerUnavailable
from daemon.mirror.survey import Totals
from daemon.responders.breaker import ProviderView
from tests.daemon.operate.conftest import answered
from tests.support.ledgers import DEMO
from tests.support.operators import Operators


async def test_status_shows_what_needs_attention(operators: Operators) -> None:
    await answered(operators, escalation="asks_for_human")
    await operators.takeovers.begin(DEMO, 60)
    for rule in ("duplicate", "duplicate", "escalated"):
        operators.feed.emit("turn.suppressed", DEMO, rule=rule)
    operators.feed.emit("turn.done", DEMO)
    operators.feed.emit("turn.done", DEMO, rule="escalated")
    operators.feed.emit("turn.answered", DEMO, provider="cache")
    operators.feed.emit("turn.answered", DEMO, provider="main")
    operators.feed.emit("limit.reached", DEMO, reason="cost_per_day", policy="fallback")
    operators.providers = [ProviderView(name="main", state="closed", calls=3)]
    status = await operators.status.now()
    assert (status.taken_over, status.escalated, status.notices_waiting) == (1, 1, 0)
    assert status.suppressed_by_rule == {"duplicate": 2, "escalated": 1}
    assert status.said_by_rule == {"escalated": 1}
    assert status.cache_hits == 1 and status.limits_reached == {"cost_per_day": 1}
    assert msgspec.to_builtins(status)["providers"] == [
        {
            **{"name": "main", "instance": "", "state": "closed", "failures": 0, "calls": 3},
            **{"last_reason": "", "wait_seconds": 0.0, "succeeded": 0, "rejections": 0},
            **{"in_flight": 0, "max_in_flight": 0},
        }
    ]


async def test_status_counts_zeros_while_redis_is_away(operators: Operators) -> None:
    operators.mirror.counted = Totals(acknowledged=10, answered=6, dead=1)
    operators.actors.oldest = 2.5
    status = await operators.status.now()
    assert (status.acknowledged, status.waiting_messages, status.oldest_waiting_seconds) == (10, 3, 2.5)
    operators.mirror.is_away = True
    status = await operators.status.now()
    assert (status.acknowledged, status.waiting_messages, status.oldest_waiting_seconds) == (0, 0, None)


async def test_status_is_available_without_postgres(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(hand_back_seconds: float) -> object:
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailable("postgres_unreachable")

    await operators.takeovers.begin(DEMO, 60)
    monkeypatch.setattr(operators.records, "attention", away)
    assert (await operators.status.now()).taken_over == 0


async def test_readiness_and_its_reasons_are_of_one_moment(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may fall ill while another is asked, for as long as its time-out."""

    async def meanwhile_redis_goes(hand_back_seconds: float) -> object:
        await trio.lowlevel.checkpoint()
        operators.health.report("redis", ("Redis cannot be used now.",))
        raise LedgerUnavailable("postgres_timeout")

    monkeypatch.setattr(operators.records, "attention", meanwhile_redis_goes)
    status = await operators.status.now()
    assert (status.ready, status.reasons) == (False, ["Redis cannot be used now."])
    assert status.stores["redis"] == "Redis cannot be used now."


async def test_a_postgres_that_is_known_to_hang_is_not_asked(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status would wait for its time-outs, and it is needed most at that moment."""
    asked: list[float] = []

    async def hangs(hand_back_seconds: float) -> object:
        asked.append(hand_back_seconds)
        await trio.sleep_forever()

    monkeypatch.setattr(operators.records, "attention", hangs)
    operators.health.report("postgres", ("Postgres cannot be used now.",))
    with trio.fail_after(20):
        assert (await operators.status.now()).stores["postgres"] == "Postgres cannot be used now."
    assert asked == []


async def test_status_names_unknown_instances(operators: Operators) -> None:
    operators.counters.unknown.note("ghost", True, 2, time.monotonic())
    assert [(one.instance, one.messages) for one in (await operators.status.now()).ingress.unknown] == [
        ("ghost", 2)
    ]
