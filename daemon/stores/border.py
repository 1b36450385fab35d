"""The border between Trio and an asyncio driver: its coroutines run in the Trio task that waits for them.

A crossing by `trio_asyncio` costs a task and half a dozen rounds of two schedulers, more than the driver's own work on
a statement. Here the Trio task itself advances the driver's coroutine, waits for the socket, and hands the driver what
has arrived. Connecting and parting, which are rare, cross by `trio_asyncio`.

Rules of this file:

1. Only what asyncio documents is used: transports, protocols, futures, and the loop that a driver is given.
2. While a session is ours, nobody else reads its socket: its transport is paused. It writes by itself.
3. Whoever ends a connection resolves the future that the driver waits for; that wakes the task that waits here.
4. A statement that was left in the middle (cancelled, or overdue) leaves its session unusable. It is ended as a
   cancelled task would be, so that the driver asks the server to give it up too; then the session is to be closed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import trio

T = TypeVar("T")

ForeignCancelled: type[BaseException] = asyncio.CancelledError
"""What a driver raises in a call whose connection is torn down. Trio's own cancellation arrives as trio.Cancelled."""

_READ_BYTES = 65_536


class BorderLoop:
    """The loop that a driver is given: asyncio's own, but for futures that a Trio task waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wires: WeakKeyDictionary[asyncio.Transport, asyncio.Transport] = WeakKeyDictionary()
        """Which transport carries an encrypted one."""
        self._advances = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=_AT_ONCE) if self._advances else self._loop.create_future()

    async def create_connection(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, *, ssl: Any = None
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        if ssl is None:
            return await self._loop.create_connection(factory, host, port)
        wire, placeholder = await self._loop.create_connection(asyncio.Protocol, host, port)
        protocol = factory()
        encrypted = await self.start_tls(wire, placeholder, ssl, server_hostname=host)
        encrypted.set_protocol(protocol)
        protocol.connection_made(encrypted)
        return encrypted, protocol

    async def start_tls(
        self, wire: asyncio.Transport, protocol: asyncio.Protocol, context: Any, *, server_hostname: str
    ) -> asyncio.Transport:
        encrypted = await self._loop.start_tls(wire, protocol, context, server_hostname=server_hostname)
        if encrypted is None:
            raise ConnectionError("the connection ended in the TLS handshake")
        self._wires[encrypted] = wire
        return encrypted

    def wire(self, transport: asyncio.Transport) -> asyncio.Transport:
        """The transport that has the socket."""
        return self._wires.get(transport, transport)

    def advance(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """Run on to the next future that it waits for; raises what it raises, at its end StopIteration."""
        self._advances = True
        try:
            future: asyncio.Future[Any] = coroutine.send(None)
        finally:
            self._advances = False
        return future


class _AtOnce:
    """The loop of a future that a Trio task waits for: who asked to be told of its end is told at once."""

    def call_soon(self, callback: Callable[..., object], *args: object, context: object = None) -> None:
        callback(*args)

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: object) -> None:
        """Of an error that nobody waits for any more: its session has ended."""


_AT_ONCE: Any = _AtOnce()


class BorderSession:
    """One connection of a driver. Its coroutines run in the Trio task that calls `run`, one at a time.

    Args:
      transport: what the driver writes to.
      abort: closes the connection at once.
    """

    def __init__(self, loop: BorderLoop, transport: asyncio.Transport, abort: Callable[[], None]) -> None:
        self._loop = loop
        self._wire = wire = loop.wire(transport)
        self._fd: int = wire.get_extra_info("socket").fileno()
        self._protocol: Any = wire.get_protocol()
        self._fills_buffers = isinstance(self._protocol, asyncio.BufferedProtocol)
        self._abort = abort
        self._future: asyncio.Future[Any] | None = None
        """What the driver waits for now."""
        self._waits = False
        self._is_overdue = False
        self.was_left = False
        """Whether a statement was left in the middle."""
        wire.pause_reading()

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the driver's coroutine.

        Raises:
          TimeoutError: `expire` was called.
        """
        advance = self._loop.advance
        try:
            while True:
                future = advance(coroutine)
                if not future.done():
                    await self._wait(future, coroutine)
        except StopIteration as end:
            value: T = end.value
            return value
        except ForeignCancelled:
            if not self._is_overdue:
                raise
            raise TimeoutError from None

    def expire(self) -> None:
        """The statement takes too long: from the task that waits for it, `TimeoutError` is raised."""
        if self._future is not None and not self._future.done():
            self.was_left = self._is_overdue = True
            self._future.cancel()

    def is_silent(self) -> bool:
        """Whether nothing came since the last statement: no goodbye, no word of a changed setting."""
        try:
            os.read(self._fd, 1)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def release(self) -> None:
        """From now on the loop reads, for a farewell that takes more than one step."""
        if not self._wire.is_closing():
            self._wire.resume_reading()

    async def _wait(self, future: asyncio.Future[Any], coroutine: Coroutine[Any, Any, Any]) -> None:
        self._future = future
        future.add_done_callback(self._wake)
        try:
            while not future.done():
                self._waits = True
                try:
                    await trio.lowlevel.wait_readable(self._fd)
                except trio.ClosedResourceError:
                    continue  # `_wake`: the future is done
                finally:
                    self._waits = False
                self._read()
        except BaseException:
            self._leave(future, coroutine)
            raise
        finally:
            self._future = None

    def _leave(self, future: asyncio.Future[Any], coroutine: Coroutine[Any, Any, Any]) -> None:
        self.was_left = True
        future.cancel()
        with suppress(ForeignCancelled, StopIteration, Exception):
            self._loop.advance(coroutine)
            self._abort()  # it wants to go on
        with suppress(RuntimeError):
            coroutine.close()

    def _wake(self, _future: object) -> None:
        """Rule 3. Before the socket is closed: the kernel does not tell who waits for it then."""
        if self._waits:
            # The loop may wait for this socket as well, to write what nobody needs any more.
            if self._wire.get_write_buffer_size():
                self._wire.abort()
            trio.lowlevel.notify_closing(self._fd)

    def _read(self) -> None:
        try:
            if self._fills_buffers:
                size = os.readv(self._fd, [self._protocol.get_buffer(-1)])
                if size:
                    self._protocol.buffer_updated(size)
                    return
            elif data := os.read(self._fd, _READ_BYTES):
                self._protocol.data_received(data)
                return
        except BlockingIOError:
            return
        except Exception:  # the connection, or what the driver makes of it: both end the session
            self._abort()
            return
        self._abort()  # the server has hung up
