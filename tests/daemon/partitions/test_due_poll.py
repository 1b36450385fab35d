"""The due poll: what is due is nudged, in bounded portions; a mirror that is away ends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
import trio
import trio.testing

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from daemon.mirror.mirror import DuePage, GoesOn
from daemon.partitions.due_poll import APART, DUE_SECONDS, EVERYTHING_SECONDS, RECENT_SECONDS, poll_due

WHO = Conversation("demo", "5511900000001")
LIMIT = 2


class World:
    """A mirror and the ownership of some partitions."""

    def __init__(self, partitions: int = 2, is_split: bool = False) -> None:
        self.epochs = dict.fromkeys(range(partitions), 1)
        self.is_split = is_split
        self.due_at: dict[int, list[tuple[float, Conversation]]] = {}
        """By partition: since when."""
        self.stale: list[int] = []
        self.away = False
        self.others: dict[str, int] = {}
        self.nudged: list[Conversation] = []
        self.heard: list[bytes | None] = []
        self.fenced_again = 0
        self.rounds = 0
        self.asked: list[int] = []

    def add(self, partition: int, number: int) -> Conversation:
        who = Conversation("demo", str(number))
        self.due_at.setdefault(partition, []).append((trio.current_time(), who))
        return who

    async def due(
        self, epochs: Mapping[int, int], within: float | None = None, *, goes_on: GoesOn | None = None
    ) -> DuePage:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise MirrorUnavailable("away")
        self.asked.append(len(epochs))
        since = trio.current_time() - within if within is not None else -1.0
        found: list[Conversation] = []
        for number, partition in enumerate(epochs):
            skip = goes_on.ties if number == 0 and goes_on is not None else 0
            for place, (at, who) in enumerate(self.due_at.get(partition, ())):
                if at >= since and place >= skip:
                    if len(found) == LIMIT:
                        return DuePage(found, self.stale, GoesOn(partition, b"0", place), b"7")
                    found.append(who)
        return DuePage(found, self.stale, None, b"7")

    def fenced(self) -> dict[int, int]:
        return dict(self.epochs)

    def elsewhere(self) -> dict[str, int]:
        return self.others

    def fence_again(self) -> None:
        self.fenced_again += 1

    def turned(self) -> None:
        self.rounds += 1

    def start(self, nursery: trio.Nursery) -> None:
        fake = cast(Any, self)
        nursery.start_soon(poll_due, fake, fake, self.nudged.append, self.heard.append, self.turned)


async def test_the_due_poll(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    world = World()
    world.start(nursery)
    await trio.sleep(1.5 * DUE_SECONDS)
    assert (world.nudged, world.rounds, world.heard) == ([], 1, [b"7"])

    who = world.add(1, 1)
    await trio.sleep(DUE_SECONDS)
    assert (world.nudged, world.fenced_again) == ([who], 0)

    world.away = True
    await trio.sleep(2 * DUE_SECONDS)
    assert (world.nudged, world.rounds) == ([who], 4), "it goes on and says so, or the watchdog would end us"

    world.away, world.stale = False, [1]
    await trio.sleep(DUE_SECONDS)
    assert world.fenced_again == 1, "Redis came back without our fence"
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("is_split", [False, True], ids=["together", "apart"])
async def test_what_is_long_overdue_is_found_again_in_portions(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, is_split: bool
) -> None:
    """I2, I8: however many there are, no poll brings them all, and none is left out; new ones come meanwhile."""
    world = World(2 * APART, is_split)
    everyone = {world.add(number % 5, number) for number in range(30)}
    await trio.sleep(2 * RECENT_SECONDS)
    world.start(nursery)
    await trio.sleep(2 * RECENT_SECONDS)
    assert not world.nudged, "thousands may rightly be overdue: they are not asked for again and again"
    await trio.sleep(EVERYTHING_SECONDS * (2 if is_split else 1))
    before = len(world.nudged)
    new = world.add(20, 99)
    await trio.sleep(3 * DUE_SECONDS)
    assert new in world.nudged and len(world.nudged) - before <= 2 * 3 * LIMIT
    await trio.sleep(30 * DUE_SECONDS)
    assert set(world.nudged) == everyone | {new}
    assert max(world.asked) == (APART if is_split else 2 * APART)
    nursery.cancel_scope.cancel()


async def test_after_a_gap_all_is_asked_for_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """I2: what became due while Redis was away is not only what became due lately."""
    world = World()
    world.start(nursery)
    await trio.sleep(1.5 * DUE_SECONDS)
    world.away = True
    who = world.add(0, 1)
    await trio.sleep(2 * RECENT_SECONDS)
    world.away = False
    await trio.sleep(2 * DUE_SECONDS)
    assert world.nudged == [who]
    nursery.cancel_scope.cancel()


async def test_apart_and_with_others_every_partition_is_asked_each_time(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """I7: another daemon may store anywhere."""
    world = World(2 * APART, is_split=True)
    world.others = {"other": 1}
    world.start(nursery)
    await trio.sleep(1.5 * DUE_SECONDS)
    assert world.asked == [2 * APART]
    nursery.cancel_scope.cancel()
