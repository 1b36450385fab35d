"""The end of accepting where another process goes on at the same address: nobody may notice it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from daemon.web.http1 import HttpServer, passed_tcp_listener, passed_unix_listener
from tests.daemon.web.http1.support import GET, echo, read_answer, serving
from tests.support.patience import PATIENCE_SECONDS, until

pytestmark = pytest.mark.usefixtures("both_ways")


async def test_a_patient_drain_waits_for_a_first_request() -> None:
    """Accepted and silent so far: it is answered, with `Connection: close`; one that was served already is closed."""
    async with serving() as served, trio.open_nursery() as nursery:
        idle, fresh = await served.connect(), await served.connect()
        await idle.send_all(GET)
        await read_answer(idle)
        await until(lambda: served.server.counters.connections == 2)
        nursery.start_soon(served.server.drain, True)
        with trio.fail_after(PATIENCE_SECONDS):
            assert await idle.receive_some(1) == b""
            await fresh.send_all(GET)
            answer = await read_answer(fresh)
            assert (answer.status, answer.headers["connection"]) == (200, "close")
        await until(lambda: served.server.counters.connections == 0)
        with trio.fail_after(PATIENCE_SECONDS):
            await served.server.drain()  # once more, to be sure: it has ended


async def test_a_request_that_is_in_the_kernel_already_is_answered() -> None:
    """It came in the very moment of the drain, before its task was told: no reset for it, patient or not."""
    async with serving() as served:
        kept = await served.connect()
        await kept.send_all(GET)
        await read_answer(kept)
        await until(lambda: served.server.counters.connections == 1)
        # No checkpoint from here to the drain: the server's task cannot read in between.
        assert isinstance(kept, trio.SocketStream)
        raw = socket.fromfd(kept.socket.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        raw.setblocking(False)
        raw.send(GET)
        raw.close()
        with trio.fail_after(PATIENCE_SECONDS):
            await served.server.drain()
            answer = await read_answer(kept)
        assert (answer.status, answer.headers["connection"]) == (200, "close")


async def test_what_connects_after_the_drain_is_left_to_the_next_process() -> None:
    """The socket is another's as well: after the drain it still takes connections, and a second server serves them."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        first, second = HttpServer(echo), HttpServer(echo)
        async with trio.open_nursery() as nursery:
            await nursery.start(first.serve, [passed_tcp_listener(held.dup())])
            with trio.fail_after(PATIENCE_SECONDS):
                await first.drain(patient=True)
                async with await trio.open_tcp_stream(*held.getsockname()) as waiting:
                    await waiting.send_all(GET)
                    await nursery.start(second.serve, [passed_tcp_listener(held.dup())])
                    assert (await read_answer(waiting)).status == 200
            nursery.cancel_scope.cancel()


async def test_the_file_of_a_passed_socket_stays(tmp_path: Path) -> None:
    """Whoever made it removes it."""
    with socket.socket(socket.AF_UNIX) as held:
        path = tmp_path / "door"
        held.bind(str(path))
        held.listen()
        listener = passed_unix_listener(held.dup())
        assert listener.path == path
        await listener.aclose()
        assert path.is_socket()
