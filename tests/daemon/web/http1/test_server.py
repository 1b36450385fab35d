"""Many connections: bounds, accept failures, drain."""

from __future__ import annotations

import errno
from contextlib import AsyncExitStack, suppress

import pytest
import trio
import trio.testing

from daemon.web.http1 import UNPROVEN, HttpServer, Limits, Request, Response, Unproven, json_response
from tests.daemon.web.http1.support import (
    GET,
    MemoryListener,
    echo,
    read_all,
    read_answer,
    serving,
    serving_in_memory,
)
from tests.support.patience import PATIENCE_SECONDS, until

pytestmark = pytest.mark.usefixtures("both_ways")


@pytest.mark.parametrize("limits", [Limits(max_connections=2), Limits(max_connections_per_address=2)])
async def test_a_connection_too_many_gets_503(limits: Limits) -> None:
    """I8: 503 with Retry-After where all are known; a place is free again when a connection ends."""
    async with serving(limits=limits) as served, await served.connect() as first:
        second = await served.connect()
        for known in (first, second):
            await known.send_all(GET)
            assert (await read_answer(known)).status == 200
        (answer,) = await served.say(GET)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert answer.headers["connection"] == "close"
        assert served.server.counters.refused_connections == 1
        await second.aclose()
        await until(lambda: served.server.counters.connections == 1)
        assert [answer.status for answer in await served.say(GET)] == [200]
        await first.send_all(GET)
        assert (await read_answer(first)).status == 200


SILENCE = {
    "nothing": b"",
    "half_a_head": b"POST / HTTP/1.1\r\n",
    "no_body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    "after_a_request": GET,
}


@pytest.mark.parametrize("sent", SILENCE.values(), ids=SILENCE)
@pytest.mark.parametrize("limits", [Limits(max_connections=4), Limits(max_connections_per_address=4)])
async def test_silent_strangers_keep_no_known_client_out(limits: Limits, sent: bytes) -> None:
    """The oldest of them gives its place away, with a 503 that it may read; the known keep theirs."""
    known = GET.replace(b"Host", b"Key: yes\r\nHost")
    async with (
        serving(limits=limits, gate=lambda request: "key" in request.headers) as served,
        await served.connect() as first,
        AsyncExitStack() as crowd,
    ):
        await first.send_all(known)
        assert (await read_answer(first)).status == 200
        silent = [await crowd.enter_async_context(await served.connect()) for _ in range(12)]
        for stream in silent:
            with suppress(trio.BrokenResourceError):  # it may be out already
                await stream.send_all(sent)
        await until(lambda: served.server.counters.refused_connections == 9)
        second = await crowd.enter_async_context(await served.connect())
        for stream in (second, first):
            await stream.send_all(known)
            assert (await read_answer(stream)).status == 200
        assert served.server.counters.connections == 4


async def test_a_named_client_keeps_no_other_out() -> None:
    """His oldest waiting connection gives its place while he has more than his share; a newcomer has a share too."""
    limits = Limits(max_connections_per_address=4)
    async with (
        serving(limits=limits, gate=lambda request: request.headers.get("key", "")) as served,
        AsyncExitStack() as crowd,
    ):

        async def ask(name: bytes) -> tuple[trio.SocketStream, int]:
            stream = await crowd.enter_async_context(await served.connect())
            await stream.send_all(GET.replace(b"Host", b"Key: " + name + b"\r\nHost"))
            return stream, (await read_answer(stream)).status

        greedy = [await ask(b"greedy") for _ in range(4)]
        other = [await ask(b"other") for _ in range(2)]
        assert [status for _, status in (*greedy, *other)] == [200] * 6
        for out, _ in greedy[:2]:
            assert (await read_answer(out)).status == 503
        for _ in range(4):  # in the end it is the third whose own gives its place
            _, status = await ask(b"third")
            assert status == 200
        for kept, _ in (greedy[3], other[1]):
            await kept.send_all(GET)
            assert (await read_answer(kept)).status == 200


async def test_what_the_gate_refuses_is_answered_before_its_body_is_read() -> None:
    refusal = json_response(401, {"status": "error"})
    async with (
        serving(gate=lambda request: refusal) as served,
        await served.connect() as stream,
    ):
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx")
        answer = await read_answer(stream)
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert served.server.bodies.held == 0


