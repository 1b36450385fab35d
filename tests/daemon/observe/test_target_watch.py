"""What a daemon carries is counted by the minute and stored; what the targets are judged by is read now and then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.targets import LoadFigures, Minute, TurnFigures
from daemon.config import TargetsSettings
from daemon.observe.feed import EventFeed
from daemon.observe.minutes import MAX_KEPT, Minutes
from daemon.observe.target_watch import MAX_AGE_SECONDS, REFRESH_SECONDS, TargetWatch

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@dataclass
class World:
    """The counts of a daemon, the ledger, and the walk through the mirror."""

    conversations: int = 0
    messages: int = 0
    turned_away: int = 0
    is_away: bool = False
    breaks: bool = False
    turns_read: list[tuple[float, str | None]] = field(default_factory=list)
    stored: list[Minute] = field(default_factory=list)
    steps: int = 0
    restarts: int = 0

    def minutes(self) -> Minutes:
        return Minutes(lambda: self.conversations, lambda: self.messages, lambda: self.turned_away)

    def watch(self) -> TargetWatch:
        sizes = cast(Any, SimpleNamespace(step=self.step, start_again=self.start_again, latest=None))
        settings, feed = TargetsSettings(), EventFeed(strict=True)
        self.feed = feed
        return TargetWatch(settings, self, self.minutes(), sizes, feed, "node-a", self.today)

    def today(self) -> datetime:
        return NOON + timedelta(seconds=trio.current_time())

    async def _ask(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.breaks:
            raise ValueError("a bug")
        if self.is_away:
            raise LedgerUnavailable("away")

    async def turns(
        self, period_seconds: float, instance: str | None, slow_seconds: float | None
    ) -> TurnFigures:
        await self._ask()
        self.turns_read.append((period_seconds, instance))
        return TurnFigures(answered=5_000)

    async def load(
        self, period_seconds: float, conversations: int | None, messages: int | None
    ) -> LoadFigures:
        await self._ask()
        return LoadFigures()

    async def store_minutes(self, node_id: str, rows: Sequence[Minute]) -> None:
        await self._ask()
        self.stored += rows

    async def step(self) -> bool:
        await trio.lowlevel.checkpoint()
        self.steps += 1
        if self.is_away:
            raise MirrorUnavailable("away")
        return self.steps % 10 == 0

    def start_again(self) -> None:
        self.restarts += 1


def test_a_minute_has_the_most_conversations_and_what_came_within_it() -> None:
    world = World(messages=70)
    minutes = world.minutes()
    for second, conversations, messages, turned_away in (
        (0, 3, 70, 0), (30, 9, 90, 0), (55, 4, 100, 2), (60, 2, 110, 2), (90, 2, 110, 2),
        (121, 0, 111, 2), (185, 0, 111, 2),
    ):  # fmt: skip
        world.conversations, world.messages, world.turned_away = conversations, messages, turned_away
        minutes.sample(NOON + timedelta(seconds=second))
    minute = timedelta(minutes=1)
    assert minutes.take() == (Minute(NOON, 9, 40, 2), Minute(NOON + minute, 2, 1, 0))
    assert minutes.take() == ()
    assert minutes.seconds_to_next(NOON + timedelta(seconds=58), 5.0) == 2.0


def test_a_clock_that_is_set_makes_no_minute_of_hours() -> None:
    world = World(conversations=1)
    minutes = world.minutes()
    minutes.sample(NOON)
    world.messages = 500
    minutes.sample(NOON + timedelta(days=1))
    minutes.sample(NOON + timedelta(days=1, minutes=1))
    assert [minute.messages for minute in minutes.take()] == [0]


def test_minutes_that_cannot_be_stored_are_kept_up_to_a_bound() -> None:
    world = World(conversations=1)
    minutes = world.minutes()
    for number in range(2 * MAX_KEPT):
        minutes.sample(NOON + timedelta(minutes=number))
        minutes.put_back(minutes.take())
    kept = minutes.take()
    assert len(kept) == MAX_KEPT and kept[-1].minute == NOON + timedelta(minutes=2 * MAX_KEPT - 2)


def states(watch: TargetWatch) -> list[str]:
    """As it knows them now."""
    return [] if watch.latest is None else [one.state for one in watch.latest.verdicts]


async def test_it_judges_again_and_again_and_knows_nothing_while_the_ledger_is_away(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """What was carried meanwhile is stored later; a bug in it is reported and ends nothing."""
    world = World(conversations=7)
    watch = world.watch()
    nursery.start_soon(watch.run)
    await trio.sleep(1)
    assert states(watch)[:2] == ["unknown", "reached"]
    world.is_away = True
    await trio.sleep(3 * REFRESH_SECONDS)
    assert states(watch) == [] and world.stored == [] and world.restarts > 0
    world.is_away, world.breaks = False, True
    await trio.sleep(2 * REFRESH_SECONDS)
    assert world.feed.reasons("daemon.problem") == {"targets": 2}
    world.breaks = False
    await trio.sleep(REFRESH_SECONDS)
    assert states(watch) != []
    assert [minute.minute for minute in world.stored] == [
        NOON + timedelta(minutes=n) for n in range(len(world.stored))
    ]
    assert len(world.stored) >= 5 and {minute.conversations for minute in world.stored} == {7}


async def test_who_asks_together_shares_one_answer(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    watch = world.watch()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(watch.read, 60.0, "acme")
    assert world.turns_read == [(60.0, "acme")]
    names = {verdict.name for verdict in (await watch.read(60.0, "acme")).verdicts}
    assert names == {"response_time", "errors", "cost_per_message"}, "the others are not of one instance"
    await watch.read(60.0, "shop")
    await trio.sleep(MAX_AGE_SECONDS + 1)
    await watch.read(60.0, "shop")
    assert world.turns_read == [(60.0, "acme"), (60.0, "shop"), (60.0, "shop")]
    world.is_away = True
    with pytest.raises(LedgerUnavailable):
        await watch.read()
