"""Leases: who owns a partition, and until when one may believe it."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast
from unittest import mock

import pytest
import trio
import trio_asyncio

from actors.errors import LeaseUncertain, LedgerUnavailable, StaleEpoch
from daemon.partitions.leases import LeaseChange, Leases, boot_seconds, raise_epochs
from daemon.stores.postgres import Postgres
from tests.support import patience
from tests.support.ledgers import DEMO, PARTITIONS, open_postgres, prepare, until
from tests.support.pg_proxy import PostgresProxy

ALL = set(range(PARTITIONS))


@pytest.fixture
async def db(migrated_postgres_dsn: str) -> AsyncIterator[Postgres]:
    async with trio_asyncio.open_loop(), open_postgres(migrated_postgres_dsn) as db:
        await prepare(db)
        await db.fetch("UPDATE majlis_partitions SET epoch = 0")
        yield db


def leases(db: Postgres, node: str, clock: Callable[[], float] = boot_seconds, **settings: float) -> Leases:
    return Leases(db, node, PARTITIONS, clock=clock, **settings)


async def expire(db: Postgres) -> None:
    await db.fetch("UPDATE majlis_partitions SET until = now() - interval '1 second'")


async def test_one_daemon_takes_everything_and_keeps_its_epochs(db: Postgres) -> None:
    one = leases(db, "one")
    with pytest.raises(StaleEpoch):
        one.epoch(DEMO)
    for _ in range(3):
        await one.refresh()
        assert one.held() == dict.fromkeys(ALL, 1)
        assert one.epoch(DEMO) == 1
    assert one.certain() == PARTITIONS


async def test_a_held_partition_is_not_taken(db: Postgres) -> None:
    """I5"""
    one, two = leases(db, "one"), leases(db, "two")
    await one.refresh()
    await two.refresh()
    assert two.held() == {}
    with pytest.raises(StaleEpoch):
        two.epoch(DEMO)


async def test_two_daemons_at_once_share_without_overlap(db: Postgres) -> None:
    """I5: every partition has one owner, whoever comes first."""
    daemons = [leases(db, f"node {number}") for number in range(4)]
    async with trio.open_nursery() as nursery:
        for daemon in daemons:
            nursery.start_soon(daemon.refresh)
    owned = [number for daemon in daemons for number in daemon.held()]
    assert sorted(owned) == sorted(ALL)


async def test_a_restarted_node_takes_its_own_back_at_once(db: Postgres) -> None:
    """I5, I13: under a higher epoch, so that what is left of its former life can do no harm."""
    dead, reborn = leases(db, "one"), leases(db, "one")
    await dead.refresh()
    await reborn.refresh()
    assert reborn.held() == dict.fromkeys(ALL, 2)
    # The former life was only paused: it learns that it lost, and does not take anything back.
    await dead.refresh()
    assert dead.held() == {}
    await reborn.refresh()
    assert reborn.held() == dict.fromkeys(ALL, 2)


async def test_an_expired_lease_is_renewed_if_no_other_daemon_took_it(db: Postgres) -> None:
    one, two = leases(db, "one"), leases(db, "two")
    await one.refresh()
    await expire(db)
    await one.refresh()
    assert one.held() == dict.fromkeys(ALL, 1)
    await two.refresh()
    assert two.held() == {}


async def test_a_taken_lease_is_lost(db: Postgres) -> None:
    """I5"""
    one, two = leases(db, "one"), leases(db, "two")
    changes: list[LeaseChange] = []
    one.on_change(changes.append)
    await one.refresh()
    await expire(db)
    await two.refresh()
    assert two.held() == dict.fromkeys(ALL, 2)
    await one.refresh()
    with pytest.raises(StaleEpoch):
        one.epoch(DEMO)
    assert changes == [
        LeaseChange(dict.fromkeys(ALL, 1), frozenset()),
        LeaseChange({}, frozenset(ALL)),
    ]


async def test_release_lets_others_in_at_once(db: Postgres) -> None:
    """I13"""
    one, two = leases(db, "one"), leases(db, "two")
    await one.refresh()
    await one.release()
    with pytest.raises(StaleEpoch):
        one.epoch(DEMO)
    await one.refresh()
    assert one.held() == {}
    await two.refresh()
    assert two.held() == dict.fromkeys(ALL, 2)


async def test_the_gate_closes_before_the_lease_ends(db: Postgres) -> None:
    """I5, fault 52: a daemon that was paused finds its gate closed, whatever the database holds."""
    one = leases(db, "one", ttl_seconds=10.0, margin_seconds=10.0)
    await one.refresh()
    assert set(one.held()) == ALL
    assert one.certain() == 0
    with pytest.raises(LeaseUncertain):
        one.epoch(DEMO)


class Slow:
    """A database whose answers take `seconds`, by a clock of its own."""

    def __init__(self, db: Postgres) -> None:
        self._db = db
        self.now = 1000.0
        self.seconds = 0.0

    async def fetch(self, sql: str, *args: object) -> Sequence[Mapping[str, Any]]:
        rows = await self._db.fetch(sql, *args)
        self.now += self.seconds
        return rows


async def test_a_lease_counts_from_the_start_of_its_request(db: Postgres) -> None:
    """I5: an answer that took five seconds leaves four: the database counts from when it had the question."""
    slow = Slow(db)
    one = leases(cast(Any, slow), "one", clock=lambda: slow.now)
    slow.seconds = 5.0
    for what in ("taken", "renewed"):
        started = slow.now
        await one.refresh()
        slow.now = started + 8.9
        assert one.epoch(DEMO) == 1, what
        slow.now = started + 9.0
        with pytest.raises(LeaseUncertain):
            one.epoch(DEMO)
        assert (one.certain(), set(one.held())) == (0, ALL), what


def test_the_clock_of_leases_goes_on_while_the_machine_sleeps() -> None:
    """I5: CLOCK_MONOTONIC, Trio's, stands still then, and a lease that ended long ago would look open."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    with mock.patch("time.monotonic", lambda: 0.0):
        assert before <= boot_seconds() <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert inspect.signature(Leases).parameters["clock"].default is boot_seconds


