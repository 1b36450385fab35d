"""A proxy before Postgres that counts round trips and drops replies on demand."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit, urlunsplit

import trio

_COMMAND_COMPLETE = b"C"
_READY_FOR_QUERY = b"Z"


class PostgresProxy:
    """Listens on a TCP port and speaks to the server's Unix socket.

    `round_trips` counts how often the server said that it is ready for the next query. `lose_answers` is how many
    statements, from now on, are carried out and committed while their answer is lost with the connection; `lose_tag` is
    how the server's word for them begins (`UPDATE`), where the driver asks for things of its own in between.
    `delay_seconds` is how much later everything that a client says arrives, as if the server were far away.
    `say_goodbye` sends every client what a stopping server sends, and leaves the connection open.
    """

    def __init__(self, server_dsn: str) -> None:
        self._url = urlsplit(server_dsn)
        query = parse_qs(self._url.query)
        self._socket_path = f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}"
        self._port = 0
        self.round_trips = 0
        self.lose_answers = 0
        self.lose_tag = b""
        self.delay_seconds = 0.0
        self._clients: set[trio.SocketStream] = set()

    @property
    def dsn(self) -> str:
        place = f"{self._url.username}@127.0.0.1:{self._port}"
        return urlunsplit((self._url.scheme, place, self._url.path, "sslmode=disable", ""))

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self._port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._carry, listeners)

    async def say_goodbye(self) -> None:
        words = b"SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
        for client in tuple(self._clients):
            await client.send_all(b"E" + (4 + len(words)).to_bytes(4, "big") + words)

    async def _carry(self, client: trio.SocketStream) -> None:
        self._clients.add(client)
        try:
            await self._carry_both(client)
        finally:
            self._clients.discard(client)

    async def _carry_both(self, client: trio.SocketStream) -> None:
        server = await trio.open_unix_socket(self._socket_path)
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._carry_up, client, server, nursery.cancel_scope)
            await self._carry_down(server, client)
            nursery.cancel_scope.cancel()

    async def _carry_up(
        self, client: trio.SocketStream, server: trio.SocketStream, both: trio.CancelScope
    ) -> None:
        try:
            while data := await client.receive_some():
                if self.delay_seconds:
                    await trio.sleep(self.delay_seconds)
                await server.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        both.cancel()

    async def _carry_down(self, server: trio.SocketStream, client: trio.SocketStream) -> None:
        """Forward frame by frame; returns when the connection is to be cut."""
        frames = bytearray()
        losing = False
        try:
            while data := await server.receive_some():
                frames += data
                out = bytearray()
                while (frame := _next_frame(frames)) is not None:
                    kind = bytes(frame[:1])
                    counts = kind == _COMMAND_COMPLETE and frame[5:].startswith(self.lose_tag)
                    if counts and self.lose_answers:
                        self.lose_answers -= 1
                        losing = True
                    if kind == _READY_FOR_QUERY:
                        self.round_trips += 1
                        if losing:
                            return
                    if not losing:
                        out += frame
                if out:
                    await client.send_all(out)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


def _next_frame(buffer: bytearray) -> bytearray | None:
    """Take one message (type byte, length of the rest) off the buffer's front."""
    if len(buffer) < 5:
        return None
    size = 1 + int.from_bytes(buffer[1:5], "big")
    if len(buffer) < size:
        return None
    frame = buffer[:size]
    del buffer[:size]
    return frame
