"""The marks of the sweep in a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio_asyncio

from daemon.ledger.connections import Connections
from daemon.ledger.migrate import migrations
from daemon.sweep.marks import Claimed, Marks
from daemon.sweep.plan import Mark
from tests.support.ledgers import DEMO, LID, PHONE, LedgerWorld, batch, found, open_world


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with trio_asyncio.open_loop(), open_world(migrated_postgres_dsn) as world:
        yield world


async def test_one_daemon_at_a_time_and_over_restarts(world: LedgerWorld) -> None:
    """I5: only the gateway is spared by it; what is heard twice is known by its id."""
    here, there = Marks(world.db, "here"), Marks(world.db, "there")
    await here.note_ours(["demo"])
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
    await marks.note_ours(["demo"])
    await marks.claim("demo", 0)
    await marks.reach("demo", Mark(5, 10))
    await marks.rest("demo", 77)
    assert await marks.claim("demo", 0) == Claimed(Mark(5, 10), True, 77)
    await marks.reach("demo", Mark(80, 80))
    assert await marks.claim("demo", 0) == Claimed(Mark(80, 80), False, None)


async def test_what_majlis_may_not_answer_rests(world: LedgerWorld) -> None:
    marks = Marks(world.db, "here")
    await world.db.fetch(
        "INSERT INTO majlis_sweeps (instance, ours_since) VALUES ('demo', now()), ('gone', now())"
    )
    for name in ("demo", "gone"):
        await marks.claim(name, 0)
        await marks.reach(name, Mark(5, 10))
    assert await marks.ours(["demo", "gone"]) == {"demo"}
    assert await marks.claim("gone", 0) == Claimed(Mark(5, 10), True, None)
    assert await marks.claim("demo", 0) == Claimed(Mark(5, 10), False, None)


async def test_whose_webhook_was_given_back_rests_until_it_is_connected_again(world: LedgerWorld) -> None:
    """Also a sweep that runs: whoever has the webhook answers, late or never. A late repeat changes nothing of it."""
    marks, connections = Marks(world.db, "here"), Connections(world.db)
    await connections.remember("demo", "key", b"sealed", "https://majlis.example/webhook/demo", "uid 0")
    await connections.proven("demo")
    await marks.claim("demo", 0)
    assert await marks.reach("demo", Mark(5, 10)) and await marks.ours(["demo"]) == {"demo"}
    await connections.forget("demo")
    assert not await marks.reach("demo", Mark(5, 20))
    assert await marks.note_ours(["demo"]) == [], "what the gateway repeats from before"
    assert await marks.ours(["demo"]) == set() and await marks.claim("demo", 0) is None
    await connections.remember("demo", "key", b"sealed", "https://majlis.example/webhook/demo", "uid 0")
    assert await marks.claim("demo", 0) is None, "asked for, and not proven"
    await connections.proven("demo")
    assert await marks.claim("demo", 0) == Claimed(Mark(5, 10), True, None), "from now on"


async def test_only_what_comes_through_our_door_is_swept(world: LedgerWorld) -> None:
    """Whoever has the webhook answers; and what was written until it came to us is not looked for."""
    marks = Marks(world.db, "here")
    assert await marks.ours(["demo"]) == set() and await marks.claim("demo", 0) is None
    assert list(await marks.note_ours(["demo", "nobody"])) == ["demo"], (
        "a name that somebody made up is none of ours"
    )
    assert list(await marks.note_ours(["demo"])) == [], "once"
    assert await marks.ours(["demo"]) == {"demo"}
    assert await Marks(world.db, "there").claim("demo", 0) == Claimed(None, False, None), (
        "known everywhere, durably"
    )
    await world.db.fetch(
        "UPDATE majlis_sweeps SET swept_from = 5, swept_until = 10, held_until = '-infinity'"
    )
    head = "INSERT INTO majlis_instance_heads (instance, version, mark, there, removed)"
    is_removed = (
        "VALUES ('demo', 1, '', true, $1) ON CONFLICT (instance) DO UPDATE SET removed = EXCLUDED.removed"
    )
    await world.db.fetch(f"{head} {is_removed}", True)
    assert await marks.ours(["demo"]) == set(), "removed"
    await world.db.fetch(f"{head} {is_removed}", False)
    assert await marks.ours(["demo"]) == set(), "added again, it is ours with its next event"
    assert list(await marks.note_ours(["demo"])) == ["demo"]
    assert await marks.claim("demo", 0) == Claimed(Mark(5, 10), True, None), "from now on"


async def test_after_an_upgrade_what_was_heard_before_is_still_swept(world: LedgerWorld) -> None:
    """And what only ever came from the records waits for its first event."""
    [migration] = [one for one in migrations() if one.name == "048_ours.sql"]

    async def upgraded() -> tuple[object, ...]:
        sets_up = "UPDATE majlis_sweeps SET ours_since = NULL, rests = false"
        await world.db.fetch(sets_up)
        async with world.db.session() as session:
            await session.run(migration.sql)
        [row] = await world.db.fetch("SELECT ours_since IS NOT NULL AS ours, rests FROM majlis_sweeps")
        return row["ours"], row["rests"]

    await world.db.fetch(
        "INSERT INTO majlis_sweeps (instance, swept_from, swept_until) VALUES ('demo', 5, 10)"
    )
    await world.ledger.begin(found(batch("from the records"), "missed"), world.epoch)
    assert await upgraded() == (False, True)
    await world.ledger.begin(batch("by webhook", number=2), world.epoch)
    assert await upgraded() == (True, False)


async def test_known_links(world: LedgerWorld) -> None:
    assert DEMO.instance == "demo"
    await world.db.fetch("SELECT majlis_link('demo', $1, $2)", LID, PHONE)
    marks = Marks(world.db, "here")
    assert await marks.phones("demo", [LID, "1@lid"]) == {LID: PHONE}
    assert await marks.phones("demo", []) == {}
