"""Feature flags: which value applies, how it changes, and what applies while Postgres is away."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.errors import LedgerUnavailable
from daemon.config import Settings, load
from daemon.controls.feature_flags import FLAGS, StoredFlags
from daemon.controls.live_settings import LiveSettings
from daemon.controls.run_time import RunTime
from daemon.ledger.records import Records
from daemon.ledger.rows import FlagRow, ScopeRows
from daemon.observe.feed import EventFeed
from tests.support.ledgers import open_world

CONFIG = """
turn: {parallel: true}
instances:
  acme: {}
  frugal: {cache: {enabled: false}, takeover: {pause_seconds: 0}}
"""


class RecordsInMemory(Records):
    """The flags of a database that may be away."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bool] = {}
        self.away = False

    async def run_time(
        self, daemon_scope: str, max_settings: int, buckets: Collection[int] | None = None
    ) -> dict[str, ScopeRows]:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise LedgerUnavailable("postgres_unreachable")
        scopes = {scope for scope, _ in self.rows if scope == daemon_scope or scope.startswith("instance:")}
        return {
            scope: ScopeRows(
                tuple(FlagRow(scope, flag, value) for (of, flag), value in self.rows.items() if of == scope)
            )
            for scope in scopes
        }

    async def set_flag(self, row: FlagRow) -> None:
        await trio.lowlevel.checkpoint()
        self.rows[row.scope, row.flag] = row.value

    async def clear_flag(self, scope: str, flag: str) -> None:
        await trio.lowlevel.checkpoint()
        self.rows.pop((scope, flag), None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "own.yaml").write_text(CONFIG)
    return load(tmp_path / "own.yaml")


@pytest.fixture
def records() -> Iterator[RecordsInMemory]:
    yield RecordsInMemory()


@pytest.fixture
def feed() -> EventFeed:
    return EventFeed(strict=True)


async def set_for(
    run_time: RunTime, records: RecordsInMemory, flag: str, value: bool | None, name: str
) -> None:
    """As `Tenants` does it, or another daemon."""
    if value is None:
        records.rows.pop((f"instance:{name}", flag))
    else:
        records.rows[f"instance:{name}", flag] = value
    await run_time.refresh()


@pytest.fixture
def run_time(records: RecordsInMemory) -> RunTime:
    return RunTime(records, "node-a")


@pytest.fixture
def board(records: RecordsInMemory, run_time: RunTime, settings: Settings, feed: EventFeed) -> StoredFlags:
    return StoredFlags(records, run_time, LiveSettings(settings), feed)


def test_without_stored_flags_the_configuration_applies(board: StoredFlags) -> None:
    assert board.of("acme").cache and board.of("acme").takeover and not board.of("acme").batching
    assert not board.of("frugal").cache and not board.of("frugal").takeover
    assert board.of("nobody knows it") == board.of("acme")


async def test_the_flag_with_the_narrower_scope_wins(
    board: StoredFlags, run_time: RunTime, records: RecordsInMemory
) -> None:
    """Instance before daemon before configuration, each as long as it is set."""
    await board.set("cache", False)
    assert not board.of("acme").cache and not board.of("a stranger").cache
    await set_for(run_time, records, "cache", True, "acme")
    assert board.of("acme").cache and not board.of("frugal").cache
    await board.set("cache", True)
    assert board.of("frugal").cache, "what is set for the daemon wins over an instance's configuration"
    assert await board.clear("cache")
    await set_for(run_time, records, "cache", None, "acme")
    assert board.of("acme").cache and not board.of("frugal").cache
    assert not await board.clear("cache"), "it is clear already"


@pytest.mark.parametrize("flag", FLAGS)
async def test_each_flag_can_be_set_and_changes_no_other(
    board: StoredFlags, run_time: RunTime, records: RecordsInMemory, flag: str
) -> None:
    before = board.of("acme")
    await set_for(run_time, records, flag, not getattr(before, flag), "acme")
    after = board.of("acme")
    assert [name for name in FLAGS if getattr(after, name) != getattr(before, name)] == [flag]
    assert board.of("shop") == before


