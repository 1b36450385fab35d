"""Instances that an operator has paused: over a real ledger, and with the actors that obey the pause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import trio

from actors.errors import LedgerUnavailable, Paused
from actors.fairness import FairSlots
from daemon.controls.pauses import CHECK_AGAIN_SECONDS, PAUSED, PauseBoard
from daemon.ledger.rows import Pause
from daemon.observe.feed import EventFeed


class Kept:
    """What the ledger keeps of pauses, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, Pause] = {}
        self.away = False
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    async def pauses(self) -> tuple[Pause, ...]:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise LedgerUnavailable("away")
        return tuple(self.rows.values())

    async def pause(self, instance: str, seconds: float | None) -> None:
        await trio.lowlevel.checkpoint()
        until = None if seconds is None else self.now + timedelta(seconds=seconds)
        self.rows[instance] = Pause(instance, self.now, until)

    async def unpause(self, instance: str) -> None:
        await trio.lowlevel.checkpoint()
        self.rows.pop(instance, None)


class Board:
    def __init__(self) -> None:
        self.kept = Kept()
        self.feed = EventFeed(strict=True)
        self.woken = 0
        self.board = PauseBoard(cast(Any, self.kept), self.feed, self._wake, lambda: self.kept.now)

    def _wake(self) -> None:
        self.woken += 1


async def test_a_paused_instance_gets_no_turn_slot_and_others_do() -> None:
    world = Board()
    slots = FairSlots(2, world.board.check)
    await world.board.pause("acme", None)
    with pytest.raises(Paused, match=PAUSED) as held:
        async with slots.hold("acme"):
            pass
    assert held.value.retry_after_seconds == CHECK_AGAIN_SECONDS
    async with slots.hold("shop"):
        assert slots.held == 1
    assert slots.held == 0
    assert await world.board.resume("acme") and world.woken == 1
    async with slots.hold("acme"):
        assert slots.held == 1


async def test_a_turn_that_waits_for_a_slot_when_the_pause_begins_is_held(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = Board()
    slots, held = FairSlots(1, world.board.check), trio.Event()

    async def want() -> None:
        with pytest.raises(Paused):
            async with slots.hold("acme"):
                pass
        held.set()

    async with trio.open_nursery() as nursery:
        async with slots.hold("shop"):
            nursery.start_soon(want)
            await trio.testing.wait_all_tasks_blocked()
            await world.board.pause("", None)
            assert not held.is_set()
        await held.wait()
    assert slots.held == 0


async def test_a_pause_with_an_end_ends_by_itself() -> None:
    world = Board()
    await world.board.pause("acme", 60)
    with pytest.raises(Paused) as held:
        world.board.check("acme")
    assert held.value.retry_after_seconds == 60
    world.kept.now += timedelta(seconds=60)
    world.board.check("acme")
    assert world.board.standing() == () and world.board.of("acme") is None


async def test_pausing_all_pauses_each_and_keeps_single_pauses() -> None:
    world = Board()
    await world.board.pause("acme", None)
    await world.board.pause("", None)
    assert [pause.instance for pause in world.board.standing()] == ["", "acme"]
    own, everybodys = world.board.of("acme"), world.board.of("shop")
    assert own is not None and own.instance == "acme"
    assert everybodys is not None and everybodys.instance == ""
    assert await world.board.resume("")
    world.board.check("shop")
    with pytest.raises(Paused):
        world.board.check("acme")
    assert not await world.board.resume("")
    assert world.feed.counters["pause.began"] == 2 and world.feed.counters["pause.ended"] == 1


async def test_pauses_of_another_daemon_take_effect_here(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = Board()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.board.run)
        await world.kept.pause("acme", None)
        await trio.sleep(31)
        with pytest.raises(Paused):
            world.board.check("acme")
        world.kept.away = True
        await trio.sleep(31)
        with pytest.raises(Paused):  # what was known last holds
            world.board.check("acme")
        world.kept.away = False
        await world.kept.unpause("acme")
        await trio.sleep(31)
        world.board.check("acme")
        assert world.woken == 1
        nursery.cancel_scope.cancel()


async def test_no_turn_begins_before_the_pauses_were_read(autojump_clock: trio.testing.MockClock) -> None:
    """A pause survives a restart even if Postgres fails at the moment of the start."""
    world = Board()
    await world.kept.pause("acme", None)
    world.kept.away = True
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(90) as starting:
            await nursery.start(world.board.run)
        assert starting.cancelled_caught, "it is not started while nobody knows who is paused"
        nursery.start_soon(_back_after, world.kept, 5)
        await nursery.start(world.board.run)
        with pytest.raises(Paused):
            world.board.check("acme")
        nursery.cancel_scope.cancel()


async def _back_after(kept: Kept, seconds: float) -> None:
    await trio.sleep(seconds)
    kept.away = False
