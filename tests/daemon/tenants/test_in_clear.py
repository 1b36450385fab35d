"""Secrets that SQL writes in clear: sealed when they are noticed, and in no version, whatever happens in between."""

from __future__ import annotations

import json
from importlib import resources

import pytest
import trio

from daemon.config.run_time import KEYS, is_secret
from daemon.ingress.known_instances import KnownInstances
from daemon.tenants import Changes
from daemon.tenants.history import exported, secrets_of, with_differences
from daemon.tenants.rows import TenantRows
from tests.daemon.tenants.test_secrets import API_KEY, OLD, PLAIN, TOKEN, Node, world_with
from tests.support.ledgers import LedgerWorld

WRITE = "INSERT INTO majlis_settings (scope, key, value) VALUES ($1, $2, $3::jsonb)"
ACME = "instance:acme"


def followed(node: Node, world: LedgerWorld) -> Changes:
    return Changes(TenantRows(world.db), None, node.run_time, KnownInstances([]), lambda _: None, node.feed)


async def tables(world: LedgerWorld) -> str:
    """All that our tables of instances hold, as text; sealed bytes decoded."""
    found = []
    for table in ("majlis_settings", "majlis_secrets", "majlis_instance_versions", "majlis_instance_heads"):
        rows = await world.rows(f"SELECT t::text AS row FROM {table} t")
        found += [row["row"] for row in rows]
    sealed = await world.rows("SELECT encode(sealed, 'escape') AS box FROM majlis_secrets")
    return "\n".join((*found, *(row["box"] for row in sealed)))


async def test_the_database_knows_secrets_by_their_names(migrated_postgres_dsn: str) -> None:
    """A new secret, or a plain setting that is named like one, needs its word in `majlis_is_secret`."""
    misspelt = ("gateway.apikey", "gateway.api-key", "ingress.tokens", "gateway.password")
    below = ("passthrough.headers.X-Any", "responder.providers.7.extra_headers.X-Any", "passthrough.url.x")
    async with world_with(migrated_postgres_dsn) as (world, _):
        rows = await world.rows(
            "SELECT key, majlis_is_secret(key) AS secret FROM unnest($1::text[]) AS key",
            [*KEYS, *misspelt, *below],
        )
    found = {row["key"]: row["secret"] for row in rows}
    assert found == {key: is_secret(key) for key in KEYS} | dict.fromkeys((*misspelt, *below), True)


async def test_a_secret_in_clear_is_sealed_in_force_and_one_version_by_sql(
    migrated_postgres_dsn: str,
) -> None:
    async with world_with(migrated_postgres_dsn, [OLD], [OLD]) as (world, (here, there)):
        await world.records.register_instances(["acme"])
        one, other = followed(here, world), followed(there, world)
        await one.look()
        await other.look()
        changed = list[object]()
        here.feed.observe("settings.changed", lambda _, of: changed.append(of))
        for value in (PLAIN, f"{PLAIN}-2"):  # the second one over a sealed one
            await world.rows(WRITE, ACME, API_KEY, json.dumps(value))
            async with trio.open_nursery() as nursery:  # two daemons notice it at once
                nursery.start_soon(one.look)
                nursery.start_soon(other.look)
            await one.look()
            await other.look()
            assert (here.api_key("acme"), there.api_key("acme")) == (value, value)
            assert here.held() == there.held() == [] and not here.stored.left_out
            assert PLAIN not in await tables(world)
        versions = list(with_differences(await TenantRows(world.db).history("acme", 9)))
        assert [
            (version.made_by, [change.key for change in changes]) for version, changes in versions[:2]
        ] == [
            ("SQL", [API_KEY]),
            ("SQL", [API_KEY]),
        ]
        assert all(change.secret for _, changes in versions[:2] for change in changes)
        assert len(versions) == 3 and not changed


async def test_without_a_key_the_instance_is_held_and_the_value_is_in_no_version(
    migrated_postgres_dsn: str,
) -> None:
    async with world_with(migrated_postgres_dsn, [], [OLD]) as (world, (keyless, able)):
        await world.records.register_instances(["acme"])
        rows = TenantRows(world.db)
        await world.rows(WRITE, ACME, API_KEY, json.dumps(PLAIN))
        await world.rows(WRITE, ACME, "gateway.apikey", json.dumps(PLAIN))  # misspelt
        await world.rows(WRITE, "instance:shop", TOKEN, json.dumps(7))
        await followed(keyless, world).look()
        assert keyless.held() == ["acme", "shop"] and keyless.api_key("acme") == "shared"
        assert "SQL wrote it in clear" in keyless.pauses.held("acme")
        assert "secrets.keys" in keyless.pauses.held("acme")
        now = await rows.current("acme")
        assert now is not None and now.made_by == "SQL"
        assert PLAIN not in repr(now) and set(now.state.secrets) == {API_KEY, "gateway.apikey"}
        assert "gateway.apikey" not in exported(now.state) and secrets_of(now.state) == [API_KEY]
        # A daemon that has a key seals it. What is not fit is sealed too, and left out as everywhere.
        await followed(able, world).look()
        assert able.api_key("acme") == PLAIN and able.held() == []
        assert [left.key for left in able.stored.left_out if left.instance == "shop"] == [TOKEN]
        again = await rows.current("acme")
        assert again is not None and again.version == now.version, "it was set once"
        await keyless.run_time.refresh()
        assert keyless.held() == ["acme", "shop"]  # it cannot open them


async def test_half_a_move_is_none_and_only_what_was_read_is_replaced(migrated_postgres_dsn: str) -> None:
    async with world_with(migrated_postgres_dsn, [OLD]) as (world, (node,)):
        await world.rows(WRITE, ACME, API_KEY, json.dumps("new"))
        await node.secret_rows.seal_clear("acme", API_KEY, '"old"', b"sealed", "k")
        assert await world.rows("SELECT 1 FROM majlis_secrets") == []
        await world.rows(
            "ALTER TABLE majlis_secrets ADD CONSTRAINT majlis_full CHECK (key_id = '') NOT VALID"
        )
        with pytest.raises(Exception, match="majlis_full"):
            await node.run_time.refresh()
        assert len(await world.rows("SELECT 1 FROM majlis_settings")) == 1
        await world.rows("ALTER TABLE majlis_secrets DROP CONSTRAINT majlis_full")
        await node.run_time.refresh()
        assert node.api_key("acme") == "new" and await world.rows("SELECT 1 FROM majlis_settings") == []


async def test_versions_of_before_are_wiped(migrated_postgres_dsn: str) -> None:
    migration = resources.files("daemon.ledger").joinpath("migrations/049_in_clear.sql").read_text()
    async with world_with(migrated_postgres_dsn) as (world, _):
        await world.records.register_instances(["acme"])
        rows = TenantRows(world.db)
        assert await rows.current("acme") is not None
        state = {API_KEY: PLAIN, "gateway.apikey": PLAIN, "reply.max_parts": 2}
        await world.rows(
            "UPDATE majlis_instance_versions SET state = state || jsonb_build_object('settings', $1::jsonb)",
            json.dumps(state),
        )
        await world.rows(migration[migration.index("UPDATE majlis_instance_versions v\n") :])
        ((version, changes),) = with_differences(await rows.history("acme", 9))
        assert PLAIN not in await tables(world) and version.state.settings == {"reply.max_parts": 2}
        told = {change.key for change in changes if change.secret}
        assert told == {API_KEY, "gateway.apikey"}
