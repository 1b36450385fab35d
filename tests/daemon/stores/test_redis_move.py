"""`majlis migrate --redis-engine`: the wheel's real server, and stand-ins that say they are newer and run it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trio

from actors.errors import MajlisError
from daemon import run as root
from daemon.config import load
from daemon.operate.engine_checks import embedded_redis_check
from daemon.stores.places import EmbeddedStoreError, redis_server_program
from daemon.stores.redis import RedisStore
from daemon.stores.redis_content import RedisContent, content_of, difference
from daemon.stores.redis_engine import RECORD, engine_for, written_by
from daemon.stores.redis_move import move_redis
from tests.daemon.stores.embedded_harness import ROOT, Events, running_redis
from tests.support.mirrors import real_store

WHEEL = redis_server_program()


class Newer:
    """A stand-in for a newer server in PATH: says its version, and runs the wheel's server, which it notes."""

    def __init__(self, path: Path, says: str) -> None:
        self.path = path
        self.started = path.with_name(f"{path.name}.started")
        self.says_it_is(says)

    def says_it_is(self, says: str) -> None:
        self._says = says
        self.runs(f'exec {WHEEL} "$@"')

    def runs(self, command: str) -> None:
        self.path.write_text(
            f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{self._says}"; exit; fi\n'
            f"touch {self.started}\n{command}\n"
        )
        self.path.chmod(0o755)


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Newer:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Newer(tmp_path / "valkey-server", "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64")


def with_keys(url: str) -> int:
    """Fill it with one key of each kind that Majlis uses, and one that passes; returns how many."""
    with redis.Redis.from_url(url) as client:
        client.hset("state", mapping={str(number): "v" * number for number in range(200)})
        client.xadd("queue", {"m": "text", "at": "1"}, id="1700000000000-0")
        client.zadd("due", {"b": 1.7e12, "a": 0.5})
        client.sadd("active", "1", "two")
        client.set("passing", "1", ex=3600)
        return int(client.dbsize())


def size(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.dbsize())


@pytest.fixture
def wheels_data(data_dir: Path) -> Iterator[Path]:
    """A data_dir as a version without records left it, written by the wheel's engine."""

    async def fill() -> None:
        async with running_redis(data_dir, chooses=True) as server:
            assert await trio.to_thread.run_sync(with_keys, server.url) == 5

    trio.run(fill)
    (data_dir / "redis" / RECORD).unlink(missing_ok=True)
    yield data_dir


@pytest.fixture(autouse=True)
def no_server_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_data_of_the_wheels_engine_stay_with_it_beside_a_newer_one_until_they_are_moved(
    wheels_data: Path, newer: Newer, migrated_postgres_dsn: str, tmp_path: Path
) -> None:
    """I1: nothing that was acknowledged is hidden by an update of the system; and the move loses nothing."""
    directory = wheels_data / "redis"

    async def start() -> int:
        async with running_redis(wheels_data, chooses=True) as server:
            return await trio.to_thread.run_sync(size, server.url)

    assert trio.run(start) == 5
    assert not newer.started.exists()
    writer = written_by(directory)
    assert writer is not None and (writer.program, writer.source) == (str(WHEEL), "wheel")
    check = trio.run(embedded_redis_check, wheels_data, None)
    assert check.state == "warning" and "Redis 6.2.14" in check.detail
    assert "Valkey 9.1.2" in check.advice and "majlis migrate --redis-engine" in check.advice

    environment = {"MAJLIS_DATA_DIR": str(wheels_data), "MAJLIS_POSTGRES__DSN": migrated_postgres_dsn}
    (tmp_path / "config.yaml").write_text("{}")
    settings = load(tmp_path / "config.yaml", environment=environment)
    kept = wheels_data / "redis.before-valkey-9.1.2"
    assert root.migrate(settings, move_redis=True).applied == [
        f"Valkey 9.1.2 in place of Redis 6.2.14 (5 keys, compared one by one); the old files are kept: {kept}"
    ]
    assert newer.started.exists() and kept.is_dir()
    assert trio.run(start) == 5
    writer = written_by(directory)
    assert writer is not None and writer.name == "Valkey 9.1.2"
    assert not list(wheels_data.glob("redis.mov*"))
    assert root.migrate(settings, move_redis=True).applied == [], "there is nothing more to do"

    newer.says_it_is("Redis server v=8.2.3 sha=b5d43ceb:0")
    with pytest.raises(EmbeddedStoreError, match=r"written by Valkey 9\.1\.2.*is Redis 8\.2\.3.*6\.2\.14"):
        trio.run(engine_for, directory, None)
    (done,) = root.migrate(settings, move_redis=True).applied
    assert done.startswith("Redis 8.2.3 in place of Valkey 9.1.2 (5 keys, not compared)")
    assert trio.run(start) == 5


