"""Outgoing HTTP. The only file that imports httpx2, which is kept and has httpx's interface.

Laws of this file:
1. A failure says the one thing that matters before anything is sent again: whether the request can have
   reached the peer. `NotDelivered` is proven; everything else is `DeliveryUnknown`. The proof is the HTTP
   library's own trace, as `daemon/web/progress.py` reads it.
2. One deadline covers the whole exchange: waiting for a connection, DNS, TLS, request and the last body byte.
   A peer that drips one byte a second ends like one that is silent.
3. A body is never held beyond `max_body_bytes`, counted after decompression.
4. A redirect is an answer, not an order; proxies and settings from the environment are not used, but for the
   certificates of `daemon/web/tls.py`; no cookie is kept. The transport is used without a client round it: nothing is
   there that could follow or remember.
5. Errors name a stable reason, never a URL, a header or a body, and have no cause that could show them.
"""

from __future__ import annotations

import json as jsonlib
import logging
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from functools import lru_cache
from types import TracebackType
from typing import Self, cast

import httpx2
import msgspec
import trio

from actors.errors import MajlisError
from daemon.web.answer import HttpAnswer, fields, readable_json
from daemon.web.bounded import BodyRefused, append, bounded_decoder
from daemon.web.outgoing.pool import Pool
from daemon.web.outgoing.transport import Failed, FailedStep, OpenAnswer, OutgoingRequest, Transport, Waits
from daemon.web.progress import Progress, Telling
from daemon.web.tls import tls_context

_Headers = Mapping[str, str] | Mapping[str, bytes]
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "majlis"}
_COMMAND_TIMEOUT_SECONDS = 30.0
_PASS_OVER_SECONDS = 2.0
_PASS_OVER_BYTES = 64 * 1024
MAX_CONNECT_SECONDS = 10.0
_REMEMBERED_URLS = 512

for _name in ("httpx2", "httpcore2"):  # at DEBUG they write URLs and response headers (law 5)
    logging.getLogger(_name).setLevel(logging.WARNING)


