"""Whether Postgres is fit to be the ledger: prepared at the start, checked from then on."""

from __future__ import annotations

import pytest
import trio_asyncio

from daemon.ledger import Install, MigrationFailed, Records
from daemon.ledger.fitness import LedgerFitness
from daemon.stores.postgres import Postgres
from tests.support.ledgers import PARTITIONS, open_postgres, open_world


def fitness(db: Postgres, partitions: int = PARTITIONS, migrates: bool = False) -> LedgerFitness:
    return LedgerFitness(db, Records(db), partitions, ["demo", "acme"], migrates)


async def test_an_empty_database_waits_for_its_migration_unless_it_is_embedded(
    fresh_durable_postgres_dsn: str,
) -> None:
    async with trio_asyncio.open_loop(), open_postgres(fresh_durable_postgres_dsn) as db:
        problem = await fitness(db).prepare()
        assert isinstance(problem, str) and "run `majlis migrate`" in problem
        assert await fitness(db).problem() == problem
        assert isinstance(await fitness(db, migrates=True).prepare(), Install)
        assert await fitness(db).problem() is None


async def test_the_configured_instances_get_their_rows(fresh_durable_postgres_dsn: str) -> None:
    async with open_world(fresh_durable_postgres_dsn) as world:
        found = await fitness(world.db).prepare()
        assert isinstance(found, Install) and found.partitions == PARTITIONS
        assert await fitness(world.db).prepare() == found
        rows = await world.rows("SELECT instance_name FROM whatsapp_instances ORDER BY 1")
        assert [row["instance_name"] for row in rows] == ["acme", "demo"]


async def test_another_number_of_partitions_is_refused_for_good(fresh_durable_postgres_dsn: str) -> None:
    async with open_world(fresh_durable_postgres_dsn) as world:
        with pytest.raises(MigrationFailed):
            await fitness(world.db, partitions=PARTITIONS * 2).prepare()


async def test_whether_there_are_turns_is_yes_while_nobody_can_say() -> None:
    """An empty Redis is taken for a new one only on proof."""
    async with (
        trio_asyncio.open_loop(),
        open_postgres("postgresql://nobody@127.0.0.1:9/none") as db,
    ):
        checked = fitness(db)
        assert await checked.has_turns()
        problem = await checked.problem()
        assert problem is not None and "check that it runs and can be reached at postgres.dsn" in problem
        assert await checked.prepare() == problem


async def test_a_new_ledger_has_no_turns(fresh_postgres_dsn: str) -> None:
    async with open_world(fresh_postgres_dsn) as world:
        assert not await fitness(world.db).has_turns()
