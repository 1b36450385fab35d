"""A crowd at the admin socket: nobody there keeps an operator out, and no operator another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from daemon.config import load
from daemon.observe.feed import EventFeed
from daemon.run.daemon import ADMIN_LIMITS, Daemon
from daemon.run.systemd import ServiceManager
from daemon.web.http1 import HttpServer, Peer, Request, Response, open_unix_listener, server
from tests.daemon.web.http1.support import read_answer
from tests.support.patience import PATIENCE_SECONDS, until

GET = b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n"
PLACES = ADMIN_LIMITS.max_connections
READERS = (50_001, 50_002, 50_003)


class Crowd:
    """Those who connect, and stay. `served` gives the status of the first answer."""

    def __init__(self, path: Path, door: HttpServer, streams: AsyncExitStack) -> None:
        self.door = door
        self.uid = 0
        self._path = path
        self._streams = streams

    async def ask(self, by: int) -> trio.SocketStream:
        self.uid = by
        stream = await self._streams.enter_async_context(await trio.open_unix_socket(self._path))
        await stream.send_all(GET)
        return stream

    async def served(self, by: int) -> int:
        return (await read_answer(await self.ask(by))).status


@asynccontextmanager
async def crowd(
    directory: Path, monkeypatch: pytest.MonkeyPatch, handle: Callable[[Request], Awaitable[Response]]
) -> AsyncIterator[Crowd]:
    """The gate and the bounds of the daemon as it is put together; the kernel's word for who connects is replaced."""
    levels = f"admin.levels.read={[str(uid) for uid in READERS]}"
    settings = load(None, [f"data_dir={directory}", levels], {})
    daemon = Daemon(settings, EventFeed(strict=True), ServiceManager.from_environment({}))
    door = HttpServer(handle, ADMIN_LIMITS, name="admin", gate=daemon.is_operator)
    path = directory / "admin.sock"
    async with trio.open_nursery() as nursery, AsyncExitStack() as streams:
        await nursery.start(door.serve, [open_unix_listener(path)])
        with trio.fail_after(PATIENCE_SECONDS):
            present = Crowd(path, door, streams)
            monkeypatch.setattr(server, "peer_of", lambda stream: Peer("unix", 1, present.uid, present.uid))
            yield present
        nursery.cancel_scope.cancel()


async def refuse(_request: Request) -> Response:
    await trio.lowlevel.checkpoint()
    return Response(403)


async def test_operators_get_in_past_a_crowd_of_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with crowd(tmp_path, monkeypatch, refuse) as present:
        for stranger in range(60_001, 60_001 + 2 * PLACES):
            assert await present.served(stranger) == 403  # it has asked, and stays
        assert [await present.served(0) for _ in range(PLACES)] == [403] * PLACES
        assert present.door.counters.connections == PLACES
        assert await present.served(60_001) == 503  # there is no stranger left whose place it could have


async def test_readers_with_all_the_places_keep_no_other_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with crowd(tmp_path, monkeypatch, refuse) as present:
        for reader in READERS[:2]:
            assert [await present.served(reader) for _ in range(PLACES // 2)] == [403] * (PLACES // 2)
        assert await present.served(READERS[2]) == 403
        assert await present.served(0) == 403


async def test_readers_who_follow_the_events_do_not_keep_root_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their requests never end, so none of their places can be taken."""
    under_way = 0

    async def follow(request: Request) -> Response:
        nonlocal under_way
        under_way += 1
        if request.peer.uid:
            await trio.sleep_forever()
        return Response(403)

    async with crowd(tmp_path, monkeypatch, follow) as present:
        for number in range(PLACES):
            await present.ask(READERS[number % 2])
            await until(lambda: under_way > number)  # noqa: B023 - awaited here
        assert await present.served(READERS[2]) == 503
        assert await present.served(0) == 403
