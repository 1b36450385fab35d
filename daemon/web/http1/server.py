"""The server: accepts connections, bounds their number, and ends them gracefully.

Named policies for what is full: beyond a bound, the oldest connection of a stranger gives its place to the newcomer.
Where all are known, one of the named client who has the most gives its place, if it waits and he has more than his
share; else the newcomer gets none. Which of them it is, it is answered 503 with Retry-After and closed; when too many
are being refused so, further ones are closed without an answer. So silent connections keep no known client out, and no
known client another: also not where all come from one address, that of a web server before us. Root and the daemon's
own user have as many places again. When the process has no file descriptor left, accepting pauses for a moment and goes
on; the kernel's backlog holds what comes meanwhile.

A connection that fails ends alone. Nothing that a peer or a handler does reaches `serve`.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Sequence

import trio

from daemon.web.http1.bodies import BodyBytes, bodies_within
from daemon.web.http1.connection import Connection
from daemon.web.http1.head import ProtocolError
from daemon.web.http1.listeners import accept_forever, network_of, peer_of
from daemon.web.http1.messages import (
    Gate,
    Handler,
    Limits,
    Peer,
    Rejected,
    Request,
    encode_head,
    error_response,
)
from daemon.web.http1.stream import DirectStream, linger

ErrorCallback = Callable[[str, BaseException], None]
"""Gets the server's name and the error. The error may quote its data: log its class, not its text."""

Listener = trio.abc.Listener[trio.SocketStream] | trio.abc.Listener[trio.abc.Stream]

_MAX_REFUSING = 64
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


class HttpServer:
    """A small HTTP/1.1 server for one handler."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits | None = None,
        on_error: ErrorCallback | None = None,
        name: str = "ingress",
        counters: HttpCounters | None = None,
        gate: Gate | None = None,
        bodies: BodyBytes | None = None,
        on_rejected: Rejected | None = None,
    ) -> None:
        """`bodies`: shared with other doors; without it, this server has `max_bytes_in_flight` for itself."""
        self.handler = handler
        self.gate = gate
        self.limits = limits or Limits()
        self.name = name
        self.bodies = bodies or bodies_within(self.limits)
        self.draining = trio.Event()
        self.patient = False
        self.counters = counters or HttpCounters()
        self._on_error = on_error
        self._on_rejected = on_rejected
        self._open: dict[Connection, str | int] = {}
        """By whose they are; the oldest first."""
        self._by_peer: Counter[str | int] = Counter()
        self._refusing = 0
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
                    with self._accepting:
                        async with trio.open_nursery() as acceptors:
                            for listener in listeners:
                                acceptors.start_soon(
                                    self._accept, listener, connections, name=f"{self.name} accept"
                                )
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
        for connection in self._open:
            connection.close_if_idle()
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

    async def _accept(self, listener: Listener, connections: trio.Nursery) -> None:
        def take(stream: trio.abc.Stream) -> None:
            if isinstance(stream, trio.SocketStream):
                stream = DirectStream.taking_over(stream)
            connections.start_soon(self._run, stream, name=f"{self.name} connection")

        await accept_forever(listener, take, self._paused)

    def _paused(self, error: OSError) -> None:
        self.counters.accept_pauses += 1
        self.report(error)

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(_SWEEP_SECONDS)
            now = trio.current_time()
            for connection in self._open:
                connection.close_if_expired(now)

    async def _run(self, stream: trio.abc.Stream) -> None:
        try:
            await self._admit(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer went away
        except* Exception as group:
            self.report(group)
        finally:
            await trio.aclose_forcefully(stream)

    async def _admit(self, stream: trio.abc.Stream) -> None:
        try:
            peer = peer_of(stream)
        except OSError:
            return  # gone before it was looked at
        whose = _whose(peer)
        if not self._has_room(peer, whose):
            await self._turn_away(stream)
            return
        connection = Connection(stream, peer, self)
        self._open[connection] = whose
        self.counters.connections += 1
        self._by_peer[whose] += 1
        try:
            await connection.serve()
        finally:
            self._release(connection)
        if connection.was_evicted:
            await self._turn_away(stream)

    def _release(self, connection: Connection) -> None:
        """Its place is free; does nothing the second time."""
        whose = self._open.pop(connection, None)
        if whose is None:
            return
        self.counters.connections -= 1
        self._by_peer[whose] -= 1
        if not self._by_peer[whose]:
            del self._by_peer[whose]

    def _has_room(self, peer: Peer, whose: str | int) -> bool:
        """Whether there is a place, perhaps because a stranger loses its own."""
        limits = self.limits
        is_ours = peer.uid in (0, os.geteuid())
        bound = limits.max_connections_per_address if peer.uid is None else limits.max_connections_per_user
        if bound is not None and not is_ours and self._by_peer[whose] >= bound:
            return self._evict(whose, bound)
        places = limits.max_connections
        if len(self._open) < places or self._evict(None, places):
            return True
        return is_ours and len(self._open) < 2 * places

    def _evict(self, whose: str | int | None, bound: int) -> bool:
        """Let the oldest stranger (of these) lose its place, or a client more than his share; False: nobody does."""
        for connection, of in self._open.items():
            if connection.is_stranger and whose in (None, of):
                return self._take_place(connection)
        held = Counter(
            connection.client
            for connection, of in self._open.items()
            if connection.client and whose in (None, of)
        )
        for client, number in held.most_common(1):
            for connection, of in self._open.items():
                fits = connection.client == client and whose in (None, of) and connection.is_waited_for
                if fits and number > bound // (len(held) + 1):  # the newcomer has a share too
                    return self._take_place(connection)
        return False

    def _take_place(self, connection: Connection) -> bool:
        self._release(connection)
        connection.evict()
        return True

    async def _turn_away(self, stream: trio.abc.Stream) -> None:
        self.counters.refused_connections += 1
        if self._refusing >= _MAX_REFUSING:
            return
        self._refusing += 1
        try:
            with trio.move_on_after(self.limits.linger_seconds):
                await stream.send_all(self._too_many)
                await linger(stream, self.limits.linger_seconds, self.limits.max_linger_bytes)
        finally:
            self._refusing -= 1

    @property
    def _too_many(self) -> bytes:
        response = error_response(
            503, "too_many_connections", {"Retry-After": str(self.limits.retry_after_seconds)}
        )
        return encode_head(response, close=True) + response.body


def _whose(peer: Peer) -> str | int:
    """By what a peer's connections are counted: its user, or where there is none its address or network."""
    return network_of(peer.address) if peer.uid is None else peer.uid
