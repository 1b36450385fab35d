"""A server on loopback or in memory, and a client that says exactly the bytes it is told to."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import msgspec
import trio
import trio.testing

from daemon.web.http1 import (
    Finish,
    Front,
    Gate,
    Handler,
    HttpServer,
    Limits,
    Rejected,
    Request,
    Respond,
    Response,
    json_response,
    open_tcp_listeners,
)
from daemon.web.http1.stream import DirectStream
from tests.support.patience import PATIENCE_SECONDS

READS_IN_ROUNDS = False
"""See `conftest.both_ways`."""
GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        return msgspec.json.decode(self.body, type=dict[str, object])


class Served(NamedTuple):
    server: HttpServer
    port: int
    errors: list[BaseException]

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def say(self, data: bytes) -> list[Answer]:
        """Send `data`, half-close, and give back every answer until the server closes."""
        stream = await self.connect()
        async with stream:
            with trio.fail_after(PATIENCE_SECONDS):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_send_and_end, stream, data)
                    raw = await read_all(stream)
        return answers_in(raw)


async def _send_and_end(stream: trio.SocketStream, data: bytes) -> None:
    try:
        await stream.send_all(data)
        await stream.send_eof()
    except trio.BrokenResourceError:
        pass  # the server had heard enough


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    raw = b""
    with trio.fail_after(120):
        while data := await stream.receive_some(65536):
            raw += data
    return raw


async def read_answer(stream: trio.abc.ReceiveStream) -> Answer:
    """One answer with a Content-Length, without waiting for the end of the connection."""
    raw = b""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            head, end, rest = raw.partition(b"\r\n\r\n")
            if end and len(rest) >= int(_headers(head).get("content-length", "0")):
                return answers_in(raw)[0]
            data = await stream.receive_some(65536)
            assert data, f"the server closed after {raw!r}"
            raw += data


def answers_in(raw: bytes, head_only: bool = False) -> list[Answer]:
    answers = []
    while raw:
        head, end, raw = raw.partition(b"\r\n\r\n")
        assert end, f"no whole head in {head!r}"
        headers = _headers(head)
        length = 0 if head_only else int(headers.get("content-length", "0"))
        assert len(raw) >= length
        answers.append(Answer(int(head.split(b" ")[1]), headers, raw[:length]))
        raw = raw[length:]
    return answers


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def echo(request: Request) -> Response:
    """Says back what was understood."""
    return json_response(
        200,
        {
            "method": request.method,
            "path": request.path,
            "segments": request.segments,
            "query": request.query,
            "headers": request.headers,
            "body": request.body.decode("latin-1"),
        },
    )


@asynccontextmanager
async def serving(
    handler: Handler = echo,
    limits: Limits | None = None,
    gate: Gate | None = None,
    on_rejected: Rejected | None = None,
    front: Front | None = None,
) -> AsyncIterator[Served]:
    errors: list[BaseException] = []
    if front is None:
        front = in_tasks(handler) if READS_IN_ROUNDS else Front()
    server = HttpServer(
        handler,
        limits,
        lambda _name, error: errors.append(error),
        gate=gate,
        on_rejected=on_rejected,
        front=front,
    )
    listeners = await open_tcp_listeners("127.0.0.1:0")
    port: int = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, listeners)
        yield Served(server, port, errors)
        nursery.cancel_scope.cancel()


def in_rounds(handler: Handler) -> Front:
    """The same answers without a task, of a handler that waits for nothing."""

    def at_once(request: Request, respond: Respond) -> Finish | None:
        try:
            handler(request).__await__().send(None)
        except StopIteration as answered:
            respond(answered.value)
            return None
        raise AssertionError("this handler waits")

    return Front(at_once)


def in_tasks(handler: Handler) -> Front:
    """Each request is begun in a round, and ended in a task."""
    return Front(lambda request, _respond: partial(handler, request))


class PairListener(trio.abc.Listener[trio.abc.Stream]):
    """Connections that are sockets and known to nobody else: what one end writes, the other has at once.

    So, unlike with a network between them, a test may jump Trio's clock.
    """

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](64)

    def connect(self) -> trio.SocketStream:
        client, server = socket.socketpair()
        client.setblocking(False)
        self._send.send_nowait(DirectStream(server))
        return trio.SocketStream(trio.socket.from_stdlib_socket(client))

    async def accept(self) -> trio.abc.Stream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Connections in memory: nothing but Trio's clock moves, so a test may jump it."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](16)

    def connect(self) -> trio.abc.Stream:
        client, server = trio.testing.memory_stream_pair()
        self._send.send_nowait(server)
        return client

    async def accept(self) -> trio.abc.Stream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()


@asynccontextmanager
async def serving_pairs(
    front: Front,
    handler: Handler = echo,
    limits: Limits | None = None,
    errors: list[BaseException] | None = None,
    gate: Gate | None = None,
) -> AsyncIterator[tuple[HttpServer, PairListener]]:
    told: list[BaseException] = [] if errors is None else errors
    server = HttpServer(handler, limits, lambda _name, error: told.append(error), gate=gate, front=front)
    listener = PairListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        yield server, listener
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving_in_memory(
    handler: Handler = echo, limits: Limits | None = None, errors: list[BaseException] | None = None
) -> AsyncIterator[tuple[HttpServer, MemoryListener]]:
    told: list[BaseException] = [] if errors is None else errors
    server = HttpServer(handler, limits, lambda _name, error: told.append(error))
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        yield server, listener
        nursery.cancel_scope.cancel()
