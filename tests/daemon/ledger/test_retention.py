"""What is too old is deleted, whole and alone; what is not finished, or is a dead letter, stays (I2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
import trio

from actors.identity import Conversation
from actors.messages import Answer, Spent
from actors.outcome import NotSent, Sent, Unknown
from actors.ports import Reply, Turn
from daemon.ledger import portions, retention
from daemon.ledger.retention import Retention
from tests.support.ledgers import LedgerWorld, batch, new_token, open_world
from tests.support.memory import MemoryFeed

EVERYTHING = dict.fromkeys(
    ("turns", "audit", "quarantine", "whatsapp_messages", "whatsapp_ai_interactions"), 30
)


@pytest.fixture
async def world(migrated_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LedgerWorld]:
    monkeypatch.setattr(retention, "PORTION", 2)
    monkeypatch.setattr(retention, "BLOCKS", 1)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(portions, "PAUSE_SECONDS", 0)
    async with open_world(migrated_postgres_dsn) as world:
        yield world


class Keeper:
    def __init__(
        self, world: LedgerWorld, kept_days: Mapping[str, int | None], owned: tuple[int, ...] = (0,)
    ) -> None:
        self.feed = MemoryFeed()
        self.payloads = list[int]()
        self.retention = Retention(world.db, kept_days, lambda: owned, self._forget, self.feed)

    async def _forget(self, days: int) -> int:
        await trio.lowlevel.checkpoint()
        self.payloads.append(days)
        return 0

    async def look(self) -> dict[str, int]:
        return await self.retention.look()


def conversation(number: int) -> Conversation:
    return Conversation("demo", f"55119000000{number:02}")


async def begun(world: LedgerWorld, number: int) -> Turn:
    frozen = batch("how much", conversation=conversation(number), id_prefix=f"c{number}-")
    return await world.ledger.begin(frozen, 1)


async def answered(world: LedgerWorld, number: int, outcome: Sent | NotSent | Unknown) -> Turn:
    turn = await world.ledger.answer(
        await begun(world, number), 1, Reply(Answer("ten", "main", "small"), ("ten",))
    )
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, outcome)
    return turn


async def done(world: LedgerWorld, number: int) -> Turn:
    turn = await answered(world, number, Sent(f"g{number}"))
    await world.ledger.finish(turn, 1)
    return turn


async def make_old(world: LedgerWorld, *turns: Turn) -> None:
    await world.rows(
        "UPDATE majlis_turns SET created_at = created_at - interval '31 days', "
        "finished_at = finished_at - interval '31 days' WHERE id = ANY ($1::bigint[])",
        [turn.id for turn in turns],
    )


async def kept(world: LedgerWorld) -> list[int]:
    return [row["id"] for row in await world.rows("SELECT id FROM majlis_turns ORDER BY id")]


async def test_old_turns_go_whole_and_what_is_unfinished_or_dead_stays(world: LedgerWorld) -> None:
    unfinished = await begun(world, 1)
    gone = [await done(world, number) for number in (2, 3)]
    unknown = await answered(world, 4, Unknown("timed_out"))
    dead = await begun(world, 5)
    await world.ledger.bury(dead, 1, "attempts_exhausted", "")
    dropped = await begun(world, 6)
    await world.ledger.bury(dropped, 1, "attempts_exhausted", "")
    await world.rows("UPDATE majlis_dead_letters SET dropped_at = now() WHERE turn_id = $1", dropped.id)
    suppressed = await begun(world, 7)
    await world.ledger.suppress(suppressed, 1, "duplicate")
    superseded = await begun(world, 10)
    await world.ledger.supersede(superseded, 1, Spent(), False)
    gone += [superseded, await done(world, 10)]
    late = await done(world, 8)  # begun long ago, and answered today
    await world.rows("INSERT INTO majlis_heard_again SELECT message_id, turn_id FROM majlis_heard")
    await make_old(world, unfinished, *gone, unknown, dead, dropped, suppressed, late)
    await world.rows("UPDATE majlis_turns SET finished_at = now() WHERE id = $1", late.id)
    new = await done(world, 9)

    keeper = Keeper(world, EVERYTHING)
    assert await keeper.look() == {"turns": 5}
    stay = [unfinished, unknown, dead, dropped, late, new]
    assert await kept(world) == [turn.id for turn in stay]
    assert keeper.feed.events == [("retention.done", None, {"turns": 5})]
    for table in ("majlis_outbox", "majlis_heard", "majlis_heard_again", "majlis_dead_letters"):
        left = {row["turn_id"] for row in await world.rows(f"SELECT turn_id FROM {table}")}
        assert left <= {turn.id for turn in stay}, table
    heard = {row["turn_id"] for row in await world.rows("SELECT turn_id FROM majlis_heard")}
    assert heard == {turn.id for turn in stay}  # a message of theirs that comes again is known
    assert await keeper.look() == {}


async def test_nothing_goes_that_is_not_named_and_only_one_daemon_deletes(world: LedgerWorld) -> None:
    await make_old(world, await done(world, 1))
    await world.rows("UPDATE whatsapp_messages SET created_at = created_at - interval '1 year'")
    await world.rows("UPDATE whatsapp_ai_interactions SET created_at = created_at - interval '1 year'")
    assert await Keeper(world, dict.fromkeys(EVERYTHING, None)).look() == {}
    elsewhere = Keeper(world, EVERYTHING, owned=(1, 2))
    assert await elsewhere.look() == {}
    assert elsewhere.payloads == [30]  # of its own disk
    before = await world.db.value("SELECT count(*) FROM whatsapp_messages")
    assert await Keeper(world, {"turns": 30}).look() == {"turns": 1}
    assert await world.db.value("SELECT count(*) FROM whatsapp_messages") == before > 0


async def test_shared_rows_go_by_their_age_wherever_they_lie(world: LedgerWorld) -> None:
    await done(world, 1)
    await world.rows(
        "INSERT INTO whatsapp_messages (conversation_id, sender_type, content, created_at) "
        "SELECT c.id, 'user', repeat('x', 900), now() - (g % 60) * interval '1 day' "
        "FROM generate_series(1, 1200) g CROSS JOIN (SELECT id FROM whatsapp_conversations LIMIT 1) c"
    )
    assert (await Keeper(world, EVERYTHING).look())["whatsapp_messages"] == 600
    assert await world.db.value("SELECT min(created_at) > now() - interval '30 days' FROM whatsapp_messages")
    # Each statement reads its blocks, not the table.
    sql = retention._SQL["old_shared"].replace("{table}", "whatsapp_messages")
    for name, value in (("$1::bigint", "0"), ("$2::bigint", "1"), ("$3", "30")):
        sql = sql.replace(name, value)
    plan = "\n".join(str(row["QUERY PLAN"]) for row in await world.rows(f"EXPLAIN {sql}"))
    assert "Tid Range Scan" in plan and "Seq Scan" not in plan


async def test_what_cannot_be_deleted_keeps_nothing_else(world: LedgerWorld) -> None:
    await make_old(world, await done(world, 1))
    await world.rows("UPDATE whatsapp_messages SET created_at = created_at - interval '1 year'")
    await world.rows("CREATE TABLE theirs (id bigint REFERENCES whatsapp_messages (id))")
    await world.rows("INSERT INTO theirs SELECT id FROM whatsapp_messages")
    await world.rows("ALTER TABLE whatsapp_ai_interactions RENAME TO kept_elsewhere")
    await world.rows("CREATE VIEW whatsapp_ai_interactions AS SELECT * FROM kept_elsewhere")
    await world.rows(
        "INSERT INTO majlis_audit (at, uid, pid, action) SELECT now() - g * interval '20 days', 0, 1, 'x' "
        "FROM generate_series(1, 6) g"
    )
    keeper = Keeper(world, EVERYTHING)
    assert await keeper.look() == {"turns": 1, "audit": 5}
    failed = [fields["kind"] for name, _, fields in keeper.feed.events if name == "retention.failed"]
    assert failed == ["whatsapp_messages", "whatsapp_ai_interactions"]


async def test_a_row_that_somebody_works_with_is_not_waited_for(world: LedgerWorld) -> None:
    held, free = await done(world, 1), await done(world, 2)
    await make_old(world, held, free)
    async with world.db.session() as other:
        await other.run(f"BEGIN; SELECT FROM majlis_turns WHERE id = {held.id} FOR UPDATE")
        assert await Keeper(world, EVERYTHING).look() == {"turns": 1}
        await other.run("COMMIT")
    assert await Keeper(world, EVERYTHING).look() == {"turns": 1}


async def test_what_the_tables_take_and_how_much_they_grow(world: LedgerWorld) -> None:
    keeper = Keeper(world, {})
    assert keeper.retention.sizes() == ()
    await keeper.look()
    first = {table.name: table for table in keeper.retention.sizes()}
    assert {"majlis_turns", "majlis_outbox", "whatsapp_messages"} <= first.keys()
    assert first["majlis_turns"].bytes > 0 and first["majlis_turns"].bytes_a_day is None
    await world.rows(
        "UPDATE majlis_sizes SET day = day - 4, at = at - interval '4 days', bytes = bytes - 40000"
    )
    await keeper.look()
    grown = next(table for table in keeper.retention.sizes() if table.name == "majlis_turns").bytes_a_day
    assert grown is not None and 9_990 <= grown <= 10_010
    assert list(keeper.retention.sizes()) == sorted(
        keeper.retention.sizes(), key=lambda table: (-table.bytes, table.name)
    )
