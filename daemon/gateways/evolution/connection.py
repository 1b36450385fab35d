"""A WebSocket connection to the gateway whose failure is reported at once, also when the server is not believed.

The library secures a connection while it shakes hands, and tells nobody when that fails: who waits for the connection
waits until a limit of its own. So it is connected and secured here, before the library has it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio
from trio_websocket import WebSocketConnection, wrap_client_stream


@asynccontextmanager
async def open_socket(
    url: str, tls: ssl.SSLContext | None, max_message_bytes: int, close_seconds: float
) -> AsyncIterator[WebSocketConnection]:
    """A connection that is open, and closed in the end. The caller bounds the time that it takes to open.

    Args:
      tls: for `wss://`; None: the connection is not secured.
      close_seconds: for the server's goodbye.

    Raises:
      OSError: nobody listens there.
      ssl.SSLError: the connection cannot be secured; `SSLCertVerificationError`: the server is not believed.
      trio_websocket.HandshakeError: it is no WebSocket, or refuses.
    """
    parts = urlsplit(url)
    plain = await trio.open_tcp_stream(parts.hostname or "", parts.port or (443 if tls else 80))
    stream = plain if tls is None else _secured(plain, tls, parts.hostname or "")
    try:
        if isinstance(stream, trio.SSLStream):
            await _shake_hands(stream)
        async with trio.open_nursery() as nursery:
            socket = await wrap_client_stream(
                nursery,
                stream,
                parts.netloc.rpartition("@")[2],
                f"{parts.path}?{parts.query}" if parts.query else parts.path,
                max_message_size=max_message_bytes,
            )
            yield socket
            with trio.move_on_after(close_seconds):
                await socket.aclose()
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)


def _secured(
    plain: trio.SocketStream, tls: ssl.SSLContext, hostname: str
) -> trio.SSLStream[trio.SocketStream]:
    return trio.SSLStream(plain, tls, server_hostname=hostname, https_compatible=True)


async def _shake_hands(stream: trio.SSLStream[trio.SocketStream]) -> None:
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise error.__cause__ from None
        raise
