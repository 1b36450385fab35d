"""A minimal HTTP client that posts webhooks over persistent connections.

A rehearsal must not take processor time from the daemon it measures, and the library behind `daemon/web/client.py`
needs ten times as much per request. This client supports only what a webhook needs: one POST, and a response with a
length, in chunks, or until the end of the connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import trio

from daemon.web.http1.chunked import ChunkedBody
from daemon.web.http1.head import ProtocolError
from daemon.web.http1.incoming import IncomingBody
from daemon.web.http1.stream import DirectStream
from daemon.web.tls import tls_context

POST_SECONDS = 30.0
"""Evolution's own limit for one webhook."""
MAX_ANSWER_BYTES = 64 * 1024
_KEEP_SECONDS = (
    30.0  # less than the idle time-out of servers, so that none closes a connection just being reused
)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.IGNORECASE)


class Unanswered(Exception):
    """No complete response came: the daemon may or may not have stored the webhook."""


class WebhookResponse(NamedTuple):
    status: int
    body: bytes


class Target:
    """The address of the webhooks and their headers.

    Raises:
      ValueError: `url` is not `http(s)://host[:port][/path]`.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise ValueError(f"{url!r} is not http://host:port")
        self.is_secure = parts.scheme == "https"
        self.ssl_context = tls_context() if self.is_secure else None
        self.host, self.port = parts.hostname, parts.port or (443 if self.is_secure else 80)
        self.prefix = parts.path.rstrip("/")
        lines = [
            f"Host: {parts.netloc}",
            "Accept: application/json",
            "User-Agent: EvolutionAPI-Webhook/2.3.7",
        ]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if any(forbidden in line for line in lines for forbidden in "\r\n\0"):
            raise ValueError("a header may not hold a line break")
        self.head = "\r\n".join(lines)


class WebhookClient:
    """One connection, opened when needed; one request at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stream: trio.abc.Stream | None = None
        self._used_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()  # noqa: ASYNC102  closes forcefully, hence does not wait

    async def post(self, path: str, body: bytes) -> WebhookResponse:
        """Raises: Unanswered."""
        head = f"POST {self._target.prefix}{path} HTTP/1.1\r\n{self._target.head}\r\n"
        return await self._exchange(
            f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    async def get(self, path: str) -> WebhookResponse:
        """Raises: Unanswered."""
        request = f"GET {self._target.prefix}{path} HTTP/1.1\r\n{self._target.head}\r\n\r\n"
        return await self._exchange(request.encode())

    async def _exchange(self, request: bytes) -> WebhookResponse:
        answer: WebhookResponse | None = None
        try:
            with trio.move_on_after(POST_SECONDS):
                stream = await self._connected()
                await stream.send_all(request)
                answer = await self._receive(stream)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, ProtocolError):
            answer = None
        finally:
            if answer is None:
                await self._close()  # noqa: ASYNC102  as above
        if answer is None:
            raise Unanswered
        self._used_at = trio.current_time()
        return answer

    async def _connected(self) -> trio.abc.Stream:
        if self._stream is not None and trio.current_time() - self._used_at > _KEEP_SECONDS:
            await self._close()
        if self._stream is None:
            target = self._target
            if target.is_secure:
                self._stream = await trio.open_ssl_over_tcp_stream(
                    target.host, target.port, https_compatible=True, ssl_context=target.ssl_context
                )
            else:
                self._stream = DirectStream.taking_over(await trio.open_tcp_stream(target.host, target.port))
        return self._stream

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await trio.aclose_forcefully(stream)

    async def _receive(self, stream: trio.abc.Stream) -> WebhookResponse | None:
        """Read one response; None if it is incomplete, too long, or not HTTP."""
        buffer = bytearray()
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if not await _more(stream, buffer):
                return None
        head = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None:
            return None
        if _CHUNKED.search(head):
            answer = IncomingBody(MAX_ANSWER_BYTES)
            chunks = ChunkedBody(answer)
            while not chunks.feed(buffer):
                if not await _more(stream, buffer):
                    return None
            body = answer.body
        elif length is not None:
            while len(buffer) < int(length[1]):
                if not await _more(stream, buffer):
                    return None
            body = bytes(buffer)
        else:
            while await _more(stream, buffer):
                pass
            body = bytes(buffer)
        if _CLOSE.search(head) or (length is None and not _CHUNKED.search(head)):
            await self._close()
        return WebhookResponse(int(status[1]), body)


async def _more(stream: trio.abc.Stream, buffer: bytearray) -> bool:
    """Receive more; False at the end of the connection, or if the response is too long."""
    data = await stream.receive_some()
    buffer += data
    return bool(data) and len(buffer) <= MAX_ANSWER_BYTES
