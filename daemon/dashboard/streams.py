"""Event streams to pages: limited in number, each open until the page leaves or its session ends.

A page that gets no stream polls instead. One that reads too slowly is disconnected by the server, or gets a last
`tail.dropped`; nothing waits for it.
"""

from __future__ import annotations

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
        self._streams = 0

    async def open(self, session: DashboardSession, ask: Callable[[], Awaitable[Response]]) -> Response:
        """The stream from `ask`, or its refusal; 503 when there are too many streams."""
        if self._streams >= MAX_STREAMS or session.streams >= MAX_STREAMS_PER_SESSION:
            words = "too many pages follow the events: close one of them"
            return error_response(503, "too_many_streams", words, {"Retry-After": str(RETRY_SECONDS)})
        self._count(session, +1)  # before the await: other requests run meanwhile
        stream = None
        try:
            response = await ask()
            stream = response.stream
        finally:
            if stream is None:
                self._count(session, -1)
        if stream is None:
            return response
        counted = _SessionStream(stream, lambda: self._is_open(session), lambda: self._count(session, -1))
        return msgspec.structs.replace(response, stream=counted)

    def _count(self, session: DashboardSession, change: int) -> None:
        self._streams += change
        session.streams += change


class _SessionStream(trio.abc.ReceiveChannel[bytes]):
    """Ends with its session, and is counted until it is closed."""

    def __init__(
        self,
        stream: trio.abc.ReceiveChannel[bytes],
        is_open: Callable[[], bool],
        on_close: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._is_open = is_open
        self._on_close: Callable[[], None] | None = on_close

    async def receive(self) -> bytes:
        piece = await self._stream.receive()
        if not self._is_open():
            raise trio.EndOfChannel
        return piece

    async def aclose(self) -> None:
        if self._on_close is not None:
            self._on_close()
            self._on_close = None
        await self._stream.aclose()
