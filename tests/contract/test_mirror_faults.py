"""Faults that only a real Redis shows: full memory, killed processes, lost replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio

from actors.errors import MirrorUnavailable
from actors.messages import Receipt, WindowPolicy
from daemon.mirror.group_commit import GroupCommit
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.stores.redis import RedisStore
from tests.support.mirrors import (
    PARTITIONS,
    LossyProxy,
    RedisProcess,
    fenced_mirror,
    message,
    real_store,
)

POLICY = WindowPolicy()
TALK = message(0).conversation


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path / "redis")
    process.start()
    yield process
    process.kill()


@pytest.fixture
async def store(server: RedisProcess) -> AsyncIterator[RedisStore]:
    async with real_store(server.url) as real:
        yield real


async def fill_up(store: RedisStore) -> None:
    await store.command("CONFIG", "SET", "maxmemory", 1)


async def test_a_full_redis_refuses_appends_entirely_and_still_drains(store: RedisStore) -> None:
    """I1, I8: appends are refused entirely; freeze, widen, defer, commit and fence work; with memory, appends too."""
    mirror = await fenced_mirror(store)
    survey = Survey(store, mirror)
    for number in range(3):
        await mirror.append(message(number), POLICY)
    before = await mirror.load(TALK)
    keys = sorted(await store.command("KEYS", "*"))
    await fill_up(store)

    for contact in ("5511999", "never-seen"):
        with pytest.raises(MirrorUnavailable, match=r"^full$"):
            await mirror.append(message(9, contact=contact), POLICY)
    assert (await mirror.load(TALK)).waiting == before.waiting
    assert sorted(await store.command("KEYS", "*")) == keys
    assert (await mirror.append(message(1), POLICY)).duplicate

    assert await mirror.fence(dict.fromkeys(range(PARTITIONS), 2), "next") == {}
    for take, left in ((1, 1), (2, 0)):
        batch = await mirror.freeze(TALK, 2, "timeout", WindowPolicy(max_batch_messages=take))
        assert batch is not None
        if left:
            batch = await mirror.widen(TALK, 2, batch, WindowPolicy(max_batch_messages=2))
            assert batch is not None
            assert await mirror.widen(TALK, 2, batch, WindowPolicy(max_batch_messages=2)) is not None
        await mirror.defer(TALK, 2, batch.number, 0.0, counts=True)
        assert await mirror.freeze(TALK, 2, "timeout", POLICY) is not None
        assert len((await mirror.commit(TALK, 2, batch, "answered")).waiting) == left
    totals = await survey.totals(range(PARTITIONS))
    assert (totals.acknowledged, totals.answered, totals.pending) == (3, 3, 0)

    await store.command("CONFIG", "SET", "maxmemory", 0)
    assert not (await mirror.append(message(9), POLICY)).duplicate


async def test_a_full_redis_fails_only_the_new_messages_of_a_group(store: RedisStore) -> None:
    """I1: in a group, duplicates still get their receipt while new messages are refused."""
    mirror = await fenced_mirror(store)
    await mirror.append(message(1), POLICY)
    stored: list[str] = []
    async with trio.open_nursery() as nursery:
        group = GroupCommit(mirror.append_group, lambda one, _: stored.append(one.id))
        await nursery.start(group.run)
        await fill_up(store)
        outcomes: dict[int, object] = {}

        async def send(number: int) -> None:
            try:
                outcomes[number] = await group.append(message(number), POLICY)
            except MirrorUnavailable as error:
                outcomes[number] = str(error)

        async with trio.open_nursery() as senders:
            for number in (1, 2):
                senders.start_soon(send, number)
        nursery.cancel_scope.cancel()
    assert isinstance(outcomes[1], Receipt)
    assert outcomes[1].duplicate
    assert outcomes[2] == "full"
    assert stored == ["M1"]


async def test_every_acknowledged_message_survives_the_death_of_redis(
    server: RedisProcess, store: RedisStore
) -> None:
    """I1: after a kill under load, every message with a receipt is there; failed ones can be sent again."""
    mirror = await fenced_mirror(store)
    acknowledged: set[str] = set()
    refused: list[int] = []
    enough = trio.Event()

    async def send(group: GroupCommit, numbers: Iterator[int]) -> None:
        for number in numbers:
            try:
                await group.append(message(number, contact=str(number % 50)), POLICY)
            except MirrorUnavailable:
                refused.append(number)
                return
            acknowledged.add(f"M{number}")
            if len(acknowledged) >= 500:
                enough.set()

    async with trio.open_nursery() as nursery:
        group = GroupCommit(mirror.append_group, lambda one, receipt: None)
        await nursery.start(group.run)
        numbers = iter(range(1_000_000))
        async with trio.open_nursery() as senders:
            for _ in range(64):
                senders.start_soon(send, group, numbers)
            await enough.wait()
            server.kill()
        server.start()
        after = [
            await group.append(message(number, contact=str(number % 50)), POLICY)
            for number in sorted(refused)
        ]
        nursery.cancel_scope.cancel()

    assert len(refused) == 64
    assert all(receipt.waiting > 0 for receipt in after)
    snapshots, _ = await Survey(store, mirror).recover(range(PARTITIONS))
    found = [entry.message.id for one in snapshots for entry in one.waiting]
    assert acknowledged | {f"M{number}" for number in refused} == set(found)
    assert len(found) == len(set(found))
    assert (await Survey(store, mirror).totals(range(PARTITIONS))).acknowledged == len(found)


async def test_a_message_whose_reply_was_lost_is_found_again(server: RedisProcess, tmp_path: Path) -> None:
    """I1: the script ran and the reply was lost: the append fails, and repeating it finds the same number."""
    proxy = LossyProxy(tmp_path, server.socket_path)
    async with trio.open_nursery() as nursery, real_store(proxy.url) as store:
        await nursery.start(proxy.run)
        mirror = await fenced_mirror(store)
        await mirror.append(message(1), POLICY)
        proxy.lose_replies = True
        with pytest.raises(MirrorUnavailable, match=r"^connection$"):
            await mirror.append(message(2), POLICY)
        assert proxy.lost == 1
        proxy.lose_replies = False

        stored = (await mirror.load(TALK)).waiting[-1]
        again = await mirror.append(message(2), POLICY)
        nursery.cancel_scope.cancel()
    assert stored.message.id == "M2"
    assert again.duplicate
    assert (again.seq, again.waiting) == (stored.seq, 2)


async def test_a_redis_replaced_while_a_group_is_in_flight(server: RedisProcess, tmp_path: Path) -> None:
    """I1, I15: our Redis stored the group and its answer was lost; in its place there is another installation's now."""
    other = RedisProcess(tmp_path / "other")
    other.start()
    async with real_store(other.url) as theirs:
        await fenced_mirror(theirs, installation="theirs")
    proxy = LossyProxy(tmp_path, server.socket_path)
    stored: list[str] = []
    async with trio.open_nursery() as nursery, real_store(proxy.url) as store:
        await nursery.start(proxy.run)
        mirror = await fenced_mirror(store)
        group = GroupCommit(mirror.append_group, lambda one, _: stored.append(one.id))
        await nursery.start(group.run)
        await group.append(message(0), POLICY)  # so that Redis knows the script
        proxy.lose_replies = True
        with pytest.raises(MirrorUnavailable, match=r"^connection$"):
            await group.append(message(1), POLICY)
        proxy.lose_replies, proxy.upstream = False, other.socket_path
        for number in (1, 2):
            with pytest.raises(MirrorUnavailable, match=r"^foreign$"):
                await group.append(message(number), POLICY)
        proxy.upstream = server.socket_path
        await store.close()  # its connections lead to the other one
        assert (await group.append(message(1), POLICY)).duplicate
        nursery.cancel_scope.cancel()
    async with real_store(other.url) as theirs:
        totals = await Survey(theirs, RedisMirror(theirs, PARTITIONS)).totals(range(PARTITIONS))
    other.kill()
    assert totals.acknowledged == 0
    assert stored == ["M0", "M1"]


async def test_a_replica_refuses_appends(store: RedisStore) -> None:
    """I1, I15: after a failover the old master refuses, with a reason."""
    mirror = await fenced_mirror(store)
    await store.command("REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(MirrorUnavailable, match=r"^read_only$"):
        await mirror.append(message(1), POLICY)
