"""Proxies before Postgres: one counts round trips and drops replies on demand, one is a pooler."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit, urlunsplit

import trio
import trio.testing

_COMMAND_COMPLETE = b"C"
_READY_FOR_QUERY = b"Z"


class PostgresProxy:
    """Listens on a TCP port and speaks to the server's Unix socket.

    `round_trips` counts how often the server said that it is ready for the next query. `lose_answers` is how many
    statements, from now on, are carried out and committed while their answer is lost with the connection; `lose_tag` is
    how the server's word for them begins (`UPDATE`), where the driver asks for things of its own in between.
    `delay_seconds` is how much later everything that a client says arrives, as if the server were far away.
    `say_goodbye` sends every client what a stopping server sends, and leaves the connection open. With `tls` it is a
    server that encrypts, in either way of beginning.
    """

    def __init__(self, server_dsn: str, tls: ssl.SSLContext | None = None) -> None:
        self._url = urlsplit(server_dsn)
        query = parse_qs(self._url.query)
        self._socket_path = f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}"
        self._port = 0
        self._tls = tls
        self.round_trips = 0
        self.lose_answers = 0
        self.lose_tag = b""
        self.delay_seconds = 0.0
        self._clients: set[trio.abc.Stream] = set()

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
        await trio.testing.wait_all_tasks_blocked()  # of the answer before, all is sent
        words = b"SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
        for client in tuple(self._clients):
            await client.send_all(b"E" + (4 + len(words)).to_bytes(4, "big") + words)

    async def _carry(self, plain: trio.SocketStream) -> None:
        client: trio.abc.Stream = plain
        if self._tls is not None:
            if await plain.socket.recv(1, socket.MSG_PEEK) != b"\x16":  # it asks whether we encrypt
                await plain.receive_some(8)
                await plain.send_all(b"S")
            client = trio.SSLStream(plain, self._tls, server_side=True, https_compatible=True)
        self._clients.add(client)
        try:
            await self._carry_both(client)
        finally:
            self._clients.discard(client)

    async def _carry_both(self, client: trio.abc.Stream) -> None:
        server = await trio.open_unix_socket(self._socket_path)
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._carry_up, client, server, nursery.cancel_scope)
            await self._carry_down(server, client)
            nursery.cancel_scope.cancel()

    async def _carry_up(
        self, client: trio.abc.Stream, server: trio.SocketStream, both: trio.CancelScope
    ) -> None:
        try:
            while data := await client.receive_some():
                if self.delay_seconds:
                    await trio.sleep(self.delay_seconds)
                await server.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        both.cancel()

    async def _carry_down(self, server: trio.SocketStream, client: trio.abc.Stream) -> None:
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


class Pooler:
    """Like PgBouncer before a server that trusts everybody.

    Args:
      mode: when a client gives back its server: after its `session`, each `transaction`, or each `statement`.
      refuses: names of parameters with which no session may start.
    """

    def __init__(self, server_dsn: str, mode: str, refuses: frozenset[str] = frozenset()) -> None:
        self._inner = PostgresProxy(server_dsn)
        self._mode = mode
        self._refuses = refuses
        self._idle: list[trio.SocketStream] = []
        self._port = 0

    @property
    def dsn(self) -> str:
        self._inner._port = self._port
        return self._inner.dsn

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self._port = listeners[0].socket.getsockname()[1]
        task_status.started()
        try:
            await trio.serve_listeners(self._carry, listeners)
        finally:
            for server in self._idle:
                server.socket.close()

    async def _carry(self, client: trio.SocketStream) -> None:
        async with client:
            start = bytearray(await client.receive_some())
            names = bytes(start[8:]).split(b"\0")[::2]
            if refused := [name for name in names if name.decode() in self._refuses]:
                await client.send_all(_fatal(b"unsupported startup parameter: " + refused[0]))
                return
            server = await trio.open_unix_socket(self._inner._socket_path)
            await server.send_all(start)
            link = _Link(client)
            if not await link.answer(server):  # a request to cancel, or a refusal
                return
            if self._mode == "session":
                link.server = server
            else:
                self._idle.append(server)
            async with trio.open_nursery() as nursery:
                await self._carry_up(link, nursery)
                nursery.cancel_scope.cancel()
            if self._mode == "session":
                server.socket.close()

    async def _carry_up(self, link: _Link, nursery: trio.Nursery) -> None:
        frames = bytearray()
        with suppress(trio.BrokenResourceError):
            while data := await link.client.receive_some():
                frames += data
                while (frame := _next_frame(frames)) is not None:
                    if frame[:1] == b"X":
                        return
                    if self._mode == "statement" and b"BEGIN" in frame:
                        words = b"transaction blocks not allowed in statement pooling mode"
                        await link.client.send_all(_fatal(words))
                        return
                    if not link.is_asking:
                        link.server = link.server or self._idle.pop()
                        link.is_asking = True
                        nursery.start_soon(self._carry_down, link, link.server)
                    assert link.server is not None
                    await link.server.send_all(frame)

    async def _carry_down(self, link: _Link, server: trio.SocketStream) -> None:
        def give_back(state: bytes) -> None:
            link.is_asking = False
            if state == b"I" and self._mode != "session":
                link.server = None
                self._idle.append(server)

        await link.answer(server, give_back)


class _Link:
    """One client of a pooler, and the server that it has now."""

    def __init__(self, client: trio.SocketStream) -> None:
        self.client = client
        self.server: trio.SocketStream | None = None
        self.is_asking = False

    async def answer(
        self, server: trio.SocketStream, at_end: Callable[[bytes], None] = lambda state: None
    ) -> bool:
        """Forward until the server is ready for more; False when it ends instead."""
        frames = bytearray()
        while data := await server.receive_some():
            frames += data
            while (frame := _next_frame(frames)) is not None:
                ready = frame[:1] == _READY_FOR_QUERY
                if ready:
                    at_end(bytes(frame[5:6]))  # before the client hears of it and asks for more
                await self.client.send_all(frame)
                if ready:
                    return True
        return False


def _fatal(words: bytes) -> bytes:
    text = b"SFATAL\0C08P01\0M" + words + b"\0\0"
    return b"E" + (4 + len(text)).to_bytes(4, "big") + text
