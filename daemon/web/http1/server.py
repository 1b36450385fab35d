"""The server: accepts connections, bounds their number, and ends them gracefully.

Named policies for what is full: who gets a place is said in `places.py`. Who gets none is answered 503 with
Retry-After, after something of its request has come, and is read on for a moment: a reset would overtake the answer.
When too many are being refused so, the one that has been for the longest is closed. When the process has no file
descriptor left, accepting pauses for a moment and goes on; the kernel's backlog holds what comes meanwhile.

With `at_once`, connections are read in rounds (`rounds.py`) and have tasks of their own only where they need one.

A connection that fails ends alone. Nothing that a peer or a handler does reaches `serve`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import trio

from daemon.web.http1.bodies import BodyBytes, bodies_within
from daemon.web.http1.connection import Connection
from daemon.web.http1.head import ProtocolError
from daemon.web.http1.listeners import UnixListener, accept_forever, accept_more, peer_of
from daemon.web.http1.messages import (
    AtOnce,
    Gate,
    Handler,
    Limits,
    Peer,
    Rejected,
    Request,
    encode_head,
    error_response,
)
from daemon.web.http1.places import ConnectionPlaces, Guest
from daemon.web.http1.proxies import TrustedProxies
from daemon.web.http1.quick import QuickConnection
from daemon.web.http1.rounds import Rounds
from daemon.web.http1.stream import DirectStream, linger

ErrorCallback = Callable[[str, BaseException], None]
"""Gets the server's name and the error. The error may quote its data: log its class, not its text."""

Listener = trio.abc.Listener[trio.SocketStream] | trio.abc.Listener[trio.abc.Stream]

_MAX_REFUSING = 512
_RECEIVE_BYTES = 16 * 1024
_SWEEP_SECONDS = 0.25  # how much later than its limit a wait may end


class HttpCounters:
    """What a server counts, to be read at any time."""

    def __init__(self) -> None:
        self.connections = 0
        """Open now."""
        self.requests = 0
        self.refused_connections = 0
        self.accept_pauses = 0
        """Times that accepting paused for want of file descriptors or memory."""
        self.rejected: Counter[str] = Counter()
        """Requests that broke the protocol or a limit, by reason: `body_too_large`, `head_too_slow`, …"""


class Front(NamedTuple):
    """What a server needs that many strangers and proxies talk to."""

    at_once: AtOnce | None = None
    """Takes small requests without a task for each."""
    proxies: TrustedProxies | None = None
    """Their connections count for the clients whose requests they carry."""
    counters: HttpCounters | None = None
    """Counts as well; None: the server makes its own."""


