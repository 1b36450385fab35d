"""A platform like Supabase opens whatever is created to the world: `majlis migrate` closes what is ours."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from unittest import mock

import pytest
import trio
import trio_asyncio

from actors.identity import Conversation
from actors.messages import Answer
from actors.outcome import Sent
from daemon.ledger import Closing, PostgresLedger, install, migrate
from daemon.ledger.closing import Closed, CloseRefused
from daemon.ledger.doors import doors, what_is_open
from daemon.ledger.migrate import migrations
from daemon.ledger.rights import check_rights
from daemon.ledger.trial import try_a_turn
from daemon.stores.postgres import LedgerMisconfigured, Postgres
from tests.support.ledgers import PARTITIONS, batch, open_postgres, reply_of
from tests.support.platforms import OWNER, SERVICE, WORLD, as_role, create_role, make_platform
from tests.support.stores import new_postgres_database

WORKER, READER = "worker", "reader"

OPEN = """
    SELECT r.rolname, o.name, o.word FROM pg_roles r CROSS JOIN (
        SELECT c.relname::text, w.word, has_table_privilege(r2.oid, c.oid, w.word), r2.oid
        FROM pg_class c, pg_roles r2,
             unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) w (word)
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        UNION ALL
        SELECT c.relname, w.word, has_sequence_privilege(r2.oid, c.oid, w.word), r2.oid
        FROM pg_class c, pg_roles r2, unnest('{SELECT,USAGE,UPDATE}'::text[]) w (word)
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
        UNION ALL
        SELECT p.proname, 'EXECUTE', has_function_privilege(r2.oid, p.oid, 'EXECUTE'), r2.oid
        FROM pg_proc p, pg_roles r2 WHERE p.pronamespace = 'public'::regnamespace
    ) AS o (name, word, may, role)
    WHERE o.role = r.oid AND o.may AND r.rolname = ANY ($1::text[])
      AND (o.name LIKE 'majlis\\_%' OR o.name LIKE 'whatsapp\\_%')
"""
"""What these roles may do with anything of ours in the schema, whatever a later migration adds."""

BARE = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity
"""
LOOSE = """
    SELECT proname FROM pg_proc WHERE proname LIKE 'majlis\\_%'
       AND (prosecdef OR (provolatile = 'v' OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'sql'))
                         AND NOT 'search_path=public, pg_temp' = ANY (coalesce(proconfig, '{}')))
"""


@pytest.fixture(scope="module")
def open_template(postgres_dsn: str) -> Iterator[str]:
    """A database as an older version left it on a platform: migrated by its owner, and open to the world."""
    with new_postgres_database(postgres_dsn) as dsn:

        async def main() -> None:
            async with trio_asyncio.open_loop(), open_postgres(dsn) as db:
                await make_platform(db)
                async with open_postgres(as_role(dsn, OWNER)) as owner:
                    nothing = mock.AsyncMock(return_value=Closed())
                    with mock.patch.object(import_module("daemon.ledger.migrate"), "close_doors", nothing):
                        await migrate(owner)
                    await install(owner, PARTITIONS)
                    await owner.fetch("INSERT INTO whatsapp_instances (instance_name) VALUES ('demo')")
                    await owner.fetch("DELETE FROM majlis_own_tables")
                    await owner.fetch("DELETE FROM majlis_migrations WHERE name = '025_doors.sql'")

        trio.run(main)
        yield dsn.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def open_dsn(postgres_dsn: str, open_template: str) -> Iterator[str]:
    with new_postgres_database(postgres_dsn, open_template) as dsn:
        yield dsn


@pytest.fixture
async def god(open_dsn: str) -> AsyncIterator[Postgres]:
    """A superuser, who may look at everything."""
    async with trio_asyncio.open_loop(), open_postgres(open_dsn) as db:
        yield db


@pytest.fixture
async def owner(god: Postgres, open_dsn: str) -> AsyncIterator[Postgres]:
    async with open_postgres(as_role(open_dsn, OWNER)) as db:
        yield db


