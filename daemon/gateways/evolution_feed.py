"""Evolution's own socket.io feed of one instance, as an ingress that needs no webhook and no proxy.

Laws of this file:
1. What the feed brings goes the way of a webhook: the same parser, the same acceptor; so whoever has both gets each
   message once, by its id.
2. The feed keeps nothing: what happened while the connection was away never comes. The status says so.
3. What cannot be stored now is tried again until it can; meanwhile at most `MAX_WAITING` wait, and what comes beyond is
   lost, which is said (`gateway.feed_lost`). The connection is kept alive all the while.
4. The key travels in the address, as the gateway wants it: the address is in no log and in no error.
"""

from __future__ import annotations

import json
import random
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, open_websocket_url

from actors.ports import Feed
from daemon.gateways import socketio
from daemon.gateways.lenient import mapping, text
from daemon.http1 import Response

MAX_WAITING = 1_000
MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Media may come along in base64."""
CONNECT_SECONDS = 15.0
MAX_SILENCE_SECONDS = 60.0
NAMESPACE_SECONDS = 10.0
"""A namespace may not exist before its first event: it is asked for again."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0

Receive = Callable[[bytes], Awaitable[Response]]


class FeedState(msgspec.Struct, frozen=True):
    """How the feed is, for the status."""

    instance: str
    connected: bool
    received: int
    lost: int
    """Came while too many waited to be stored."""
    connections: int
    """Since the start; what happened between two of them never came."""


class EvolutionFeed:
    """Listens for one instance until cancelled.

    Args:
      receive: takes one payload, as the webhook does.
    """

    def __init__(self, base_url: str, api_key: str, instance: str, receive: Receive, feed: Feed) -> None:
        self._url = _address(base_url, api_key)
        self._secure = ssl.create_default_context() if self._url.startswith("wss:") else None
        self._instance = instance
        self._namespace = f"/{instance}"
        self._receive = receive
        self._feed = feed
        self._connected: set[str] = set()
        self._received = 0
        self._lost = 0
        self._connections = 0
        self._put, self._take = trio.open_memory_channel[bytes](MAX_WAITING)

    def state(self) -> FeedState:
        return FeedState(self._instance, bool(self._connected), self._received, self._lost, self._connections)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._store)
            pause_seconds = FIRST_PAUSE_SECONDS
            while True:
                reason = await self._listen()
                if self._connected:
                    pause_seconds = FIRST_PAUSE_SECONDS
                    self._feed.emit("gateway.feed_down", instance=self._instance, reason=reason)
                self._connected.clear()
                await trio.sleep(pause_seconds * random.uniform(0.5, 1.0))
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    async def _listen(self) -> str:
        """One connection, from beginning to end; why it ended, in a stable word."""
        reason = "unreachable"
        try:
            with trio.move_on_after(CONNECT_SECONDS) as opening:
                async with open_websocket_url(
                    self._url, self._secure, max_message_size=MAX_FRAME_BYTES
                ) as socket:
                    first = socketio.read(_as_text(await socket.get_message()))
                    opening.deadline = float("inf")
                    reason = await self._follow(socket, first)
        except* (ConnectionClosed, HandshakeError, OSError, ssl.SSLError, trio.BrokenResourceError):
            reason = "connection_lost" if self._connected else "unreachable"
        return reason

    async def _follow(self, socket: WebSocketConnection, first: socketio.Packet) -> str:
        if first.kind != "open":
            return "not_socketio"
        seconds = socketio.silence_seconds(first, MAX_SILENCE_SECONDS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask, socket)
            reason = await self._hear(socket, seconds)
            nursery.cancel_scope.cancel()
        return reason

    async def _ask(self, socket: WebSocketConnection) -> None:
        """Ask for the namespaces until they are there: the instance's own, and the common one of global events."""
        while True:
            for namespace in (self._namespace, "/"):
                if namespace not in self._connected:
                    await socket.send_message(socketio.connect(namespace))
            await trio.sleep(NAMESPACE_SECONDS)

    async def _hear(self, socket: WebSocketConnection, seconds: float) -> str:
        while True:
            message: str | bytes | None = None
            with trio.move_on_after(seconds):
                message = await socket.get_message()
            if message is None:
                return "silent"
            if isinstance(message, bytes):
                continue  # a binary part of the event before: keys and hashes, of no use here
            packet = socketio.read(message)
            match packet.kind:
                case "ping":
                    await socket.send_message(socketio.PONG)
                case "close":
                    return "closed"
                case "connected":
                    self._joined(packet.namespace)
                case "disconnected":
                    self._connected.discard(packet.namespace)
                case "event":
                    self._heard(packet)
                case _:
                    pass

    def _joined(self, namespace: str) -> None:
        if not self._connected:
            self._connections += 1
            self._feed.emit("gateway.feed_up", instance=self._instance)
        self._connected.add(namespace)

    def _heard(self, packet: socketio.Packet) -> None:
        """Take note of an event of this instance; the common namespace brings those of others as well."""
        payload = mapping(packet.data)
        if text(payload.get("instance")) != self._instance:
            return
        self._received += 1
        try:
            self._put.send_nowait(json.dumps(payload).encode())
        except trio.WouldBlock:
            self._lost += 1
            self._feed.emit("gateway.feed_lost", instance=self._instance)

    async def _store(self) -> None:
        """One after another, in their order, each until the ingress has an answer that stands."""
        async for body in self._take:
            pause_seconds = FIRST_PAUSE_SECONDS
            while (await self._receive(body)).status == 503:
                await trio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)


def _address(base_url: str, api_key: str) -> str:
    parts = urlsplit(base_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    query = f"EIO=4&transport=websocket&apikey={quote(api_key, safe='')}"
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/socket.io/", query, ""))


def _as_text(message: str | bytes) -> str:
    return message if isinstance(message, str) else ""
