"""The realtime door: lets clients in, by token, and bounds the resources they may use.

Laws of this file:
1. Nothing is exchanged before the token is known; it comes in a header (`Authorization: Bearer`, `apikey`) or, from a
   browser, which cannot set one, in the first frame.
2. A browser's page is let in only if its origin is allowed: a token that leaked into a page is useless on others.
3. Beyond `max_connections`, and during a stop, a client is answered 503 and closed. One that fails ends alone.
4. Strangers have places of their own, see `strangers`: however many are silent, a client with a token gets in.
5. A push that fails fails alone: it is answered `retry`, as a webhook would be.
6. Pushes share the bytes that the bodies of webhooks may hold; one that finds no room is answered `retry`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from daemon.gateways.couriers import Couriers
from daemon.observe.feed import EventFeed
from daemon.realtime import frames
from daemon.realtime.clients import Client, Clients
from daemon.realtime.session import (
    GOING_AWAY,
    RETRY_HEADERS,
    TOO_MANY,
    TOO_SLOW,
    UNAUTHORIZED,
    RealtimeSession,
    ReceivePush,
    SessionLimits,
)
from daemon.realtime.strangers import Strangers, StrangersStream
from daemon.web.http1 import Response, accept_forever, error_response, json_response
from daemon.web.http1.messages import encode_head

PATH = "/v1"
MAX_WAITING_MESSAGES = 2
"""Read from a connection and not handled yet; the bytes of these count nowhere."""
REFUSE_SECONDS = 1.0


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Who is let in, and what bounds all connections together and those that are not in yet."""

    allowed_origins: frozenset[str] = frozenset()
    """Of browsers' pages."""
    max_connections: int = 64
    max_frame_bytes: int = 1024 * 1024
    auth_seconds: float = 5.0
    """For the handshake and for the first frame, each."""
    max_strangers: int = 64
    """Connections whose token is not known yet; beyond it, the oldest of them ends."""
    max_strangers_per_network: int = 8


