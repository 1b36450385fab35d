"""A mirror is stamped once, and one that lost its data is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from daemon.mirror.checks import Problem
from daemon.mirror.fitness import MirrorFitness
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.stores.redis import RedisStore
from tests.support.mirrors import PARTITIONS, RedisProcess, real_store
from tests.support.patience import PATIENCE_SECONDS


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    process = RedisProcess(tmp_path / "redis")
    process.start()
    yield process.url
    process.kill()


def fitness(store: RedisStore, trust_unseen: bool = False) -> MirrorFitness:
    survey = Survey(store, RedisMirror(store, PARTITIONS))
    return MirrorFitness(store, survey, "always", PARTITIONS, trust_unseen)


async def yes() -> bool:
    await trio.lowlevel.checkpoint()
    return True


async def no() -> bool:
    await trio.lowlevel.checkpoint()
    return False


def words(problems: list[Problem]) -> list[str]:
    return [problem.word for problem in problems]


async def test_a_new_redis_gets_its_stamp(url: str) -> None:
    async with real_store(url) as store:
        checked = fitness(store)
        assert words(await checked.problems("install-1")) == ["install_missing"]
        assert await checked.prepare("install-1", no) == []
        assert await checked.problems("install-1") == []
        assert words(await checked.prepare("install-2", no)) == ["install_differs"], "it keeps the first"


async def test_an_empty_redis_is_refused_once_the_ledger_has_turns(url: str) -> None:
    """I1: what was acknowledged is gone, and the daemon must not go on as if nothing had happened."""
    async with real_store(url) as store:
        checked = fitness(store)
        assert words(await checked.prepare("install-1", yes)) == ["install_missing"]
        assert words(await checked.problems("install-1")) == ["install_missing"]


async def test_a_file_that_has_only_begun_is_none(url: str) -> None:
    """I1, I15: until the first rewrite has ended, a kill brings back what was written before the file was off."""
    async with real_store(url) as store:
        checked = fitness(store)
        assert await checked.prepare("install-1", no) == []
        await store.command("CONFIG", "SET", "appendonly", "no")
        assert words(await checked.problems("install-1")) == ["appendonly"]
        await store.command("CONFIG", "SET", "rdb-key-save-delay", "10000")  # a rewrite takes seconds
        await store.command("CONFIG", "SET", "appendonly", "yes")
        for checks in (checked, fitness(store)):
            for _ in range(2):
                assert words(await checks.problems("install-1")) == ["appendonly_begun"]
        await store.command("CONFIG", "SET", "appendonly", "no")  # ends the rewrite
        await store.command("CONFIG", "SET", "rdb-key-save-delay", "0")
        await store.command("CONFIG", "SET", "appendonly", "yes")
        with trio.fail_after(PATIENCE_SECONDS):
            while await checked.problems("install-1"):  # noqa: ASYNC110 - only Redis knows when
                await trio.sleep(0.02)
        await store.command("CONFIG", "SET", "rdb-key-save-delay", "10000")
        await store.command("BGREWRITEAOF")
        assert await checked.problems("install-1") == [], "any other rewrite leaves the file whole"
        await store.command("CONFIG", "SET", "appendonly", "no")


async def test_a_setting_that_cannot_be_seen_counts_unless_it_is_trusted(url: str) -> None:
    """I15: a managed Redis hides CONFIG."""
    async with real_store(url) as store:
        await store.command("ACL", "SETUSER", "managed", "on", ">word", "~*", "+@all", "-config")
    async with real_store(url.replace("unix://", "unix://managed:word@")) as store:
        assert words(await fitness(store).problems(None)) == ["appendfsync"]
        assert await fitness(store, trust_unseen=True).problems(None) == []