async def as_(db: Postgres, role: str, sql: str) -> list[object]:
    async with db.session() as session:
        await session.run(f"SET ROLE {role}")
        return [next(iter(row.values()), None) for row in await session.fetch(sql)]


async def whole_turn(db: Postgres) -> None:
    """From begin to finish, as the user of this pool, in a conversation of its own."""
    ledger, phone = PostgresLedger(db, PARTITIONS), f"5511{secrets.randbelow(10**9):09d}"
    turn = await ledger.begin(batch("hello", conversation=Conversation("demo", phone)), 0)
    await ledger.answer(turn, 0, reply_of(Answer("hi", "rehearsal"), "hi"))
    await ledger.claim(turn, 0, 0, False, phone)
    await ledger.settle(turn, 0, 0, Sent(phone))
    await ledger.finish(turn, 0)


async def test_what_an_older_version_left_open_is_closed_by_the_next_migration(
    god: Postgres, owner: Postgres
) -> None:
    insert = "INSERT INTO whatsapp_instances (instance_name) VALUES ('theirs') RETURNING instance_name"
    assert await as_(god, "anon", insert) == ["theirs"]
    done = await migrate(owner)
    assert done.applied == ["025_doors.sql"] and not done.closed.still_open
    assert {"table public.majlis_turns", "table public.whatsapp_messages"} <= {*done.closed.closed}
    assert await god.fetch(OPEN, [*WORLD, "tenant"]) == []
    assert await god.fetch(BARE) == []
    assert await god.fetch(LOOSE) == []
    assert done.closed.shut_out == (
        "anon",
        "authenticated",
        "tenant",
    )  # said, for somebody's software may be cut off
    assert any("anon, authenticated, tenant" in line for line in done.lines())
    for role in WORLD:
        with pytest.raises(LedgerMisconfigured, match="whatsapp_instances"):
            await as_(god, role, insert)
        with pytest.raises(LedgerMisconfigured, match="postgres_misconfigured"):
            await as_(god, role, "SELECT majlis_spellings('1')")
    assert await as_(god, SERVICE, insert) == ["theirs"]
    assert await as_(god, SERVICE, "SELECT majlis_instance_rule('theirs') IS NOT NULL") == [True]
    await whole_turn(owner)
    assert (await migrate(owner)).lines() == []


async def test_a_table_that_the_business_takes_over_is_left_to_its_own_policies(
    god: Postgres, owner: Postgres
) -> None:
    """The way back for software that reads a table of ours through the platform's API."""
    await migrate(owner)
    # What another role has granted the owner cannot revoke: it is not called closed.
    await owner.fetch(f"GRANT SELECT ON whatsapp_ai_config TO {SERVICE} WITH GRANT OPTION")
    await as_(god, SERVICE, "GRANT SELECT ON whatsapp_ai_config TO anon")
    closed = (await migrate(owner)).closed
    assert (closed.closed, closed.shut_out) == ((), ())
    assert "anon may use the table whatsapp_ai_config" in closed.still_open[0].text
    await as_(god, SERVICE, "REVOKE SELECT ON whatsapp_ai_config FROM anon")
    await owner.fetch("UPDATE majlis_own_tables SET ours = false WHERE name = 'whatsapp_instances'")
    await owner.fetch("GRANT SELECT ON whatsapp_instances TO authenticated")
    await owner.fetch(
        "CREATE POLICY theirs ON whatsapp_instances TO authenticated USING (instance_name = 'demo')"
    )
    assert (await migrate(owner)).lines() == []
    assert await as_(god, "authenticated", "SELECT instance_name FROM whatsapp_instances") == ["demo"]
    await owner.fetch("ALTER TABLE whatsapp_instances DISABLE ROW LEVEL SECURITY")
    assert "whatsapp_instances" in what_is_open(await doors(god))[0].text


