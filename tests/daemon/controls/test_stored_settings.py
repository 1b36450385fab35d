"""Settings made at run time, over a real Postgres: who follows, what is refused, what is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
import trio
import trio.testing

from actors.errors import Conflict, LedgerUnavailable
from daemon.config import ConfigError, Settings, load
from daemon.config.run_time import RunTimeValue
from daemon.controls.live_settings import LiveSettings
from daemon.controls.run_time import REFRESH_SECONDS, RunTime
from daemon.controls.stored_settings import MAX_VALUE_CHARS, StoredSettings
from daemon.ledger.records import Records
from daemon.ledger.rows import RunTimeRows, SettingRow
from daemon.observe.feed import EventFeed
from tests.support.ledgers import open_world

CONFIGURED = load(None, ["instances.acme.batching.window_seconds=3", "instances.demo={}"], {})
WINDOW, LARGEST, MOST = "batching.window_seconds", "batching.max_batch_messages", "batching.max_messages"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ARABIC = 'سيكتب لك زميل قريبًا: "نعم"'


class Node:
    """One daemon of several on a database."""

    def __init__(self, records: Records, name: str, configured: Settings = CONFIGURED) -> None:
        self.feed = EventFeed(strict=True)
        self.live = LiveSettings(configured)
        self.run_time = RunTime(records, name, self.feed)
        self.stored = StoredSettings(records, self.run_time, self.live, self.feed)
        self.recorded: list[Any] = []

    async def set(self, key: str, text: str, instance: str | None = None) -> None:
        await self.stored.set(key, text, instance, "uid 7", self._record)

    async def unset(self, key: str, instance: str | None = None) -> None:
        await self.stored.unset(key, instance, trio.lowlevel.checkpoint)

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
        await here.set(WINDOW, "5", "demo")
        await here.set(WINDOW, "7")
        await here.set("escalation.message", ARABIC, "demo")
        await here.set("takeover.automatic_texts", '["نحن مغلقون", "0123"]', "demo")
        await here.set("escalation.reason_names", "{low_quality: low_confidence}")
        await here.set("escalation.reason_names", "{asks_for_human: user_request}", "demo")
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
        await here.unset(WINDOW, "demo")
        assert here.windows("demo", "acme") == [7, 7]
        await here.unset(WINDOW)
        assert here.windows("demo", "acme", "other") == [8, 3, 8]
        with pytest.raises(
            Conflict, match="is not set at run time for demo: see `majlis config --instance demo`"
        ):
            await here.unset(WINDOW, "demo")
        assert here.recorded == [
            5.0,
            7.0,
            ARABIC,
            ["نحن مغلقون", "0123"],
            {"low_quality": "low_confidence"},
            {"asks_for_human": "user_request"},
        ]


async def test_what_does_not_fit_is_refused_and_nothing_is_stored(migrated_postgres_dsn: str) -> None:
    async with nodes(migrated_postgres_dsn) as (here, _, records, _):
        bombs = "[&a [x, x], &b [*a, *a], [*b, *b]]", "[" * 4_000
        for key, text, words in (
            (WINDOW, "-1", r"window_seconds: must be greater than 0; it is '?-1'? \(from majlis set\)"),
            (WINDOW, "soon", "must be a number; it is 'soon'"),
            (MOST, "51", r"must be at most max_batch_messages \(50\)"),
            (LARGEST, "4", r"max_messages: must be at most max_batch_messages \(4\); it is 5"),
            ("cache.enabled", "off", "`majlis flags set cache on|off` switches it"),
            (
                "escalation.notify_webhook",
                "https://x",
                "`majlis instance set NAME escalation.notify_webhook=-`",
            ),
            ("gateway.kind", "evolution", r"base_url: must be set for kind evolution"),
            ("gateway.kind", "owl", "must be 'console', 'evolution' or 'realtime'; it is 'owl'"),
            ("escalation.message", "x" * (MAX_VALUE_CHARS + 1), "must be at most 16,000 characters"),
            *(("takeover.automatic_texts", bomb, "is not valid YAML") for bomb in bombs),
        ):
            for instance in ("demo", None):
                with pytest.raises(ConfigError, match=words):
                    await here.set(key, text, instance)
        rows = await records.run_time("daemon:node-a", 10)
        assert rows.settings == () and here.recorded == []


async def test_what_would_put_another_setting_out_of_force_is_refused(migrated_postgres_dsn: str) -> None:
    async with nodes(migrated_postgres_dsn) as (here, _, _, _):
        await here.set(LARGEST, "100", "demo")
        await here.set(MOST, "60", "demo")
        with pytest.raises(ConfigError, match=r"instances\.demo\.batching\.max_messages: must be at most"):
            await here.set(LARGEST, "55", "demo")
        with pytest.raises(ConfigError, match="max_messages: must be at most"):
            await here.unset(LARGEST, "demo")
        await here.set(MOST, "40", "demo")
        with pytest.raises(ConfigError, match="max_batch_messages: must be at most"):
            await here.set("batching.max_waiting_messages", "70", "demo")  # 100 in a batch
        await here.unset(LARGEST, "demo")
        with pytest.raises(ConfigError, match=r"instances\.demo\.batching\.max_messages: must be at most"):
            await here.set(LARGEST, "30")  # for the daemon: an instance goes on with 40
        assert here.live.window("demo").max_messages == 40 and here.stored.left_out == ()


async def test_what_is_stored_and_does_not_fit_is_left_out_and_named(migrated_postgres_dsn: str) -> None:
    """Law 3: another version wrote it, or SQL by hand."""
    async with nodes(migrated_postgres_dsn) as (here, _, _, db):
        await here.set(WINDOW, "5", "demo")
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
        await here.unset("of.a.newer.version", "demo")
        await here.set("batching.album_seconds", "3", "demo")
        assert len(here.stored.left_out) == 2 and own != here.live.for_instance("demo")
        with pytest.raises(ConfigError, match="must be a number"):
            await here.set("limits.cost_per_day", "much", "demo")


async def test_values_kept_elsewhere_are_judged_with_those_of_the_table(migrated_postgres_dsn: str) -> None:
    """Law 6: they come with the same reading, so that no instance is without its key for a moment."""
    async with nodes(migrated_postgres_dsn) as (here, _, _, db):
        key = RunTimeValue("gateway.api_key", "canary-secret", "instance set", sealed=True)
        where = RunTimeValue("gateway.base_url", "https://evo", "instance set")
        held: dict[str, list[RunTimeValue]] = {"demo": [key, where]}
        here.stored.join(lambda rows: dict(held))
        for name, value in (("kind", '"evolution"'), ("base_url", '"nowhere"'), ("timeout_seconds", "7")):
            await db.fetch(
                "INSERT INTO majlis_settings VALUES ('instance:demo', $1, $2::text::jsonb)",
                f"gateway.{name}",
                value,
            )
        async with here.feed.tail() as tail:
            await here.run_time.refresh()
            gateway = here.live.gateway("demo")
            assert gateway is not None and (gateway.kind, gateway.timeout_seconds) == ("evolution", 7)
            assert here.stored.left_out == (), "base_url: what is kept elsewhere wins"
            assert here.stored.holders("gateway.api_key") == ["demo"]
            held["demo"] = []
            await here.run_time.refresh()
            assert here.live.gateway("demo") is None, (
                "without its key nothing is sent, and not through another one"
            )
            assert here.live.for_instance("demo").batching == CONFIGURED.batching
            assert here.stored.holders("gateway.api_key") == []
            told = [await tail.receive() for _ in range(3)]
        assert {one["event"] for one in told} == {"settings.left_out"} and "nowhere" not in repr(told)


async def test_several_changes_are_judged_together_and_change_nothing(migrated_postgres_dsn: str) -> None:
    async with nodes(migrated_postgres_dsn) as (here, _, records, _):
        await here.set(MOST, "4", "demo")

        def made(**keys: object) -> list[RunTimeValue]:
            return [RunTimeValue(f"responder.providers.1.{key}", value, "x") for key, value in keys.items()]

        then = await here.stored.judge("demo", made(name="spare", kind="rehearsal"), [MOST])
        assert [one.name for one in then.settings.responder.providers] == ["rehearsal", "spare"]
        assert then.settings.batching.max_messages == 5
        with pytest.raises(ConfigError, match=r"providers\.1\.kind: must be set"):
            await here.stored.judge("demo", made(name="spare"))
        with pytest.raises(ConfigError, match="must differ from the other providers' names"):
            await here.stored.judge("demo", made(name="rehearsal", kind="rehearsal"))
        assert (await here.stored.judge("demo", (), [MOST])).settings.batching.max_messages == 5
        assert here.live.window("demo").max_messages == 4
        assert len((await records.run_time("daemon:node-a", 10)).settings) == 1


class RecordsInMemory(Records):
    """The settings of a database that may be away."""

    def __init__(self) -> None:
        self.rows: tuple[SettingRow, ...] = ()
        self.away = False

    async def run_time(self, daemon_scope: str, max_settings: int) -> RunTimeRows:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise LedgerUnavailable("postgres_unreachable")
        return RunTimeRows(settings=self.rows)


async def test_while_postgres_is_away_what_was_read_last_stays_in_force(
    autojump_clock: trio.testing.MockClock,
) -> None:
    records = RecordsInMemory()
    node = Node(records, "node-a")
    records.away = True
    async with trio.open_nursery() as nursery:
        await nursery.start(node.run_time.run)
        assert node.windows("demo") == [8], "a start without Postgres has the configuration"
        records.rows = (SettingRow("instance:demo", WINDOW, "5", MOMENT, ""),)
        records.away = False
        await trio.sleep(REFRESH_SECONDS + 1)
        records.away = True
        await trio.sleep(3 * REFRESH_SECONDS)
        assert node.windows("demo") == [5]
        nursery.cancel_scope.cancel()
