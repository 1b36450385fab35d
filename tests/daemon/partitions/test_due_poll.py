"""The due poll: what is due is nudged once a round, a mirror that is away ends nothing, and a lost fence is renewed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import trio
import trio.testing

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from daemon.partitions.due_poll import DUE_SECONDS, poll_due

WHO = Conversation("demo", "5511900000001")


class World:
    """A mirror and the ownership of two partitions."""

    def __init__(self) -> None:
        self.due_now: list[Conversation] = []
        self.stale: list[int] = []
        self.away = False
        self.nudged: list[Conversation] = []
        self.fenced_again = 0
        self.rounds = 0

    async def due(self, epochs: Mapping[int, int]) -> tuple[list[Conversation], list[int]]:
        await trio.lowlevel.checkpoint()
        assert epochs == {0: 1, 3: 2}
        if self.away:
            raise MirrorUnavailable("away")
        return self.due_now, self.stale

    def fenced(self) -> dict[int, int]:
        return {0: 1, 3: 2}

    def fence_again(self) -> None:
        self.fenced_again += 1

    def turned(self) -> None:
        self.rounds += 1


async def test_the_due_poll(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    world = World()
    fake = cast(Any, world)
    nursery.start_soon(poll_due, fake, fake, world.nudged.append, world.turned)
    await trio.sleep(1.5 * DUE_SECONDS)
    assert (world.nudged, world.rounds) == ([], 1)

    world.due_now = [WHO]
    await trio.sleep(DUE_SECONDS)
    assert (world.nudged, world.fenced_again) == ([WHO], 0)

    world.away = True
    await trio.sleep(2 * DUE_SECONDS)
    assert (world.nudged, world.rounds) == ([WHO], 4), "it goes on and says so, or the watchdog would end us"

    world.away, world.due_now, world.stale = False, [], [3]
    await trio.sleep(DUE_SECONDS)
    assert world.fenced_again == 1, "Redis came back without our fence"
    nursery.cancel_scope.cancel()
