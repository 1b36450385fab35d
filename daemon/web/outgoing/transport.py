"""One request and its answer over the pool's connections.

The laws of this file:
1. Before the first byte of a request leaves, `send_request_headers.started` is told, and waited for. Whoever hears it
   can still forbid it. The names are those of the HTTP library's trace: `daemon/web/progress.py` understands both.
2. A request is never sent twice, and never on a connection that is not fit for it.
3. Any failure and any cancellation closes the connection; the place in the pool is given back in every case.
4. A connection that breaks while the request is written may have an answer waiting: it is read.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Literal, TypeVar, TypeVarTuple

import msgspec
import trio

from daemon.web.outgoing.opening import Opener
from daemon.web.outgoing.pool import Pool
from daemon.web.outgoing.request import BodyFraming, Unwritable, written
from daemon.web.outgoing.response import Garbled, ResponseReader
from daemon.web.outgoing.wire import Origin, Wire

TraceListener = Callable[[str, Mapping[str, object]], Awaitable[None]]
FailedStep = Literal[
    "connect",
    "connect_timeout",
    "pool_timeout",
    "read",
    "read_timeout",
    "write_timeout",
    "garbled",
    "unwritable",
]

_JOINED_BYTES = 64 * 1024
"""A body up to this goes with its head."""
_Given = TypeVarTuple("_Given")
_Result = TypeVar("_Result")


class Failed(Exception):
    """No answer, or no more of it. `kind`: what it was doing."""

    def __init__(self, kind: FailedStep, why: str = "") -> None:
        super().__init__(why or kind)
        self.kind: FailedStep = kind


class Waits(msgspec.Struct, frozen=True):
    """The longest for each step, in seconds; None: as long as the caller waits. TCP and TLS have `connect` each."""

    pool: float | None = None
    connect: float | None = None
    write: float | None = None
    read: float | None = None


class OutgoingRequest(msgspec.Struct, frozen=True):
    """A request. `body`: bytes, or pieces of them. `trace` is told of each step, and waited for."""

    origin: Origin
    method: str
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes | AsyncGenerator[bytes, None]
    waits: Waits
    trace: TraceListener | None = None

    async def tell(self, event: str) -> None:
        if self.trace is not None:
            await self.trace(event, {})


class OpenAnswer:
    """An answer whose head is there. Pieces of its body come by `next`; it must be closed."""

    __slots__ = ("_closes", "_is_fit", "_read_seconds", "_response", "_wire")

    def __init__(
        self, response: ResponseReader, wire: Wire, read_seconds: float | None, closes: Callable[[bool], None]
    ) -> None:
        self._response = response
        self._wire = wire
        self._read_seconds = read_seconds
        self._closes: Callable[[bool], None] | None = closes

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        return self._response.headers

    async def next(self) -> bytes:
        """What comes next of the body; empty: it was the whole of it. Raises: Failed."""
        response = self._response
        try:
            while not (piece := response.take()):
                if response.is_whole:
                    self.close()
                    return b""
                if self._closes is None:
                    raise Failed("read", "closed")
                await _receive(self._wire, response, self._read_seconds)
        except BaseException:
            self.close(is_fit=False)
            raise
        return piece

    def close(self, *, is_fit: bool = True) -> None:
        """Give the connection back: to be kept, if all of the answer came. May be repeated."""
        if self._closes is not None:
            closes, self._closes = self._closes, None
            closes(is_fit and self._response.allows_another)


class Transport:
    """Sends requests over one pool.

    Args:
      tls: who is believed.
      pool: bounds and keeps the connections.
    """

    def __init__(self, tls: ssl.SSLContext, pool: Pool) -> None:
        tls.set_alpn_protocols(["http/1.1"])
        self._tls = tls
        self._pool = pool
        self._opener = Opener()

    def close(self) -> None:
        """Close every connection. Who uses one fails."""
        self._pool.close()

    async def ask(self, request: OutgoingRequest) -> OpenAnswer:
        """Send a request and read the head of its answer.

        Raises:
          Failed: what the trace was told says whether anything can have left.
        """
        origin, waits = request.origin, request.waits
        await _within(waits.pool, "pool_timeout", self._pool.enter, origin)
        wire = None
        try:
            wire = self._pool.kept(origin)
            if wire is None:
                wire = await self._open(request)
            is_sent = await _send(wire, request)
            response = ResponseReader(is_bodiless=request.method == "HEAD")
            while not response.status:
                await _receive(wire, response, waits.read)
        except BaseException:
            self._pool.leave(origin, wire, is_fit=False)
            raise

        def give_back(is_fit: bool) -> None:
            self._pool.leave(origin, wire, is_fit=is_fit and is_sent)

        return OpenAnswer(response, wire, waits.read, give_back)

    async def _open(self, request: OutgoingRequest) -> Wire:
        seconds = request.waits.connect
        try:
            await request.tell("connection.connect_tcp.started")
            wire = await self._opener.open(request.origin, seconds)
            try:
                await request.tell("connection.connect_tcp.complete")
                if request.origin[0] == "https":
                    await request.tell("connection.start_tls.started")
                    await _within(seconds, "connect_timeout", wire.secure, self._tls)
                    await request.tell("connection.start_tls.complete")
            except BaseException:
                self._opener.forget(request.origin)
                wire.close()
                raise
        except OSError as error:
            raise Failed("connect", type(error).__name__) from None
        except trio.TooSlowError:
            raise Failed("connect_timeout") from None
        self._pool.opened(wire)
        return wire


async def _send(wire: Wire, request: OutgoingRequest) -> bool:
    """Whether all of it was taken; if not, an answer may have come all the same.

    Raises:
      Failed: it cannot be written, or too slowly. What raises in the pieces of a body does so here.
    """
    await request.tell("http11.send_request_headers.started")
    try:
        head, framing = written(request.method, request.target, request.headers)
        if isinstance(request.body, bytes):
            return await _send_whole(wire, request, head, framing, request.body)
        return await _send_pieces(wire, request, head, framing, request.body)
    except Unwritable as error:
        raise Failed("unwritable", str(error)) from None


async def _send_whole(
    wire: Wire, request: OutgoingRequest, head: bytes, framing: BodyFraming, body: bytes
) -> bool:
    content = framing.piece(body) + framing.end()  # checked before anything leaves
    pieces = (head + content,) if len(content) <= _JOINED_BYTES else (head, content)
    for piece in pieces:
        if not await _taken(wire, piece, request.waits.write):
            return False
    await request.tell("http11.send_request_headers.complete")
    return True


async def _send_pieces(
    wire: Wire, request: OutgoingRequest, head: bytes, framing: BodyFraming, body: AsyncGenerator[bytes, None]
) -> bool:
    if not await _taken(wire, head, request.waits.write):
        return False
    await request.tell("http11.send_request_headers.complete")
    async with aclosing(body):  # or the garbage collector would close what is left half way
        async for piece in body:
            if not await _taken(wire, framing.piece(piece), request.waits.write):
                return False
    return await _taken(wire, framing.end(), request.waits.write)


async def _taken(wire: Wire, data: bytes, seconds: float | None) -> bool:
    try:
        await _within(seconds, "write_timeout", wire.send, data)
    except OSError:
        return False
    return True


async def _receive(wire: Wire, response: ResponseReader, seconds: float | None) -> None:
    """Read on. Raises: Failed."""
    try:
        data = await _within(seconds, "read_timeout", wire.receive)
        if data:
            response.feed(data)
        else:
            response.end()
    except OSError as error:
        raise Failed("read", type(error).__name__) from None
    except Garbled as error:
        raise Failed("garbled", str(error)) from None


async def _within(
    seconds: float | None, slow: FailedStep, call: Callable[[*_Given], Awaitable[_Result]], *given: *_Given
) -> _Result:
    if seconds is None:
        return await call(*given)
    try:
        with trio.fail_after(seconds):
            return await call(*given)
    except trio.TooSlowError:
        raise Failed(slow) from None