class RealtimeServer:
    def __init__(
        self,
        clients: Clients,
        *,
        receive: ReceivePush,
        feed: EventFeed,
        couriers: Couriers,
        on_serving: Callable[[], None],
        on_error: Callable[[str, BaseException], None],
        admission: Admission | None = None,
        limits: SessionLimits | None = None,
    ) -> None:
        """`on_serving` is called when a proxy can deliver again."""
        self.sessions: set[RealtimeSession] = set()
        self._clients = clients
        self._receive = receive
        self._feed = feed
        self._couriers = couriers
        self._on_serving = on_serving
        self._on_error = on_error
        self._admission = admission or Admission()
        self._limits = limits or SessionLimits()
        self._strangers = Strangers(self._admission.max_strangers, self._admission.max_strangers_per_network)
        self._entered = 0
        self._closing = False
        self._gone = trio.Event()

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:

            def take(stream: trio.SocketStream) -> None:
                nursery.start_soon(self._admit, stream, name="realtime connection")

            for listener in listeners:
                nursery.start_soon(accept_forever, listener, take, self._paused, name="realtime accept")
            task_status.started()

    async def close(self) -> None:
        """Let no more clients in, end all sessions, and wait until they are gone; the caller bounds the wait."""
        self._closing = True
        for session in tuple(self.sessions):
            session.end(GOING_AWAY)
        while self.sessions:
            self._gone = trio.Event()
            await self._gone.wait()

    def _paused(self, error: OSError) -> None:
        self._on_error("realtime", error)

    async def _admit(self, accepted: trio.SocketStream) -> None:
        stream = StrangersStream(accepted)
        try:
            if self._closing:
                self._feed.emit("realtime.refused", reason=GOING_AWAY.reason)
                await _turn_away(stream, GOING_AWAY.reason)
                return
            async with trio.open_nursery() as nursery:
                await self._connected(stream, nursery)
                nursery.cancel_scope.cancel()
        except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client went away
        except* LocalProtocolError:
            pass  # it sent a ping while we closed, and trio-websocket may not answer that any more
        except* Exception as group:
            self._on_error("realtime", group)
        finally:
            await trio.aclose_forcefully(stream)

    async def _connected(self, stream: StrangersStream, nursery: trio.Nursery) -> None:
        try:
            address = stream.address
        except OSError:
            return  # gone before it was looked at
        known: tuple[WebSocketConnection, Client] | None = None
        with self._strangers.staying(address) as place:
            known = await self._become_known(stream, nursery)
        if place.cancelled_caught:
            self._feed.emit("realtime.refused", reason="too_many_strangers")
        if known is None:
            return
        try:
            await self._converse(*known)
        finally:
            self._entered -= 1

    async def _become_known(
        self, stream: StrangersStream, nursery: trio.Nursery
    ) -> tuple[WebSocketConnection, Client] | None:
        """Let it in; it has taken one of the places of the known then."""
        request: WebSocketRequest | None = None
        with trio.move_on_after(self._admission.auth_seconds):
            request = await wrap_server_stream(
                nursery, stream, MAX_WAITING_MESSAGES, self._admission.max_frame_bytes
            )
        if request is None:
            self._feed.emit("realtime.refused", reason="no_handshake")
            return None
        with trio.move_on_after(2 * self._admission.auth_seconds):  # the answer and the first frame
            return await self._enter(request, stream.known)
        return None

    async def _converse(self, socket: WebSocketConnection, client: Client) -> None:
        session = RealtimeSession(
            socket,
            client,
            receive=self._receive_alone,
            feed=self._feed,
            couriers=self._couriers,
            on_serving=self._on_serving,
            limits=self._limits,
        )
        self.sessions.add(session)
        self._feed.emit("realtime.connected", client=client.name)
        if self._closing:
            session.end(GOING_AWAY)
        try:
            await session.run()
        finally:
            self.sessions.discard(session)
            self._gone.set()
            reason = session.ending.reason if session.ending else GOING_AWAY.reason
            dropped = session.ending == TOO_SLOW
            self._feed.emit(
                "realtime.dropped" if dropped else "realtime.left", client=client.name, reason=reason
            )

    async def _receive_alone(
        self, body: bytes, instance: str | None, event: None, allows: Callable[[str], bool]
    ) -> Response:
        # If the connection ended here, the proxy would push the same message over the next one, and so on: everything
        # else on the connection would be cut off each time.
        try:
            return await self._receive(body, instance, event, allows)
        except Exception as error:
            self._on_error("realtime", error)
        return json_response(503, {"status": "retry", "reason": "failed"}, RETRY_HEADERS)

    async def _enter(
        self, request: WebSocketRequest, known: trio.Event
    ) -> tuple[WebSocketConnection, Client] | None:
        headers = {name.lower(): value.decode("utf-8", "surrogateescape") for name, value in request.headers}
        origin = headers.get(b"origin")
        if request.path.partition("?")[0] != PATH:
            await self._reject(request, 404, "no_such_route")
            return None
        if origin is not None and origin not in self._admission.allowed_origins:
            await self._reject(request, 403, "origin_not_allowed")
            return None
        token = _token(headers)
        client = None if token is None else self._clients.known_by(token)
        if token is not None and client is None:
            await self._reject(request, 401, UNAUTHORIZED.reason)
            return None
        if self._is_full:  # before the handshake ends, so that every client learns it by a status
            await self._reject(request, 503, TOO_MANY.reason)
            return None
        socket = await request.accept()
        client = client or await self._introduced(socket)
        refusal = UNAUTHORIZED if client is None else TOO_MANY if self._is_full else None
        if client is None or refusal is not None:
            self._feed.emit("realtime.refused", reason=(refusal or UNAUTHORIZED).reason)
            await socket.aclose(*(refusal or UNAUTHORIZED))
            return None
        self._entered += 1
        known.set()
        return socket, client

    @property
    def _is_full(self) -> bool:
        return self._entered >= self._admission.max_connections

    async def _introduced(self, socket: WebSocketConnection) -> Client | None:
        """The client that its first frame names."""
        with trio.move_on_after(self._admission.auth_seconds):
            try:
                said = frames.read(await socket.get_message(), ("auth",))
            except (frames.BadFrame, frames.NotAllowed):
                return None
            return self._clients.known_by(said.token) if isinstance(said, frames.Auth) else None
        return None

    async def _reject(self, request: WebSocketRequest, status: int, reason: str) -> None:
        self._feed.emit("realtime.refused", reason=reason)
        retry = [(b"Retry-After", RETRY_HEADERS["Retry-After"].encode())] if status == 503 else []
        await request.reject(status, extra_headers=retry, body=error_response(status, reason).body)


def _token(headers: dict[bytes, str]) -> str | None:
    """The token of the handshake; None: it brought none."""
    if b"apikey" in headers:
        return headers[b"apikey"]
    scheme, _, bearer = headers.get(b"authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else None


async def _turn_away(stream: trio.abc.Stream, reason: str) -> None:
    answer = error_response(503, reason, RETRY_HEADERS)
    with trio.move_on_after(REFUSE_SECONDS), suppress(trio.BrokenResourceError):
        await stream.send_all(encode_head(answer, close=True) + answer.body)
