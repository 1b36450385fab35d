"""Pages that follow the events: each takes one of a bounded number of places, until it leaves or its session ends.

A page without a place asks now and then instead. One that reads too slowly is cut off by the server, or gets a last
`tail.dropped`; nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from daemon.dashboard.access import Session
from daemon.dashboard.guard import refused
from daemon.web.http1 import Response

MAX_STREAMS = 32
MAX_STREAMS_PER_SESSION = 8
RETRY_SECONDS = 10


class Followers:
    def __init__(self, is_open: Callable[[Session], bool]) -> None:
        """`is_open`: whether a session has not ended yet."""
        self._is_open = is_open
        self._streams = 0

    async def join(self, session: Session, ask: Callable[[], Awaitable[Response]]) -> Response:
        """The stream that `ask` gives, or what it refuses; 503 where every place is taken."""
        if self._streams >= MAX_STREAMS or session.streams >= MAX_STREAMS_PER_SESSION:
            words = "too many pages follow the events: close one of them"
            return refused(503, "too_many_streams", words, {"Retry-After": str(RETRY_SECONDS)})
        self._count(session, +1)  # before the wait: others ask meanwhile
        stream = None
        try:
            response = await ask()
            stream = response.stream
        finally:
            if stream is None:
                self._count(session, -1)
        if stream is None:
            return response
        followed = _Followed(stream, lambda: self._is_open(session), lambda: self._count(session, -1))
        return msgspec.structs.replace(response, stream=followed)

    def _count(self, session: Session, change: int) -> None:
        self._streams += change
        session.streams += change


class _Followed(trio.abc.ReceiveChannel[bytes]):
    """Ends with its session, and gives its place back."""

    def __init__(
        self,
        stream: trio.abc.ReceiveChannel[bytes],
        may_go_on: Callable[[], bool],
        leave: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._may_go_on = may_go_on
        self._leave: Callable[[], None] | None = leave

    async def receive(self) -> bytes:
        piece = await self._stream.receive()
        if not self._may_go_on():
            raise trio.EndOfChannel
        return piece

    async def aclose(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None
        await self._stream.aclose()
