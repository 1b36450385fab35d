"""Evolution's own socket.io feed of one instance, as an ingress that needs no webhook and no proxy.

Laws of this file:
1. An event of the feed is handled like a webhook, by the same parser and the same acceptor. Where both are on, each
   message is stored once, by its id.
2. The feed has no replay: what happened while the connection was down never comes. The status shows it.
3. What cannot be stored now is tried again until it can, and delays others only if they could not be stored either.
   Meanwhile the connection is kept alive, and at most `MAX_WAITING` events wait, of `MAX_WAITING_BYTES` together. What
   exceeds that, or is too large to read, is lost and reported (`gateway.feed_lost`).
4. No message and no connection can end the feed.
5. The gateway wants the key in the address, so the address appears in no log and no error.
6. The feed counts as connected only when it hears its instance: the gateway let it into the instance's own namespace,
   or an event of the instance came. The common namespace takes everybody, also for instances that nobody knows. The
   own one exists from the instance's first event on, which is lost; the sweep of the records finds what was in it.
"""

from __future__ import annotations

import json
import random
import ssl
from urllib.parse import quote, urlsplit, urlunsplit

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection

from actors.ports import Feed
from daemon.gateways.evolution import socketio
from daemon.gateways.evolution.connection import open_socket
from daemon.gateways.kind import FeedView, Receive
from daemon.gateways.lenient import NotJson, decode, mapping, text
from daemon.ingress.inline_media import without_media
from daemon.web.http1 import Response
from daemon.web.tls import tls_context