BODY = 1000
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
BODIES = {
    "whole": POST + b"Content-Length: %d\r\n\r\n" % BODY,
    "chunked": POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % BODY,
}


@pytest.mark.parametrize("start", BODIES.values(), ids=BODIES)
async def test_all_bodies_share_their_bytes(start: bytes) -> None:
    """What is there counts, not what was announced; 503 for what does not fit, and the rest comes back."""
    limits = Limits(max_bytes_in_flight=2500)
    async with serving(limits=limits) as served, AsyncExitStack() as slow:
        for _ in range(3):  # announced: more than there is
            stream = await slow.enter_async_context(await served.connect())
            await stream.send_all(start + b"x" * (BODY - 300))
        await until(lambda: 3 * (BODY - 300) <= served.server.bodies.held < 3 * BODY)
        (answer,) = await served.say(POST + b"Content-Length: 900\r\nConnection: close\r\n\r\n" + b"x" * 900)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert served.server.counters.rejected == {"too_many_bytes_in_flight": 1}
        await slow.aclose()
        await until(lambda: served.server.bodies.held == 0)
        assert [answer.status for answer in await served.say(start + b"x" * BODY + b"\r\n0\r\n\r\n")][:1] == [
            200
        ]
    assert served.server.bodies.held == 0


async def test_a_body_counts_until_it_is_handled(autojump_clock: trio.testing.MockClock) -> None:
    """What is made of it may be much larger."""

    async def slow(request: Request) -> Response:
        await trio.sleep(3)
        return json_response(200, {})

    request = POST + b"Content-Length: %d\r\n\r\n" % BODY + b"x" * BODY
    async with serving_in_memory(slow, Limits(max_bytes_in_flight=BODY)) as (server, listener):
        first, second = listener.connect(), listener.connect()
        await first.send_all(request)
        await trio.testing.wait_all_tasks_blocked()
        await second.send_all(request)
        assert (await read_answer(second)).status == 503
        assert (await read_answer(first)).status == 200
        assert server.bodies.held == 0


def unproven(request: Request) -> Unproven | bool:
    return request.headers.get("apikey") == "right" or UNPROVEN


async def by_the_body(request: Request) -> Response:
    return json_response(200 if request.body.endswith(b"!") else 401, {})


def signed(size: int, end: bytes = b"!", more: bytes = b"") -> bytes:
    return POST + b"Content-Length: %d\r\n%b\r\n" % (size, more) + b"x" * (size - 1) + end


async def test_bodies_that_show_their_sender_at_their_end_have_bounds_of_their_own() -> None:
    """I8: strangers hold no more than this, each address no more than its part, and nobody else notices."""
    limits = Limits(max_body_bytes=BODY, max_unproven_bytes=2 * BODY)
    async with serving(by_the_body, limits, unproven) as served, AsyncExitStack() as slow:
        stream = await slow.enter_async_context(await served.connect())
        await stream.send_all(signed(BODY)[:-300])
        await until(lambda: served.server.bodies.held > 0)
        for start in (signed(500), BODIES["chunked"].replace(b"3e8", b"1f4") + b"x" * 500):
            (answer, *_) = await served.say(start)
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        (answer, *_) = await served.say(signed(500, more=b"apikey: right\r\n"))
        assert answer.status == 200
        await slow.aclose()
        await until(lambda: served.server.bodies.held == 0)
        assert [answer.status for answer in await served.say(signed(500) + signed(BODY))] == [200, 200]
        (answer,) = await served.say(signed(BODY + 1))
        assert answer.status == 413
    assert (served.server.bodies.held, served.server.bodies.strange) == (0, 0)


async def test_who_has_shown_his_right_by_a_body_is_known_on_this_connection() -> None:
    """So it is no stranger's, which must give its place to anybody; a refusal shows nothing."""
    looked: list[str] = []

    def gate(request: Request) -> Unproven:
        looked.append(request.headers["n"])
        return UNPROVEN

    numbered = [
        signed(10, end, b"n: %d\r\n" % number) for number, end in enumerate((b"?", b"?", b"!", b"!", b"?"))
    ]
    async with serving(by_the_body, gate=gate) as served:
        answers = await served.say(b"".join(numbered))
        assert [answer.status for answer in answers] == [401, 401, 200, 200, 401]
        assert looked == ["0", "1", "2"]


