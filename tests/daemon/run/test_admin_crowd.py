"""A crowd at the admin socket: who may do nothing there keeps no operator out."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from daemon.config import load
from daemon.observe.feed import EventFeed
from daemon.run.daemon import ADMIN_LIMITS, Daemon
from daemon.run.systemd import ServiceManager
from daemon.web.http1 import HttpServer, Peer, Request, Response, open_unix_listener, server
from tests.daemon.web.http1.support import read_answer
from tests.support.patience import PATIENCE_SECONDS

GET = b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_operators_get_in_past_a_crowd_of_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate and the bounds of the daemon as it is put together; the kernel's word for who connects is replaced."""
    uid = 0
    monkeypatch.setattr(server, "peer_of", lambda stream: Peer("unix", 1, uid, uid))
    settings = load(None, [f"data_dir={tmp_path}"], {})
    daemon = Daemon(settings, EventFeed(strict=True), ServiceManager.from_environment({}))

    async def handle(_request: Request) -> Response:
        return Response(403)

    door = HttpServer(handle, ADMIN_LIMITS, name="admin", gate=daemon.is_operator)
    path = tmp_path / "admin.sock"
    async with trio.open_nursery() as nursery, AsyncExitStack() as crowd:
        await nursery.start(door.serve, [open_unix_listener(path)])
        with trio.fail_after(PATIENCE_SECONDS):

            async def served(by: int) -> int:
                nonlocal uid
                uid = by
                stream = await crowd.enter_async_context(await trio.open_unix_socket(path))
                await stream.send_all(GET)
                return (await read_answer(stream)).status

            places = ADMIN_LIMITS.max_connections
            for stranger in range(60_001, 60_001 + 2 * places):
                assert await served(stranger) == 403  # it has asked, and stays
            assert [await served(0) for _ in range(places)] == [403] * places
            assert door.counters.connections == places
            assert await served(60_001) == 503  # there is no stranger left whose place it could have
        nursery.cancel_scope.cancel()