MAX_WAITING = 1_000
MAX_WAITING_BYTES = 32 * 1024 * 1024
MAX_FRAME_BYTES = 32 * 1024 * 1024
"""Media may come along in base64: a video of 16 MB, WhatsApp's bound, has 22. They are cut before an event waits."""
MAX_WHOLE_BYTES = 1024 * 1024
"""An event larger than this waits without its media."""
CONNECT_SECONDS = 15.0
CLOSE_SECONDS = 2.0
"""For the gateway's goodbye; short, because events until we are connected again are lost."""
MAX_SILENCE_SECONDS = 60.0
NAMESPACE_SECONDS = 3.0
"""How often a namespace is asked for. It may not exist before its first event, as after the gateway's own restart."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
MAX_FAILURES = 5
"""Attempts at a message that fails because of a bug of ours; then it is lost."""

NO_REPLAY = "events while it is disconnected are lost: keep the webhook as well, or accept that"

_TOO_BIG = 1009
_NO_ROOM, _FAILED, _EARLY = "conversation_full", "failed", "amended_message_unknown"


class EvolutionFeed:
    """Listens for one instance until cancelled.

    Args:
      receive: takes one payload, as the webhook does.
      tls: which servers are believed; None: as `tls_context` says without any setting.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        instance: str,
        receive: Receive,
        feed: Feed,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = _address(base_url, api_key)
        self._secure = (tls or tls_context()) if self._url.startswith("wss:") else None
        self._instance = instance
        self._namespace = f"/{instance}"
        self._receive = receive
        self._feed = feed
        self._joined_now: set[str] = set()
        """The namespaces that the gateway let us into."""
        self._hears = False
        """Whether it brings events of the instance, as far as is known."""
        self._waits = False
        """Whether it was reported that this connection hears nothing yet."""
        self._is_down = False
        """Whether it was reported that the feed is down."""
        self._reason = ""
        """Why the last connection ended, or could not be had."""
        self._received = 0
        self._lost = 0
        self._connections = 0
        self._waiting = self._waiting_bytes = 0
        self._put, self._take = trio.open_memory_channel[bytes](MAX_WAITING)

    def view(self) -> FeedView:
        return FeedView(
            instance=self._instance,
            connected=self._hears,
            waiting=bool(self._joined_now) and not self._hears,
            reason="" if self._hears else self._reason,
            received=self._received,
            lost=self._lost,
            connections=self._connections,
            note=NO_REPLAY,
        )

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._store)
            pause_seconds = FIRST_PAUSE_SECONDS
            while True:
                reason, was_let_in = await self._listen()
                self._went(reason)
                if was_let_in:
                    pause_seconds = FIRST_PAUSE_SECONDS
                await trio.sleep(pause_seconds * random.uniform(0.5, 1.0))
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    def give_up(self) -> None:
        """After `run`: what still waits to be stored is lost."""
        while self._waiting:
            self._waiting -= 1
            self._lose()

    async def _listen(self) -> tuple[str, bool]:
        """Serve one connection, from beginning to end.

        Returns why it ended, as a stable word, and whether the gateway had let us in anywhere.
        """
        reason, was_let_in = "", False
        try:
            with trio.move_on_after(CONNECT_SECONDS) as opening:
                async with open_socket(self._url, self._secure, MAX_FRAME_BYTES, CLOSE_SECONDS) as socket:
                    first = socketio.read(_as_text(await socket.get_message()))
                    opening.deadline = float("inf")
                    reason = await self._follow(socket, first)
        except* ConnectionRejected:
            reason = "refused"
        except* ssl.SSLCertVerificationError:
            reason = "certificate_not_believed"
        except* ssl.SSLError:
            reason = reason or "tls_failed"
        except* (ConnectionClosed, HandshakeError, OSError, trio.BrokenResourceError):
            reason = reason or ("connection_lost" if self._joined_now else "unreachable")
        except* Exception as group:
            reason = "failed"
            self._broke(group)
        finally:
            was_let_in = bool(self._joined_now)
            self._joined_now.clear()
            self._hears = self._waits = False
        return reason or "unreachable", was_let_in

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
        """Ask for the namespaces until they exist: the instance's own, and the common one of global events."""
        while True:
            for namespace in (self._namespace, "/"):
                if namespace not in self._joined_now:
                    await socket.send_message(socketio.connect(namespace))
            await trio.sleep(NAMESPACE_SECONDS)

    async def _hear(self, socket: WebSocketConnection, seconds: float) -> str:
        while True:
            message: str | bytes | None = None
            try:
                with trio.move_on_after(seconds):
                    message = await socket.get_message()
            except ConnectionClosed as closed:
                return self._cut_off(closed)
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
                case "refused":
                    self._refused_at(packet.namespace)
                case "disconnected":
                    self._joined_now.discard(packet.namespace)
                    if packet.namespace == self._namespace or not self._joined_now:
                        self._hears = False
                        self._went("disconnected")
                case "event":
                    self._heard(packet)
                case _:
                    pass

    def _joined(self, namespace: str) -> None:
        self._joined_now.add(namespace)
        if namespace == self._namespace:
            self._hears_now()

    def _refused_at(self, namespace: str) -> None:
        """The instance's own namespace does not exist yet: asked for again, and reported once."""
        if namespace == self._namespace and not self._hears and not self._waits:
            self._waits = True
            self._feed.emit("gateway.feed_waiting", instance=self._instance)

    def _hears_now(self) -> None:
        if not self._hears:
            self._hears = True
            self._connections += 1
            self._is_down = False
            self._feed.emit("gateway.feed_up", instance=self._instance)

    def _went(self, reason: str) -> None:
        """Report it once, however many attempts fail; the status shows the last reason."""
        self._reason = reason
        if not self._is_down:
            self._is_down = True
            self._feed.emit("gateway.feed_down", instance=self._instance, reason=reason)

    def _cut_off(self, closed: ConnectionClosed) -> str:
        if closed.reason is None or closed.reason.code != _TOO_BIG:
            return "connection_lost"
        self._lose()
        return "frame_too_big"

    def _heard(self, packet: socketio.Packet) -> None:
        """Queue an event of this instance; the common namespace also brings those of others."""
        payload = mapping(packet.data)
        if text(payload.get("instance")) != self._instance:
            return
        self._received += 1
        self._hears_now()
        body = without_media(json.dumps(payload).encode(), MAX_WHOLE_BYTES)
        if self._waiting >= MAX_WAITING or self._waiting_bytes + len(body) > MAX_WAITING_BYTES:
            self._lose()
            return
        self._waiting += 1
        self._waiting_bytes += len(body)
        self._put.send_nowait(body)

    async def _store(self) -> None:
        """Handle them one after another, in order; what only itself or its conversation delays waits aside."""
        async with trio.open_nursery() as aside:
            async for body in self._take:
                await self._keep(body, aside)

    async def _keep(self, body: bytes, aside: trio.Nursery | None) -> None:
        """Try until the ingress gives a final answer."""
        pause_seconds, failures = FIRST_PAUSE_SECONDS, 0
        while (why := await self._refused(body)) is not None:
            if why in (_NO_ROOM, _FAILED, _EARLY) and aside is not None:
                aside.start_soon(self._keep, body, None)
                return
            failures += why == _FAILED
            if failures == MAX_FAILURES:
                self._lose()
                break
            await trio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
        self._waiting -= 1
        self._waiting_bytes -= len(body)

    async def _refused(self, body: bytes) -> str | None:
        """Why it must be tried again; None: the answer is final."""
        try:
            answer = await self._receive(body)
        except Exception as error:
            self._broke(error)
            return _FAILED
        return _reason(answer) if answer.status == 503 else None

    def _lose(self) -> None:
        self._lost += 1
        self._feed.emit("gateway.feed_lost", instance=self._instance)

    def _broke(self, error: Exception) -> None:
        # The class alone: its text may quote a message.
        self._feed.emit("daemon.problem", part="gateway feed", error=type(error).__name__)


def _reason(answer: Response) -> str:
    try:
        return text(mapping(decode(answer.body)).get("reason"))
    except NotJson:
        return ""


def _address(base_url: str, api_key: str) -> str:
    parts = urlsplit(base_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    query = f"EIO=4&transport=websocket&apikey={quote(api_key, safe='')}"
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/socket.io/", query, ""))


def _as_text(message: str | bytes) -> str:
    return message if isinstance(message, str) else ""