async def test_what_a_later_migration_makes_is_closed_as_well(god: Postgres, owner: Postgres) -> None:
    await migrate(owner)
    async with owner.session() as session:
        await session.run(
            "CREATE TABLE majlis_later (id serial PRIMARY KEY); CREATE VIEW majlis_seen AS SELECT 1 AS one;"
            "CREATE FUNCTION majlis_new() RETURNS void LANGUAGE plpgsql AS 'BEGIN END'"
        )
    assert len(await god.fetch(OPEN, ["anon"])) > 3
    assert "majlis_later" in what_is_open(await doors(god))[0].text
    closed = (await migrate(owner)).closed.closed
    assert len(closed) == 4
    assert await god.fetch(OPEN, [*WORLD, "tenant"]) + await god.fetch(BARE) + await god.fetch(LOOSE) == []


async def test_a_table_that_differs_from_ours_counts_as_there_before(owner: Postgres) -> None:
    """A guess in favour of ours would cut somebody's software off; what is as we made it is ours."""
    changes = {
        "whatsapp_messages": "ADD COLUMN shop text",
        "whatsapp_conversations": "ADD UNIQUE (user_phone)",
        "whatsapp_instances": "ALTER COLUMN instance_name TYPE varchar(900)",
        "whatsapp_ai_interactions": "DROP COLUMN created_at",
        "whatsapp_ai_config": "ENABLE ROW LEVEL SECURITY",
    }
    for table, change in changes.items():
        await owner.fetch(f"ALTER TABLE {table} {change}")
    async with owner.session() as session:
        await session.run(next(one.sql for one in migrations() if one.name == "025_doors.sql"))
    rows = await owner.fetch("SELECT name, ours FROM majlis_own_tables")
    assert {row["name"] for row in rows if not row["ours"]} == {*changes}
    assert {row["name"] for row in rows if row["ours"]} == {
        "whatsapp_webhook_config",
        "whatsapp_escalated_conversations",
    }


