"""When which instance is swept: what causes it, what bounds it, and that nobody's trouble is another's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import trio
import trio.testing

from actors.errors import LedgerUnavailable
from actors.identity import Conversation
from actors.instance import Mode
from daemon.config.sections import SweepSettings
from daemon.controls.modes import InMode
from daemon.gateways.kind import RecordsReader, RecordsUnavailable
from daemon.ledger.rows import Pause
from daemon.observe.feed import EventFeed
from daemon.sweep.comparing import WhatIsKnown
from daemon.sweep.marks import Claimed, Marks
from daemon.sweep.plan import Mark
from daemon.sweep.sweeper import PER_SECOND, SELDOM_SECONDS, Around, Clocks, Sweeper
from tests.support.records import NOW, MemoryHall, MemoryRecords, said, wall

SETTINGS = SweepSettings(every_seconds=600, settle_seconds=30)


@dataclass
class MemoryMarks:
    """As `Marks`, of one daemon."""

    hall: MemoryHall
    rests: dict[str, int | None] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Instances that another daemon sweeps."""
    inactive: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    is_away: bool = False

    async def claim(self, instance: str, _within: float) -> Claimed | None:
        await trio.lowlevel.checkpoint()
        if self.is_away:
            raise LedgerUnavailable("away")
        if instance in self.refused:
            return None
        assert instance not in self.held
        self.held.add(instance)
        mark = self.hall.marks.get(instance)
        return Claimed(mark, instance in self.rests, self.rests.get(instance))

    async def reach(self, instance: str, mark: Mark) -> bool:
        self.rests.pop(instance, None)
        return await self.hall.reach(instance, mark)

    async def rest(self, instance: str, until: int | None) -> None:
        await trio.lowlevel.checkpoint()
        self.rests[instance] = until

    async def release(self, instance: str, _done: bool) -> None:
        await trio.lowlevel.checkpoint()
        self.held.discard(instance)

    async def ours(self, names: Collection[str]) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        if self.is_away:
            raise LedgerUnavailable("away")
        self.rests |= dict.fromkeys(self.inactive)
        return frozenset(names) - self.inactive


class Here:
    """A sweeper over gateways in memory."""

    def __init__(self, *names: str, swept: bool = True) -> None:
        self.records = MemoryRecords()
        self.readers: dict[str, MemoryRecords] = dict.fromkeys(names, self.records)
        self.hall = MemoryHall()
        if swept:
            self.hall.marks = {name: Mark(NOW - 600, NOW - 600) for name in names}
        self.marks = MemoryMarks(self.hall)
        self.feed = EventFeed(strict=True)
        self.pauses: dict[str, Pause] = {}
        self.modes: dict[str, InMode] = {}
        self.is_ready = True
        self.stopped_seconds = 0.0
        known = WhatIsKnown(
            self.hall.heard, self.hall.settle, self.hall.answers, self.hall.phones, self.marks.reach
        )
        self.sweeper = Sweeper(
            SETTINGS,
            Around(self._instances, self.pauses.get, self._mode, lambda: self.is_ready),
            cast("Marks", self.marks),
            known,
            self.hall,
            self.feed,
            Clocks(wall, lambda: trio.current_time() + self.stopped_seconds, lambda: 0.0),
        )

    async def _mode(self, name: str) -> InMode:
        await trio.lowlevel.checkpoint()
        return self.modes.get(name, InMode("live", -math.inf))

    def change_mode(self, name: str, mode: Mode) -> None:
        self.modes[name] = InMode(mode, wall())
        self.feed.emit("instance.mode", instance=name, mode=mode)

    async def _instances(self) -> Mapping[str, RecordsReader]:
        await trio.lowlevel.checkpoint()
        return dict(self.readers)

    @property
    def heard(self) -> list[str]:
        return [message.id for message in self.hall.stored]

    def asked(self) -> Counter[str]:
        """Requests by instance since the last time."""
        found = Counter(request[0] for records in set_of(self.readers) for request in records.requests)
        for records in set_of(self.readers):
            records.requests.clear()
        return found


def set_of(readers: Mapping[str, MemoryRecords]) -> list[MemoryRecords]:
    return list({id(records): records for records in readers.values()}.values())


@asynccontextmanager
async def sweeping(here: Here) -> AsyncIterator[Here]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.sweeper.run)  # noqa: ASYNC113 - it has no moment at which it is started
        yield here
        nursery.cancel_scope.cancel()


