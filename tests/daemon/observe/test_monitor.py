"""The monitor: every alert is raised and cleared by what it measures.

Values come from a real feed and from vitals as the stores would give them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import msgspec
import pytest
import trio
import trio.testing

from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.identity import Conversation
from actors.ports import Ledger, Notice, OpenTurn
from actors.supervisor import Supervisor
from actors.targets import Judgement, LoadFigures, Targets, TurnFigures, judge
from daemon.config import MonitorSettings, TargetsSettings
from daemon.mirror.upkeep import RedisMemory, Upkeep
from daemon.observe.alerts import MAX_NOTICES_PER_DAY, Alerts, rules
from daemon.observe.feed import EventFeed
from daemon.observe.monitor import SWEEP_SECONDS, Monitor
from daemon.observe.orphans import OrphanSearch
from daemon.observe.vitals import Figures, LeaseCounts, VitalSigns
from daemon.partitions.fencing import FencedOwnership
from daemon.partitions.open_turns import OpenTurnSearch
from daemon.responders.breaker import ProviderView
from tests.support.mirrors import PARTITIONS

EVERY_SECONDS = 10.0
SETTINGS = MonitorSettings(every_seconds=EVERY_SECONDS)
WHO = Conversation("acme", "5511999990012")
WELL = Figures(
    ready=True,
    uptime_seconds=1.0,
    stores={"redis": "ok", "postgres": "ok"},
    partitions_owned=PARTITIONS,
    partitions_total=PARTITIONS,
    open_windows=0,
    running_turns=0,
    acknowledged=0,
    answered=0,
    suppressed=0,
    dead=0,
    waiting_messages=0,
)


ROOMY = RedisMemory(10, 100)
NO_RENEWALS = LeaseCounts(PARTITIONS, 0, 0)


@dataclass
class World:
    """What the monitor looks at, to be changed by a test."""

    feed: EventFeed = field(default_factory=lambda: EventFeed(strict=True))
    figures: Figures = WELL
    providers: list[ProviderView] = field(default_factory=list)
    verdicts: tuple[Judgement, ...] | None = ()
    redis_memory: RedisMemory | None = ROOMY
    leases: LeaseCounts = NO_RENEWALS
    told: list[Notice] = field(default_factory=list)
    ledger_is_away: bool = False
    nudges: int = 0
    seen: list[Conversation] = field(default_factory=list)
    """Conversations with an actor."""
    nudged: list[Conversation] = field(default_factory=list)
    strays_found: list[Conversation] = field(default_factory=list)
    open_turns: list[OpenTurn] = field(default_factory=list)
    asked_after: list[int] = field(default_factory=list)
    mirror_is_away: bool = False
    draining: bool = False
    searched: list[tuple[int, ...]] = field(default_factory=list)
    partitions: int = PARTITIONS

    # As the supervisor, the ownership, the ledger and the upkeep of a daemon without stores.

    def view(self, conversation: Conversation) -> object:
        return conversation if conversation in self.seen else None

    def works_on(self, conversation: Conversation, _number: int) -> bool:
        return conversation in self.seen

    def nudge(self, conversation: Conversation, check_ledger: bool = False) -> bool:
        if not self.draining:
            self.nudged.append(conversation)
        return not self.draining

    def owns(self, _conversation: Conversation) -> bool:
        return True

    def fenced(self) -> dict[int, int]:
        return dict.fromkeys(range(self.partitions), 1)

    async def notify(self, notices: tuple[Notice, ...]) -> None:
        await trio.lowlevel.checkpoint()
        if self.ledger_is_away:
            raise LedgerUnavailable("away")
        self.told += notices

    async def unfinished(self, partitions: Collection[int], after: int, limit: int) -> tuple[OpenTurn, ...]:
        await trio.lowlevel.checkpoint()
        if self.ledger_is_away:
            raise LedgerUnavailable("away")
        self.asked_after.append(after)
        return tuple(turn for turn in self.open_turns if turn.id > after)[:limit]

    async def strays(self, epochs: Mapping[int, int], _grace_seconds: float) -> list[Conversation]:
        await trio.lowlevel.checkpoint()
        self.searched.append(tuple(epochs))
        if self.mirror_is_away:
            raise MirrorUnavailable("away")
        return self.strays_found

    async def tidy(self, _conversations: Mapping[Conversation, int]) -> list[Conversation]:
        await trio.lowlevel.checkpoint()
        return []

    async def read_figures(self) -> Figures:
        await trio.lowlevel.checkpoint()
        return self.figures

    async def read_memory(self) -> RedisMemory | None:
        await trio.lowlevel.checkpoint()
        return self.redis_memory

    def happened(self, event: str, count: int = 1, **fields: object) -> None:
        for _ in range(count):
            self.feed.emit(event, WHO, **fields)

    def now(self, **changes: object) -> None:
        self.figures = msgspec.structs.replace(self.figures, **changes)

    def leased(self, renewals: int, failures: int) -> None:
        self.leases = LeaseCounts(
            PARTITIONS, self.leases.renewals + renewals, self.leases.failures + failures
        )


def alerts(world: World, settings: MonitorSettings = SETTINGS) -> Alerts:
    return Alerts(
        rules(settings, TargetsSettings()),
        world.feed,
        node_id="node-a",
        has_webhook=True,
        today=lambda: datetime(2026, 1, 31, tzinfo=UTC),
    )


def orphan_search(world: World, upkeep: Upkeep, grace_seconds: float) -> OrphanSearch:
    return OrphanSearch(
        upkeep,
        cast(FencedOwnership, world),
        cast(Supervisor, world),
        lambda conversation: conversation.partition(world.partitions),
        grace_seconds,
        world.feed,
    )


def open_turn_search(world: World) -> OpenTurnSearch:
    return OpenTurnSearch(
        cast(Ledger, world),
        cast(FencedOwnership, world),
        cast(Supervisor, world),
        SETTINGS.unfinished_seconds,
    )


def monitor(world: World, flags: Alerts) -> Monitor:
    def count_nudge() -> None:
        world.nudges += 1

    return Monitor(
        settings=SETTINGS,
        alerts=flags,
        vitals=VitalSigns(
            figures=world.read_figures,
            redis_memory=world.read_memory,
            leases=lambda: world.leases,
            appends_waiting=lambda: 0,
            providers=lambda: world.providers,
            verdicts=lambda: world.verdicts,
        ),
        orphans=orphan_search(world, cast(Upkeep, world), SETTINGS.orphan_seconds),
        open_turns=open_turn_search(world),
        ledger=cast(Ledger, world),
        nudge=count_nudge,
        feed=world.feed,
    )


def _provider(state: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.providers = [ProviderView(name="main", state=state)]  # type: ignore[arg-type]

    return change


def _time_outs(world: World) -> None:
    world.happened("turn.started", 100)
    world.happened("provider.failed", 2, reason="timed_out")


def _nothing(_world: World) -> None:
    pass


def _judged(**turns: float) -> Callable[[World], None]:
    figures = TurnFigures(**turns)  # type: ignore[arg-type]
    targets = Targets(response_seconds=2.0, errors=0.001, cost_per_message=0.002)
    return lambda world: setattr(world, "verdicts", judge(targets, figures, None))


def _carried(missed: int) -> Callable[[World], None]:
    load = LoadFigures(minutes=60, conversations=20, messages=50, conversations_missed=missed)
    targets = Targets(conversations=200, messages_per_minute=1_000)
    return lambda world: setattr(world, "verdicts", judge(targets, TurnFigures(), load))


Step = Callable[[World], None]
CASES: dict[str, tuple[Step, Step]] = {
    "lease_failures": (lambda world: world.leased(100, 3), lambda world: world.leased(100, 0)),
    "time_outs": (_time_outs, lambda world: world.happened("turn.started", 10)),
    "queue_depth": (
        lambda world: world.now(waiting_messages=1_001),
        lambda world: world.now(waiting_messages=800),
    ),
    "oldest_waiting": (
        lambda world: world.now(oldest_waiting_seconds=301.0),
        lambda world: world.now(oldest_waiting_seconds=None),
    ),
    "redis_memory": (
        lambda world: setattr(world, "redis_memory", RedisMemory(81, 100)),
        lambda world: setattr(world, "redis_memory", RedisMemory(60, 100)),
    ),
    "provider_open": (_provider("open"), _provider("closed")),
    "budget_reached": (lambda world: world.happened("limit.reached", reason="cost_per_day"), _nothing),
    "refused_for_good": (
        lambda world: world.happened("webhook.refused", reason="body_too_large", instance="shop", advice=""),
        _nothing,
    ),
    "unknown_instance": (
        lambda world: world.happened("instance.unknown", instance="ghost", messages=1, advice=""),
        _nothing,
    ),
    "old_messages": (lambda world: world.happened("message.aside", reason="backlog"), _nothing),
    "undelivered": (lambda world: world.happened("message.swept", reason="missed"), _nothing),
    "machine_talk": (
        lambda world: world.happened("conversation.machine", signs=["instant", "same"], seconds=3600),
        _nothing,
    ),
    "unfinished_turns": (
        lambda world: setattr(world, "open_turns", [OpenTurn(1, WHO, 1, 301.0), OpenTurn(2, WHO, 2, 1.0)]),
        lambda world: setattr(world, "open_turns", [OpenTurn(2, WHO, 2, 299.0)]),
    ),
    "target_response_time": (_judged(timed=100, slow=6, response_p95_seconds=2.1), _judged()),
    "target_errors": (_judged(answered=900, dead=100), _judged(answered=5_000)),
    "target_cost_per_message": (
        _judged(messages=100, cost_micros=300_000),
        _judged(messages=100, cost_micros=150_000),
    ),
    "target_conversations": (_carried(1), _carried(0)),
    "orphans": (
        lambda world: setattr(world, "strays_found", [WHO]),
        lambda world: setattr(world, "strays_found", []),
    ),
}


@pytest.mark.parametrize("flag", CASES)
async def test_an_alert_is_raised_and_cleared(flag: str, autojump_clock: trio.testing.MockClock) -> None:
    """It is reported in the log and to the webhook, by its name, and no other alert is."""
    world = World()
    flags = alerts(world)
    looked = monitor(world, flags)
    worse, better = CASES[flag]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(looked.run)
        await trio.sleep(3 * EVERY_SECONDS + 1)
        assert not any(up for name, up in flags.up.items() if name != "memory"), "all is well"
        worse(world)
        await trio.sleep(3 * EVERY_SECONDS)
        assert [view.flag for view in flags.views() if view.flag != "memory"] == [flag]
        better(world)
        await trio.sleep(SETTINGS.window_seconds + SETTINGS.clear_seconds + 3_700)
        assert not flags.up[flag]
        nursery.cancel_scope.cancel()
    assert world.feed.reasons("flag.raised").get(flag) == world.feed.reasons("flag.cleared").get(flag) == 1
    keys = [notice.once for notice in world.told if notice.once.startswith(f"flag/{flag}/")]
    is_shared = flag in ("redis_memory", "provider_open", "budget_reached") or flag.startswith("target_")
    whose = "" if is_shared else "/node-a"
    assert keys == [f"flag/{flag}/raised/2026-01-31{whose}", f"flag/{flag}/cleared/2026-01-31{whose}"]
    assert world.nudges >= 2
    assert WHO.contact not in str(world.told)


async def test_too_little_traffic_raises_no_alert_of_a_target(autojump_clock: trio.testing.MockClock) -> None:
    """And figures that cannot be read neither raise nor clear one."""
    world = World()
    flags = alerts(world)
    looked = monitor(world, flags)
    for worse in (_judged(timed=4, slow=4, response_p95_seconds=9.0), _judged(answered=20, dead=1)):
        worse(world)
        for _ in range(3):
            await looked.sweep()
            await trio.sleep(EVERY_SECONDS)
    assert not any(name.startswith("target_") for name, up in flags.up.items() if up)
    _judged(answered=900, dead=100)(world)
    for _ in range(3):
        await looked.sweep()
        await trio.sleep(EVERY_SECONDS)
    world.verdicts = None
    for _ in range(20):
        await looked.sweep()
        await trio.sleep(EVERY_SECONDS)
    assert flags.up["target_errors"]


async def test_little_memory_raises_an_alert(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    flags = alerts(world)
    looked = monitor(world, flags)
    share = 0.81
    monkeypatch.setattr("daemon.observe.memory.used_share", lambda: share)
    await looked.sweep()
    await trio.sleep(EVERY_SECONDS)
    await looked.sweep()
    assert [view.flag for view in flags.views()] == ["memory"]
    share = 0.6
    for _ in range(8):
        await trio.sleep(EVERY_SECONDS)
        await looked.sweep()
    assert not flags.views()


async def test_values_of_a_store_that_is_away_are_unknown(autojump_clock: trio.testing.MockClock) -> None:
    """Without Redis nothing seems to wait, but that clears no alert."""
    world = World()
    flags = alerts(world)
    looked = monitor(world, flags)
    world.now(waiting_messages=5_000)
    await looked.sweep()
    await trio.sleep(EVERY_SECONDS)
    await looked.sweep()
    assert flags.up["queue_depth"]
    world.mirror_is_away = True
    world.now(waiting_messages=0, stores={"redis": "Redis cannot be used now.", "postgres": "ok"})
    for _ in range(20):
        await trio.sleep(EVERY_SECONDS)
        await looked.sweep()
    assert flags.up["queue_depth"]


async def test_hanging_stores_do_not_hide_failing_leases(autojump_clock: trio.testing.MockClock) -> None:
    """What needs no store is always measured; what needs one is unknown meanwhile."""
    world = World()
    flags = alerts(world)
    looked = monitor(world, flags)
    looked._vitals._figures = trio.sleep_forever
    for _ in range(3):
        world.leased(10, 5)
        await looked.sweep()
        await trio.sleep(EVERY_SECONDS)
    assert [view.flag for view in flags.views() if view.flag != "memory"] == ["lease_failures"]


async def test_an_alert_that_is_raised_again_is_notified_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A person who was told that all is well must be notified of new trouble, but not endlessly."""
    world = World()
    flags = alerts(world)
    for _ in range(MAX_NOTICES_PER_DAY + 3):
        flags.take({"provider_open": 1.0}, {})
        await trio.sleep(1)
        flags.take({"provider_open": 0.0}, {})
        await trio.sleep(SETTINGS.clear_seconds)
        flags.take({"provider_open": 0.0}, {})
        await flags.notify(cast(Ledger, world))
    keys = [notice.once for notice in world.told]
    assert keys[:4] == [
        "flag/provider_open/raised/2026-01-31",
        "flag/provider_open/cleared/2026-01-31",
        "flag/provider_open/raised/2026-01-31/2",
        "flag/provider_open/cleared/2026-01-31/2",
    ]
    assert len(set(keys)) == 2 * MAX_NOTICES_PER_DAY, "the ledger keeps one notice of each key"
    assert world.feed.reasons("flag.raised") == {"provider_open": MAX_NOTICES_PER_DAY + 3}


