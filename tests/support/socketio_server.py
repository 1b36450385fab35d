"""A gateway's socket.io endpoint: Socket.IO v5 over Engine.IO v4 over a WebSocket, as `socket.io` 4 speaks it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, WebSocketServer


class FakeSocketIo:
    """Change the attributes to make it misbehave."""

    def __init__(self, api_key: str = "key") -> None:
        self.api_key = api_key
        self.namespaces = {"/", "/demo"}
        """The existing ones; requests for others are refused."""
        self.ping_ms = (25_000, 20_000)
        self.pongs = 0
        self.joined: list[str] = []
        self.connections = 0
        self.rejected = 0
        self.port = 0
        self._open: dict[WebSocketConnection, set[str]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeSocketIo]:
        listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        server = WebSocketServer(self._serve, listeners, disconnect_timeout=1)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            yield self
            nursery.cancel_scope.cancel()

    async def emit(self, event: str, payload: object, namespace: str = "/demo", binary: int = 0) -> int:
        """Send an event to every client in the namespace; returns how many. `binary`: the number of attachments."""
        place = "" if namespace == "/" else f"{namespace},"
        kind = f"45{binary}-" if binary else "42"
        receivers = [socket for socket, joined in self._open.items() if namespace in joined]
        for socket in receivers:
            await socket.send_message(f"{kind}{place}{json.dumps([event, payload])}")
            for _ in range(binary):
                await socket.send_message(b"\x00\x01")
        return len(receivers)

    async def ping(self) -> None:
        for socket in tuple(self._open):
            await socket.send_message("2")

    async def drop_all(self) -> None:
        for socket in tuple(self._open):
            await socket.aclose()

    async def _serve(self, request: WebSocketRequest) -> None:
        parts = urlsplit(request.path)
        query = parse_qs(parts.query)
        asked = (query.get("EIO"), query.get("transport"), query.get("apikey"))
        if parts.path != "/socket.io/" or asked != (["4"], ["websocket"], [self.api_key]):
            self.rejected += 1
            await request.reject(403)
            return
        socket = await request.accept()
        self.connections += 1
        self._open[socket] = set()
        interval, timeout = self.ping_ms
        opened = {"sid": "s", "upgrades": [], "pingInterval": interval, "pingTimeout": timeout}
        try:
            await socket.send_message(f"0{json.dumps(opened)}")
            while True:
                await self._heed(socket, str(await socket.get_message()))
        except ConnectionClosed:
            pass
        finally:
            del self._open[socket]

    async def _heed(self, socket: WebSocketConnection, message: str) -> None:
        if message == "3":
            self.pongs += 1
        elif message.startswith("40"):
            namespace = message[2:].rstrip(",") or "/"
            place = "" if namespace == "/" else f"{namespace},"
            if namespace in self.namespaces:
                self._open[socket].add(namespace)
                self.joined.append(namespace)
                await socket.send_message(f'40{place}{{"sid":"n"}}')
            else:
                await socket.send_message(f'44{place}{{"message":"Invalid namespace"}}')