class HttpServer:
    """A small HTTP/1.1 server for one handler."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits | None = None,
        on_error: ErrorCallback | None = None,
        name: str = "ingress",
        gate: Gate | None = None,
        bodies: BodyBytes | None = None,
        on_rejected: Rejected | None = None,
        front: Front = Front(),  # noqa: B008 - frozen
    ) -> None:
        """`bodies`: shared with other doors; without it, this server has `max_bytes_in_flight` for itself."""
        self.handler = handler
        self.gate = gate
        self.limits = limits or Limits()
        self.name = name
        self.bodies = bodies or bodies_within(self.limits)
        self.draining = trio.Event()
        self.patient = False
        self.counters = front.counters or HttpCounters()
        self._on_error = on_error
        self._on_rejected = on_rejected
        self._front = front
        self._rounds: Rounds | None = None
        self._tasks: trio.Nursery | None = None
        self.places = ConnectionPlaces(self.limits, front.proxies, self._take_away)
        self._refusing: dict[trio.CancelScope, None] = {}
        """Of connections that are being refused, the oldest first."""
        self._accepting = trio.CancelScope()
        self._ended = trio.Event()

    async def serve(
        self,
        listeners: Sequence[Listener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve `listeners`, and close them at the end. Once for each server.

        Returns when a `drain` is complete; cancelling it ends everything at once.
        """
        try:
            async with trio.open_nursery() as background:
                background.start_soon(self._sweep, name=f"{self.name} sweep")
                async with trio.open_nursery() as connections:
                    self._tasks = connections
                    if self._front.at_once is not None:
                        self._rounds = Rounds(self._front.at_once, self)
                        connections.start_soon(self._rounds.run, name=f"{self.name} rounds")
                    with self._accepting:
                        async with trio.open_nursery() as acceptors:
                            for listener in listeners:
                                acceptors.start_soon(self._accept, listener, name=f"{self.name} accept")
                            task_status.started()
                background.cancel_scope.cancel()
        finally:
            self._ended.set()

    async def drain(self, patient: bool = False) -> None:
        """Stop accepting, close idle connections, and wait until the requests in progress are answered.

        Streamed answers are ended. The caller's cancel scope bounds the wait; what is left then ends with `serve`.
        `patient` also waits for the first request of a connection that has sent none yet: where another process goes on
        accepting at the same address, no client must notice the change.
        """
        self.patient = patient
        self.draining.set()
        self._accepting.cancel()
        for connection in self._in_tasks():
            connection.close_if_idle()
        if self._rounds is not None:
            self._rounds.drain()
        await self._ended.wait()

    def count_request(self) -> None:
        self.counters.requests += 1

    def count_rejected(self, error: ProtocolError, request: Request) -> None:
        self.counters.rejected[error.reason] += 1
        if self._on_rejected is not None:
            try:
                self._on_rejected(error.status, error.reason, request)
            except Exception as failure:
                self.report(failure)

    def report(self, error: BaseException) -> None:
        """Hand `error` to `on_error`; an error in there is dropped rather than let it end a connection."""
        if self._on_error is not None:
            with contextlib.suppress(Exception):
                self._on_error(self.name, error)

    # --- connections ---------------------------------------------------------------------------------------

    async def _accept(self, listener: Listener) -> None:
        def take(stream: trio.abc.Stream) -> None:
            if isinstance(stream, trio.SocketStream):
                stream = DirectStream.taking_over(stream)
            self._take(stream)
            if isinstance(listener, trio.SocketListener | UnixListener):
                accept_more(listener, self._take)

        await accept_forever(listener, take, self._paused)

    def _paused(self, error: OSError) -> None:
        self.counters.accept_pauses += 1
        self.report(error)

    def _take(self, stream: trio.abc.Stream) -> None:
        """A connection came in."""
        try:
            peer = peer_of(stream)
            if not self.places.is_free_for(peer):
                self._start(self._turn_away, stream, False)
                return
            connection = self._made(stream, peer)
        except Exception as error:  # gone before it was looked at, or no memory for it
            if not isinstance(error, OSError):
                self.report(error)
            self._start(_close, stream)
            return
        self.places.add(connection, peer)
        self.counters.connections += 1
        self._watch(connection, stream)

    def _made(self, stream: trio.abc.Stream, peer: Peer) -> Connection:
        if self._rounds is not None and isinstance(stream, DirectStream):
            return QuickConnection(stream, peer, self)
        return Connection(stream, peer, self)

    def _watch(self, connection: Connection, stream: trio.abc.Stream) -> None:
        """Serve its next request, when there is one."""
        if self._rounds is not None and isinstance(connection, QuickConnection):
            self._rounds.watch(connection)
        else:
            self._start(self._serve, connection, stream)

    def serve_in_task(self, connection: QuickConnection) -> None:
        self._start(self._serve, connection, connection.stream)

    def ended(self, connection: Connection) -> None:
        if self.places.remove(connection):
            self.counters.connections -= 1

    def _start(self, run: Callable[..., Awaitable[None]], *arguments: object) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(run, *arguments, name=f"{self.name} connection")

    async def _serve(self, connection: Connection, stream: trio.abc.Stream) -> None:
        goes_on = False
        try:
            try:
                goes_on = await connection.serve()
            except* (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the peer went away
            except* Exception as group:
                self.report(group)
            if connection.was_evicted:
                await self._turn_away(stream, True)
        finally:
            if not goes_on:
                self.ended(connection)
                await trio.aclose_forcefully(stream)
        if goes_on:
            connection.renew()
            self._watch(connection, stream)

    def _take_away(self, connection: Guest) -> None:
        """It has lost its place to another."""
        self.counters.connections -= 1
        if self._rounds is not None and self._rounds.is_watched(connection):
            self._rounds.forget(connection)
            self._start(self._turn_away, connection.stream, False)
        elif isinstance(connection, Connection):
            connection.evict()

    def _in_tasks(self) -> list[Connection]:
        """The connections that tasks serve now."""
        rounds = self._rounds
        return [
            connection
            for connection in self.places.all()
            if isinstance(connection, Connection) and (rounds is None or not rounds.is_watched(connection))
        ]

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(_SWEEP_SECONDS)
            now = trio.current_time()
            for connection in self._in_tasks():
                connection.close_if_expired(now)
            if self._rounds is not None:
                self._rounds.end_expired(now)

    async def _turn_away(self, stream: trio.abc.Stream, has_asked: bool) -> None:
        """Tell the peer that there is no place, and close. `has_asked`: something of its request was read."""
        self.counters.refused_connections += 1
        if len(self._refusing) >= _MAX_REFUSING:
            oldest = next(iter(self._refusing))
            del self._refusing[oldest]
            oldest.cancel()
        scope = trio.CancelScope(deadline=trio.current_time() + 2 * self.limits.linger_seconds)
        self._refusing[scope] = None
        try:
            with scope:
                if not has_asked:
                    # An answer that comes before the question puzzles some clients.
                    with trio.move_on_after(self.limits.linger_seconds):
                        await stream.receive_some(_RECEIVE_BYTES)
                await stream.send_all(self._too_many)
                await linger(stream, self.limits.linger_seconds, self.limits.max_linger_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer went away
        finally:
            self._refusing.pop(scope, None)
            await trio.aclose_forcefully(stream)

    @property
    def _too_many(self) -> bytes:
        response = error_response(
            503, "too_many_connections", {"Retry-After": str(self.limits.retry_after_seconds)}
        )
        return encode_head(response, close=True) + response.body


async def _close(stream: trio.abc.Stream) -> None:
    await trio.aclose_forcefully(stream)