def pause(instance: str, until: int | None = None) -> Pause:
    since = datetime.fromtimestamp(wall(), UTC)
    return Pause(instance, since, None if until is None else datetime.fromtimestamp(until, UTC))


async def test_a_start_then_every_ten_minutes(autojump_clock: trio.testing.MockClock) -> None:
    """And not at once: what the gateway is about to deliver by itself comes first."""
    here = Here("demo")
    here.records.kept = [said("A", 300)]
    async with sweeping(here):
        await trio.sleep(29)
        assert here.asked() == {}
        await trio.sleep(2)
        assert here.heard == ["A"]
        here.asked()
        await trio.sleep(590)
        assert here.asked() == {}
        await trio.sleep(20)
        assert here.asked() == {"demo": 1}
        assert here.sweeper.view().found == {"missed": 1}


async def test_a_first_sweep_only_sets_the_mark(autojump_clock: trio.testing.MockClock) -> None:
    here = Here("demo", swept=False)
    here.records.kept = [said("A", 300)]
    async with sweeping(here):
        await trio.sleep(700)
        assert (here.heard, here.hall.marks["demo"].floor) == ([], NOW + 30)


async def test_what_causes_a_sweep(autojump_clock: trio.testing.MockClock) -> None:
    here, chat = Here("demo", "acme"), Conversation("demo", "5511900000001")

    async def causes(then: Any, instances: set[str]) -> None:
        await trio.sleep(100)  # a minute passes at least between two sweeps of an instance
        here.asked()
        then()
        await trio.sleep(40)
        assert set(here.asked()) == instances

    def outage(seconds: float) -> None:
        here.stopped_seconds += seconds

    async with sweeping(here):
        await causes(lambda: None, set())
        await causes(lambda: here.feed.emit("gateway.connected", instance="demo"), {"demo"})
        await causes(lambda: here.feed.emit("gateway.feed_up", instance="acme"), {"acme"})
        await causes(lambda: here.feed.emit("gateway.connected", instance="nobody"), set())
        here.feed.emit("part.not_sent", chat, reason="connection_closed", remedy="hold")
        await causes(lambda: here.feed.emit("part.sent", chat), {"demo"})
        await causes(lambda: here.feed.emit("part.sent", chat), set())
        here.feed.emit("daemon.not_ready", reasons=[])
        await causes(lambda: here.feed.emit("daemon.ready"), {"demo", "acme"})
        await causes(lambda: here.feed.emit("daemon.not_ready", reasons=[]), set())
        await causes(lambda: outage(30), set())
        await causes(lambda: outage(90), {"demo", "acme"})


async def test_strangers_cannot_make_it_ask_often(autojump_clock: trio.testing.MockClock) -> None:
    """I8: anybody may post that an instance is connected where the door is open."""
    here = Here("demo")
    async with sweeping(here):
        for _ in range(600):
            here.feed.emit("gateway.connected", instance="demo")
            await trio.sleep(1)
        assert here.asked()["demo"] <= 12


async def test_three_hundred_instances_do_not_press_the_gateway(
    autojump_clock: trio.testing.MockClock,
) -> None:
    here = Here(*(f"i{number}" for number in range(300)))
    here.records.takes_seconds = 0.1
    async with sweeping(here):
        await trio.sleep(150)
        times = here.records.times
        assert len({request[0] for request in here.records.requests}) == 300
        assert all(
            later - first >= 0.99 for first, later in zip(times, times[int(PER_SECOND) :], strict=False)
        )


async def test_a_gateway_that_is_away_delays_no_other(autojump_clock: trio.testing.MockClock) -> None:
    """I9: it is asked by one instance alone, less and less often, and told once."""
    here, dead = Here("good"), MemoryRecords(takes_seconds=15.0)
    here.readers |= {f"dead{number}": dead for number in range(50)}
    here.hall.marks |= {name: Mark(NOW - 600, NOW - 600) for name in here.readers}
    dead.fails = lambda _: RecordsUnavailable("timed_out", everyone=True)
    here.records.kept = [said("A", 300, instance="good")]
    async with sweeping(here):
        await trio.sleep(100)
        assert here.heard == ["A"]
        await trio.sleep(3_500)
        assert here.asked()["good"] >= 6
        assert len(dead.times) < 30
        assert "timed_out" in here.sweeper.view().behind.values()
        dead.fails = lambda _: None
        await trio.sleep(1_500)
        assert here.sweeper.view().behind == {}