class ShortOfDescriptors(MemoryListener):
    """Fails its first accepts as a process without file descriptors does."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self._failures = failures

    async def accept(self) -> trio.abc.Stream:
        if self._failures:
            self._failures -= 1
            await trio.lowlevel.checkpoint()
            raise OSError(errno.EMFILE, "too many open files")
        return await super().accept()


async def test_accepting_survives_a_lack_of_descriptors(autojump_clock: trio.testing.MockClock) -> None:
    """I14: the listener goes on; the lack is told once, not ten times a second."""
    errors: list[BaseException] = []
    server = HttpServer(echo, on_error=lambda _name, error: errors.append(error))
    listener = ShortOfDescriptors(30)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        client = listener.connect()
        await client.send_all(GET)
        with trio.fail_after(60):
            assert (await read_answer(client)).status == 200
        nursery.cancel_scope.cancel()
    assert len(errors) == 1 and server.counters.accept_pauses == 1


async def test_a_failing_callback_ends_nothing() -> None:
    """I14."""

    async def broken(_request: Request) -> Response:
        raise RuntimeError

    def worse(_name: str, _error: BaseException) -> None:
        raise ValueError

    server = HttpServer(broken, on_error=worse)
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        client = listener.connect()
        await client.send_all(GET)
        assert (await read_answer(client)).status == 500
        nursery.cancel_scope.cancel()


async def test_drain_finishes_what_runs_and_closes_what_idles() -> None:
    """I13: the request in progress is answered with `Connection: close`; nothing new is accepted."""
    entered, proceed, drained = trio.Event(), trio.Event(), trio.Event()

    async def slow(request: Request) -> Response:
        if request.method == "POST":
            entered.set()
            await proceed.wait()
        return json_response(200, {})

    async def drain(server: HttpServer) -> None:
        await server.drain()
        drained.set()

    async with serving(slow) as served, trio.open_nursery() as nursery:
        idle, fresh, busy = [await served.connect() for _ in range(3)]
        await idle.send_all(GET)
        await read_answer(idle)
        await busy.send_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        await entered.wait()
        await until(lambda: served.server.counters.connections == 3)
        nursery.start_soon(drain, served.server)
        with trio.fail_after(PATIENCE_SECONDS):
            assert await idle.receive_some(1) == b""
            assert await fresh.receive_some(1) == b""
        with pytest.raises(OSError):
            await served.connect()
        assert not drained.is_set()
        proceed.set()
        answer = await read_answer(busy)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        with trio.fail_after(PATIENCE_SECONDS):
            await drained.wait()
        assert served.server.counters.connections == 0


async def test_drain_ends_streamed_answers_cleanly() -> None:
    """I13."""
    send, receive = trio.open_memory_channel[bytes](1)
    send.send_nowait(b"one")

    async def stream(_request: Request) -> Response:
        return Response(200, stream=receive)

    async with serving(stream) as served, await served.connect() as client:
        await client.send_all(GET)
        raw = b""
        while b"one" not in raw:
            raw += await client.receive_some(1000)
        await trio.testing.wait_all_tasks_blocked()  # the server waits for the next piece
        with trio.fail_after(PATIENCE_SECONDS):
            await served.server.drain()
            raw += await read_all(client)
    assert raw.endswith(b"3\r\none\r\n0\r\n\r\n")


async def test_the_drain_is_bounded_by_its_caller(autojump_clock: trio.testing.MockClock) -> None:
    """I13: a handler that never returns holds nobody up longer than asked."""

    async def never(_request: Request) -> Response:
        await trio.sleep_forever()
        raise AssertionError

    async with serving_in_memory(never) as (server, listener):
        client = listener.connect()
        await client.send_all(GET)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(20) as patience:
            await server.drain()
        assert patience.cancelled_caught
        assert server.counters.connections == 1


async def test_many_connections_at_once() -> None:
    async with serving() as served, trio.open_nursery() as nursery:

        async def one() -> None:
            assert [answer.status for answer in await served.say(GET * 5)] == [200] * 5

        for _ in range(30):
            nursery.start_soon(one)
    assert served.server.counters.requests == 150
    assert not served.errors
