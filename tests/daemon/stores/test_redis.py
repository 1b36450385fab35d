"""The Redis wrapper: cancellation, deadlines, and errors that quote no data."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from redis.asyncio.connection import AbstractConnection

from actors.errors import MirrorUnavailable
from daemon.stores.redis import LuaScript, RedisStore, ScriptCall
from tests.support.mirrors import real_store


@pytest.fixture
async def store(fresh_redis_url: str) -> AsyncIterator[RedisStore]:
    async with real_store(fresh_redis_url) as real:
        yield real


async def connections(store: RedisStore) -> int:
    listed: bytes = await store.command("CLIENT", "LIST")
    return listed.count(b"name=majlis")


async def test_a_cancelled_pipeline_leaves_no_reply_behind(store: RedisStore) -> None:
    """I1: the next caller gets its own replies, and no connection is lost."""
    for round_number in range(8):
        await store.command("SET", "mine", round_number)
        with trio.move_on_after(0.02) as scope:
            await store.pipeline([("ECHO", "stale"), ("BLPOP", "never", 0), ("ECHO", "stale")])
        assert scope.cancelled_caught
        replies = await store.pipeline([("GET", "mine"), ("ECHO", "fresh")])
        assert replies == [b"%d" % round_number, b"fresh"]
    for _ in range(1000):
        if await connections(store) == 1:
            return
        await trio.sleep(0.01)
    pytest.fail("cancelled exchanges left connections open")


async def test_more_callers_than_connections_are_all_served(store: RedisStore) -> None:
    """I8: the pool is bounded; callers wait for a free connection."""
    echoed: list[bytes] = []

    async def echo(number: int) -> None:
        echoed.append(await store.command("ECHO", number))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(echo, number)
    assert sorted(map(int, echoed)) == list(range(50))
    assert await connections(store) <= 4


async def test_what_fails_inside_the_driver_is_held(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows its class alone, and the connection is not used again."""
    await store.command("ECHO", "connected")
    with monkeypatch.context() as patched:
        patched.setattr(AbstractConnection, "read_response", _fails_with_data)
        with pytest.raises(MirrorUnavailable, match=r"^KeyError$"):
            await store.command("ECHO", "stale")
    assert await store.command("ECHO", "fresh") == b"fresh"


async def _fails_with_data(*_args: object, **_named: object) -> None:
    raise KeyError("5511987654321")


async def test_a_hanging_redis_times_out(fresh_redis_url: str) -> None:
    """I1: and its late reply answers no other command."""
    async with real_store(fresh_redis_url, timeout_seconds=2) as store:
        with pytest.raises(MirrorUnavailable, match=r"^timeout$"):
            await store.pipeline([("ECHO", "stale"), ("BLPOP", "never", 0)])
        assert await store.pipeline([("ECHO", "fresh")]) == [b"fresh"]


async def test_an_unreachable_redis(fresh_redis_url: str) -> None:
    """I1: the reason is one word."""
    async with real_store("unix:///nowhere/at/all.sock") as store:
        with pytest.raises(MirrorUnavailable, match=r"^connection$"):
            await store.command("PING")


async def test_one_failing_command_leaves_the_rest_and_quotes_nothing(store: RedisStore) -> None:
    """I9, I11: the error is returned in its place, and is one word."""
    await store.command("SET", "text", "secret")
    replies = await store.pipeline(
        [("ECHO", 1), ("LPUSH", "text", "secret"), ("NONSENSE", "secret"), ("ECHO", 2)]
    )

    assert (replies[0], replies[3]) == (b"1", b"2")
    assert [str(reply) for reply in replies[1:3]] == ["refused", "unknown_command"]
    with pytest.raises(MirrorUnavailable) as caught:
        await store.command("NONSENSE", "secret")
    assert "secret" not in repr(caught.value.__cause__) + repr(caught.value.__context__)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("READONLY You can't write", "read_only"),
        ("MISCONF Redis is configured", "cannot_persist"),
        ("NOREPLICAS Not enough good replicas", "too_few_replicas"),
        ("BUSY Redis is busy", "busy"),
        ("CLUSTERDOWN The cluster is down", "cluster_down"),
        ("TRYAGAIN Multiple keys", "try_again"),
        ("MASTERDOWN Link with MASTER is down", "master_down"),
        ("NOPERM this user has no permissions", "forbidden"),
        ("OOM command not allowed", "full"),
        ("WRONGTYPE Operation", "refused"),
    ],
)
async def test_every_redis_error_becomes_one_word(store: RedisStore, raised: str, reason: str) -> None:
    """I11: the messages of the driver are not passed on."""
    script = LuaScript.of("return redis.error_reply(ARGV[1])")
    (reply,) = await store.call_many([ScriptCall(script, (), (raised,))])
    assert isinstance(reply, MirrorUnavailable)
    assert str(reply) == reason


async def test_scripts_are_loaded_at_their_first_use(store: RedisStore) -> None:
    """I1: many calls of scripts that Redis does not know yet, in one pipeline, answered in order."""
    await store.command("SCRIPT", "FLUSH")
    double, triple = LuaScript.of("return ARGV[1] * 2"), LuaScript.of("return ARGV[1] * 3")
    replies = await store.call_many(
        [ScriptCall(script, (), (n,)) for n in range(3) for script in (double, triple)]
    )
    assert replies == [0, 0, 2, 3, 4, 6]
