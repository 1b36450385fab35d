"""Event streams to pages: limited in number, each open until the page leaves or its session ends.

A page that gets no stream polls instead. When there are too many, whoever asked for the sessions that have the most of
them loses one to another who has fewer. A page that reads too slowly is disconnected by the server, or gets a last
`tail.dropped`; nothing waits for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import trio

from daemon.dashboard.access import DashboardSession
from daemon.dashboard.guard import error_response
from daemon.web.http1 import Response

MAX_STREAMS = 32
MAX_STREAMS_PER_SESSION = 8
RETRY_SECONDS = 10


class EventStreams:
    def __init__(self, is_open: Callable[[DashboardSession], bool]) -> None:
        """`is_open`: whether a session is still open."""
        self._is_open = is_open
        self._open: list[_SessionStream] = []
        """The oldest first."""

    async def open(self, session: DashboardSession, ask: Callable[[], Awaitable[Response]]) -> Response:
        """The stream from `ask`, or its refusal; 503 when there are too many streams."""
        if len(session.streams) >= MAX_STREAMS_PER_SESSION or not self._make_room(session.asked_by):
            words = "too many pages follow the events: close one of them"
            return error_response(503, "too_many_streams", words, {"Retry-After": str(RETRY_SECONDS)})
        stream = _SessionStream(session, self._is_open, self._open.remove)
        self._open.append(stream)  # before the await: other requests run meanwhile
        session.streams.add(stream)
        answered = None
        try:
            response = await ask()
            answered = response.stream
        finally:
            if answered is None:
                stream.forget()
        if answered is None:
            return response
        stream.carry(answered)
        return msgspec.structs.replace(response, stream=stream)

    def _make_room(self, asked_by: str) -> bool:
        """Whether there is a place, perhaps because another who has more of them loses his newest."""
        if len(self._open) < MAX_STREAMS:
            return True
        held = Counter(stream.session.asked_by for stream in self._open)
        greedy, most = held.most_common(1)[0]
        if held[asked_by] >= most - 1:  # no more than a swap
            return False
        next(stream for stream in reversed(self._open) if stream.session.asked_by == greedy).end()
        return True


class _SessionStream(trio.abc.ReceiveChannel[bytes]):
    """Ends with its session, or before when it is told to, and is counted until then."""

    def __init__(
        self,
        session: DashboardSession,
        is_open: Callable[[DashboardSession], bool],
        on_end: Callable[[_SessionStream], None],
    ) -> None:
        self.session = session
        self._is_open = is_open
        self._on_end: Callable[[_SessionStream], None] | None = on_end
        self._stream: trio.abc.ReceiveChannel[bytes] | None = None
        self._waiting = trio.CancelScope()

    def carry(self, stream: trio.abc.ReceiveChannel[bytes]) -> None:
        """What it receives from, from now on."""
        self._stream = stream

    def forget(self) -> None:
        """It counts no more."""
        if self._on_end is not None:
            self.session.streams.discard(self)
            self._on_end(self)
            self._on_end = None

    def end(self) -> None:
        """Whoever receives from it finds its end at once."""
        self.forget()
        self._waiting.cancel()

    async def receive(self) -> bytes:
        if self._stream is None or self._on_end is None:
            raise trio.EndOfChannel
        with trio.CancelScope() as self._waiting:
            piece = await self._stream.receive()
            if self._is_open(self.session):
                return piece
        raise trio.EndOfChannel

    async def aclose(self) -> None:
        self.forget()
        if self._stream is not None:
            await self._stream.aclose()
