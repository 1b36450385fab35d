"""Strangers at the dashboard as it is put together: they keep nobody out who has a session."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
import trio

from daemon.run import dashboard as put_together
from tests.daemon.dashboard.browser import read
from tests.daemon.dashboard.test_serving import ask, served, settings
from tests.daemon.web.http1.support import read_answer
from tests.support.patience import PATIENCE_SECONDS


async def test_a_session_keeps_its_place_and_finds_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = msgspec.structs.replace(put_together.LIMITS, max_connections=3, max_connections_per_address=3)
    monkeypatch.setattr(put_together, "LIMITS", small)
    async with served(settings(tmp_path, listen="127.0.0.1:0")) as dashboard, AsyncExitStack() as crowd:
        place, _, token = dashboard.site.new("operate", "uid 0").url.partition("/#login=")
        host = place.removeprefix("http://")
        opened = read((await ask(place, "POST", "/session", f'{{"token": "{token}"}}')).encode())
        asked = f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\nCookie: {opened.cookie}\r\n\r\n".encode()

        async def connect() -> trio.SocketStream:
            stream = await trio.open_tcp_stream("127.0.0.1", int(host.rpartition(":")[2]))
            return await crowd.enter_async_context(stream)

        async def is_served(stream: trio.SocketStream) -> bool:
            with trio.fail_after(PATIENCE_SECONDS):
                await stream.send_all(asked)
                return b'"starting"' in (await read_answer(stream)).body

        first = await connect()
        assert await is_served(first)
        page = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        strangers = []
        for _ in range(4):  # each has seen a page, and stays
            strangers.append(stranger := await connect())
            with trio.fail_after(PATIENCE_SECONDS):
                await stranger.send_all(page)
                assert (await read_answer(stranger)).status == 200
        for stranger in strangers[:2]:  # the oldest, whose places the others have
            with trio.fail_after(PATIENCE_SECONDS):
                assert b"too_many_connections" in (await read_answer(stranger)).body
        assert await is_served(first)
        assert await is_served(await connect())
