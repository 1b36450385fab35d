"""One connection that needs no task while it waits for a request, nor for one that is answered at once.

Without a task it only ever handles a request that is here whole, small and plain, in bytes that were read once.
Everything else is read and answered by `Connection`, in a task, with the same bytes: an incomplete request, a large or
chunked one, one that is doubtful or refused, an answer that the peer does not take. So each rule of HTTP, each limit
and each time-out is in one place.

The laws of this file:
1. Nothing here waits, and a byte that was read is in the buffer or in the request that was made of it.
2. While a request is handled nothing is read.
3. What a task does first, it does before it reads: `begin_with` is done once.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from daemon.web.http1.connection import Connection
from daemon.web.http1.head import Head, ProtocolError, parse_head
from daemon.web.http1.host import Host
from daemon.web.http1.messages import Finish, Peer, Request, Response, encode_head, error_response
from daemon.web.http1.stream import DirectStream

READ_BYTES = 16 * 1024
"""The most of a connection that is read in one round: what does not fit goes to a task."""

Outlook = Literal["waits", "task", "ended"]
"""What becomes of a connection: it waits for a request, needs a task, or is over."""


class QuickConnection(Connection):
    def __init__(self, stream: DirectStream, peer: Peer, host: Host) -> None:
        super().__init__(stream, peer, host)
        self.stream = stream
        self.descriptor = stream.socket.fileno()
        self._first: Callable[[], Awaitable[bool]] | None = None
        self._has_more = self._is_over = False
        """What the socket was said to have, and was not read."""

    # --- without a task ------------------------------------------------------------------------------------

    def rest(self, now: float) -> None:
        """No request is here."""
        self._waiting = "idle"
        seconds = self._limits.idle_seconds if self._served else self._limits.head_seconds
        self._expires_at = now + seconds

    def came(self, is_over: bool) -> bool:
        """Something came; returns whether it is to be looked at now. `is_over`: perhaps the end of its sending."""
        self._has_more = True
        self._is_over = self._is_over or is_over
        return self._waiting != "handler"

    def next_request(self) -> Request | Outlook:
        """The next request, if it is here whole, small and plain."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
        else:
            try:
                data = self.stream.socket.recv(READ_BYTES)
            except BlockingIOError:
                self._has_more = self._is_over = False
                return "waits"
            except OSError:
                return "ended"
            if not data:
                return "ended"
            # Less than was asked for is all there was; but its end is told only once, perhaps with these bytes.
            self._has_more = self._is_over or len(data) == READ_BYTES
        request = self._whole(data)
        if request is None:
            self._buffer += data
            self._wait("head", self._limits.head_seconds)
            return "task"
        return request

    def _whole(self, data: bytes) -> Request | None:
        """The request at the beginning of `data`, what follows it being kept; None: a task is to read it."""
        limits = self._limits
        end = data.find(b"\r\n\r\n") + 4
        if not 4 <= end <= limits.max_head_bytes:
            return None
        try:
            head = parse_head(data[:end], limits.max_headers)
        except ProtocolError:
            return None
        size = end + head.content_length
        is_small = size <= len(data) and head.content_length <= limits.max_body_bytes
        if not is_small or head.chunked or head.expects_continue or not self._is_let_in(head):
            return None
        self._held_bytes = head.content_length
        self._head = head
        self._buffer += data[size:]
        self._waiting, self._expires_at = "handler", math.inf
        self._served += 1
        self._host.count_request()
        return self._request(head, data[end:size])

    def _is_let_in(self, head: Head) -> bool:
        """Whether its client may ask now, the gate lets it in, and there is room for its body; else a task says so."""
        self._stranger = None
        if self._is_proxied and not self._learn_client(head):
            return False
        refusal = None if self._is_known else self._look_at(head)
        if refusal is not None:
            self._first = partial(self._refuse_whole, refusal)
        return refusal is None and self._host.bodies.take(head.content_length, self._stranger)

    async def _refuse_whole(self, refusal: Response) -> bool:
        head = self._head = await self._receive_head()  # it is in the buffer
        assert head is not None
        return await self._refuse_unread(head, refusal)

    def begin_with(self, rest: Finish) -> None:
        """A task is to make the answer to the request that is handled."""
        self._first = partial(self._go_on, rest)

    def answer(self, response: Response) -> Outlook:
        """Send the answer to the request that is handled."""
        head = self._head
        assert head is not None
        self._let_go()
        self._learn_sender(response)
        if response.stream is not None:
            self._first = partial(self._respond, head, response)
            return "task"
        close = not head.keep_alive or self._host.draining.is_set()
        try:
            data = encode_head(response, close=close, keep_alive_header=head.is_http_1_0)
        except ValueError as error:
            self._host.report(error)
            return self.answer(error_response(500, "internal"))
        if head.method != "HEAD":
            data += response.body
        try:
            sent = self.stream.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return "ended"
        if sent < len(data):
            self._first = partial(self._send_rest, data[sent:], close)
            return "task"
        if self._is_proxied:
            self._host.places.give_back(self)
        return "ended" if close else "waits"

    def has_more(self) -> bool:
        """Whether to look at once for another request."""
        return self._has_more or bool(self._buffer)

    def is_expired(self, now: float) -> bool:
        return now >= self._expires_at

    def may_close(self) -> bool:
        """For the drain: no byte of a request has come, and none is awaited."""
        return self._waiting == "idle" and not self._may_still_ask and not self._has_unread_bytes()

    def close_now(self) -> None:
        self._let_go()
        self.stream.socket.close()

    # --- in a task -----------------------------------------------------------------------------------------

    async def _serve_one(self) -> bool:
        if self._first is not None:
            first, self._first = self._first, None
            return await first()
        return await super()._serve_one()

    def _rests(self) -> bool:
        # While the server drains, the task knows best how this ends.
        if self._buffer or self._host.draining.is_set():
            return False
        self._has_more = self._is_over = False  # told anew when it is watched again
        if self._is_proxied:
            self._host.places.give_back(self)
        return True

    async def _go_on(self, rest: Finish) -> bool:
        head = self._head
        assert head is not None
        try:
            response = await self._contained(rest())
        finally:
            self._let_go()
        self._learn_sender(response)
        return await self._respond(head, response)

    async def _send_rest(self, data: bytes, close: bool) -> bool:
        await self._send(data)
        return not close