async def test_a_table_that_was_there_before_is_named_and_closed_only_on_demand(
    fresh_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = migrations()[:2]
    monkeypatch.setattr(import_module("daemon.ledger.migrate"), "migrations", lambda: few)
    async with (
        trio_asyncio.open_loop(),
        open_postgres(fresh_postgres_dsn) as god,
        open_postgres(as_role(fresh_postgres_dsn, OWNER)) as owner,
    ):
        await make_platform(god)
        await create_role(god, READER)
        async with owner.session() as session:
            await session.run(
                "CREATE TABLE whatsapp_messages (id bigserial PRIMARY KEY, content text);"
                "INSERT INTO whatsapp_messages (content) VALUES ('old');"
                "CREATE TABLE last_year () INHERITS (whatsapp_messages);"
                f"GRANT SELECT ON whatsapp_messages TO {READER}"
            )
        look = "SELECT content FROM whatsapp_messages"
        [left] = (await migrate(owner)).closed.still_open
        # What inherits from it, or is a partition of it, shows the same rows to whoever asks it directly.
        assert "the tables last_year, whatsapp_messages, which Majlis did not make" in left.text
        assert "anon, authenticated" in left.text and "majlis migrate --close-tables" in left.advice
        assert await as_(god, "anon", look) == ["old"]
        closed = (await migrate(owner, closing=Closing(close_tables=True))).closed
        assert closed.closed == (
            "sequence public.whatsapp_messages_id_seq",
            "table public.last_year",
            "table public.whatsapp_messages",
        )
        assert closed.keep == (READER,) and closed.still_open == ()
        with pytest.raises(LedgerMisconfigured, match="whatsapp_messages"):
            await as_(god, "anon", look)
        with pytest.raises(LedgerMisconfigured, match="postgres_misconfigured"):
            await as_(god, "anon", "SELECT content FROM last_year")
        assert await as_(god, READER, look) == ["old"]
        assert (await migrate(owner)).lines() == []
        await owner.fetch("GRANT SELECT ON whatsapp_messages TO anon")
        await owner.fetch("CREATE POLICY theirs ON whatsapp_messages TO anon USING (content = 'old')")
        await migrate(owner, closing=Closing(close_tables=True))
        assert await as_(god, "anon", look) == ["old"]  # the business' own rules stay


async def test_a_daemon_that_is_not_the_owner_works_on_while_its_tables_are_closed(
    god: Postgres, owner: Postgres, open_dsn: str
) -> None:
    """It had rights on the tables, and the functions as everybody had them; a reader of the business too."""
    await create_role(god, WORKER)
    await create_role(god, READER)
    await owner.fetch(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {WORKER}")
    await owner.fetch(f"GRANT SELECT ON whatsapp_messages TO {READER}")
    async with open_postgres(as_role(open_dsn, WORKER)) as worker, trio.open_nursery() as nursery:
        await whole_turn(worker)

        async def close() -> None:
            assert {WORKER, READER} <= {*(await migrate(owner)).closed.keep}
            nursery.cancel_scope.cancel()

        nursery.start_soon(close)
        while not nursery.cancel_scope.cancel_called:
            await whole_turn(worker)
    async with open_postgres(as_role(open_dsn, WORKER)) as worker:
        await whole_turn(worker)
        assert await check_rights(worker) is None and await try_a_turn(worker) is None
    rows = "SELECT count(*) FROM whatsapp_messages"
    assert await as_(god, READER, rows) == [await god.value(rows)] != [0]
    await owner.fetch("CREATE TABLE majlis_later (id serial PRIMARY KEY)")
    await migrate(owner)
    assert await as_(god, WORKER, "INSERT INTO majlis_later DEFAULT VALUES RETURNING id") == [1]


async def test_a_role_that_is_asked_for_can_work_where_it_could_do_nothing(
    god: Postgres, owner: Postgres, open_dsn: str
) -> None:
    await create_role(god, "newcomer")
    async with open_postgres(as_role(open_dsn, "newcomer")) as newcomer:
        await migrate(owner)
        problem = await check_rights(newcomer)
        assert problem is not None and "lacks" in problem and "majlis migrate --role newcomer" in problem
        await migrate(owner, closing=Closing(("newcomer",)))
        assert await check_rights(newcomer) is None and await try_a_turn(newcomer) is None
        await whole_turn(newcomer)
    for role, words in (("anon", "anybody act as anon"), ("nobody", "no role nobody")):
        with pytest.raises(CloseRefused, match=words):
            await migrate(owner, closing=Closing((role,)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "CREATE POLICY p ON whatsapp_messages TO worker USING (false) WITH CHECK (true)",
            "hides from worker",
        ),
        (
            "CREATE POLICY p ON whatsapp_messages TO worker USING (sender_type = 'user')",
            "refuses a turn of worker",
        ),
        ("GRANT INSERT (content) ON whatsapp_messages TO worker", "refuses a turn of worker"),
    ],
)
async def test_a_policy_or_a_column_that_stops_a_turn_is_found_by_trying(
    god: Postgres, owner: Postgres, open_dsn: str, change: str, words: str
) -> None:
    """I15: what the catalogue cannot tell. Nothing of the trial is left."""
    await create_role(god, WORKER)
    await migrate(owner, closing=Closing((WORKER,)))
    if "POLICY" in change:
        await owner.fetch("DROP POLICY majlis_keeps ON whatsapp_messages")
    else:
        await owner.fetch(f"REVOKE INSERT ON whatsapp_messages FROM {WORKER}")
    await owner.fetch(change)
    async with open_postgres(as_role(open_dsn, WORKER)) as worker:
        assert await check_rights(worker) is None
        problem = await try_a_turn(worker)
    assert problem is not None and words in problem and "whatsapp_messages" in problem
    assert "majlis migrate --role worker" in problem
    for table in ("majlis_turns", "whatsapp_conversations", "whatsapp_messages", "majlis_usage"):
        assert await god.value(f"SELECT count(*) FROM {table}") == 0