async def test_flags_of_another_daemon_do_not_apply_here(
    board: StoredFlags, run_time: RunTime, records: RecordsInMemory
) -> None:
    records.rows["daemon:node-b", "cache"] = False
    records.rows["instance:acme", "a flag of a newer version"] = False
    await run_time.refresh()
    assert board.of("acme").cache


async def test_each_change_is_announced_once(
    board: StoredFlags, run_time: RunTime, feed: EventFeed, records: RecordsInMemory
) -> None:
    with trio.fail_after(10):
        async with feed.tail() as tail:
            await set_for(run_time, records, "cache", False, "acme")
            await set_for(run_time, records, "cache", False, "acme")
            records.rows["instance:shop", "parallel"] = False  # another daemon did it
            await run_time.refresh()
            await set_for(run_time, records, "cache", None, "acme")
            told = [await tail.receive() for _ in range(3)]
    assert feed.counters["flags.changed"] == 3
    assert [(one["scope"], one["flag"], one["value"]) for one in told] == [
        ("instance:acme", "cache", "off"),
        ("instance:shop", "parallel", "off"),
        ("instance:acme", "cache", "cleared"),
    ]


async def test_a_stale_read_never_undoes_a_change(settings: Settings, feed: EventFeed) -> None:
    """A read that began before a flag was set returns the old value."""

    class Slow(RecordsInMemory):
        def __init__(self) -> None:
            super().__init__()
            self.reading, self.go_on = trio.Event(), trio.Event()

        async def run_time(
            self, daemon_scope: str, max_settings: int, buckets: Collection[int] | None = None
        ) -> dict[str, ScopeRows]:
            rows = await super().run_time(daemon_scope, max_settings, buckets)
            if not self.reading.is_set():
                self.reading.set()
                await self.go_on.wait()
            return rows

    records = Slow()
    run_time = RunTime(records, "node-a")
    board = StoredFlags(records, run_time, LiveSettings(settings), feed)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_time.refresh)
            await records.reading.wait()
            nursery.start_soon(board.set, "cache", False)
            await trio.testing.wait_all_tasks_blocked()
            records.go_on.set()
    assert not board.of("acme").cache


async def test_the_page_shows_the_values_in_force_and_the_instances_that_differ(
    board: StoredFlags, run_time: RunTime, records: RecordsInMemory
) -> None:
    await set_for(run_time, records, "cache", True, "frugal")
    await board.set("parallel", False)
    page = board.page()
    by_name = {flag.flag: flag for flag in page.flags}
    assert page.node_id == "node-a" and tuple(by_name) == FLAGS
    cache, parallel, takeover = by_name["cache"], by_name["parallel"], by_name["takeover"]
    assert [(one.instance, one.value, one.set) for one in cache.instances] == [("frugal", True, True)]
    assert (parallel.configured, parallel.daemon, parallel.effective) == (True, False, False)
    assert parallel.instances == []
    assert [(one.instance, one.value, one.set) for one in takeover.instances] == [("frugal", False, False)]


async def test_flags_survive_in_postgres_and_reach_other_daemons(
    migrated_postgres_dsn: str, settings: Settings, feed: EventFeed
) -> None:
    async with open_world(migrated_postgres_dsn) as world:
        nodes = [RunTime(world.records, node) for node in ("node-a", "node-b")]
        first, second = (StoredFlags(world.records, node, LiveSettings(settings), feed) for node in nodes)
        await first.set("cache", False)
        row = FlagRow("instance:acme", "knowledge", False)
        await world.records.set_flag(row)
        await world.records.set_flag(row)
        read = [await node.refresh() for node in nodes]
        assert [sum(len(rows.flags) for rows in scopes.values()) for scopes in read] == [2, 1]
        assert not first.of("shop").cache and second.of("shop").cache
        assert not second.of("acme").knowledge
        await world.records.clear_flag(row.scope, row.flag)
        await nodes[0].refresh()
        assert first.of("acme").knowledge and not first.of("acme").cache