def test_a_redis_of_ones_own_is_not_moved(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{}")
    environment = {"MAJLIS_DATA_DIR": str(tmp_path), "MAJLIS_REDIS__URL": "redis://127.0.0.1:9/0"}
    with pytest.raises(MajlisError, match=r"redis\.url names a server of your own"):
        root.migrate(load(tmp_path / "config.yaml", environment=environment), move_redis=True)


async def test_an_engine_that_does_not_read_them_all_gets_nothing(
    wheels_data: Path, newer: Newer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I1: one that refuses the files, one that would start without them, and a disk that fills up meanwhile: the old
    directory stays as it is, and a sentence says why."""
    for command, words in (
        ("echo cannot read the format; exit 1", r"cannot read the format .*nothing was changed"),
        (f'exec {WHEEL} "$@" --appendfilename other.aof', r"4 missing.*nothing was changed"),
    ):
        newer.runs(command)
        with pytest.raises(EmbeddedStoreError, match=words):
            await move_redis(wheels_data, None, Events())
        assert names_of_redis(wheels_data) == ["redis", "redis.lock"]

    def full(*_: object, **__: object) -> None:
        raise shutil.Error([("a", "b", "[Errno 28] No space left on device")])

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(EmbeddedStoreError, match="cannot be copied or renamed; the next start finds"):
        await move_redis(wheels_data, None, Events())
    async with running_redis(wheels_data, chooses=True) as server:
        assert await trio.to_thread.run_sync(size, server.url) == 5


def names_of_redis(data_dir: Path) -> list[str]:
    return sorted(found.name for found in data_dir.glob("redis*"))


KILLED = """
import os, sys
from functools import partial
from pathlib import Path
import trio
from daemon.stores import redis_move
sync = redis_move.sync
def dying(path):
    sync(path)
    if not (Path(sys.argv[1]) / "redis").exists():
        os._exit(7)
redis_move.sync = dying
trio.run(partial(redis_move.move_redis, Path(sys.argv[1]), None, lambda event, fields: None))
"""


def test_a_kill_between_the_two_names_is_made_up_for(wheels_data: Path, newer: Newer) -> None:
    """I13: at that moment nothing is called `redis`; the next start must not begin an empty one."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(wheels_data)], cwd=ROOT, timeout=120, check=False
    )
    assert killed.returncode == 7
    assert not (wheels_data / "redis").exists()

    async def start() -> int:
        async with running_redis(wheels_data, chooses=True) as server:
            return await trio.to_thread.run_sync(size, server.url)

    assert trio.run(start) == 5
    writer = written_by(wheels_data / "redis")
    assert writer is not None and writer.name == "Valkey 9.1.2"


async def test_what_a_redis_holds_is_compared_whatever_its_kind(fresh_redis_url: str) -> None:
    await trio.to_thread.run_sync(with_keys, fresh_redis_url)
    async with real_store(fresh_redis_url) as store:
        before = await contents(store)
        assert (len(before.lasting), before.passing, before.keys) == (4, 1, 5)
        assert difference(before, await contents(store)) == ""
        for change in (
            ("HSET", "state", "7", "other"),
            ("XADD", "queue", "1700000000001-0", "m", "more"),
            ("XDEL", "queue", "1700000000001-0"),  # its last id is another one now
            ("ZADD", "due", "0.25", "a"),
            ("SADD", "active", "three"),
        ):
            await store.command(*change)
            after = await contents(store)
            assert difference(before, after) == "1 changed", change
            before = after
        await store.command("DEL", "due")
        await store.command("LPUSH", "listed", "a")
        assert difference(before, await contents(store)) == "1 missing, 1 new"


async def contents(store: RedisStore) -> RedisContent:
    return await content_of(store, lambda keys: None)