async def test_a_gateway_that_changed_is_swept_soon(autojump_clock: trio.testing.MockClock) -> None:
    """What the former one had not delivered may be in the new one's records; its trouble is not the new one's."""
    here = Here("demo")
    here.records.fails = lambda _: RecordsUnavailable("unreachable", everyone=True)
    async with sweeping(here):
        await trio.sleep(300)
        assert here.sweeper.view().behind == {"demo": "unreachable"}
        there = here.readers["demo"] = MemoryRecords(kept=[said("A", 300)])
        here.sweeper.look_again()
        await trio.sleep(SELDOM_SECONDS + SETTINGS.settle_seconds)
        assert here.heard == ["A"] and here.sweeper.view().behind == {}
        here.readers["new"] = here.readers.pop("demo")
        here.sweeper.look_again()
        there.requests.clear()
        await trio.sleep(2 * SETTINGS.every_seconds)
        assert set(here.asked()) == {"new"}


async def test_an_instance_in_trouble_is_told_once_and_asked_less_often(
    autojump_clock: trio.testing.MockClock,
) -> None:
    here = Here("demo", "other")
    here.records.fails = lambda name: RecordsUnavailable("answered_404") if name == "demo" else None
    async with sweeping(here):
        await trio.sleep(7_200)
        asked = here.asked()
        assert 10 < asked["demo"] < 40
        assert asked["other"] >= 11
        assert here.feed.reasons("sweep.failed") == {"answered_404": 1}


async def test_a_bug_ends_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """I14."""
    here = Here("demo")
    here.records.kept = [said("A", 300)]

    def broken(_: str) -> RecordsUnavailable | None:
        raise ZeroDivisionError

    here.records.fails = broken
    async with sweeping(here):
        await trio.sleep(60)
        assert here.sweeper.view().behind == {"demo": "ZeroDivisionError"}
        here.records.fails = lambda _: None
        await trio.sleep(600)
        assert (here.heard, here.sweeper.view().behind) == (["A"], {})


async def test_the_time_of_a_pause_is_not_swept(autojump_clock: trio.testing.MockClock) -> None:
    """What came before it is still owed an answer."""
    here = Here("demo", "acme")
    async with sweeping(here):
        await trio.sleep(100)
        here.records.kept = [said("BEFORE", -105)]
        await trio.sleep(100)
        here.pauses["demo"] = pause("demo")
        here.feed.emit("pause.began", instance="demo")
        await trio.sleep(40)
        assert (here.heard, set(here.marks.rests)) == (["BEFORE"], {"demo"})
        here.records.kept.append(said("MEANWHILE", -1_000))
        await trio.sleep(2_000)
        del here.pauses["demo"]
        here.feed.emit("pause.ended", instance="demo")
        await trio.sleep(100)
        here.records.kept.append(said("AFTER", -2_250))
        await trio.sleep(1_000)
        assert here.heard == ["BEFORE", "AFTER"]


async def test_what_came_just_before_a_pause_is_heard(autojump_clock: trio.testing.MockClock) -> None:
    """I2: the pause begins before the gateway has had its time to deliver."""
    here = Here("demo")
    async with sweeping(here):
        await trio.sleep(300)
        here.records.kept = [said("BEFORE", -290), said("IN IT", -320)]
        here.pauses["demo"] = pause("demo")
        here.feed.emit("pause.began", instance="demo")
        await trio.sleep(60)
        here.pauses.clear()
        here.feed.emit("pause.ended", instance="demo")
        await trio.sleep(900)
        assert here.heard == ["BEFORE"]


async def test_who_is_held_is_not_asked_for_and_owes_all_that_came_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """I2: no operator wanted this silence."""
    here = Here("demo")
    async with sweeping(here):
        await trio.sleep(100)
        here.asked()
        here.pauses["demo"] = msgspec.structs.replace(
            pause("demo"), held="its gateway.api_key cannot be opened"
        )
        here.feed.emit("pause.began", instance="demo")
        here.records.kept = [said("MEANWHILE", -300)]
        await trio.sleep(900)
        assert here.asked() == {} and here.marks.rests == {}
        here.pauses.clear()
        here.feed.emit("pause.ended", instance="demo")
        await trio.sleep(100)
        assert here.heard == ["MEANWHILE"]


