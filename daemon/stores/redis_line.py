"""One connection to Redis that all callers share: requests leave in the order they came, and so do the replies.

Rules of this file:

1. A caller that is cancelled, or whose deadline passes, leaves its place in the order: its replies are read and thrown
   away. Of a request that has not left yet nothing is sent any more.
2. A connection that is lost, that says nothing for the time a reply may take, or whose bytes make no sense, ends, and
   with it everything that waits on it. Nothing is sent twice: what became of a request that had left is not known.
3. At most `MAX_WAITING` requests wait; one more is refused, and nothing of it is sent.
4. The tasks of a connection belong to no caller, so that no cancellation of one ends what the others wait for. They
   begin with the first request and end with the connection, or with Trio's run.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import hiredis
import trio

from actors.errors import MirrorUnavailable

MAX_WAITING = 10_000
MAX_SENT_AT_ONCE = 8
"""While fewer requests are under way, the next one leaves by itself; beyond that they leave together."""
SEND_BYTES = 256 * 1024
"""So much is sent at a time, unless one request is larger."""
READ_BYTES = 64 * 1024
FIRST_BACKOFF_SECONDS = 0.02
MAX_BACKOFF_SECONDS = 0.5
"""Between two attempts to connect. Requests wait for the next one: it is sooner than a caller would come again."""
_QUIET_SECONDS = 0.01
"""A connection without a request for so long is looked at before it is used: its server may have gone meanwhile."""
_TLS_SECONDS = 0.005
"""The pause where TLS wants to read in order to write, or the other way round: only when keys are renewed."""

_DEADLINE_SECONDS = 0.05
"""How much later than its deadline a caller may be told: thousands may wait."""

_BLOCKED = (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError)


class OpenSocket(NamedTuple):
    socket: socket.socket
    owner: object
    """Closes the socket when it is forgotten."""


Dial = Callable[[], OpenSocket]
"""Blocks until there is a connection that is ready for commands; it runs in a thread."""


class ErrorReply(Exception):
    """What Redis replied instead of a result. It is a value here: the replies behind it are read all the same."""


class _Request:
    __slots__ = ("deadline", "failure", "left", "packed", "replies", "task")

    def __init__(self, packed: bytes, count: int, deadline: float) -> None:
        self.packed = packed
        self.left = count
        self.deadline = deadline
        self.replies: list[Any] = []
        self.failure = ""
        self.task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        """Who waits for it; None: nobody does any more."""

    def settle(self, failure: str = "") -> None:
        if self.task is not None:
            self.failure = failure
            task, self.task = self.task, None
            trio.lowlevel.reschedule(task)

    def abandon(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class RedisLine:
    """Connects at its first use, and again when the connection was lost.

    Args:
      dial: makes a connection.
      reason: the word for what went wrong, of an exception.
    """

    def __init__(
        self, dial: Dial, reason: Callable[[Exception], str], name: str, timeout_seconds: float
    ) -> None:
        self._dial = dial
        self._reason = reason
        self._name = name
        self._timeout_seconds = timeout_seconds
        self._threads = trio.CapacityLimiter(4)  # not those of others, who may keep all of them busy
        self._current: _Connection | None = None
        self._failures = 0
        self._not_before = 0.0

    async def exchange(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands and return their replies.

        Raises:
          MirrorUnavailable: the replies did not come; any of the commands may have run.
        """
        current = self._current
        if current is None or current.is_over():
            self._current = current = _Connection(self._timeout_seconds)
            trio.lowlevel.spawn_system_task(self._serve, current, name=f"redis {self._name}")
        elif current.is_full():
            raise MirrorUnavailable("too_many_waiting")
        request = _Request(packed, count, trio.current_time() + self._timeout_seconds)
        current.take(request)
        await trio.lowlevel.wait_task_rescheduled(request.abandon)
        if request.failure:
            raise MirrorUnavailable(request.failure)
        return request.replies

    async def close(self) -> None:
        """End the connection; what waits fails."""
        if self._current is not None:
            self._current.end("stopped")
            await self._current.ended.wait()

    async def _serve(self, connection: _Connection) -> None:
        failure = "stopped"
        try:
            with connection.scope:
                try:
                    await connection.run(self._open)
                except* Exception as group:
                    failure = self._reason(_first(group))
                    self._retreat(connection)
        finally:
            connection.end(failure)
            connection.ended.set()

    async def _open(self) -> OpenSocket:
        await trio.sleep_until(self._not_before)
        return await trio.to_thread.run_sync(self._dial, abandon_on_cancel=True, limiter=self._threads)

    def _retreat(self, connection: _Connection) -> None:
        self._failures = 0 if connection.has_replied else self._failures + 1
        delay = min(FIRST_BACKOFF_SECONDS * 2 ** min(self._failures, 10), MAX_BACKOFF_SECONDS)
        self._not_before = trio.current_time() + (delay if self._failures else 0.0)


