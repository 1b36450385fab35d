"""What the page shows beside what operators saw before: the latest turns, when parts left, acknowledgements."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors import notices
from actors.identity import Conversation
from actors.instance import Terms
from actors.messages import Answer
from actors.outcome import Sent
from daemon.ledger.stored_turns import StoredTurns
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.operate import shown
from tests.support.ledgers import DEMO, LedgerWorld, batch, open_world, reply_of


@pytest.fixture
async def world(fresh_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(fresh_postgres_dsn) as opened:
        yield opened


async def test_the_latest_turns_are_listed_with_their_outcomes(world: LedgerWorld) -> None:
    """The newest first; of one instance, or of all."""
    turn = await world.ledger.begin(batch("one", "two", id_prefix="M"), 1)
    turn = await world.ledger.answer(turn, 1, reply_of(Answer("hello", "main"), "hello"))
    await world.ledger.claim(turn, 1, 0, False)
    (claimed,) = (await world.records.turns(DEMO))[0].parts
    assert claimed.claimed_at is not None and claimed.settled_at is None
    await world.ledger.settle(turn, 1, 0, Sent("3EB0"))
    await world.ledger.finish(turn, 1)
    later = await world.ledger.begin(batch("three", number=2, id_prefix="N"), 1)
    stored_turns = StoredTurns(world.db)
    newest, first = [shown.turn_head(head, "3fa9c01b22") for head in await stored_turns.latest("demo", 10)]
    assert (newest.id, newest.state, newest.ended_at, newest.took_ms) == (later.id, "started", "", None)
    assert (first.id, first.state, first.messages, first.provider) == (turn.id, "done", 2, "main")
    assert first.took_ms is not None and first.took_ms > 0 and first.ended_at > first.started_at
    assert (first.instance, first.contact) == DEMO
    assert [head.id for head in await stored_turns.latest(None, 1)] == [later.id]
    assert await stored_turns.latest("shop", 10) == ()
    record = await world.records.turn(turn.id)
    assert record is not None
    (part,) = shown.turn_view(record).parts
    assert record.parts[0].claimed_at == claimed.claimed_at
    assert part.settled_at >= part.claimed_at >= first.started_at


async def test_only_acknowledged_webhooks_count_for_ack_latency() -> None:
    latencies = Latencies(EventFeed(strict=True))
    for status, seconds in ((200, 0.002), (503, 5.0), (400, 0.1), (200, 0.004)):
        latencies.webhook(status, seconds)
    (told,) = latencies.views()
    assert (told.what, told.count, told.max_ms) == ("acknowledgement", 2, 4.0)


def test_a_playground_customer_causes_no_notices() -> None:
    terms = Terms(notify_numbers=("966500000001",), notify_webhook="https://desk.example/hook")
    burst = batch("a person please")
    assert len(notices.escalated(burst, "asks_for_human", terms)) == 2
    made_up = batch("a person please", conversation=Conversation("demo", "999012345678901"))
    assert notices.escalated(made_up, "asks_for_human", terms) == ()