async def test_a_release_leaves_a_neighbours_leases_alone(db: Postgres) -> None:
    """I5: two daemons share; one stops; a third may take its part and no other."""
    one, two, three = leases(db, "one"), leases(db, "two"), leases(db, "three")
    await one.refresh()
    await db.fetch("UPDATE majlis_partitions SET until = now() - interval '1 second' WHERE partition < 3")
    await two.refresh()
    await one.refresh()
    assert set(two.held()) == {0, 1, 2}
    await one.release()
    await three.refresh()
    assert set(three.held()) == ALL - {0, 1, 2}
    await two.refresh()
    assert set(two.held()) == {0, 1, 2}


async def test_epochs_never_fall(db: Postgres) -> None:
    """I5: a restore lifts those that are too low and leaves the others."""
    await db.fetch("UPDATE majlis_partitions SET epoch = 10 + partition")
    await raise_epochs(db, {0: 50, 1: 3, 2: 12})
    one = leases(db, "one")
    assert await one.minted(range(4)) == {0: 50, 1: 11, 2: 12, 3: 13}


async def test_a_daemon_knows_who_holds_what_it_does_not(db: Postgres) -> None:
    one, two = leases(db, "one"), leases(db, "two")
    await one.refresh()
    await two.refresh()
    assert (one.elsewhere, two.elsewhere) == ({}, {"one": PARTITIONS})
    await one.release()
    await two.refresh()
    assert two.elsewhere == {}


async def test_a_lost_answer_is_asked_for_again(migrated_postgres_dsn: str, db: Postgres) -> None:
    """I5: an epoch that the database gave but nobody heard of is not used; the partitions are not lost for it."""
    proxy = PostgresProxy(migrated_postgres_dsn)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        async with open_postgres(proxy.dsn, max_connections=1) as lossy:
            one = leases(lossy, "one")
            proxy.lose_answers, proxy.lose_tag = 2, b"UPDATE"
            with pytest.raises(LedgerUnavailable):
                await one.refresh()
            assert one.held() == {}
            assert await db.value("SELECT min(epoch) FROM majlis_partitions") > 0
            await one.refresh()
            assert set(one.held()) == ALL
            rows = await db.fetch("SELECT partition, epoch FROM majlis_partitions")
            assert one.held() == {row["partition"]: row["epoch"] for row in rows}
        nursery.cancel_scope.cancel()


async def test_run_keeps_the_leases_until_released(db: Postgres) -> None:
    """I10: an answer late or missing is no end; the loop goes on and the gate opens again."""
    one = leases(db, "one", renew_seconds=0.05)
    async with trio.open_nursery() as nursery:
        await nursery.start(one.run)
        assert one.certain() == PARTITIONS
        await expire(db)
        await until(db, "SELECT min(until) > now() FROM majlis_partitions")
        await one.release()
    assert one.certain() == 0


async def test_what_is_counted_only_grows(db: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/metrics` tells renewals less failures: an attempt under way that is to fail must not count as a success."""
    one = leases(db, "one", renew_seconds=0.03)
    well: list[int] = []

    async def fails() -> None:
        well.append(one.renewals - one.failures)
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailable("postgres_timeout")

    async with trio.open_nursery() as nursery:
        await nursery.start(one.run, lambda: well.append(one.renewals - one.failures))
        assert well == [1], "each round says that it turned"
        monkeypatch.setattr(one, "refresh", fails)
        await patience.until(lambda: one.failures == 3)
        nursery.cancel_scope.cancel()
    assert well == sorted(well) and len(well) >= 7


async def test_a_partition_in_use_is_not_waited_for(db: Postgres) -> None:
    """I8: a step still at work in one partition does not hold up the takeover of the others."""
    busy = DEMO.partition(PARTITIONS)
    async with db.session() as session:
        await session.run(f"BEGIN; SELECT majlis_fence({busy}, 0)")
        one = leases(db, "one")
        await one.refresh()
        assert set(one.held()) == ALL - {busy}
        await session.run("COMMIT")
    await one.refresh()
    assert set(one.held()) == ALL
