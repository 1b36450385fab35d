"""The Redis wrapper: cancellation, deadlines, and errors that quote no data."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio

from actors.errors import MirrorUnavailable
from daemon.stores import redis_line
from daemon.stores.redis import LuaScript, RedisStore, ScriptCall
from tests.support.certificates import AUTHORITY, SERVER
from tests.support.mirrors import real_store


@pytest.fixture
async def store(fresh_redis_url: str) -> AsyncIterator[RedisStore]:
    async with real_store(fresh_redis_url) as real:
        yield real


async def connections(store: RedisStore) -> int:
    listed: bytes = await store.command("CLIENT", "LIST")
    return listed.count(b"name=majlis ")


async def test_what_a_cancelled_caller_waited_for_reaches_nobody(store: RedisStore) -> None:
    """I1: its replies come late, between those of others; all share one connection, which stays."""
    await store.command("ECHO", "connected")
    got: list[bytes] = []

    async def echo(number: int) -> None:
        got.append(await store.command("ECHO", number))
        assert got[-1] == b"%d" % number

    for first in range(0, 80, 20):
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(0.02) as scope:
                nursery.start_soon(echo, first)
                await store.pipeline([("ECHO", "stale"), ("DEBUG", "SLEEP", "0.1"), ("ECHO", "stale")])
            assert scope.cancelled_caught
            for number in range(first + 1, first + 20):
                nursery.start_soon(echo, number)
    assert sorted(map(int, got)) == list(range(80))
    assert await connections(store) == 1


async def test_purposes_do_not_wait_for_each_other(store: RedisStore) -> None:
    """I8: while Redis lets one connection wait, another goes on; what is expected of Redis holds for both."""
    appends = store.apart("appends")
    store.expect("ours")
    with trio.move_on_after(0.1) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.command, "BLPOP", "never", 0)
            for number in range(3):
                assert await appends.command("ECHO", number) == b"%d" % number
            await trio.sleep_forever()
    assert scope.cancelled_caught
    script = LuaScript.of("return ARGV[1]")
    assert await appends.call(ScriptCall(script, (), ())) == b"ours"


async def test_a_hanging_redis_times_out(fresh_redis_url: str) -> None:
    """I1: with all who wait, and its late reply answers no other command."""
    async with real_store(fresh_redis_url, timeout_seconds=1) as store:
        failures: list[str] = []

        async def expect_failure(*commands: tuple[str | int, ...]) -> None:
            with pytest.raises(MirrorUnavailable) as caught:
                await store.pipeline(commands)
            failures.append(str(caught.value))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_failure, ("ECHO", "stale"), ("BLPOP", "never", 0))
            await trio.sleep(0.01)
            nursery.start_soon(expect_failure, ("ECHO", "stale"))
        assert failures == ["timeout", "timeout"]
        assert await store.pipeline([("ECHO", "fresh")]) == [b"fresh"]


async def test_no_more_wait_than_may(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: one more is refused at once, and nothing of it is sent."""
    await store.command("SET", "count", 0)
    monkeypatch.setattr(redis_line, "MAX_WAITING", 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.command, "BLPOP", "never", 0)
        await trio.lowlevel.checkpoint()
        for _ in range(4):
            nursery.start_soon(store.command, "INCR", "count")
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()  # each of them has run until it waits
        with pytest.raises(MirrorUnavailable, match=r"^too_many_waiting$"), trio.move_on_after(1):
            await store.command("INCR", "count")
        await store.apart("other").command("LPUSH", "never", "now")
    assert await store.command("GET", "count") == b"4"


Serve = Callable[[trio.SocketStream, bytes], Awaitable[None]]


async def ends(client: trio.SocketStream, _data: bytes) -> None:
    await client.aclose()


async def garbles(client: trio.SocketStream, _data: bytes) -> None:
    await client.send_all(b"?5511987654321\r\n")


