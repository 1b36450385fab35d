"""Redis servers for tests of the mirror: a real one that tests may starve, kill and restart, and fakeredis."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fakeredis
import hiredis
import redis
import trio
from fakeredis._helpers import SimpleError, SimpleString

from actors.messages import Message
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.stores.redis import RedisStore
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.redis_program import tested_redis_program

PARTITIONS = 8
INSTALLATION = "ours"


class RedisProcess:
    """A redis-server in its own folder, with the durability that Majlis requires."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def socket_path(self) -> Path:
        return self._socket

    def start(self) -> None:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(tested_redis_program()), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._answers_or_ended, "redis-server comes up")
        assert self._process.poll() is None, "redis-server ended at its start"

    def kill(self) -> None:
        """SIGKILL: everything acknowledged must be on disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_SECONDS)
            self._process = None
        self._socket.unlink(missing_ok=True)

    def _answers_or_ended(self) -> bool:
        return self._answers() or self._process is None or self._process.poll() is not None

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_SECONDS)
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False


@asynccontextmanager
async def real_store(url: str, timeout_seconds: float = PATIENCE_SECONDS) -> AsyncIterator[RedisStore]:
    store = RedisStore(url, timeout_seconds=timeout_seconds)
    try:
        yield store
    finally:
        with trio.move_on_after(5, shield=True):
            await store.close()


@asynccontextmanager
async def fake_store(server: fakeredis.FakeServer | None = None) -> AsyncIterator[RedisStore]:
    """fakeredis behind a socket, so that what talks to it is what talks to Redis."""
    server = server or fakeredis.FakeServer(version=(6, 2))
    with (
        tempfile.TemporaryDirectory(prefix="majlis-", dir="/tmp") as folder,
        trio.socket.socket(socket.AF_UNIX) as door,
    ):
        path = f"{folder}/fake.sock"
        await door.bind(path)
        door.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_fake, door, server)
            async with real_store(f"unix://{path}") as store:
                yield store
            nursery.cancel_scope.cancel()


async def _serve_fake(door: trio.socket.SocketType, server: fakeredis.FakeServer) -> None:
    async with trio.open_nursery() as nursery:
        while True:
            client, _ = await door.accept()
            nursery.start_soon(_answer_as_fake, trio.SocketStream(client), server)


async def _answer_as_fake(client: trio.SocketStream, server: fakeredis.FakeServer) -> None:
    fake: Any = fakeredis.FakeRedis(server=server, protocol=2).connection_pool.make_connection()
    fake.connect()
    requests = hiredis.Reader()
    async with client:
        async for data in client:
            requests.feed(bytes(data))
            while (command := requests.gets()) is not False:
                fake.send_packed_command([hiredis.pack_command(tuple(command))], check_health=False)
                await client.send_all(_encoded(fake.get_socket().responses.get_nowait()))


def _encoded(reply: object) -> bytes:
    match reply:
        case SimpleError():
            encoded = b"-%s\r\n" % reply.value.encode()
        case redis.ResponseError():  # the driver's, without the word that led it
            encoded = b"-%s %s\r\n" % ((reply.status_code or "ERR").encode(), str(reply).encode())
        case SimpleString():
            encoded = b"+%s\r\n" % reply.value
        case None:
            encoded = b"$-1\r\n"
        case int():
            encoded = b":%d\r\n" % reply
        case bytes():
            encoded = b"$%d\r\n%s\r\n" % (len(reply), reply)
        case list():
            encoded = b"*%d\r\n%s" % (len(reply), b"".join(map(_encoded, reply)))
        case _:
            raise TypeError(type(reply).__name__)
    return encoded


async def fenced_mirror(store: RedisStore, epoch: int = 1, installation: str = INSTALLATION) -> RedisMirror:
    """A mirror that holds all its partitions under `epoch`; a new Redis is stamped."""
    mirror = RedisMirror(store, PARTITIONS)
    await stamp(store, installation)
    assert await mirror.fence(dict.fromkeys(range(PARTITIONS), epoch), "test") == {}
    return mirror


async def stamp(store: RedisStore, installation: str = INSTALLATION) -> None:
    """Make a new Redis one of this installation, and expect it to be."""
    store.expect(installation)
    await Survey(store, RedisMirror(store, PARTITIONS)).install(PARTITIONS, installation)


def message(number: int, contact: str = "5511999", instance: str = "demo") -> Message:
    return Message(
        instance=instance, contact=contact, id=f"M{number}", text=f"text {number}", sent_at=1_700_000_000
    )


class LossyProxy:
    """A proxy before Redis; while `lose_replies` is set it forwards requests and hangs up instead of replying."""

    def __init__(self, folder: Path, upstream: Path) -> None:
        self._path = folder / "proxy.sock"
        self.upstream = upstream
        self.lose_replies = False
        self.lost = 0

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.socket.socket(socket.AF_UNIX) as listener:
            await listener.bind(str(self._path))
            listener.listen()
            task_status.started()
            async with trio.open_nursery() as nursery:
                while True:
                    connection, _ = await listener.accept()
                    nursery.start_soon(self._serve, trio.SocketStream(connection))

    async def _serve(self, client: trio.SocketStream) -> None:
        server = await trio.open_unix_socket(str(self.upstream))
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._requests, client, server, nursery.cancel_scope)
            async for data in server:
                if self.lose_replies:
                    self.lost += 1
                    break
                await client.send_all(data)
            nursery.cancel_scope.cancel()

    async def _requests(
        self, client: trio.SocketStream, server: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        async for data in client:
            await server.send_all(data)
        scope.cancel()
