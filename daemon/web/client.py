"""Outgoing HTTP. The only file that imports httpx.

Laws of this file:
1. A failure says the one thing that matters before anything is sent again: whether the request can have
   reached the peer. `NotDelivered` is proven; everything else is `DeliveryUnknown`. The proof is the HTTP
   library's own trace: the first request byte leaves after `send_request_headers.started`, never before.
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
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from types import TracebackType
from typing import Literal, Self

import httpx  # noqa: ASYNC127 - its successor httpx2 replaces it in this one line
import trio

from actors.errors import MajlisError
from daemon.web.answer import HttpAnswer, readable_json
from daemon.web.tls import tls_context

_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "majlis"}
_COMMAND_TIMEOUT_SECONDS = 30.0
MAX_CONNECT_SECONDS = 10.0
NOT_ALLOWED = "not_allowed"

for _name in ("httpx", "httpcore"):  # at DEBUG they write URLs and response headers (law 5)
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


class HttpClient:
    """One bounded pool of connections, shared by all callers of one kind.

    Args:
      max_connections: the pool's bound; a caller beyond it waits, within its own deadline.
      keepalive_seconds: how long an idle connection is kept for the next request. 0, the default, means a fresh
        connection for every request: a peer may close an idle connection in the moment it is used again, and
        then it is unknowable whether it had read the request. A send to WhatsApp cannot be repeated on such
        doubt, and a connection to a gateway next door costs under a millisecond. Responders, where a repeated
        question does no harm and TLS costs much, should keep connections.
      tls: which servers are believed; None: as `tls_context` says without any setting.
    """

    def __init__(
        self,
        *,
        max_connections: int = 100,
        keepalive_seconds: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections if keepalive_seconds > 0 else 0,
            keepalive_expiry=keepalive_seconds,
        )
        verify = tls if tls is not None else tls_context()
        self._transport = httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)

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

    async def get(
        self, url: str, headers: Mapping[str, str], deadline_seconds: float, max_body_bytes: int
    ) -> HttpAnswer:
        """GET `url`; raises as `post_json` does."""
        return await self._exchange("GET", url, headers, None, deadline_seconds, max_body_bytes)

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        deadline_seconds: float,
        max_body_bytes: int,
        may_send: Callable[[], None] | None = None,
    ) -> HttpAnswer:
        progress = _Progress(may_send)
        with trio.move_on_after(deadline_seconds):
            try:
                request = _request(method, url, headers, content)
                request.extensions["trace"] = progress
                request.extensions["timeout"] = {"connect": _connect_seconds(deadline_seconds)}
                response = await self._transport.handle_async_request(request)
                async with aclosing(response):
                    body = await _read_body(response, max_body_bytes)
                return HttpAnswer(response.status_code, dict(response.headers), body)
            except Exception as error:  # whatever breaks in there, only the progress decides what it means
                raise progress.failure(error) from None
        raise progress.failure(None)


class _BodyError(Exception):
    """The answer's body cannot be taken; the message is the reason."""


_UNUSABLE = (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError, TypeError)
"""Before any connection was tried: the URL or a header cannot be used. Other errors are trouble of the library."""


