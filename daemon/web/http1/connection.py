"""One connection: requests in, answers out, one after another.

The laws of this file:
1. The first byte of an answer leaves only after the handler returned. (`100 Continue` is no answer.)
2. While the handler works nothing is read: pipelined bytes wait in the kernel, and the peer with them. Only under
   a streamed answer is one read outstanding, to notice that the peer went away.
3. Every wait on the peer has a time of `Limits`, after which the server's sweep cancels the connection's one scope
   (a cancel scope or a Trio deadline for each wait would cost a fifth of the speed); the handler's waits are its own.
4. What arrives of a body and is kept counts against the bytes that all bodies may hold, until its request is handled.
   Where they are used up the answer is 503, at once: to wait would hold what is there already, and nobody could go on.
5. A doubtful request is answered and the connection closed; nothing after it is read as a request.
6. A body that may be large passes the gate each time, also where the connection is known: behind a proxy many share
   one. It has no more time than its bytes are worth, so that a drip buys none.
7. Between two requests everybody else has a turn, also where the second is here already: a crowd of them in one piece
   of bytes holds nobody up.
8. Where only the end of a body shows whether its sender may be here, it has the bounds of strangers.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Awaitable
from typing import Literal

import msgspec
import trio

from daemon.web.http1.chunked import ChunkedBody
from daemon.web.http1.head import Head, ProtocolError, check_partial_head, first_line, parse_head
from daemon.web.http1.host import Host
from daemon.web.http1.incoming import CountedBody, Framing, IncomingBody
from daemon.web.http1.listeners import network_of
from daemon.web.http1.messages import (
    Keeper,
    Peer,
    Request,
    Response,
    Unproven,
    encode_head,
    error_response,
)
from daemon.web.http1.proxies import HEADER as FORWARDED
from daemon.web.http1.stream import DirectStream, linger
from daemon.web.http1.streaming import StreamedAnswer

WaitKind = Literal["idle", "head", "body", "handler", "write"]

_RECEIVE_BYTES = 16 * 1024
_RECEIVE_BODY_BYTES = 128 * 1024
_FIRST_LINE_BYTES = 512  # of a head that could not be read; enough to say for whom it was meant
_CLOSE_SECONDS = 1.0  # for closing the channel of a streamed answer, also while being cancelled
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection:
    """Serves one stream until either side ends it. `serve` closes nothing: the caller owns the stream."""

    def __init__(self, stream: trio.abc.Stream, peer: Peer, host: Host) -> None:
        self._stream = stream
        self._peer = self._asking = peer
        self._is_proxied = host.places.is_of_proxy(peer)
        self._host = host
        self._limits = host.limits
        self._buffer = bytearray()
        self._head: Head | None = None
        """Of the request that is being served."""
        self._scope = trio.CancelScope()
        self._waiting: WaitKind = "handler"
        self._expires_at = math.inf
        self._served = 0
        self._held_bytes = 0
        self._incoming: IncomingBody | None = None
        """The body of the request that is being served, where it is chunked or large."""
        self._is_known = False
        self._stranger: str | None = None
        """The address, while a request is served whose sender only its body shows."""
        self.client = ""
        """Whose it is, where the gate has a name for that."""
        self.was_evicted = False

    @property
    def is_stranger(self) -> bool:
        """Nothing that it sent shows a right to its place, and we wait for it."""
        return not self._is_known and self.is_waited_for

    @property
    def is_waited_for(self) -> bool:
        """It is the peer's turn: no request is being answered."""
        return self._waiting in ("idle", "head", "body")

    def evict(self) -> None:
        """End the connection: its place is needed."""
        self.was_evicted = True
        self._scope.cancel()

    def close_if_idle(self) -> None:
        """For the drain: end the connection now if no byte of a request has come."""
        if self._waiting == "idle" and not self._may_still_ask and not self._has_unread_bytes():
            self._scope.cancel()

    @property
    def _may_still_ask(self) -> bool:
        return self._host.patient and not self._served

    def _has_unread_bytes(self) -> bool:
        """Whether a request is in the kernel already: closing now would answer it with a reset."""
        if not isinstance(self._stream, DirectStream):
            return False
        try:
            return bool(self._stream.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def close_if_expired(self, now: float) -> None:
        """For the sweep: end the wait that is over its time."""
        if now >= self._expires_at:
            self._scope.cancel()

    async def serve(self) -> bool:
        """Answer requests until the connection ends; True: it did not, and has nothing to do here for now."""
        try:
            # One for the whole connection: a scope for each wait would cost a fifth of the speed.
            with self._scope:
                while await self._serve_one():
                    if self._rests():
                        await trio.lowlevel.checkpoint_if_cancelled()
                        return True
            if self._scope.cancelled_caught and not self.was_evicted and self._waiting in ("head", "body"):
                raise ProtocolError(408, f"{self._waiting}_too_slow")
        except ProtocolError as error:
            self._host.count_rejected(error, self._rejected())
            await self._refuse(error)
        return False

    def renew(self) -> None:
        """Its task has ended, and there may be another."""
        self._scope = trio.CancelScope()

    def _rests(self) -> bool:
        """Whether it needs no task until a request comes."""
        return False

    async def _serve_one(self) -> bool:
        """One request and its answer; True when another may follow."""
        self._head, self._stranger = None, None
        if self._is_proxied:
            self._host.places.give_back(self)
        if self._buffer:
            await trio.lowlevel.checkpoint()  # without a read there may be no other pause: see law 7
        head = self._head = await self._receive_head()
        if head is None:
            return False
        if self._is_proxied and not self._learn_client(head):
            raise ProtocolError(503, "too_many_connections")
        refusal = None if self._is_known and not self._may_be_large(head) else self._look_at(head)
        if refusal is not None:
            return await self._refuse_unread(head, refusal)
        try:
            response = await self._answer(head)
        finally:
            self._let_go()
            if (keeper := self._keeper()) is not None:
                keeper.close()
            self._incoming = None
        self._learn_sender(response)
        return await self._respond(head, response)

    def _let_go(self) -> None:
        """The body is handled, or will never be."""
        self._host.bodies.give_back(self._held_bytes, self._stranger)
        self._held_bytes = 0

    async def _refuse_unread(self, head: Head, refusal: Response) -> bool:
        self._served += 1
        self._host.count_request()
        # Where a body follows it stays unread, and nothing after it can be read as a request.
        has_body = head.chunked or head.content_length > 0
        goes_on = await self._respond(head, refusal, close=has_body)
        if has_body:
            self._wait("idle", math.inf)  # lingering bounds itself, and may be cut short
            await linger(self._stream, self._limits.linger_seconds, self._limits.max_linger_bytes)
        return goes_on

    def _look_at(self, head: Head) -> Response | None:
        """Whether a stranger is known by this head; the refusal of one that is not let in."""
        seen = True if self._host.gate is None else self._host.gate(self._request(head, b""))
        if isinstance(seen, Response):
            return seen
        if isinstance(seen, Unproven):
            self._stranger = network_of(self._asking.address)
            return None
        self._is_known = self._is_known or bool(seen)
        self.client = seen if isinstance(seen, str) else self.client
        return None

    def _learn_sender(self, response: Response) -> None:
        """A request whose sender only its body showed was taken: he is known."""
        self._is_known = self._is_known or (self._stranger is not None and 200 <= response.status < 300)

    def _learn_client(self, head: Head) -> bool:
        """For whom a proxy's connection carries this request; False: he has as many as he may."""
        forwarded = head.headers.get(FORWARDED)
        client = "" if forwarded is None else self._host.places.lend(self, forwarded)
        self._asking = Peer(client) if client else self._peer
        return client is not None

    def _may_be_large(self, head: Head) -> bool:
        if head.content_length <= self._limits.max_body_bytes and not head.chunked:
            return False  # nearly always
        return self._limits.large is not None

    async def _answer(self, head: Head) -> Response:
        request = self._request(head, await self._receive_body(head))
        if (keeper := self._keeper()) is not None:
            request = msgspec.structs.replace(request, whole=keeper)
        if self._scope.cancel_called:
            await trio.lowlevel.checkpoint_if_cancelled()  # its time ran out as it became whole: do not begin
        self._wait("handler", math.inf)
        self._served += 1
        self._host.count_request()
        return await self._contained(self._host.handler(request))

    def _request(self, head: Head, body: bytes) -> Request:
        return Request(head.method, head.path, head.segments, head.query, head.headers, body, self._asking)

    def _keeper(self) -> Keeper | None:
        return None if self._incoming is None else self._incoming.keeper

    def _rejected(self) -> Request:
        """The request that broke a rule; of a head that could not be read, what its first line seems to say."""
        if self._head is not None:
            return self._request(self._head, b"")
        method, segments = first_line(bytes(self._buffer[:_FIRST_LINE_BYTES]))
        return Request(method, "", segments, {}, {}, b"", self._peer)

    def _wait(self, kind: WaitKind, seconds: float) -> None:
        self._waiting = kind
        self._expires_at = trio.current_time() + seconds

    async def _contained(self, handling: Awaitable[Response]) -> Response:
        response: Response | None = None
        try:
            response = await handling
        except* Exception as group:
            self._host.report(group)
        return response or error_response(500, "internal")

    # --- reading -------------------------------------------------------------------------------------------

    async def _receive_head(self) -> Head | None:
        buffer, limits, checked = self._buffer, self._limits, 0
        while (end := buffer.find(b"\r\n\r\n", max(0, checked - 3))) < 0:
            if len(buffer) >= limits.max_head_bytes:
                raise ProtocolError(431, "head_too_large")
            check_partial_head(buffer, checked)
            checked = len(buffer)
            draining = self._host.draining.is_set()
            if not checked and draining and not self._may_still_ask and not self._has_unread_bytes():
                return None
            self._wait_for_head()
            data = await self._stream.receive_some(_RECEIVE_BYTES)
            if not data:
                if checked:
                    raise ProtocolError(400, "request_cut_short")
                return None
            buffer += data
        if end + 4 > limits.max_head_bytes:
            raise ProtocolError(431, "head_too_large")
        head = parse_head(bytes(buffer[: end + 4]), limits.max_headers)
        del buffer[: end + 4]
        return head

    def _wait_for_head(self) -> None:
        """Idle until the first byte of a request; from there the head has its time, however it drips in."""
        if not self._buffer:
            self._wait("idle", self._limits.idle_seconds if self._served else self._limits.head_seconds)
        elif self._waiting != "head":
            self._wait("head", self._limits.head_seconds)

    async def _receive_body(self, head: Head) -> bytes:
        if not head.chunked and not head.content_length:
            return b""
        is_counted = not head.chunked and head.content_length <= self._limits.max_body_bytes
        framed = None if is_counted else self._framed(head)
        if head.expects_continue and not self._buffer:
            self._wait("body", self._limits.body_seconds)
            await self._stream.send_all(_CONTINUE)
        if framed is not None:
            return await self._receive_framed(*framed)
        self._hold(min(len(self._buffer), head.content_length))
        while len(self._buffer) < head.content_length:
            await self._receive_more_body()
            self._hold(len(self._buffer))
        body = bytes(self._buffer[: head.content_length])
        del self._buffer[: head.content_length]
        return body

    def _framed(self, head: Head) -> tuple[IncomingBody, Framing]:
        """What takes a body that is chunked or large. Refuses one that is announced as too large."""
        large = self._limits.large if self._stranger is None else None
        thinner = None if large is None else large.thin(self._request(head, b""))
        if large is None:
            body = IncomingBody(self._limits.max_body_bytes)
        else:
            body = IncomingBody(self._limits.max_body_bytes, large.max_bytes, thinner, large.keep)
        self._incoming = body
        return body, ChunkedBody(body) if head.chunked else CountedBody(body, head.content_length)

    async def _receive_framed(self, body: IncomingBody, framing: Framing) -> bytes:
        parts = 0
        while True:
            self._hold(len(body) + len(self._buffer))
            is_whole = framing.feed(self._buffer)
            await body.settle()
            if is_whole:
                return body.body
            await self._receive_more_body()
            came = body.sent_bytes // self._limits.max_body_bytes
            self._expires_at += (came - parts) * self._limits.body_seconds
            parts = came

    def _hold(self, size: int) -> None:
        """So much of the body is here now."""
        more = size - self._held_bytes
        if more > 0:
            if not self._host.bodies.take(more, self._stranger):
                raise ProtocolError(503, "too_many_bytes_in_flight")
            self._held_bytes = size

    async def _receive_more_body(self) -> None:
        if self._waiting != "body":
            self._wait("body", self._limits.body_seconds)
        data = await self._stream.receive_some(_RECEIVE_BODY_BYTES)
        if not data:
            raise ProtocolError(400, "request_cut_short")
        self._buffer += data

    # --- answering -----------------------------------------------------------------------------------------

    async def _respond(self, head: Head, response: Response, close: bool = False) -> bool:
        """Send `response`; True when the connection may carry another."""
        close = close or not head.keep_alive or self._host.draining.is_set()
        streamed = response.stream is not None
        chunked = streamed and not head.is_http_1_0
        close = close or (streamed and head.is_http_1_0)
        try:
            try:
                start = encode_head(
                    response, close=close, keep_alive_header=head.is_http_1_0, chunked=chunked
                )
            except ValueError as error:  # UnicodeEncodeError is one too
                self._host.report(error)
                return await self._respond(head, error_response(500, "internal"), close)
            has_body = head.method != "HEAD"
            await self._send(start + response.body if has_body and not streamed else start)
            if response.stream is not None and has_body:
                return await self._stream_answer(response.stream, chunked) and not close
            return not close
        finally:
            if response.stream is not None:
                with trio.move_on_after(_CLOSE_SECONDS, shield=True):
                    await response.stream.aclose()

    async def _send(self, data: bytes) -> None:
        self._wait("write", self._limits.write_seconds)
        await self._stream.send_all(data)

    async def _stream_answer(self, pieces: trio.abc.ReceiveChannel[bytes], chunked: bool) -> bool:
        """Send a streamed answer; True when another may follow. What the peer pipelines meanwhile is kept."""

        def pause() -> None:
            self._wait("handler", math.inf)

        answer = StreamedAnswer(self._stream, self._send, pause, self._host.draining)
        intact = await answer.send(pieces, chunked)
        self._buffer += answer.pipelined
        return intact

    async def _refuse(self, error: ProtocolError) -> None:
        retry = {"Retry-After": str(self._limits.retry_after_seconds)} if error.status == 503 else {}
        response = error_response(error.status, error.reason, retry)
        with trio.move_on_after(self._limits.write_seconds):
            await self._stream.send_all(encode_head(response, close=True) + response.body)
            await linger(self._stream, self._limits.linger_seconds, self._limits.max_linger_bytes)
