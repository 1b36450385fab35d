"""Several daemons on one database, each with all that follows what is set for instances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import trio

from daemon.config import Settings, load
from daemon.controls.feature_flags import StoredFlags
from daemon.controls.live_settings import LiveSettings
from daemon.controls.run_time import RunTime
from daemon.controls.stored_settings import StoredSettings
from daemon.ingress.known_instances import KnownInstances
from daemon.observe.feed import EventFeed
from daemon.stores.postgres import Postgres
from daemon.tenants import Changes, Tenants
from daemon.tenants.rows import TenantRows
from tests.support.ledgers import LedgerWorld, open_world

CONFIGURED = load(None, ["instances.demo={}", "instances.acme.batching.window_seconds=3"], {})
BY = "uid 7"


class Node:
    """One daemon of several."""

    def __init__(self, world: LedgerWorld, name: str, configured: Settings = CONFIGURED) -> None:
        self.feed = EventFeed(strict=True)
        self.live = LiveSettings(configured)
        self.run_time = RunTime(world.records, name)
        self.stored = StoredSettings(world.records, self.run_time, self.live, self.feed)
        self.flags = StoredFlags(world.records, self.run_time, self.live, self.feed)
        self.known = KnownInstances(configured.instances)
        self.rows = TenantRows(world.db)
        self.forgotten: set[str] = set()
        self.changes = Changes(self.rows, None, self.run_time, self.known, self.forgotten.update, self.feed)
        self.tenants = Tenants(self.rows, self.changes, self.live, self.flags, self.known)
        self.told: list[tuple[frozenset[str], frozenset[str]]] = []
        self.changes.follow(self._note)

    async def values(self, name: str) -> dict[str, tuple[str, str]]:
        """Value and origin by key."""
        return {one.key: (one.value, one.origin) for one in (await self.tenants.view(name)).values}

    async def _note(self, changed: frozenset[str], added: frozenset[str]) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append((changed, added))


class Nodes(NamedTuple):
    here: Node
    there: Node
    world: LedgerWorld

    @property
    def db(self) -> Postgres:
        return self.world.db


@pytest.fixture
async def nodes(migrated_postgres_dsn: str) -> AsyncIterator[Nodes]:
    async with open_world(migrated_postgres_dsn) as world:
        await world.records.register_instances(["acme"])
        yield Nodes(Node(world, "node-a"), Node(world, "node-b"), world)
