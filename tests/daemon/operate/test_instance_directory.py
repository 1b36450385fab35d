"""Which instances exist: the configured ones always, and those of the database while it can be asked."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio

from actors.errors import LedgerUnavailable
from daemon.ledger.records import Records
from daemon.operate.instance_directory import InstanceDirectory
from daemon.tenants.rows import TenantRows
from tests.support.ledgers import open_world


class NoLedger:
    async def stored_instances(self, known: object, limit: int) -> object:
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailable("away")

    async def knows_instance(self, instance: str) -> bool:
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailable("away")


def directory(records: Records | None) -> InstanceDirectory:
    return InstanceDirectory(lambda: ("shop", "acme"), lambda: records)


async def test_before_the_stores_run_only_the_configured_instances_are_listed() -> None:
    early = directory(None)
    assert await early.names() == ["acme", "shop"]
    assert await early.knows("shop") and not await early.knows("demo")


async def test_instances_of_the_database_are_added(fresh_postgres_dsn: str) -> None:
    async with open_world(fresh_postgres_dsn) as world:
        whole = directory(world.records)
        assert await whole.names() == ["acme", "demo", "shop"]
        await world.db.fetch(
            "INSERT INTO whatsapp_instances (instance_name, is_active) VALUES ('closed', false)"
        )
        rows = TenantRows(world.db)
        assert await rows.names(10) == ("closed", "demo")
        assert await rows.names(1) == ("closed",)
        assert await whole.knows("demo") and not await whole.knows("nobody")


async def test_without_the_database_the_configured_instances_are_still_listed() -> None:
    away = directory(cast(Any, NoLedger()))
    assert await away.names() == ["acme", "shop"]
    assert await away.knows("acme")
    with pytest.raises(LedgerUnavailable):
        await away.knows("demo")
