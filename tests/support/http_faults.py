"""A small HTTP server for tests, on h11 and Trio, that can misbehave.

It runs in a thread of its own with its own event loop: it serves tests of either kind (a coroutine under any
clock, or a plain function that watches a daemon process), and a stalled loop on one side never stalls the other.
All public methods may be called from any thread, but not from the server's own.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

import h11
import trio

from tests.support.patience import PATIENCE_SECONDS

MAX_REQUEST_BYTES = 160 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)


class Exchange:
    """One connection as a handler sees it: respond, or misbehave."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)

    async def next_request(self) -> Request | None:
        """The next complete request; None if the client is gone."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._stream.receive_some(65536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_REQUEST_BYTES:
                    return None
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode(): value.decode() for name, value in head.headers}
                return Request(head.method.decode(), head.target.decode(), headers, bytes(body))
            else:
                return None

    async def answer_json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        await self.answer(status, body, {"content-type": "application/json", **(headers or {})})

    async def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        await self.begin(status, len(body), headers)
        await self._stream.send_all((self._http.send(h11.Data(data=body)) or b"") + self._end())

    async def drip(self, status: int, body: bytes, seconds_between: float) -> None:
        """Answer one byte at a time."""
        await self.begin(status, len(body))
        for index in range(len(body)):
            await self._stream.send_all(self._http.send(h11.Data(data=body[index : index + 1])) or b"")
            await trio.sleep(seconds_between)
        await self._stream.send_all(self._end())

    async def begin(self, status: int, length: int, headers: Mapping[str, str] | None = None) -> None:
        """Send only the head, promising `length` bytes."""
        fields = [("content-length", str(length)), *(headers or {}).items()]
        head = h11.Response(status_code=status, headers=fields)
        await self._stream.send_all(self._http.send(head) or b"")

    async def send_raw(self, data: bytes) -> None:
        """Send raw bytes, HTTP or not."""
        await self._stream.send_all(data)

    def _end(self) -> bytes:
        return self._http.send(h11.EndOfMessage()) or b""

    async def hang(self) -> None:
        """Send nothing until the client gives up."""
        while await self._stream.receive_some(65536):
            pass

    def reset(self) -> None:
        """End the connection with a TCP reset, sending nothing."""
        linger = struct.pack("ii", 1, 0)
        with suppress(OSError, trio.ClosedResourceError):  # already closed will do
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._stream.socket.close()

    def next_cycle(self) -> bool:
        """Whether the connection can carry another request."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True


class Gate:
    """Holds one exchange at a named point until it is released."""

    def __init__(self, server: FaultServer) -> None:
        self._server = server
        self._arrived = threading.Event()
        self._open = trio.Event()

    def wait_arrived(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        if not self._arrived.wait(timeout_seconds):
            raise AssertionError("no request came to the gate")

    def release(self) -> None:
        self._server.call_soon(self._open.set)

    async def pass_through(self) -> None:
        self._arrived.set()
        await self._open.wait()


class FaultServer(ABC):
    """Serves on a free port, the same one after every `up()`. Subclasses implement `handle`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.port = 0
        self.connections = 0
        self._token: trio.lowlevel.TrioToken | None = None
        self._listening: trio.CancelScope | None = None
        self._wanted_up = trio.Event()
        self._is_up = threading.Event()
        self._is_down = threading.Event()

    @abstractmethod
    async def handle(self, request: Request, exchange: Exchange) -> None: ...

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Start the server in a thread, wait until it listens, and stop it at the end."""
        stop = trio.Event()
        failures: list[Exception] = []

        def run() -> None:
            try:
                trio.run(self._main, stop)
            except Exception as error:  # a bug in a handler must fail the running test
                failures.append(error)

        thread = threading.Thread(target=run, name=type(self).__name__, daemon=True)
        thread.start()
        try:
            self._await(self._is_up, "listen")
            yield self
        finally:
            with suppress(trio.RunFinishedError):
                self.call_soon(stop.set)
            thread.join(PATIENCE_SECONDS)
        if failures:
            raise AssertionError(f"{type(self).__name__} crashed") from failures[0]

    def down(self) -> None:
        """Close the listener and reset every connection: the next connect is refused."""
        self._is_down.clear()
        self.call_soon(self._close)
        self._await(self._is_down, "stop listening")

    def up(self) -> None:
        """Listen again on the same port."""
        self._is_up.clear()
        self.call_soon(lambda: self._wanted_up.set())  # noqa: PLW0108 - the event of that moment, in the loop's thread
        self._await(self._is_up, "listen again")

    def call_soon(self, function: Callable[[], object]) -> None:
        """Run `function` in the server's loop."""
        assert self._token is not None, "the server is not running"
        self._token.run_sync_soon(function)

    def wait_until(
        self, condition: Callable[[], bool], what: str, timeout_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait, bounded, until `condition` holds; it is called with the lock held, after every change."""
        with self.changed:
            if not self.changed.wait_for(condition, timeout_seconds):
                raise AssertionError(f"waited {timeout_seconds} s in vain until {what}")

    def _await(self, event: threading.Event, what: str) -> None:
        if not event.wait(PATIENCE_SECONDS):
            raise AssertionError(f"{type(self).__name__} did not {what}")

    def _close(self) -> None:
        self._wanted_up = trio.Event()
        if self._listening is not None:
            self._listening.cancel()

    async def _main(self, stop: trio.Event) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_forever)
            await stop.wait()
            nursery.cancel_scope.cancel()

    async def _serve_forever(self) -> None:
        while True:
            listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
            self.port = listeners[0].socket.getsockname()[1]
            with trio.CancelScope() as self._listening:
                async with trio.open_nursery() as nursery:
                    await nursery.start(trio.serve_listeners, self._connection, listeners)
                    self._is_up.set()
            self._is_down.set()
            await self._wanted_up.wait()

    async def _connection(self, stream: trio.SocketStream) -> None:
        with self.changed:
            self.connections += 1
            self.changed.notify_all()
        exchange = Exchange(stream)
        try:
            while (request := await exchange.next_request()) is not None:
                await self.handle(request, exchange)
                if not exchange.next_cycle():
                    break
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError, OSError):
            pass  # the client went away, or a fault cut the connection
        except trio.Cancelled:
            exchange.reset()
            raise
