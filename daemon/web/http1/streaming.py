"""One streamed answer, from the channel of its pieces to the peer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

_RECEIVE_BYTES = 16 * 1024


class StreamedAnswer:
    """Sends the pieces as they come. A peer that closes its side ends it, and so does the drain.

    Args:
      send: sends bytes, within a time of its own.
      pause: called before each wait for a piece, which may take as long as it likes.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        send: Callable[[bytes], Awaitable[None]],
        pause: Callable[[], None],
        draining: trio.Event,
    ) -> None:
        self.pipelined: bytes | bytearray = b""
        """What the peer sent meanwhile."""
        self._stream = stream
        self._send = send
        self._pause = pause
        self._draining = draining
        self._waiting_for_piece = trio.CancelScope()

    async def send(self, pieces: trio.abc.ReceiveChannel[bytes], chunked: bool) -> bool:
        """True when it was sent to its end, the peer is still there and another may follow.

        The drain ends it cleanly, as if the channel had ended.
        """
        intact = False
        async with trio.open_nursery() as nursery:
            # A peer that left is seen by reading alone: writing notices it only when the kernel's buffer is full, which
            # for a stream of rare events may take hours.
            nursery.start_soon(self._watch_peer, nursery.cancel_scope)
            nursery.start_soon(self._watch_drain)
            await self._send_pieces(pieces, chunked)
            if chunked:
                await self._send(b"0\r\n\r\n")
            intact = True
            nursery.cancel_scope.cancel()
        return intact and not self._draining.is_set()

    async def _send_pieces(self, pieces: trio.abc.ReceiveChannel[bytes], chunked: bool) -> None:
        while (piece := await self._next_piece(pieces)) is not None:
            if not piece:
                continue  # an empty chunk would end the answer
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
            await self._send(framed)

    async def _next_piece(self, pieces: trio.abc.ReceiveChannel[bytes]) -> bytes | None:
        """None at the end of the channel or when the server drains; only this wait is cut by the drain."""
        if self._draining.is_set():
            return None
        self._pause()
        # A scope of its own for each wait: the drain may cut the wait for a piece, never a piece that is being sent, or
        # the peer would see a broken chunk instead of the end.
        with trio.CancelScope() as self._waiting_for_piece:
            try:
                return await pieces.receive()
            except trio.EndOfChannel:
                return None
        return None

    async def _watch_peer(self, answer: trio.CancelScope) -> None:
        """End the answer when the peer has gone. What it pipelined instead is kept, and then no more is read."""
        try:
            data = await self._stream.receive_some(_RECEIVE_BYTES)
        except trio.BrokenResourceError:
            data = b""
        if data:
            self.pipelined = data
        else:
            answer.cancel()

    async def _watch_drain(self) -> None:
        await self._draining.wait()
        self._waiting_for_piece.cancel()