async def test_a_notice_waits_for_the_ledger(autojump_clock: trio.testing.MockClock) -> None:
    world = World(ledger_is_away=True)
    flags = alerts(world)
    looked = monitor(world, flags)
    _provider("open")(world)
    await looked.sweep()
    assert (world.told, flags.up["provider_open"]) == ([], True)
    world.ledger_is_away = False
    await looked.sweep()
    assert [notice.once for notice in world.told] == ["flag/provider_open/raised/2026-01-31"]
    assert world.nudges == 1


async def test_a_failed_sweep_is_reported_and_the_next_one_comes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Law 1: whatever breaks in a sweep, the monitor goes on."""
    world = World()
    flags = alerts(world)
    looked = monitor(world, flags)

    async def broken() -> Figures:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug")

    healthy = world.read_figures
    looked._vitals._figures = broken
    async with trio.open_nursery() as nursery:
        nursery.start_soon(looked.run)
        await trio.sleep(2.5 * EVERY_SECONDS)
        assert (looked.sweeps, world.feed.counters["daemon.problem"]) == (0, 2)
        looked._vitals._figures = healthy
        await trio.sleep(EVERY_SECONDS)
        assert looked.sweeps == 1
        nursery.cancel_scope.cancel()


async def test_a_sweep_that_hangs_is_given_up_and_the_next_one_comes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Law 2: a store that never answers costs one look, not all that would follow."""
    world = World()
    looked = monitor(world, alerts(world))
    strays, asked = world.strays, 0

    async def hang(epochs: Mapping[int, int], _grace_seconds: float) -> list[Conversation]:
        nonlocal asked
        asked += 1
        if asked == 1:
            await trio.sleep_forever()
        return await strays(epochs, _grace_seconds)

    world.strays = hang  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(looked.run)
        await trio.sleep(2 * EVERY_SECONDS + SWEEP_SECONDS + 1)
        assert (asked, looked.sweeps) == (2, 1)
        nursery.cancel_scope.cancel()


async def test_refusals_for_good_are_named_with_what_to_do(autojump_clock: trio.testing.MockClock) -> None:
    """Also those from before the monitor ran; and only the recent ones."""
    world = World()
    world.happened("webhook.refused", 2, reason="unreadable", instance="old")
    flags = alerts(world)
    looked = monitor(world, flags)
    await looked.sweep()
    assert [(view.flag, view.value) for view in flags.views()] == [("refused_for_good", 2.0)]
    await trio.sleep(SETTINGS.window_seconds)
    for reason, instance in (("unreadable", "shop"), ("wrong_or_missing_token", "b"), ("unreadable", "a")):
        world.happened("webhook.refused", reason=reason, instance=instance)
        await trio.sleep(1)
    await looked.sweep()
    (view,) = flags.views()
    assert view.value == 3.0
    assert view.detail == "unreadable of a, shop; wrong_or_missing_token of b"
    assert "see `majlis status`" in view.meaning