@pytest.mark.parametrize("serve", [ends, garbles])
async def test_a_connection_that_makes_no_sense_ends(serve: Serve, tmp_path: Path) -> None:
    """I11: in one word, and the next request has another connection."""
    async with doubled_redis(tmp_path, serve) as url, real_store(url) as store:
        for _ in range(2):
            with pytest.raises(MirrorUnavailable, match=r"^connection$"):
                await store.command("GET", "x")


async def test_what_nobody_asked_for_answers_nobody(tmp_path: Path) -> None:
    """I1: a connection that says more than it was asked is not used again, however often that happens."""
    connected: list[bytes] = []

    async def answers_twice(client: trio.SocketStream, _data: bytes) -> None:
        await client.send_all(b"+OK\r\n+OK\r\n")

    async with doubled_redis(tmp_path, answers_twice, connected) as url, real_store(url) as store:
        for _ in range(2000):
            assert await store.command("GET", "x") == b"OK"
            if len(connected) > 120:
                return
    pytest.fail("one connection answered again and again")


async def test_an_unreachable_redis() -> None:
    """I1: the reason is one word."""
    async with real_store("unix:///nowhere/at/all.sock") as store:
        for _ in range(3):
            with pytest.raises(MirrorUnavailable, match=r"^connection$"):
                await store.command("PING")


async def test_over_tls_with_a_name_and_a_password(fresh_redis_url: str, tmp_path: Path) -> None:
    """The driver's own settings hold; replies are longer than what TLS decrypts at a time."""
    (tmp_path / "ca.pem").write_text(AUTHORITY)
    (tmp_path / "server.pem").write_text(SERVER)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    upstream = urlsplit(fresh_redis_url)
    async with real_store(fresh_redis_url) as plain, trio.open_nursery() as nursery:
        await plain.command("ACL", "SETUSER", "guest", "on", ">secret", "~*", "+@all")
        pipe = partial(_pipe, upstream.path)
        serve = partial(trio.serve_ssl_over_tcp, https_compatible=True)
        listeners = await nursery.start(serve, pipe, 0, context)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        database = upstream.query.partition("db=")[2] or "0"
        url = f"rediss://guest:secret@localhost:{port}/{database}?ssl_ca_certs={tmp_path / 'ca.pem'}"
        async with real_store(url) as store:
            await plain.command("SET", "where", "here")
            text = b"x" * 300_000
            replies = await store.pipeline([("GET", "where"), ("ACL", "WHOAMI"), ("ECHO", text), ("ECHO", 1)])
            assert replies == [b"here", b"guest", text, b"1"]
        async with real_store(url.replace("secret", "wrong")) as store:
            with pytest.raises(MirrorUnavailable, match=r"^forbidden$"):
                await store.command("PING")
        await plain.command("ACL", "DELUSER", "guest")
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def doubled_redis(folder: Path, serve: Serve, greeted: list[bytes] | None = None) -> AsyncIterator[str]:
    """A server that greets as Redis does, and then does what `serve` does. `greeted`: with what it was greeted."""

    async def handle(client: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in client:
                if b"CLIENT" in data:
                    if greeted is not None and b"SETNAME" in data:
                        greeted.append(bytes(data))
                    await client.send_all(b"+OK\r\n")
                else:
                    await serve(client, bytes(data))

    with trio.socket.socket(trio.socket.AF_UNIX) as door:
        await door.bind(str(folder / "double.sock"))
        door.listen()
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, handle, [trio.SocketListener(door)])
            yield f"unix://{folder / 'double.sock'}"
            nursery.cancel_scope.cancel()


async def _pipe(path: str, client: trio.SSLStream[trio.SocketStream]) -> None:
    async def carry(source: trio.abc.ReceiveStream, target: trio.abc.SendStream) -> None:
        async for data in source:
            await target.send_all(data)
        nursery.cancel_scope.cancel()

    async with await trio.open_unix_socket(path) as server, client, trio.open_nursery() as nursery:
        nursery.start_soon(carry, client, server)
        nursery.start_soon(carry, server, client)


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
