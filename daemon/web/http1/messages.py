"""The words of the small HTTP server: request, response, limits. Nothing is read or sent here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

import msgspec
import trio

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = (204, 304)


def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}"


_STATUS_LINES = {status: _status_line(status) for status in _PHRASES}

JSON_TYPE = "application/json"


class Keeper(Protocol):
    """Keeps a large body whole, beside what is thinned of it."""

    async def write(self, piece: bytes) -> None:
        """The next piece. It may wait for a disk, and must not raise."""

    def close(self) -> None:
        """The request is handled, or will never be."""


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end. All but the address comes from the kernel, and only for a Unix socket."""

    address: str
    pid: int | None = None
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    """Its further groups, as they were when it connected."""


class Request(msgspec.Struct, frozen=True):
    """One request, read whole."""

    method: str
    path: str
    """As it was sent, without the query; still percent-encoded."""
    segments: tuple[str, ...]
    """The path between its slashes, each percent-decoded once: `/a%2Fb/` is `("a/b", "")`."""
    query: Mapping[str, str]
    """Decoded; of a name given twice the last value stands."""
    headers: Mapping[str, str]
    """By lower-case name; of a header given twice the values are joined by a comma."""
    body: bytes
    peer: Peer
    whole: Keeper | None = None
    """The body as it came, where `body` is what was thinned of it and somebody keeps it. Closed after the handler."""


class Response(msgspec.Struct, frozen=True):
    """One answer: either `body`, or `stream` for what is not known at once.

    The server sends each piece of `stream` as it comes, ends the answer when the channel ends, and closes the
    channel in every case. The channel is the back-pressure: give it a bounded buffer.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = {}
    stream: trio.abc.ReceiveChannel[bytes] | None = None


Handler = Callable[[Request], Awaitable[Response]]


class Unproven(msgspec.Struct, frozen=True):
    """Whether its sender may be here, only the end of a body shows."""


UNPROVEN = Unproven()

Finish = Callable[[], Awaitable[Response]]
Respond = Callable[[Response], None]
AtOnce = Callable[[Request, Respond], Finish | None]
"""Takes a small request without waiting. None: its answer is given to `respond`, once, now or later; it must not be a
streamed one. Otherwise what was returned makes the answer, in a task of its own."""

Gate = Callable[[Request], Response | bool | str | Unproven]
"""Looks at the first requests of a connection before their bodies are read (`body` is empty). A response refuses the
request; True: its sender is known; a name: it is known and has a share of the places; False or an empty name: a
stranger, whose request is read all the same; `UNPROVEN`: so is this one, whole and within `max_unproven_bytes`, and
where the handler answers 2xx its sender is known. It must not wait."""


Rejected = Callable[[int, str, Request], None]
"""Told of each request that broke the protocol or a limit: status, reason, and what could be read of its head. It must
not wait."""


class Thinner(Protocol):
    """Takes a body piece by piece and keeps what is worth keeping of it."""

    @property
    def kept(self) -> bytearray:
        """The same object all the time."""

    def feed(self, data: bytes | bytearray) -> None: ...


def keep_none() -> Keeper | None:
    """For servers that keep no large body whole."""
    return None


class LargeBodies(msgspec.Struct, frozen=True):
    """Bodies that may be larger on the way than what is kept of them. See `Limits.large`."""

    max_bytes: int
    """413; on the way. What is kept has the bound of all bodies."""
    thin: Callable[[Request], Thinner | None]
    """Asked after the gate, before the body is read (`body` is empty). None: this one may be no larger than others."""
    keep: Callable[[], Keeper | None] = keep_none
    """Asked as a body begins to be thinned. None: nobody needs it whole."""


class Limits(msgspec.Struct, frozen=True):
    """Every bound of the server. What is beyond one gets the status named beside it and the connection closes."""

    max_head_bytes: int = 16 * 1024
    """431."""
    max_headers: int = 100
    """431."""
    head_seconds: float = 5.0
    """408; from the first byte of a request, or from the accept of a connection that has sent none."""
    max_body_bytes: int = 1024 * 1024
    """413, from `Content-Length` before the body is read."""
    body_seconds: float = 10.0
    """408; for the whole body. A large one has as much again for each `max_body_bytes` that came."""
    large: LargeBodies | None = None
    """None: all bodies are whole."""
    idle_seconds: float = 75.0
    """Closed without a word; between two requests of one connection."""
    write_seconds: float = 10.0
    """Closed; for one answer, or for one piece of a streamed answer."""
    max_bytes_in_flight: int = 64 * 1024 * 1024
    """503 with Retry-After; of the bodies of all connections together, from their arrival until they are handled."""
    max_unproven_bytes: int = 8 * 1024 * 1024
    """The same, of those among them whose sender is not known before their end."""
    max_connections: int = 512
    """503 with Retry-After, for the oldest stranger, or where there is none for the newcomer."""
    max_connections_per_address: int = 64
    """As above. An address is IPv4, or a /64 of IPv6. Unix sockets have no address, but users."""
    max_connections_per_user: int | None = None
    """503 with Retry-After; over a Unix socket, of each user but root and our own. None: only the bound of all."""
    retry_after_seconds: int = 5
    linger_seconds: float = 2.0
    """How long a connection closed early is read on, so that its answer is not lost to a TCP reset."""
    max_linger_bytes: int = 4 * 1024 * 1024

    @property
    def max_unproven_bytes_of_one(self) -> int:
        """Of one address: a quarter, or one body."""
        return max(self.max_unproven_bytes // 4, self.max_body_bytes)


def json_response(status: int, document: object, headers: Mapping[str, str] | None = None) -> Response:
    """A response with `document` as JSON."""
    return Response(status, msgspec.json.encode(document), headers=headers or {})


def error_response(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    """A response that names what went wrong by a stable word."""
    return json_response(status, {"status": "error", "reason": reason}, headers)


def encode_head(
    response: Response, *, close: bool, keep_alive_header: bool = False, chunked: bool = False
) -> bytes:
    """The status line and headers of `response`.

    Raises:
      ValueError: a header would break out of its line, or is not Latin-1.
    """
    lines = [_STATUS_LINES.get(response.status) or _status_line(response.status), _DATE.line()]
    lines.append(f"Content-Type: {response.content_type}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif response.stream is None and response.status not in _BODILESS:
        lines.append(f"Content-Length: {len(response.body)}")
    if close:
        lines.append("Connection: close")
    elif keep_alive_header:
        lines.append("Connection: keep-alive")
    if response.headers:
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
    head = "\r\n".join(lines)
    line_breaks = len(lines) - 1
    if head.count("\r") != line_breaks or head.count("\n") != line_breaks or "\0" in head:
        raise ValueError("a response header holds a line break")
    return f"{head}\r\n\r\n".encode("latin-1")


class _HttpDate:
    """The `Date` header, formatted once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._line = second, f"Date: {formatdate(second, usegmt=True)}"
        return self._line


_DATE = _HttpDate()
