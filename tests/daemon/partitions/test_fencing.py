"""Ownership follows leases and fences; what keeps a partition from being ours is said only while somebody must act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from actors.errors import LeaseUncertain, LedgerUnavailable, MirrorUnavailable
from actors.identity import Conversation
from actors.messages import Snapshot
from daemon.partitions.fencing import FencedOwnership
from daemon.partitions.leases import LeaseChange
from tests.support.memory import MemoryFeed

WHO = Conversation("demo", "5511900000001")
PARTITIONS = 2
MINE = {0: 4, 1: 4}


class World:
    """Leases of two partitions, and the Redis that they are fenced in."""

    def __init__(self) -> None:
        self.leases = dict(MINE)
        self.in_postgres = dict(MINE)
        self.in_redis = {0: 0, 1: 0}
        self.lost: set[int] = set()
        self.postgres_is_away = False
        self.redis_is_foreign = False
        self.reasons: list[str] = []
        self.recovered: list[list[int]] = []
        self.elsewhere: dict[str, int] = {}
        self.change: Any = None

    # As leases.

    def on_change(self, listener: Any) -> None:
        self.change = listener

    def held(self) -> dict[int, int]:
        return dict(self.leases)

    def epoch(self, conversation: Conversation) -> int:
        return self.leases[conversation.partition(PARTITIONS)]

    async def minted(self, partitions: Iterable[int]) -> dict[int, int]:
        await trio.lowlevel.checkpoint()
        if self.postgres_is_away:
            raise LedgerUnavailable("away")
        return {partition: self.in_postgres[partition] for partition in partitions}

    def lose(self, *partitions: int) -> None:
        """Our leases hear from Postgres that another daemon holds them."""
        for partition in partitions:
            del self.leases[partition]
        self.change(LeaseChange({}, frozenset(partitions)))

    # As mirror and survey.

    async def fence(self, epochs: Mapping[int, int], owner: str) -> dict[int, int]:
        await trio.lowlevel.checkpoint()
        if self.redis_is_foreign:
            raise MirrorUnavailable("foreign")
        refused = {}
        for partition, epoch in epochs.items():
            if partition in self.lost or epoch < self.in_redis[partition]:
                refused[partition] = 0 if partition in self.lost else self.in_redis[partition]
            else:
                self.in_redis[partition] = epoch
        return refused

    async def recover(self, partitions: Iterable[int]) -> tuple[list[Snapshot], list[Conversation]]:
        await trio.lowlevel.checkpoint()
        self.recovered.append(list(partitions))
        return [], []

    # What `run` calls.

    def report(self, reasons: tuple[str, ...]) -> None:
        self.reasons = list(reasons)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def ownership(world: World, autojump_clock: MockClock, nursery: trio.Nursery) -> FencedOwnership:
    fake = cast(Any, world)
    ownership = FencedOwnership(fake, fake, fake, "me", PARTITIONS, MemoryFeed())
    nursery.start_soon(partial(ownership.run, _pick_up, lambda: None, world.report))
    await trio.sleep(0.5)
    return ownership


async def _pick_up(snapshots: Iterable[Snapshot], unread: Iterable[Conversation]) -> None:
    await trio.lowlevel.checkpoint()


async def test_a_gained_partition_is_fenced_before_it_is_ours(
    world: World, ownership: FencedOwnership, autojump_clock: MockClock
) -> None:
    assert (world.in_redis, ownership.fenced(), world.reasons) == (MINE, MINE, [])
    assert ownership.epoch(WHO) == 4
    fake = cast(Any, world)
    not_yet = FencedOwnership(fake, fake, fake, "me", PARTITIONS, MemoryFeed())
    with pytest.raises(LeaseUncertain):
        not_yet.epoch(WHO)


async def test_a_successor_is_no_fault(
    world: World, ownership: FencedOwnership, autojump_clock: MockClock
) -> None:
    """I5: paused beyond its leases: Postgres gave the higher epoch to another daemon. Nobody has to act."""
    world.in_redis, world.in_postgres = {0: 5, 1: 5}, {0: 5, 1: 5}
    ownership.fence_again()
    await trio.sleep(3)
    assert (world.reasons, ownership.fenced()) == ([], {})
    with pytest.raises(LeaseUncertain):
        ownership.epoch(WHO)
    world.lose(0, 1)
    await trio.sleep(3)
    assert world.reasons == []


async def test_an_epoch_that_postgres_never_gave_is_a_fault(
    world: World, ownership: FencedOwnership, autojump_clock: MockClock
) -> None:
    """I15: one of the two stores is older than the other. It is said until it is mended or no longer ours."""
    world.in_redis[0] = 9
    ownership.fence_again()
    await trio.sleep(3)
    assert "higher epoch" in " ".join(world.reasons)
    assert ownership.fenced() == {1: 4}
    world.postgres_is_away = True
    await trio.sleep(3)
    assert "higher epoch" in " ".join(world.reasons), "it cannot be known that it is mended"
    world.postgres_is_away = False
    world.lose(0)
    await trio.sleep(3)
    assert (world.reasons, ownership.fenced()) == ([], {1: 4})


async def test_a_lock_that_is_gone_is_a_fault(
    world: World, ownership: FencedOwnership, autojump_clock: MockClock
) -> None:
    """I15: its partition waits for an operator, the other goes on."""
    world.lost = {1}
    ownership.fence_again()
    await trio.sleep(3)
    assert "--adopt-redis" in " ".join(world.reasons)
    assert ownership.fenced() == {0: 4}
    before = len(world.recovered)
    await trio.sleep(5)
    assert len(world.recovered) == before, "what is refused again and again recovers nothing"
    world.lost = set()
    await trio.sleep(3)
    assert (world.reasons, ownership.fenced()) == ([], MINE)


async def test_a_foreign_redis_is_fenced_when_it_is_ours_again(
    world: World, ownership: FencedOwnership, autojump_clock: MockClock
) -> None:
    world.redis_is_foreign, world.in_redis = True, {0: 0, 1: 0}
    ownership.fence_again()
    await trio.sleep(3)
    assert world.in_redis == {0: 0, 1: 0}
    world.redis_is_foreign = False
    await trio.sleep(3)
    assert (world.in_redis, world.recovered[-1]) == (MINE, [0, 1])
