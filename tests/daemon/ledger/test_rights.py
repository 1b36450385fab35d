"""A user without the rights, a table whose rows are hidden, a pooler that changes sessions: named, with what to run."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio_asyncio

from daemon.ledger import Closing, MigrationFailed, migrate
from daemon.ledger.fitness import ledger_problem
from daemon.ledger.migrate import check_schema
from daemon.ledger.pooler import CHANGES_SESSIONS
from daemon.ledger.rights import check_rights
from daemon.stores.postgres import LedgerMisconfigured, Postgres
from tests.support.ledgers import open_postgres, open_world
from tests.support.patience import PATIENCE_SECONDS
from tests.support.pg_proxy import Pooler
from tests.support.platforms import as_role, create_role

ROLE = "limited"


@pytest.fixture
async def owner(migrated_postgres_dsn: str) -> AsyncIterator[Postgres]:
    """The owner of a migrated database, in which `limited` can work and owns nothing."""
    async with open_world(migrated_postgres_dsn) as world:
        await let_limited_work(world.db)
        yield world.db


async def let_limited_work(db: Postgres) -> None:
    await create_role(db, ROLE)
    await migrate(db, closing=Closing((ROLE,)))


def as_limited(dsn: str) -> str:
    return as_role(dsn, ROLE)


async def test_a_user_with_every_right_is_fit_without_owning_anything(
    owner: Postgres, migrated_postgres_dsn: str
) -> None:
    async with open_postgres(as_limited(migrated_postgres_dsn)) as db:
        assert await check_rights(db) is None
        assert await check_schema(db) is None


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        (
            f"REVOKE INSERT, UPDATE ON whatsapp_messages FROM {ROLE}",
            ["lacks INSERT, UPDATE on public.whatsapp_messages"],
        ),
        (f"REVOKE SELECT ON majlis_migrations FROM {ROLE}", ["lacks SELECT on public.majlis_migrations"]),
        (
            f"REVOKE EXECUTE ON FUNCTION majlis_finish_turn FROM {ROLE}",
            ["lacks EXECUTE on the functions of public"],
        ),
        (f"REVOKE USAGE ON SCHEMA public FROM PUBLIC, {ROLE}", ["lacks USAGE on the schema public"]),
        (
            "CREATE SEQUENCE s OWNED BY whatsapp_messages.id",
            ["lacks USAGE on s"],
        ),
    ],
)
async def test_a_missing_right_is_named_and_what_to_run_mends_it(
    owner: Postgres, migrated_postgres_dsn: str, taken: str, words: list[str]
) -> None:
    await owner.fetch(taken)
    async with open_postgres(as_limited(migrated_postgres_dsn)) as db:
        problem = await check_rights(db)
        assert problem is not None and all(word in problem for word in words)
        assert f"`majlis migrate --role {ROLE}`" in problem
        await let_limited_work(owner)
        assert await check_rights(db) is None


async def test_hidden_rows_are_named_and_what_to_run_mends_it(
    owner: Postgres, migrated_postgres_dsn: str
) -> None:
    await owner.fetch("DROP POLICY majlis_keeps ON whatsapp_messages")
    async with open_postgres(as_limited(migrated_postgres_dsn)) as db:
        problem = await check_rights(db)
        assert problem is not None and "rows of public.whatsapp_messages" in problem
        assert f"`majlis migrate --role {ROLE}`" in problem
        with pytest.raises(LedgerMisconfigured, match="whatsapp_messages"):
            await db.fetch("INSERT INTO whatsapp_messages (content) VALUES ('x')")
        await let_limited_work(owner)
        assert await check_rights(db) is None
        await db.fetch("INSERT INTO whatsapp_messages (content) VALUES ('x')")


async def test_a_migration_without_the_right_to_create_says_what_to_run(
    owner: Postgres, migrated_postgres_dsn: str
) -> None:
    async with open_postgres(as_limited(migrated_postgres_dsn)) as db:
        with pytest.raises(MigrationFailed, match=f"GRANT CREATE ON SCHEMA public TO {ROLE}"):
            await migrate(db)
        await owner.fetch(f"GRANT CREATE ON SCHEMA public TO {ROLE}")
        await owner.fetch("DELETE FROM majlis_migrations WHERE version = 1")
        await owner.fetch("ALTER TABLE whatsapp_messages DROP COLUMN sender_type CASCADE")
        with pytest.raises(MigrationFailed, match=r"001_user_tables.*owner of the tables"):
            await migrate(db)


@pytest.mark.parametrize("mode", ["transaction", "statement", "session"])
async def test_only_a_pooler_in_session_mode_is_accepted(fresh_postgres_dsn: str, mode: str) -> None:
    problem = await problem_behind(Pooler(fresh_postgres_dsn, mode))
    if mode == "session":
        assert problem is not None and "fsync=off" in problem  # what the tests' own server lacks
    else:
        assert problem == CHANGES_SESSIONS


async def test_a_pooler_that_refuses_our_settings_is_named(fresh_postgres_dsn: str) -> None:
    problem = await problem_behind(Pooler(fresh_postgres_dsn, "session", frozenset({"statement_timeout"})))
    assert problem is not None
    assert "A pooler before Postgres refuses" in problem and "statement_timeout (SQLSTATE 08P01)" in problem


async def problem_behind(pooler: Pooler) -> str | None:
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
            await nursery.start(pooler.serve)
            async with open_postgres(pooler.dsn) as db:
                problem = await ledger_problem(db)
            nursery.cancel_scope.cancel()
    return problem