class _Connection:
    """From the attempt to connect to the end. What it knows is its own, so that nothing late reaches another one."""

    def __init__(self, timeout_seconds: float) -> None:
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.has_replied = False
        self._timeout_seconds = timeout_seconds
        self._queue: deque[_Request] = deque()
        """Not sent yet."""
        self._slots: deque[_Request] = deque()
        """Sent, or being sent: the next reply belongs to the first of them."""
        self._unsent = memoryview(b"")
        """What is left of the requests of which Redis has taken a part."""
        self._socket: socket.socket | None = None
        self._poll = select.poll()
        self._wake = trio.Event()
        self._busy = trio.Event()
        self._heard_at = 0.0
        """When it said something last, or was asked something with nothing before."""
        self._is_over = False

    def is_over(self) -> bool:
        """Looks, where nothing is under way: what a connection says without being asked is that it ends."""
        if self._is_lone() and trio.current_time() - self._heard_at > _QUIET_SECONDS and self._poll.poll(0):
            self.end("connection")
        return self._is_over

    def is_full(self) -> bool:
        return len(self._queue) + len(self._slots) >= MAX_WAITING

    def take(self, request: _Request) -> None:
        """Send it now or soon, and settle it some time."""
        if self._socket is None or self._queue or self._unsent or len(self._slots) >= MAX_SENT_AT_ONCE:
            self._queue.append(request)
            self._wake.set()
        else:
            self._send_at_once(self._socket, request)
        self._busy.set()

    def end(self, failure: str) -> None:
        """What waits fails. Idempotent."""
        self._is_over = True
        self._socket = None
        waiting = [*self._slots, *self._queue]
        self._slots.clear()
        self._queue.clear()
        for request in waiting:
            request.settle(failure)
        self.scope.cancel()

    async def run(self, open_one: Callable[[], Awaitable[OpenSocket]]) -> None:
        """Raises whatever ends it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            opened, _owner = await open_one()
            with opened:
                opened.setblocking(False)
                self._poll.register(opened, select.POLLIN)
                self._socket = opened
                self._heard_at = trio.current_time()
                async with trio.open_nursery() as using:  # ends before the socket is closed
                    using.start_soon(self._write, opened)
                    try:
                        await self._read(opened)
                    finally:
                        self._is_over = True  # from this moment on: what comes meanwhile goes to the next one

    def _is_lone(self) -> bool:
        return not (self._socket is None or self._slots or self._queue or self._unsent)

    def _send_at_once(self, opened: socket.socket, request: _Request) -> None:
        """To wake a task for it costs more than to send it."""
        if not self._slots:
            self._heard_at = trio.current_time()
        self._slots.append(request)
        try:
            sent = opened.send(request.packed)
        except _BLOCKED:
            sent = 0
        except OSError:
            return  # the reader meets it too, and ends the connection
        if sent < len(request.packed):
            self._unsent = memoryview(request.packed)[sent:]
            self._wake.set()

    async def _read(self, opened: socket.socket) -> None:
        parser = hiredis.Reader(protocolError=ConnectionError, replyError=ErrorReply)
        while True:
            await trio.lowlevel.wait_readable(opened)
            is_more = True
            while is_more:
                try:
                    data = opened.recv(READ_BYTES)
                except (BlockingIOError, ssl.SSLWantReadError):
                    break
                except ssl.SSLWantWriteError:
                    await trio.sleep(_TLS_SECONDS)
                    continue
                if not data:
                    raise EOFError
                self._heard_at = trio.current_time()
                parser.feed(data)
                while (reply := parser.gets()) is not False:
                    self._reply(reply)
                # Of TLS some may be decrypted already, of which the socket then says nothing any more.
                is_more = len(data) == READ_BYTES or isinstance(opened, ssl.SSLSocket)
                if is_more:
                    await trio.lowlevel.checkpoint()

    def _reply(self, reply: Any) -> None:
        if not self._slots:
            raise ConnectionError("a reply to nothing")
        request = self._slots[0]
        request.left -= 1
        if request.task is not None:
            request.replies.append(reply)
        if not request.left:
            self.has_replied = True
            self._slots.popleft()
            request.settle()

    async def _write(self, opened: socket.socket) -> None:
        while True:
            if not self._queue and not self._unsent:
                self._wake = trio.Event()
                await self._wake.wait()
            if not self._unsent:
                self._unsent = memoryview(self._next_requests())
            while self._unsent:
                try:
                    self._unsent = self._unsent[opened.send(self._unsent) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    await trio.lowlevel.wait_writable(opened)
                except ssl.SSLWantReadError:
                    await trio.sleep(_TLS_SECONDS)

    def _next_requests(self) -> bytes:
        if not self._slots:
            self._heard_at = trio.current_time()
        parts: list[bytes] = []
        size = 0
        while self._queue and size < SEND_BYTES:
            request = self._queue.popleft()
            if request.task is not None:
                self._slots.append(request)
                parts.append(request.packed)
                size += len(request.packed)
        return b"".join(parts)

    async def _watch(self) -> None:
        """Deadlines. All requests have the same time, so that the first in the order is the first to run out of it."""
        while True:
            waiting = (one for each in (self._slots, self._queue) for one in each if one.task is not None)
            oldest = next(waiting, None)
            if oldest is None and not self._slots:
                self._busy = trio.Event()
                await self._busy.wait()
                continue
            now = trio.current_time()
            at = oldest.deadline if oldest else self._heard_at + self._timeout_seconds
            await trio.sleep_until(max(at, now + _DEADLINE_SECONDS))
            now = trio.current_time()
            for one in (*self._slots, *self._queue):
                if one.deadline <= now:
                    one.settle("timeout")
            if self._slots and now - self._heard_at >= self._timeout_seconds:
                raise TimeoutError


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
