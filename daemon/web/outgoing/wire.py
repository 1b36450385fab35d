"""One outgoing connection as bytes, in the clear or over TLS, with no more scheduling than its traffic needs.

Trio's own streams cost about as much as all the rest of a request: TLS on two memory buffers, a checkpoint after each
write, a nursery for each connection that is opened.

The laws of this file:
1. `receive` always waits or yields: a peer that sends faster than we read starves nobody.
2. `send` yields only when the kernel takes no more, and `connect` only when the other end is not next door. They are no
   checkpoints to rely on.
3. A connection that was cancelled in any of its steps is of no further use: its owner closes it. Closing never waits.
4. An end without TLS's own word of goodbye is an end: HTTP says itself whether a body is whole, where it can.
"""

from __future__ import annotations

import errno
import math
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import trio

Origin = tuple[str, str, int]
"""Scheme, host and port."""

_Waiting = Callable[[socket.socket], Awaitable[None]]
_RECEIVE_BYTES = 64 * 1024
_SEND_BYTES = 256 * 1024
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """Owns `sock`, a socket that is connected or is to be. One task at a time uses it; any may close it."""

    __slots__ = ("_sock", "origin")

    def __init__(self, sock: socket.socket, origin: Origin) -> None:
        sock.setblocking(False)
        self._sock = sock
        self.origin = origin

    async def connect(self, address: Any, seconds: float | None) -> None:
        """Connect the socket that it owns.

        Raises:
          OSError: nobody takes it there.
          trio.TooSlowError: not within `seconds`.
        """
        error = self._sock.connect_ex(address)
        if error == errno.EINPROGRESS:
            error = self._sock.connect_ex(address)  # a server of this machine has taken it by now
        if error == errno.EALREADY:
            with trio.fail_after(math.inf if seconds is None else seconds):
                await self._wait(None, trio.lowlevel.wait_writable)
            error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "cannot connect")
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def peer(self) -> tuple[socket.AddressFamily, Any]:
        """Who is at the other end. Raises: OSError: nobody any more."""
        return socket.AddressFamily(self._sock.family), self._sock.getpeername()

    async def secure(self, context: ssl.SSLContext) -> None:
        """Agree on TLS; `context` says who is believed, and the origin's host must be there.

        Raises:
          OSError: it is not he, or it does not work out.
        """
        secured = context.wrap_socket(
            self._sock, do_handshake_on_connect=False, server_hostname=self.origin[1]
        )
        self._sock = secured
        while True:
            try:
                return secured.do_handshake()
            except _NOT_NOW as wanted:
                await self._wait(wanted, trio.lowlevel.wait_readable)

    async def send(self, data: bytes) -> None:
        """All of `data`. Raises: OSError: the connection broke; some of it may have left."""
        rest = memoryview(data)
        while rest:
            try:
                # After "not now" TLS wants the same bytes again, and gets them.
                rest = rest[self._sock.send(rest[:_SEND_BYTES]) :]
            except _NOT_NOW as wanted:
                await self._wait(wanted, trio.lowlevel.wait_writable)

    async def receive(self) -> bytes:
        """What has come; empty at the end. Raises: OSError: the connection broke."""
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            await trio.lowlevel.checkpoint()  # the kernel has given this out already
        else:
            await self._wait(None, trio.lowlevel.wait_readable)
        while True:
            try:
                return self._sock.recv(_RECEIVE_BYTES)
            except _NOT_NOW as wanted:
                await self._wait(wanted, trio.lowlevel.wait_readable)

    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody asked for. An end is something too."""
        try:
            if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                return False
            socket.socket.recv(self._sock, 1, socket.MSG_PEEK)  # below TLS
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """At once; who waits on it is told. May be repeated."""
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    async def _wait(self, wanted: OSError | None, usual: _Waiting) -> None:
        match wanted:  # TLS may have to read to send, and the other way about
            case ssl.SSLWantReadError():
                usual = trio.lowlevel.wait_readable
            case ssl.SSLWantWriteError():
                usual = trio.lowlevel.wait_writable
        try:
            if self._sock.fileno() < 0:
                raise trio.ClosedResourceError
            await usual(self._sock)
        except trio.ClosedResourceError:
            raise OSError("this connection was closed") from None
