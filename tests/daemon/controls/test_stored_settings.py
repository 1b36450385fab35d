"""Settings made at run time, over a real Postgres: who follows, what is refused, what is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
import trio
import trio.testing

from actors.errors import Conflict
from daemon.config import ConfigError, Settings, load
from daemon.config.opened import Opened
from daemon.config.run_time import RunTimeValue
from daemon.controls.live_settings import LiveSettings
from daemon.controls.run_time import RunTime
from daemon.controls.stored_settings import MAX_VALUE_CHARS, StoredSettings
from daemon.ledger.records import Records
from daemon.observe.feed import EventFeed
from tests.support.ledgers import open_world

CONFIGURED = load(None, ["instances.acme.batching.window_seconds=3", "instances.demo={}"], {})
WINDOW, LARGEST, MOST = "batching.window_seconds", "batching.max_batch_messages", "batching.max_messages"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ARABIC = 'سيكتب لك زميل قريبًا: "نعم"'


class Node:
    """One daemon of several on a database."""

    def __init__(
        self,
        records: Records,
        name: str,
        configured: Settings = CONFIGURED,
        secrets: Callable[[], Opened] = Opened,
    ) -> None:
        self._records = records
        self.feed = EventFeed(strict=True)
        self.live = LiveSettings(configured)
        self.run_time = RunTime(records, name)
        self.stored = StoredSettings(records, self.run_time, self.live, self.feed, secrets)
        self.recorded: list[Any] = []

    async def set(self, key: str, text: str) -> None:
        await self.stored.set(key, text, "uid 7", self._record)

    async def set_for(self, instance: str, **values: Any) -> None:
        """As `Tenants` does it, or another daemon; two underscores stand for a dot."""
        for key, value in values.items():
            await self._records.set_setting(f"instance:{instance}", key.replace("__", "."), value, "uid 8")
        await self.run_time.refresh()

    async def unset(self, key: str) -> None:
        await self.stored.unset(key, trio.lowlevel.checkpoint)

    def windows(self, *names: str) -> list[float]:
        return [self.live.window(name).window_seconds for name in names]

    async def _record(self, value: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.recorded.append(value)


class Nodes(NamedTuple):
    here: Node
    there: Node
    records: Records
    db: Any


@asynccontextmanager
async def nodes(dsn: str) -> AsyncIterator[Nodes]:
    async with open_world(dsn) as world:
        records = world.records
        yield Nodes(Node(records, "node-a"), Node(records, "node-b"), records, world.db)


async def test_a_change_is_in_force_here_at_once_and_elsewhere_with_the_next_reading(
    migrated_postgres_dsn: str,
) -> None:
    async with nodes(migrated_postgres_dsn) as (here, there, records, _):
        await here.set(WINDOW, "7")
        await here.set("escalation.reason_names", "{low_quality: low_confidence}")
        await here.set_for(
            "demo",
            batching__window_seconds=5,
            escalation__message=ARABIC,
            takeover__automatic_texts=["نحن مغلقون", "0123"],
            escalation__reason_names={"asks_for_human": "user_request"},
        )
        assert here.live.terms("demo").reason_names == (("asks_for_human", "user_request"),)
        assert here.live.terms("acme").reason_names == (("low_quality", "low_confidence"),)
        assert here.windows("demo", "acme", "other") == [5, 7, 7]
        await there.run_time.refresh()
        assert there.windows("demo", "acme", "other") == [5, 3, 8], "what node-a has for itself is its own"
        own = there.live.for_instance("demo")
        assert own.escalation.message == ARABIC and own.takeover.automatic_texts == ("نحن مغلقون", "0123")
        reborn = Node(records, "node-a")
        await reborn.run_time.refresh()
        assert reborn.windows("demo", "acme") == [5, 7], "it outlives a restart"
        await here.unset(WINDOW)
        assert here.windows("demo", "acme", "other") == [5, 3, 8]
        with pytest.raises(Conflict, match="is not set at run time for this daemon: see `majlis config`"):
            await here.unset(WINDOW)
        assert here.recorded == [7.0, {"low_quality": "low_confidence"}]


async def test_what_does_not_fit_is_refused_and_nothing_is_stored(migrated_postgres_dsn: str) -> None:
    async with nodes(migrated_postgres_dsn) as (here, _, records, _):
        bombs = "[&a [x, x], &b [*a, *a], [*b, *b]]", "[" * 4_000
        for key, text, words in (
            (WINDOW, "-1", r"window_seconds: must be greater than 0; it is '?-1'? \(from majlis set\)"),
            (WINDOW, "soon", "must be a number; it is 'soon'"),
            (MOST, "51", r"must be at most max_batch_messages \(50\)"),
            (LARGEST, "4", r"max_messages: must be at most max_batch_messages \(4\); it is 5"),
            ("cache.enabled", "off", "`majlis flags set cache on|off` switches it"),
            ("escalation.notify_webhook", "https://x", "is a secret, and is not kept in clear"),
            ("escalation.message", "x" * (MAX_VALUE_CHARS + 1), "must be at most 16,000 characters"),
            *(("takeover.automatic_texts", bomb, "is not valid YAML") for bomb in bombs),
        ):
            with pytest.raises(ConfigError, match=words):
                await here.set(key, text)
        assert not await records.run_time("daemon:node-a", 10) and here.recorded == []


async def test_what_would_put_another_setting_out_of_force_is_refused(migrated_postgres_dsn: str) -> None:
    async with nodes(migrated_postgres_dsn) as (here, _, _, _):
        await here.set(LARGEST, "100")
        await here.set(MOST, "60")
        with pytest.raises(ConfigError, match=r"batching\.max_messages: must be at most"):
            await here.set(LARGEST, "55")
        with pytest.raises(ConfigError, match="max_messages: must be at most"):
            await here.unset(LARGEST)
        await here.set(MOST, "40")
        with pytest.raises(ConfigError, match="max_batch_messages: must be at most"):
            await here.set("batching.max_waiting_messages", "70")  # 100 in a batch
        await here.unset(LARGEST)
        await here.unset(MOST)
        await here.set_for("demo", batching__max_messages=40)
        with pytest.raises(ConfigError, match=r"instances\.demo\.batching\.max_messages: must be at most"):
            await here.set(LARGEST, "30")  # an instance goes on with 40
        assert here.live.window("demo").max_messages == 40 and here.stored.left_out == ()


async def test_what_is_stored_and_does_not_fit_is_left_out_and_named(migrated_postgres_dsn: str) -> None:
    """Law 3: another version wrote it, or SQL by hand."""
    async with nodes(migrated_postgres_dsn) as (here, _, _, db):
        await here.set_for("demo", batching__window_seconds=5)
        nested = "[" * 500 + "]" * 500
        for key, value in (
            ("of.a.newer.version", "1"),
            ("batching.album_seconds", '"secret words"'),
            ("limits.cost_per_day", "1" + "0" * 400),
            ("takeover.automatic_texts", nested),
            ("cache.similarity", "0.5"),
        ):
            await db.fetch(
                "INSERT INTO majlis_settings VALUES ('instance:demo', $1, $2::text::jsonb)", key, value
            )
        await db.fetch("INSERT INTO majlis_settings VALUES ('instance:', 'hours', '[\"x\"]')")
        async with here.feed.tail() as tail:
            await here.run_time.refresh()
            await here.run_time.refresh()
            told = [await tail.receive() for _ in range(6 + 4)]
        left = {
            "of.a.newer.version",
            "batching.album_seconds",
            "limits.cost_per_day",
            "takeover.automatic_texts",
        }
        assert {one.key for one in here.stored.left_out} == left
        own = here.live.for_instance("demo")
        assert (own.batching.window_seconds, own.cache.similarity, own.limits.cost_per_day) == (5, 0.5, None)
        assert here.live.for_instance("x").hours == ()
        named = [one for one in told if one["event"] == "settings.left_out"]
        assert {one["key"] for one in named} == left and len(named) == 4, "each once"
        assert "secret words" not in repr(told), "law 4"
        await here.set_for("demo", batching__album_seconds=3)
        assert len(here.stored.left_out) == 3 and own != here.live.for_instance("demo")


async def test_secrets_are_judged_with_the_values_of_the_table(migrated_postgres_dsn: str) -> None:
    """Law 6: they come with the same reading, so that no instance is without its key for a moment."""
    async with nodes(migrated_postgres_dsn) as (_, _, records, _):
        key = RunTimeValue("gateway.api_key", "canary-secret", "majlis instance set", sealed=True)
        held: dict[str, tuple[RunTimeValue, ...]] = {"demo": (key,)}
        here = Node(records, "node-a", secrets=lambda: Opened(dict(held), {}, True))
        await here.set_for(
            "demo", gateway__kind="evolution", gateway__base_url="https://evo", gateway__timeout_seconds=7
        )
        gateway = here.live.gateway("demo")
        assert gateway is not None and (gateway.kind, gateway.timeout_seconds) == ("evolution", 7)
        assert here.stored.left_out == () and here.stored.holders("gateway.api_key") == ["demo"]
        async with here.feed.tail() as tail:
            held.clear()
            await here.run_time.refresh()
            assert here.live.gateway("demo") is None, (
                "without its key nothing is sent, nor through another one"
            )
            assert here.stored.holders("gateway.api_key") == []
            said = await tail.receive()
        assert said["event"] == "settings.left_out" and "https://evo" not in repr(said)