class HttpFailed(MajlisError):
    """No usable answer came. `reason` is a stable word; `detail` the library's error class, for operators."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.detail = detail


class NotDelivered(HttpFailed):
    """Proven: no byte of the request left. Sending it again doubles nothing. Contrast `DeliveryUnknown`.

    Reasons: `bad_request`, `no_connection_free`, `connect_failed`, `connect_timed_out`, `tls_failed`,
    `tls_timed_out`, `not_allowed` (the caller's own `may_send` said no).
    """


class DeliveryUnknown(HttpFailed):
    """The request, or a part of it, left: the peer may have acted on it. Contrast `NotDelivered`.

    Reasons: `timed_out`, `connection_broken`, `too_large`, `bad_encoding`.
    """


class LeanTransport(httpx2.AsyncBaseTransport):
    """Our own HTTP/1.1 behind the HTTP library's interface: no proxy, no redirect, nothing from the environment."""

    def __init__(self, tls: ssl.SSLContext, pool: Pool) -> None:
        self._transport = Transport(tls, pool)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        if isinstance(request.stream, httpx2.ByteStream):
            body: bytes | AsyncGenerator[bytes, None] = b"".join(request.stream)
        else:  # the library makes one of anything else
            body = cast("AsyncGenerator[bytes, None]", aiter(cast("AsyncIterable[bytes]", request.stream)))
        question = OutgoingRequest(
            (url.scheme, url.raw_host.decode("ascii"), _PORTS[url.scheme] if url.port is None else url.port),
            request.method,
            url.raw_path,
            request.headers.raw,
            body,
            Waits(**request.extensions.get("timeout", {})),
            request.extensions.get("trace"),
        )
        try:
            answer = await self._transport.ask(question)
        except Failed as failure:
            raise _LIBRARYS[failure.kind](str(failure)) from None
        return httpx2.Response(answer.status, headers=answer.headers, stream=_AnswerBody(answer))

    async def aclose(self) -> None:
        self._transport.close()


class _AnswerBody(httpx2.AsyncByteStream):
    def __init__(self, answer: OpenAnswer) -> None:
        self._answer = answer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._answer.next()
        except Failed as failure:
            raise _LIBRARYS[failure.kind](str(failure)) from None
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._answer.close()


_PORTS = {"http": 80, "https": 443}
_LIBRARYS: Mapping[FailedStep, type[httpx2.TransportError]] = {
    "pool_timeout": httpx2.PoolTimeout,
    "connect": httpx2.ConnectError,
    "connect_timeout": httpx2.ConnectTimeout,
    "write_timeout": httpx2.WriteTimeout,
    "read": httpx2.ReadError,
    "read_timeout": httpx2.ReadTimeout,
    "garbled": httpx2.RemoteProtocolError,
    "unwritable": httpx2.LocalProtocolError,
}
"""By what it was doing when it failed."""


class HttpClient:
    """One bounded pool of connections, shared by all callers of one kind.

    Args:
      max_connections: the pool's bound; a caller beyond it waits his turn, within his own deadline.
      max_to_one: of those to one server; None: three quarters, so that one that hangs keeps nobody else waiting.
      keepalive_seconds: how long an idle connection is kept for the next request. 0, the default, means a fresh
        connection for every request: a peer may close an idle connection in the moment it is used again, and
        then it is unknowable whether it had read the request. A send to WhatsApp cannot be repeated on such
        doubt, and a connection to a gateway next door costs under a millisecond. Responders, where a repeated
        question does no harm and TLS costs much, should keep connections.
      tls: which servers are believed; None: as `tls_context` says without any setting.
      transport: instead of our own, which then is not made: any of the HTTP library's, if it tells its trace.
    """

    def __init__(
        self,
        *,
        max_connections: int = 100,
        keepalive_seconds: float = 0.0,
        max_to_one: int | None = None,
        tls: ssl.SSLContext | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        verify = tls if tls is not None else tls_context()
        to_one = max_to_one or math.ceil(max_connections * 3 / 4)
        self._transport = transport or LeanTransport(verify, Pool(to_one, max_connections, keepalive_seconds))
        self._telling = Telling()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. A request still under way fails as `DeliveryUnknown`."""
        await self._transport.aclose()

    async def post_json(
        self,
        url: str,
        json: object,
        headers: Mapping[str, str],
        deadline_seconds: float,
        max_body_bytes: int,
        may_send: Callable[[], None] | None = None,
    ) -> HttpAnswer:
        """POST `json` and read the whole answer, whatever its status.

        `may_send` is asked as the first byte is about to leave; when it raises, none does: `NotDelivered`.

        Raises:
          NotDelivered: no byte of the request left.
          DeliveryUnknown: the peer may have acted on it.
        """
        content = _encode(json)
        return await self._exchange("POST", url, headers, content, deadline_seconds, max_body_bytes, may_send)

    async def post_pieces(
        self,
        url: str,
        pieces: AsyncGenerator[bytes, None],
        headers: Mapping[str, bytes],
        deadline_seconds: float,
    ) -> HttpAnswer:
        """POST a body piece by piece. Of the answer only the head is read: `HttpAnswer.body` is empty.

        `headers` has the body's length, and what else is to go with it, in any bytes. What `pieces` raises ends the
        request as a connection that broke. Raises as `post_json` does.
        """
        async with aclosing(pieces):
            return await self._exchange("POST", url, headers, pieces, deadline_seconds, None)

    async def get(
        self, url: str, headers: Mapping[str, str], deadline_seconds: float, max_body_bytes: int
    ) -> HttpAnswer:
        """GET `url`; raises as `post_json` does."""
        return await self._exchange("GET", url, headers, None, deadline_seconds, max_body_bytes)

    async def _exchange(
        self,
        method: str,
        url: str,
        sent: _Headers,
        content: bytes | AsyncGenerator[bytes, None] | None,
        deadline_seconds: float,
        max_body_bytes: int | None,
        may_send: Callable[[], None] | None = None,
    ) -> HttpAnswer:
        """`max_body_bytes` None: the answer's body is not wanted."""
        try:
            request = _request(method, url, sent, content)
        except Exception as error:  # the URL or a header cannot be used
            raise NotDelivered("bad_request", type(error).__name__) from None
        progress = Progress(self._telling, may_send)
        request.extensions["trace"] = progress
        request.extensions["timeout"] = {"connect": _connect_seconds(deadline_seconds)}
        with trio.move_on_after(deadline_seconds):
            try:
                response = await self._transport.handle_async_request(request)
                progress.answered()
                stream = cast("httpx2.AsyncByteStream", response.stream)
                try:
                    headers = fields(response.headers.raw)
                    encoding = headers.get("content-encoding", "")
                    if max_body_bytes is None:
                        body = await _pass_over(stream, encoding)
                    else:
                        body = await _read_body(stream, encoding, max_body_bytes)
                finally:
                    await stream.aclose()
                return HttpAnswer(response.status_code, headers, body)
            except Exception as error:  # whatever breaks in there, only the progress decides what it means
                raise _failure(error, progress) from None
        raise _failure(None, progress)


def _failure(error: Exception | None, progress: Progress) -> HttpFailed:
    """What `error` means at this point; None stands for the deadline."""
    detail = type(error).__name__ if error is not None else "deadline"
    timed_out = error is None or isinstance(error, httpx2.TimeoutException)
    unwritable = isinstance(error, httpx2.LocalProtocolError)
    proven = progress.why_nothing_left(timed_out=timed_out, unwritable=unwritable)
    if proven:
        return NotDelivered(proven, detail)
    if error is None:
        return DeliveryUnknown("timed_out", detail)
    return DeliveryUnknown(str(error) if isinstance(error, BodyRefused) else "connection_broken", detail)


def _request(
    method: str, url: str, headers: _Headers, content: bytes | AsyncGenerator[bytes, None] | None
) -> httpx2.Request:
    address, host = _address(url)
    kind = {"content-type": "application/json"} if content is not None else {}
    fields: dict[str, str | bytes] = {"host": host, **_HEADERS, **kind, **headers}
    if isinstance(content, bytes):
        fields.setdefault("content-length", b"%d" % len(content))
    sent = [
        (name.encode("ascii"), value if isinstance(value, bytes) else value.encode("ascii"))
        for name, value in fields.items()
    ]
    if isinstance(content, AsyncGenerator):
        return httpx2.Request(method, address, headers=sent, content=content)
    # A stream is taken as it is: to find out what it is, and what its head lacks, costs a sixth of a request.
    return httpx2.Request(method, address, headers=sent, stream=httpx2.ByteStream(content or b""))


@lru_cache(_REMEMBERED_URLS)
def _address(url: str) -> tuple[httpx2.URL, bytes]:
    """`url` parsed, and what goes as `host`."""
    parsed = httpx2.URL(url)
    if parsed.scheme not in _PORTS:
        raise httpx2.UnsupportedProtocol("Only http and https.")
    return parsed, parsed.netloc


def _connect_seconds(deadline_seconds: float) -> float:
    """For TCP and for TLS each: together within the deadline, so that it rarely is what ends a handshake."""
    return min(MAX_CONNECT_SECONDS, deadline_seconds / 2)


def _encode(json: object) -> bytes:
    try:
        said = msgspec.json.encode(json)
    except (UnicodeEncodeError, TypeError):
        said = b"null"
    if b"null" not in said:  # it may stand for NaN, which must not leave
        return said
    # A lone surrogate would make the whole request unwritable: it becomes "?".
    return jsonlib.dumps(json, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


async def _pass_over(stream: httpx2.AsyncByteStream, encoding: str) -> bytes:
    """A peer may mind that nobody hears it out: a little of it is read, and what goes wrong there does not matter."""
    with trio.move_on_after(_PASS_OVER_SECONDS), suppress(Exception):
        await _read_body(stream, encoding, _PASS_OVER_BYTES)
    return b""


async def _read_body(stream: httpx2.AsyncByteStream, encoding: str, max_body_bytes: int) -> bytes:
    decode = bounded_decoder(encoding)
    body = bytearray()
    async for chunk in stream:
        append(body, chunk, decode, max_body_bytes)
    return bytes(body)


# The command line's side: synchronous, over the admin socket.


def unix_get(socket_path: str, path: str) -> tuple[int, object]:
    """GET over a Unix socket: status and decoded JSON (None when unreadable). Raises `HttpFailed`."""
    return _unix("GET", socket_path, path, None)


def unix_post(socket_path: str, path: str, json: object = None) -> tuple[int, object]:
    """POST over a Unix socket: status and decoded JSON (None when unreadable). Raises `HttpFailed`."""
    return _unix("POST", socket_path, path, _encode(json))


def _unix(method: str, socket_path: str, path: str, content: bytes | None) -> tuple[int, object]:
    with _unix_client(socket_path, _COMMAND_TIMEOUT_SECONDS) as client, _mapped():
        response = client.send(_request(method, f"http://admin{path}", {}, content))
        return response.status_code, readable_json(response.content)


@contextmanager
def unix_lines(socket_path: str, path: str) -> Iterator[tuple[int, Iterator[str]]]:
    """GET an endless answer over a Unix socket: the status and its lines as they come. Raises `HttpFailed`.

    The lines wait as long as the daemon is silent; leaving the block closes the connection.
    """
    request = _request("GET", f"http://admin{path}", {}, None)
    with _unix_client(socket_path, None) as client, _mapped():
        response = client.send(request, stream=True)
        try:
            yield response.status_code, response.iter_lines()
        finally:
            response.close()


def _unix_client(socket_path: str, read_timeout_seconds: float | None) -> httpx2.Client:
    # verify=False: a Unix socket has no TLS, and loading certificates would be half of a command's time
    transport = httpx2.HTTPTransport(uds=socket_path, verify=False, trust_env=False)
    timeout = httpx2.Timeout(_COMMAND_TIMEOUT_SECONDS, read=read_timeout_seconds)
    return httpx2.Client(transport=transport, timeout=timeout, trust_env=False)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise NotDelivered("connect_failed", type(error).__name__) from None
    except httpx2.TimeoutException as error:
        raise DeliveryUnknown("timed_out", type(error).__name__) from None
    except httpx2.HTTPError as error:
        raise DeliveryUnknown("connection_broken", type(error).__name__) from None
