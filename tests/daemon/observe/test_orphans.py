"""Orphans: forgotten conversations are found in a real Redis and picked up, or cleaned away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from actors.identity import Conversation
from actors.messages import WindowPolicy
from daemon.mirror.keys import PartitionKeys, place
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.upkeep import Upkeep
from daemon.observe.orphans import PARTITIONS as PARTITIONS_AT_ONCE
from daemon.observe.orphans import OrphanSearch
from daemon.stores.redis import RedisStore
from tests.daemon.observe.test_monitor import WHO, World, orphan_search
from tests.support.mirrors import PARTITIONS, fenced_mirror, message, real_store


async def test_a_search_is_bounded_and_reaches_every_partition() -> None:
    """Some partitions are searched at a time; after a few rounds each has been."""
    world = World(partitions=150)
    search = orphan_search(world, cast(Upkeep, world), 30)
    for _ in range(3):
        await search.search()
    assert {len(some) for some in world.searched} == {PARTITIONS_AT_ONCE}
    assert {each for some in world.searched for each in some} == set(range(150))


async def test_a_mirror_that_is_away_gives_no_count() -> None:
    """Zero would clear the alert."""
    world = World(strays_found=[WHO], mirror_is_away=True)
    assert await orphan_search(world, cast(Upkeep, world), 30).search() is None


@asynccontextmanager
async def redis_world(url: str) -> AsyncIterator[tuple[World, RedisStore, RedisMirror, OrphanSearch]]:
    async with real_store(url) as store:
        mirror, world = await fenced_mirror(store), World()
        yield world, store, mirror, orphan_search(world, Upkeep(store, PARTITIONS), grace_seconds=0.05)


async def test_an_orphan_is_found_and_rearmed(fresh_redis_url: str) -> None:
    """Pending, without actor or timer: it gets an actor. One with a timer or an actor is left alone."""
    async with redis_world(fresh_redis_url) as (world, store, mirror, search):
        lost, timed, acting = (message(number, f"551190000000{number}") for number in (1, 2, 3))
        for one in (lost, timed, acting):
            await mirror.append(one, WindowPolicy(window_seconds=60))
        for one in (lost, acting):
            key, _, shared = place(one.conversation, PARTITIONS)
            assert await store.command("ZREM", shared.due, key) == 1
        world.seen = [acting.conversation]
        await search.search()
        assert world.nudged == [lost.conversation]
        assert (search.found, world.feed.counters["orphan.rearmed"]) == (1, 1)
        assert len((await mirror.load(lost.conversation)).waiting) == 1, "its message is there to be answered"
        world.seen.append(lost.conversation)
        await search.search()
        assert search.found == 1, "once it has an actor it is none any more"


async def test_conversations_that_a_stopping_daemon_leaves_are_not_orphans() -> None:
    """Held conversations leave memory as the drain begins, long overdue, but they are not forgotten."""
    world = World(strays_found=[WHO], draining=True)
    search = orphan_search(world, cast(Upkeep, world), 30)
    assert await search.search() == 0
    assert (search.found, world.feed.counters["orphan.rearmed"]) == (0, 0)


async def test_a_conversation_that_is_long_overdue_is_an_orphan(fresh_redis_url: str) -> None:
    """Its time is long over: the due poll must have missed it."""
    async with redis_world(fresh_redis_url) as (world, store, mirror, search):
        late = message(1)
        await mirror.append(late, WindowPolicy(window_seconds=60))
        key, _, shared = place(late.conversation, PARTITIONS)
        await store.command("ZADD", shared.due, "1000", key)
        await search.search()
        assert world.nudged == [late.conversation]


async def test_a_conversation_with_nothing_pending_is_cleaned_away(fresh_redis_url: str) -> None:
    """Left among the pending with nothing to answer, it would never end. Its stored data is cleaned away as well."""
    async with redis_world(fresh_redis_url) as (world, store, mirror, search):
        ghost = message(1)
        await mirror.append(ghost, WindowPolicy(window_seconds=0.01))
        batch = await mirror.freeze(ghost.conversation, 1, "flush", WindowPolicy())
        assert batch is not None
        await mirror.commit(ghost.conversation, 1, batch, "answered")
        key, own, shared = place(ghost.conversation, PARTITIONS)
        await store.command("SADD", shared.active, key)
        await store.command("ZADD", shared.due, "1000", key)
        await store.command("PERSIST", own.state)
        await search.search()
        assert (world.nudged, search.found) == ([], 0)
        assert world.feed.counters["mirror.tidied"] == 1
        assert not await store.command("SISMEMBER", shared.active, key)
        assert await store.command("ZSCORE", shared.due, key) is None
        assert await store.command("PTTL", own.state) > 0


async def test_messages_that_lost_their_state_are_not_cleaned_away(fresh_redis_url: str) -> None:
    """Someone deleted the state in Redis: the messages were acknowledged, and must not expire within minutes."""
    async with redis_world(fresh_redis_url) as (world, store, mirror, search):
        torn = message(1)
        await mirror.append(torn, WindowPolicy(window_seconds=60))
        key, own, shared = place(torn.conversation, PARTITIONS)
        await store.command("DEL", own.state)
        await store.command("ZADD", shared.due, "1000", key)
        await search.search()
        assert await store.command("PTTL", own.queue) == -1
        assert await store.command("SISMEMBER", shared.active, key)
        assert world.feed.counters["mirror.tidied"] == 0 and search.found == 1, "it is reported"
        await mirror.append(message(2), WindowPolicy(window_seconds=60))
        batch = await mirror.freeze(torn.conversation, 1, "timeout", WindowPolicy())
        assert batch is not None and len(batch.entries) == 2, "with the next one they are answered"
        await mirror.commit(torn.conversation, 1, batch, "answered")
        assert (await mirror.append(message(3), WindowPolicy())).waiting == 1, "and all is as before"


async def test_an_unreadable_conversation_hides_no_other_orphan(fresh_redis_url: str) -> None:
    """Someone replaced it with something else in Redis: other orphans are still picked up."""
    async with redis_world(fresh_redis_url) as (world, store, mirror, search):
        broken, lost = message(1), message(2, "5511900000022")
        for one in (broken, lost):
            await mirror.append(one, WindowPolicy(window_seconds=60))
            key, own, shared = place(one.conversation, PARTITIONS)
            await store.command("ZREM", shared.due, key)
            if one is broken:
                await store.command("DEL", own.queue)
                await store.command("SET", own.queue, "no stream")
        await search.search()
        assert lost.conversation in world.nudged


async def test_another_daemons_partition_is_left_alone(fresh_redis_url: str) -> None:
    """Law 5 of the design: under a stale epoch nothing is found and nothing cleaned."""
    async with redis_world(fresh_redis_url) as (world, store, mirror, search):
        lost = message(1)
        await mirror.append(lost, WindowPolicy(window_seconds=60))
        key, _, shared = place(lost.conversation, PARTITIONS)
        await store.command("ZREM", shared.due, key)
        await mirror.fence(dict.fromkeys(range(PARTITIONS), 2), "another")
        await search.search()
        assert world.nudged == []
        assert await Upkeep(store, PARTITIONS).tidy({lost.conversation: 1}) == []


async def test_a_large_partition_is_searched_in_parts(fresh_redis_url: str) -> None:
    """No search asks Redis for more than its bound, and over time reaches every conversation."""
    async with redis_world(fresh_redis_url) as (_, store, _, _):
        keys = PartitionKeys.of(0)
        everybody = {Conversation("demo", f"55119{number:08}") for number in range(100)}
        await store.command("SADD", keys.active, *(one.key for one in everybody))
        upkeep = Upkeep(store, PARTITIONS)
        found: set[Conversation] = set()
        for _ in range(500):
            some = await upkeep.strays({0: 1}, 30, limit=10)
            assert len(some) == 10
            found.update(some)
            if found == everybody:
                return
        raise AssertionError(f"only {len(found)} were found")


async def test_the_memory_share_of_redis_is_read(fresh_redis_url: str) -> None:
    async with real_store(fresh_redis_url) as store:
        memory = await Upkeep(store, PARTITIONS).memory()
        assert memory is not None
        assert 0 < memory.used_bytes < memory.limit_bytes
