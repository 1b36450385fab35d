"""The marks of the sweep in a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio_asyncio

from daemon.ledger.connections import Connections
from daemon.sweep.marks import Claimed, Marks
from daemon.sweep.plan import Mark
from tests.support.ledgers import DEMO, LID, PHONE, LedgerWorld, open_world


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with trio_asyncio.open_loop(), open_world(migrated_postgres_dsn) as world:
        yield world


async def test_one_daemon_at_a_time_and_over_restarts(world: LedgerWorld) -> None:
    """I5: only the gateway is spared by it; what is heard twice is known by its id."""
    here, there = Marks(world.db, "here"), Marks(world.db, "there")
    assert await here.claim("demo", 0) == Claimed(None, False, None)
    assert await there.claim("demo", 0) is None
    assert await here.claim("demo", 0) is not None, "its own claim is no obstacle"
    assert await here.reach("demo", Mark(5, 10))
    assert not await there.reach("demo", Mark(5, 99))
    await there.release("demo", True)
    assert await there.claim("demo", 0) is None
    await here.release("demo", True)
    assert await there.claim("demo", 60) is None, "it was swept a moment ago"
    assert await there.claim("demo", 0) == Claimed(Mark(5, 10), False, None)
    await world.db.fetch("UPDATE majlis_sweeps SET held_until = now() - interval '1 second'")
    assert await here.claim("demo", 0) == Claimed(Mark(5, 10), False, None), "a dead daemon's claim ends"


async def test_an_instance_rests_until_its_next_mark(world: LedgerWorld) -> None:
    marks = Marks(world.db, "here")
    await marks.claim("demo", 0)
    await marks.reach("demo", Mark(5, 10))
    await marks.rest("demo", 77)
    assert await marks.claim("demo", 0) == Claimed(Mark(5, 10), True, 77)
    await marks.reach("demo", Mark(80, 80))
    assert await marks.claim("demo", 0) == Claimed(Mark(80, 80), False, None)


async def test_what_majlis_may_not_answer_rests(world: LedgerWorld) -> None:
    marks = Marks(world.db, "here")
    for name in ("demo", "gone"):
        await marks.claim(name, 0)
        await marks.reach(name, Mark(5, 10))
    assert await marks.ours(["demo", "gone"]) == {"demo"}
    assert await marks.claim("gone", 0) == Claimed(Mark(5, 10), True, None)
    assert await marks.claim("demo", 0) == Claimed(Mark(5, 10), False, None)


async def test_whose_webhook_was_given_back_rests_until_it_is_connected_again(world: LedgerWorld) -> None:
    """Also a sweep that runs: whoever has the webhook answers, late or never."""
    marks, connections = Marks(world.db, "here"), Connections(world.db)
    await connections.remember("demo", "key", b"sealed", "https://majlis.example/webhook/demo", "uid 0")
    await marks.claim("demo", 0)
    assert await marks.reach("demo", Mark(5, 10)) and await marks.ours(["demo"]) == {"demo"}
    await connections.forget("demo")
    assert not await marks.reach("demo", Mark(5, 20))
    assert await marks.ours(["demo"]) == set() and await marks.claim("demo", 0) is None
    await connections.remember("demo", "key", b"sealed", "https://majlis.example/webhook/demo", "uid 0")
    assert await marks.claim("demo", 0) == Claimed(Mark(5, 10), True, None), "from now on"


async def test_known_links(world: LedgerWorld) -> None:
    assert DEMO.instance == "demo"
    await world.db.fetch("SELECT majlis_link('demo', $1, $2)", LID, PHONE)
    marks = Marks(world.db, "here")
    assert await marks.phones("demo", [LID, "1@lid"]) == {LID: PHONE}
    assert await marks.phones("demo", []) == {}
