"""A Redis that is weaker than configured, or not ours, is detected, with a sentence that says what to change (I15)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from actors.errors import MirrorUnavailable
from daemon.mirror.checks import Expected, Problem, check_redis
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.stores.redis import RedisStore
from tests.support.mirrors import PARTITIONS, RedisProcess, real_store
from tests.support.patience import PATIENCE_SECONDS

EXPECTED = Expected(durability="always", partitions=PARTITIONS, install_id="ours")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path / "redis")
    process.start()
    yield process
    process.kill()


@pytest.fixture
async def store(server: RedisProcess) -> AsyncIterator[RedisStore]:
    async with real_store(server.url) as real:
        await Survey(real, RedisMirror(real, PARTITIONS)).install(PARTITIONS, "ours")
        yield real


def words(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.word for problem in problems]


async def test_a_redis_as_configured_has_no_problem(store: RedisStore) -> None:
    """I15: with the configured durability, or a stronger one."""
    for durability in ("always", "everysec"):
        expected = Expected(durability=durability, partitions=PARTITIONS, install_id="ours")
        assert await check_redis(store, expected) == ()


@pytest.mark.parametrize(
    ("setting", "value", "word", "remedy"),
    [
        ("appendfsync", "everysec", "appendfsync", "set `appendfsync always`"),
        ("appendfsync", "no", "appendfsync", "set `appendfsync always`"),
        ("appendonly", "no", "appendonly", "set `appendonly yes`"),
        ("maxmemory-policy", "allkeys-lru", "eviction", "set `maxmemory-policy noeviction`"),
        ("maxmemory-policy", "volatile-ttl", "eviction", "set `maxmemory-policy noeviction`"),
        ("maxmemory", "1kb", "memory", "raise `maxmemory`"),
        (
            "no-appendfsync-on-rewrite",
            "yes",
            "no_appendfsync_on_rewrite",
            "set `no-appendfsync-on-rewrite no`",
        ),
    ],
)
async def test_a_setting_that_became_weaker_is_found(
    store: RedisStore, setting: str, value: str, word: str, remedy: str
) -> None:
    """I15: also at run time, with one sentence that says what to change."""
    await store.command("CONFIG", "SET", setting, value)
    (problem,) = await check_redis(store, EXPECTED)

    assert problem.word == word
    assert problem.seen
    assert remedy in problem.text


async def test_everysec_is_enough_if_configured(store: RedisStore) -> None:
    """I15: but no fsync at all is too weak."""
    expected = Expected(durability="everysec", partitions=PARTITIONS, install_id="ours")
    await store.command("CONFIG", "SET", "appendfsync", "everysec")
    assert await check_redis(store, expected) == ()
    await store.command("CONFIG", "SET", "appendfsync", "no")
    assert words(await check_redis(store, expected)) == ["appendfsync"]


async def test_a_flushed_redis_is_found(store: RedisStore) -> None:
    """I15: the stamp was flushed together with the messages."""
    await store.command("FLUSHALL")
    (problem,) = await check_redis(store, EXPECTED)
    assert problem.word == "install_missing"


async def test_another_installation_or_layout_is_found(store: RedisStore) -> None:
    """I15: Majlis does not write to a wrong database, or with a changed number of partitions."""
    foreign = Expected(durability="always", partitions=PARTITIONS, install_id="theirs")
    wider = Expected(durability="always", partitions=PARTITIONS * 2, install_id="ours")

    assert words(await check_redis(store, foreign)) == ["install_differs"]
    (problem,) = await check_redis(store, wider)
    assert problem.word == "partitions"
    assert f"set partitions to {PARTITIONS}" in problem.text


async def test_before_the_first_stamp_any_empty_redis_is_accepted(store: RedisStore) -> None:
    """I15: at the first start there is nothing to compare with."""
    await store.command("FLUSHALL")
    fresh = Expected(durability="always", partitions=PARTITIONS, install_id=None)
    assert await check_redis(store, fresh) == ()


async def test_a_replica_is_found(store: RedisStore) -> None:
    """I15: it has the wrong role."""
    await store.command("REPLICAOF", "127.0.0.1", 1)
    assert words(await check_redis(store, EXPECTED)) == ["role"]


@pytest.mark.parametrize(
    ("mode", "reason", "remedy"),
    [("sentinel", "unknown_command", "the master itself"), ("cluster", "moved", "`cluster-enabled no`")],
)
async def test_a_sentinel_or_a_cluster_is_named(mode: str, reason: str, remedy: str) -> None:
    """I15: they refuse nearly all other commands, which would look like a Redis that is away."""

    async def answers(commands: Sequence[Sequence[str]]) -> list[object]:
        await trio.lowlevel.checkpoint()
        info = f"# Server\r\nredis_version:6.2.14\r\nredis_mode:{mode}\r\n".encode()
        return [info, *(MirrorUnavailable(reason) for _ in commands[1:])]

    async def refuses(calls: Sequence[object]) -> list[object]:
        await trio.lowlevel.checkpoint()
        return [MirrorUnavailable(reason) for _ in calls]

    redis = cast(Any, SimpleNamespace(pipeline=answers, call_many=refuses))
    (problem,) = await check_redis(redis, EXPECTED)
    assert problem.word == mode
    assert remedy in problem.text


async def test_a_full_disk_is_named(store: RedisStore, server: RedisProcess) -> None:
    """I15: a snapshot that failed makes Redis refuse every write, though its append-only file is well."""
    await store.command("CONFIG", "SET", "save", "3600 1")
    (server.folder / "dump.rdb").mkdir()  # a file cannot take its place: as good as a full disk
    await store.command("BGSAVE")
    with trio.fail_after(PATIENCE_SECONDS):
        # A child of Redis ends: nothing of ours can say it.
        while not (problems := await check_redis(store, EXPECTED)):  # noqa: ASYNC110
            await trio.sleep(0.02)
    assert words(problems) == ["writes"]
    assert "its disk is full" in problems[0].text


async def test_an_unreachable_redis_is_one_problem(server: RedisProcess, store: RedisStore) -> None:
    """I15: never an exception; and no problem once Redis is back."""
    server.kill()
    (problem,) = await check_redis(store, EXPECTED)
    assert problem.word == "unavailable"
    server.start()
    assert await check_redis(store, EXPECTED) == ()


async def test_without_config_the_unreadable_setting_is_reported(
    server: RedisProcess, store: RedisStore
) -> None:
    """I15: a managed Redis forbids CONFIG; INFO still shows the rest, and fsync is reported as unknown."""
    await store.command("ACL", "SETUSER", "managed", "on", ">word", "~*", "+@all", "-config")
    await store.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    problems = await check_as(server, "managed", "word")

    assert words(problems) == ["appendfsync", "eviction"]
    assert [problem.seen for problem in problems] == [False, True]


async def test_a_user_without_permissions_is_one_problem(server: RedisProcess, store: RedisStore) -> None:
    """I15: a wrong password is reported as such."""
    (problem,) = await check_as(server, "nobody", "wrong")
    assert problem.word == "unavailable"
    assert "forbidden" in problem.text


async def check_as(server: RedisProcess, user: str, password: str) -> tuple[Problem, ...]:
    async with real_store(f"unix://{user}:{password}@{server.socket_path}") as other:
        return await check_redis(other, EXPECTED)