class _Progress:
    """Listens to the library's trace: how far one request got. None as an error stands for the deadline."""

    _PHASES: Mapping[str, Literal["pool", "connect", "tls", "sent"]] = {
        "connection.connect_tcp.started": "connect",
        "connection.start_tls.started": "tls",
        "http11.send_request_headers.started": "sent",
    }

    def __init__(self, may_send: Callable[[], None] | None) -> None:
        self.phase: Literal["pool", "connect", "tls", "sent"] = "pool"
        self._may_send = may_send

    async def __call__(self, event: str, info: Mapping[str, object]) -> None:
        phase = self._PHASES.get(event, self.phase)
        if phase == "sent" and self.phase != "sent" and self._may_send is not None:
            self._may_send()
        self.phase = phase

    def failure(self, error: Exception | None) -> HttpFailed:
        """What `error` means at this point."""
        detail = type(error).__name__ if error is not None else "deadline"
        if isinstance(error, httpx.LocalProtocolError):  # a header that cannot be written: nothing was
            return NotDelivered("bad_request", detail)
        if isinstance(error, MajlisError):
            return NotDelivered(NOT_ALLOWED, detail)
        if self.phase == "sent":
            return DeliveryUnknown(self._after_sending(error), detail)
        return NotDelivered(self._before_sending(error), detail)

    def _before_sending(self, error: Exception | None) -> str:
        timed_out = error is None or isinstance(error, httpx.TimeoutException)
        if self.phase == "pool":
            if timed_out:
                return "no_connection_free"
            return "bad_request" if isinstance(error, _UNUSABLE) else "connect_failed"
        return f"{self.phase}_timed_out" if timed_out else f"{self.phase}_failed"

    def _after_sending(self, error: Exception | None) -> str:
        if error is None:
            return "timed_out"
        return str(error) if isinstance(error, _BodyError) else "connection_broken"


def _request(method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> httpx.Request:
    kind = {"content-type": "application/json"} if content is not None else {}
    return httpx.Request(method, url, headers={**_HEADERS, **kind, **headers}, content=content)


def _connect_seconds(deadline_seconds: float) -> float:
    """For TCP and for TLS each: together within the deadline.

    The library closes a socket whose TLS handshake runs into this limit, but not one that is cancelled there.
    """
    return min(MAX_CONNECT_SECONDS, deadline_seconds / 2)


def _encode(json: object) -> bytes:
    # A lone surrogate would make the whole request unwritable: it becomes "?".
    return jsonlib.dumps(json, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


async def _read_body(response: httpx.Response, max_body_bytes: int) -> bytes:
    decode = _bounded_decoder(response.headers.get("content-encoding", "identity"))
    body = bytearray()
    trouble = ""
    # Leaving the loop early would abandon the library's chain of async generators, to be cleaned up late and
    # elsewhere. Cancelling what is still to be read unwinds it from within, at once.
    with trio.CancelScope() as reading:
        async for chunk in response.aiter_raw():
            if not trouble:
                trouble = _append(body, chunk, decode, max_body_bytes)
            if trouble:
                reading.cancel()
    if trouble:
        raise _BodyError(trouble)
    return bytes(body)


def _append(body: bytearray, chunk: bytes, decode: Callable[[bytes, int], bytes], max_body_bytes: int) -> str:
    """Why the body cannot be taken; empty when all is well."""
    try:
        body += decode(chunk, max_body_bytes + 1 - len(body))
    except zlib.error:
        return "bad_encoding"
    return "too_large" if len(body) > max_body_bytes else ""


def _bounded_decoder(encoding: str) -> Callable[[bytes, int], bytes]:
    """Decodes a chunk into so many bytes at most. Compression is not asked for; some proxies compress anyway."""
    match encoding.strip().lower():
        case "" | "identity":
            return lambda chunk, allowed: chunk[:allowed]
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(wbits=47).decompress  # gzip or zlib, recognized by the header
        case _:
            raise _BodyError("bad_encoding")


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


def _unix_client(socket_path: str, read_timeout_seconds: float | None) -> httpx.Client:
    # verify=False: a Unix socket has no TLS, and loading certificates would be half of a command's time
    transport = httpx.HTTPTransport(uds=socket_path, verify=False, trust_env=False)
    timeout = httpx.Timeout(_COMMAND_TIMEOUT_SECONDS, read=read_timeout_seconds)
    return httpx.Client(transport=transport, timeout=timeout, trust_env=False)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NotDelivered("connect_failed", type(error).__name__) from None
    except httpx.TimeoutException as error:
        raise DeliveryUnknown("timed_out", type(error).__name__) from None
    except httpx.HTTPError as error:
        raise DeliveryUnknown("connection_broken", type(error).__name__) from None
