"""What the targets are judged by: turns that ended, as the steps of a turn leave them, and minutes of all daemons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from actors.identity import Conversation
from actors.messages import Answer, Spent
from actors.outcome import Sent
from actors.ports import Reply, Turn
from actors.targets import LoadFigures, Minute, TurnFigures
from daemon.ledger.target_records import TargetRecords
from tests.support.ledgers import DEMO, LedgerWorld, batch, new_token, open_world

HOUR = 3_600.0


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def begun(
    world: LedgerWorld, number: int, conversation: Conversation = DEMO, **changes: object
) -> Turn:
    """A turn whose window ended ten seconds ago."""
    now_ms = await world.db.value("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    frozen = batch("how much", "a room", number=number, conversation=conversation)
    frozen = msgspec.structs.replace(frozen, **{"window_ended_ms": now_ms - 10_000, **changes})
    return await world.ledger.begin(frozen, 1)


async def answered(world: LedgerWorld, turn: Turn, cost_micros: int = 400, tokens: int = 100) -> None:
    answer = Answer("hello", "main", "small", tokens, tokens, cost_micros)
    turn = await world.ledger.answer(turn, 1, Reply(answer, ("hello", "there")))
    for part in (0, 1):
        await world.ledger.claim(turn, 1, part, False, new_token())
        await world.ledger.settle(turn, 1, part, Sent(f"g-{turn.id}-{part}"))
    await world.ledger.finish(turn, 1)


async def figures(world: LedgerWorld, instance: str | None = None, limit: int = 1_000) -> TurnFigures:
    return await TargetRecords(world.db).turns(HOUR, instance, 5.0, limit)


async def test_the_time_runs_from_the_end_of_the_window_to_the_first_part(world: LedgerWorld) -> None:
    turn = await begun(world, 1)
    await answered(world, turn)
    sql = (
        "UPDATE majlis_outbox SET settled_at = settled_at + interval '10 min' WHERE turn_id = $1 AND part = 1"
    )
    await world.rows(sql, turn.id)
    found = await figures(world)
    assert (found.answered, found.timed, found.slow, found.messages, found.cost_micros) == (1, 1, 1, 2, 400)
    assert found.response_p95_seconds is not None and 10 <= found.response_p95_seconds < 60
    assert found.since is not None and abs(datetime.now(UTC) - found.since - timedelta(hours=1)) < timedelta(
        minutes=5
    )


async def test_what_was_held_or_is_unknown_has_no_time(world: LedgerWorld) -> None:
    """It counts as answered all the same. A hold that is noticed later takes the time back."""
    await answered(world, await begun(world, 1, held=True))
    await answered(world, await begun(world, 2, window_ended_ms=None))
    await begun(world, 3)
    await answered(world, await begun(world, 3, held=True))
    found = await figures(world)
    assert (found.answered, found.timed, found.response_p95_seconds) == (3, 0, None)


async def test_errors_are_turns_that_ended_dead(world: LedgerWorld) -> None:
    """Those that were suppressed or still run count nowhere, nor do the playground's."""
    await answered(world, await begun(world, 1))
    await world.ledger.bury(await begun(world, 2), 1, "garbage", "")
    await world.ledger.suppress(await begun(world, 3), 1, "taken_over")
    await begun(world, 4)
    await world.ledger.bury(await begun(world, 1, Conversation("demo", "999" + "0" * 12)), 1, "garbage", "")
    found = await figures(world)
    assert (found.answered, found.dead) == (1, 1)
    demo, other = await figures(world, "demo"), await figures(world, "other")
    assert (demo.answered, demo.dead, other.answered, other.dead) == (1, 1, 0, 0)


async def test_answers_without_a_price_do_not_make_the_others_cheap(world: LedgerWorld) -> None:
    """One from the cache costs nothing; one whose tokens have no price costs something unknown."""
    await answered(world, await begun(world, 1), cost_micros=600)
    await answered(world, await begun(world, 2), cost_micros=0, tokens=0)
    await answered(world, await begun(world, 3), cost_micros=0, tokens=100)
    found = await figures(world)
    assert (found.messages, found.cost_micros, found.unpriced) == (4, 600, 1)


async def test_what_was_given_up_is_no_answer_and_costs_all_the_same(world: LedgerWorld) -> None:
    turn = await begun(world, 1)
    await world.ledger.supersede(turn, 1, Spent(30, 10, 150), True)
    await answered(world, await begun(world, 1))
    found = await figures(world)
    assert (found.answered, found.dead, found.messages, found.cost_micros) == (1, 0, 2, 550)


async def test_only_the_newest_turns_are_read_and_it_is_said(world: LedgerWorld) -> None:
    for number in (1, 2, 3):
        await answered(world, await begun(world, number))
    await world.rows("UPDATE majlis_turns SET created_at = now() - interval '5 minutes' WHERE id = 2")
    found = await figures(world, limit=2)
    assert (found.answered, (await figures(world)).answered) == (2, 3)
    assert found.since is not None and abs(
        datetime.now(UTC) - found.since - timedelta(minutes=5)
    ) < timedelta(minutes=2)


async def test_daemons_carry_a_minute_together(world: LedgerWorld) -> None:
    """I13: stored twice, it counts once; what is older than the period does not count."""
    records = TargetRecords(world.db)
    now = await world.db.value("SELECT date_trunc('minute', now())")
    minutes = [now - timedelta(minutes=ago) for ago in (2, 3, 90)]
    for _ in range(2):
        await records.store_minutes("a", [Minute(at, 120, 600, 0) for at in minutes])
    await records.store_minutes("b", [Minute(minutes[0], 90, 500, 0), Minute(minutes[1], 10, 100, 4)])
    await records.store_minutes("b", [Minute(now - timedelta(days=40), 900, 9_000, 0)])
    expected = LoadFigures(
        minutes=2, conversations=210, messages=1_100, conversations_missed=1, messages_missed=1
    )
    assert await records.load(HOUR, 200, 1_000) == expected
    only = msgspec.structs.replace(expected, conversations_missed=0, messages_missed=0)
    assert await records.load(HOUR, None, None) == only
    await records.store_minutes("a", [Minute(now, 1, 1, 0)])
    assert await world.db.value("SELECT count(*) FROM majlis_minutes") == 6, (
        "what is too old to be asked for goes"
    )
