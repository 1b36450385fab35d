"""A connected socket as a Trio stream, with no more scheduling than its traffic needs.

Trio's own `SocketStream` tries every read before it waits, and yields to the scheduler after every write. On a
connection that takes turns, the first is a system call that nearly always fails, the second a whole round of the
scheduler; both together cost a tenth of an acknowledged webhook.

The laws of this file:
1. `receive_some` always waits, hence always yields: a connection that reads between its answers starves nobody.
2. `send_all` yields only when the kernel takes no more. It is therefore no checkpoint to rely on.
3. Errors are those of `trio.abc.Stream`.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import trio

_RECEIVE_BYTES = 16 * 1024
_LINGER_BYTES = 128 * 1024


class DirectStream(trio.abc.HalfCloseableStream):
    """Owns `sock`, a connected stdlib socket. One task may read and one may write at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock

    @classmethod
    def taking_over(cls, stream: trio.SocketStream) -> DirectStream:
        """The same connection with its options as Trio set them; `stream` is closed by it."""
        return cls(socket.socket(fileno=stream.socket.detach()))

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while True:
            await self._wait(trio.lowlevel.wait_readable)
            try:
                return self.socket.recv(max_bytes or _RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._broken(error) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        sent = self._send(data)
        if sent < len(data):
            with memoryview(data) as view:
                while sent < len(view):
                    await self.wait_send_all_might_not_block()
                    sent += self._send(view[sent:])

    async def wait_send_all_might_not_block(self) -> None:
        await self._wait(trio.lowlevel.wait_writable)

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._broken(error) from error

    async def aclose(self) -> None:
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()
        await trio.lowlevel.checkpoint()

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._broken(error) from error

    async def _wait(self, wait: Callable[[socket.socket], Awaitable[None]]) -> None:
        if self.socket.fileno() < 0:
            raise trio.ClosedResourceError("this socket was closed")
        await wait(self.socket)

    def _broken(self, error: OSError) -> trio.BrokenResourceError | trio.ClosedResourceError:
        if self.socket.fileno() < 0:
            return trio.ClosedResourceError("this socket was closed")
        return trio.BrokenResourceError(f"the connection broke: {error.strerror}")


async def linger(stream: trio.abc.Stream, seconds: float, max_bytes: int) -> None:
    """Half-close and read on for a while.

    Closing a TCP socket while bytes wait unread sends a reset, which may overtake the answer just sent.
    """
    if not isinstance(stream, trio.abc.HalfCloseableStream):
        return
    with trio.move_on_after(seconds):
        await stream.send_eof()
        left = max_bytes
        while left > 0 and (data := await stream.receive_some(_LINGER_BYTES)):
            left -= len(data)
