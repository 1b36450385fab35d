"""Stored secrets over a real Postgres: sealed, in force, held where they stay shut, sealed anew."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.errors import Conflict, Paused
from daemon.config import load
from daemon.controls.live_settings import LiveSettings
from daemon.controls.pauses import PauseBoard
from daemon.controls.run_time import RunTime
from daemon.controls.stored_settings import StoredSettings
from daemon.ledger.secret_rows import SecretRows
from daemon.ledger.wire import encoded
from daemon.observe.feed import EventFeed
from daemon.tenants.key_file import KeyFile
from daemon.tenants.secret_keys import SecretKeys
from daemon.tenants.secrets import Secrets
from tests.support.ledgers import LedgerWorld, open_world

PROVIDERS = """[
    {name: main, kind: openai, base_url: "http://127.0.0.1:1/v1", model: m, api_key: of-all},
    {name: other, kind: openai, base_url: "http://127.0.0.1:2/v1", model: m, api_key: of-all-too}]"""
CONFIGURED = load(
    None,
    [
        "gateway.kind=evolution",
        "gateway.base_url=http://127.0.0.1:1",
        "gateway.api_key=shared",
        f"responder.providers={PROVIDERS}",
        "instances.acme={}",
        "instances.shop={}",
    ],
    {},
)
OLD, NEW, WRONG = os.urandom(32), os.urandom(32), os.urandom(32)
API_KEY, TOKEN = "gateway.api_key", "ingress.token"
KEEP = "SELECT majlis_keep_secrets($1, $2::jsonb, $3::jsonb)"
PLAIN = "canary-secret-7391"


class Node:
    """One daemon of several on a database."""

    def __init__(self, world: LedgerWorld, keys: SecretKeys) -> None:
        self._db = world.db
        self.feed = EventFeed(strict=True)
        self.shut: list[tuple[object, object]] = []
        self.feed.observe("secret.shut", lambda _, of: self.shut.append((of["instance"], of["key"])))
        self.woken = 0
        self.live = LiveSettings(CONFIGURED)
        self.pauses = PauseBoard(world.records, self.feed, self._wake)
        self.secret_rows = SecretRows(world.db)
        self.secrets = Secrets(self.secret_rows, keys, self.pauses.hold, self.feed)
        self.run_time = RunTime(world.records, "node")
        self.run_time.follow(self.secrets.take)
        self.stored = StoredSettings(world.records, self.run_time, self.live, self.feed, self.secrets.opened)

    def _wake(self) -> None:
        self.woken += 1

    async def store(self, instance: str, key: str, value: object) -> None:
        """As a change of an instance does."""
        sealed = self.secrets.put(instance, key, value)
        await self._db.fetch(KEEP, instance, encoded({key: sealed}), "[]")

    async def put(self, instance: str, key: str, value: object) -> None:
        await self.store(instance, key, value)
        await self.refresh(instance)

    async def refresh(self, *instances: str) -> None:
        """As after a change of these: the others are not read."""
        buckets = [
            await self._db.value("SELECT majlis_bucket('instance:' || $1)", name) for name in instances
        ]
        await self.run_time.refresh(buckets)

    async def remove(self, instance: str, key: str) -> None:
        await self._db.fetch(KEEP, instance, "{}", encoded([key]))

    def api_key(self, instance: str) -> str:
        key: Any = self.live.for_instance(instance).gateway
        return str(key.api_key.get_secret_value())

    def held(self) -> list[str]:
        return [pause.instance for pause in self.pauses.standing()]


@asynccontextmanager
async def world_with(dsn: str, *keys: Sequence[bytes]) -> AsyncIterator[tuple[LedgerWorld, list[Node]]]:
    async with open_world(dsn) as world:
        yield world, [Node(world, SecretKeys(own)) for own in keys]


async def test_a_stored_secret_is_in_force_and_nowhere_to_be_read(migrated_postgres_dsn: str) -> None:
    async with world_with(migrated_postgres_dsn, [OLD], [OLD]) as (world, (here, there)):
        await here.put("acme", API_KEY, PLAIN)
        await here.put("acme", TOKEN, ["t-1", "t-2"])
        await here.put("acme", "responder.providers.1.api_key", PLAIN)
        await here.put("acme", "responder.providers.1.extra_headers", {"X-Key": PLAIN})
        await there.run_time.refresh()
        for node in (here, there):
            assert (node.api_key("acme"), node.api_key("shop"), node.held()) == (PLAIN, "shared", [])
            assert node.live.own_credentials().tokens == {"acme": ("t-1", "t-2")}
            first, second = node.live.for_instance("acme").responder.providers
            assert first.api_key is not None and first.api_key.get_secret_value() == "of-all"
            assert second.api_key is not None and second.api_key.get_secret_value() == PLAIN
            assert second.extra_headers["X-Key"].get_secret_value() == PLAIN
            of_shop = node.live.for_instance("shop").responder.providers[1].api_key
            assert of_shop is not None and of_shop.get_secret_value() == "of-all-too"
        assert PLAIN not in repr(here.live.for_instance("acme")) + repr(here.secrets) + repr(here.stored)
        stored = await world.rows("SELECT s::text AS row, sealed FROM majlis_secrets s")
        assert len(stored) == 4
        assert all(PLAIN not in row["row"] and PLAIN.encode() not in row["sealed"] for row in stored)
        await here.remove("acme", API_KEY)
        await there.run_time.refresh()
        assert there.api_key("acme") == "shared"


async def test_before_the_first_reading_nobody_is_answered_and_no_token_is_wrong(
    migrated_postgres_dsn: str,
) -> None:
    async with world_with(migrated_postgres_dsn, [OLD]) as (_, (node,)):
        with pytest.raises(Paused):
            node.pauses.check("shop")
        assert not node.live.own_credentials().are_read
        await node.run_time.refresh()
        node.pauses.check("shop")
        assert node.live.own_credentials().are_read and node.woken == 1


async def test_instances_whose_secrets_stay_shut_are_held_and_the_others_go_on(
    migrated_postgres_dsn: str,
) -> None:
    async with world_with(migrated_postgres_dsn, [OLD], [WRONG], [], [NEW, OLD]) as (world, nodes):
        right, wrong, none, both = nodes
        await right.put("acme", API_KEY, PLAIN)
        await right.put("acme", TOKEN, "t-1")
        for node in (wrong, none):
            await node.run_time.refresh()
            assert node.held() == ["acme"]
            assert node.shut == [("acme", API_KEY), ("acme", TOKEN)]
            node.pauses.check("shop")
            with pytest.raises(Paused, match="cannot be opened"):
                node.pauses.check("acme")
            assert node.live.own_credentials().shut == {"acme"}
            await node.run_time.refresh()
            assert len(node.shut) == 2  # said once
        await both.run_time.refresh()
        assert both.held() == [] and both.api_key("acme") == PLAIN

        # A row that was moved to another instance opens nowhere.
        await world.rows("UPDATE majlis_secrets SET instance = 'shop' WHERE key = $1", API_KEY)
        await right.refresh("acme", "shop")
        assert right.held() == ["shop"] and right.api_key("shop") == "shared"
        await world.rows("DELETE FROM majlis_secrets WHERE instance = 'shop'")
        before = right.woken
        await right.refresh("acme")
        assert right.held() == ["shop"], "only what was asked for is read"
        await right.refresh("shop")
        assert right.held() == [] and right.woken == before + 1

        # Setting it anew ends the hold.
        await wrong.put("acme", TOKEN, "t-2")
        assert wrong.held() == [] and wrong.live.own_credentials().tokens == {"acme": ("t-2",)}


async def test_without_a_key_nothing_is_stored(migrated_postgres_dsn: str) -> None:
    async with world_with(migrated_postgres_dsn, []) as (world, (node,)):
        with pytest.raises(Conflict, match=r"secrets\.keys .*openssl rand -base64 32"):
            await node.put("acme", API_KEY, PLAIN)
        assert await world.rows("SELECT 1 FROM majlis_secrets") == []


async def test_an_embedded_database_has_a_key_of_its_own(migrated_postgres_dsn: str, tmp_path: Path) -> None:
    async with open_world(migrated_postgres_dsn) as world:
        file = KeyFile(tmp_path)
        first = Node(world, SecretKeys((), file))
        await first.run_time.refresh()
        assert not file.path.exists()
        await first.put("acme", API_KEY, PLAIN)

        # A key in the settings seals from then on, and what the file's key sealed opens all the same.
        second = Node(world, SecretKeys([NEW], file))
        await second.run_time.refresh()
        assert second.api_key("acme") == PLAIN
        assert (await second.secrets.rotate()).resealed == 1
        file.path.unlink()
        await Node(world, SecretKeys([NEW], file)).run_time.refresh()
        lost = Node(world, SecretKeys((), file))
        await lost.run_time.refresh()
        assert lost.held() == ["acme"] and not file.path.exists()


async def test_rotation_seals_everything_anew_also_when_it_is_cut_short(
    migrated_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_with(migrated_postgres_dsn, [OLD], [WRONG], [NEW, OLD], [NEW]) as (world, nodes):
        old, wrong, both, new = nodes
        for number in range(7):
            await old.store(f"i{number}", API_KEY, f"{PLAIN}{number}")
        await wrong.store("a-lost", API_KEY, PLAIN)
        words = await world.rows(
            "SELECT instance, majlis_secret_words(instance) FROM majlis_secrets ORDER BY 1"
        )
        monkeypatch.setattr("daemon.tenants.secrets.ROTATE_ROWS", 3)
        step = await both.secrets.rotate()
        assert (step.resealed, step.shut, step.left) == (2, (("a-lost", API_KEY),), 6)  # and killed here
        skip, resealed = 0, 0
        for _ in range(9):
            step = await both.secrets.rotate(skip)
            skip, resealed = skip + len(step.shut), resealed + step.resealed
            if not step.resealed and not step.shut:
                break
        assert (resealed, skip, step.left) == (5, 1, 1)
        assert sorted((await both.secrets.by_key()).values()) == [1, 7]
        await new.run_time.refresh()
        assert new.held() == ["a-lost"]
        assert new.live.for_instance("i6").gateway.model_dump()["api_key"].get_secret_value() == f"{PLAIN}6"
        assert (
            await world.rows("SELECT instance, majlis_secret_words(instance) FROM majlis_secrets ORDER BY 1")
            == words
        )


async def test_a_secret_that_is_set_while_all_are_sealed_anew_is_not_lost(migrated_postgres_dsn: str) -> None:
    async with world_with(migrated_postgres_dsn, [OLD], [NEW, OLD]) as (world, (old, both)):
        await old.store("acme", API_KEY, "before")
        rows = SecretRows(world.db)
        (row,) = await rows.read(9)
        await old.store("acme", API_KEY, "after")
        assert not await rows.reseal(row, b"of before", "any")
        assert (await both.secrets.rotate()).resealed == 1
        await both.run_time.refresh()
        assert both.api_key("acme") == "after"


async def test_rows_of_sql_by_hand_are_left_out_and_hold_nobody(migrated_postgres_dsn: str) -> None:
    async with world_with(migrated_postgres_dsn, [OLD]) as (world, (node,)):
        await node.put("acme", API_KEY, PLAIN)
        for key in ("batching.window_seconds", "no.such", "responder"):
            await world.rows("INSERT INTO majlis_secrets VALUES ('shop', $1, 'x', 'k')", key)
        await node.put("shop", "responder.providers.7.api_key", PLAIN)
        assert node.held() == [] and node.api_key("acme") == PLAIN
        assert [(left.instance, left.key) for left in node.stored.left_out] == [
            ("shop", "responder.providers.7.api_key")
        ]
        assert PLAIN not in repr(node.stored.left_out)