async def test_a_pause_that_ended_while_the_daemon_was_away(autojump_clock: trio.testing.MockClock) -> None:
    here = Here("demo")
    here.marks.rests = {"demo": NOW - 200}
    here.records.kept = [said("PAUSED", 300), said("AFTER", 100)]
    async with sweeping(here):
        await trio.sleep(700)
        assert here.heard == ["AFTER"]


async def test_an_instance_that_is_not_ours_is_not_asked_about(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """When it is ours again, it begins anew."""
    here = Here("demo", "acme")
    here.marks.inactive = {"acme"}
    here.records.kept = [said("A", -100, instance="acme")]
    async with sweeping(here):
        await trio.sleep(1_000)
        assert set(here.asked()) == {"demo"}
        here.marks.inactive = set()
        await trio.sleep(1_300)
        assert "acme" in here.asked()
        assert here.heard == []


async def test_another_daemon_sweeps_it(autojump_clock: trio.testing.MockClock) -> None:
    here = Here("demo")
    here.marks.refused = {"demo"}
    async with sweeping(here):
        await trio.sleep(1_000)
        assert here.asked() == {}


async def test_a_look_back_waits_for_another_daemons_sweep(autojump_clock: trio.testing.MockClock) -> None:
    """I1: that one may not look so far back, and a phone that was offline gives its messages late."""
    here = Here("demo")
    here.hall.marks["demo"] = Mark(NOW - 3_000, NOW - 60)
    here.records.kept = [said("LATE", 1_800)]
    here.marks.refused = {"demo"}
    async with sweeping(here):
        await trio.sleep(50)
        here.marks.refused.clear()
        await trio.sleep(150)
        assert here.heard == ["LATE"]


async def test_a_reconnection_while_a_sweep_goes_on_is_looked_after_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """I1: what goes on there does not look back; the sweep after it does."""
    here = Here("demo")
    here.records.size = 1
    here.hall.marks["demo"] = Mark(NOW - 7_200, NOW - 3_000)
    here.records.kept = [said(f"M{n}", 2_900 - 10 * n) for n in range(200)]
    async with sweeping(here):
        await trio.sleep(60)
        assert 0 < len(here.heard) < 200
        here.records.kept.append(said("LATE", 3_200))
        here.feed.emit("gateway.connected", instance="demo")
        await trio.sleep(500)
        assert len(here.heard) == 201


async def test_nothing_is_swept_while_messages_cannot_be_stored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    here = Here("demo")
    here.is_ready = False
    async with sweeping(here):
        await trio.sleep(100)
        assert here.asked() == {}
        here.marks.is_away = here.is_ready = True
        await trio.sleep(100)
        assert here.asked() == {}
        here.marks.is_away = False
        await trio.sleep(100)
        assert here.asked() == {"demo": 1}


async def test_a_sweep_that_used_up_its_requests_goes_on_after_the_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    here = Here("busy", "quiet")
    here.records.size = 1
    here.hall.marks["busy"] = Mark(NOW - 86_400, NOW - 86_400)
    here.records.kept = [said(f"M{n}", 80_000 - 10 * n, instance="busy") for n in range(600)]
    async with sweeping(here):
        await trio.sleep(50)
        assert here.asked()["quiet"] >= 1
        await trio.sleep(1_200)
        assert len(here.heard) == 600


async def test_modes_in_which_nobody_answers_are_not_swept_and_leave_nothing_to_be_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """I2: while another system answered, it answered; only what came since it is live again is owed."""
    here = Here("demo", "acme")
    here.change_mode("demo", "passthrough")
    here.change_mode("acme", "off")
    here.records.kept = [said("BEFORE", 300)]
    async with sweeping(here):
        await trio.sleep(300)
        assert (here.asked(), here.heard) == ({}, [])
        here.records.kept.append(said("MEANWHILE", NOW - int(wall())))
        await trio.sleep(300)
        here.change_mode("demo", "live")
        here.records.kept.append(said("SINCE", NOW - int(wall()) - 5))
        await trio.sleep(700)
        assert here.heard == ["SINCE"]


async def test_going_live_from_shadow_answers_nothing_that_was_written_in_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    here = Here("demo")
    here.change_mode("demo", "shadow")
    async with sweeping(here):
        await trio.sleep(100)
        here.change_mode("demo", "live")
        here.records.kept = [said("IN_SHADOW", NOW - int(wall()) + 10), said("LIVE", NOW - int(wall()) - 10)]
        await trio.sleep(100)
        here.feed.emit("gateway.connected", instance="demo")  # looks far back
        await trio.sleep(200)
        assert here.heard == ["LIVE"]
