"""One connection: the order of answers, limits, and hostile bytes."""

from __future__ import annotations

import itertools

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.web.http1 import Limits, Request, Response, json_response
from tests.daemon.web.http1.support import (
    GET,
    answers_in,
    echo,
    read_all,
    read_answer,
    serving,
    serving_in_memory,
)
from tests.support.patience import until

pytestmark = pytest.mark.usefixtures("both_ways")

POST = b"POST /w HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
STREAM = GET + POST + b"\r\n" + CHUNKED + b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n" + GET
SEEN = [
    ("GET", "/hello", b""),
    ("POST", "/w", b"hello"),
    ("POST", "/c", b"abcde"),
    ("HEAD", "/h", b""),
    ("GET", "/hello", b""),
]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as served:
        answers = await served.say(GET + POST + CHUNKED)
    assert [answer.document["path"] for answer in answers] == ["/hello", "/w", "/c"]
    assert answers[2].document["body"] == "abcde"
    assert served.server.counters.requests == 3


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=12))
def test_splits_do_not_change_the_requests(cuts: list[int]) -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def note(request: Request) -> Response:
        seen.append((request.method, request.path, request.body))
        return json_response(200, {})

    async def main() -> None:
        async with serving_in_memory(note) as (_, listener):
            client = listener.connect()
            edges = [0, *sorted(set(cuts)), len(STREAM)]
            for start, end in itertools.pairwise(edges):
                await client.send_all(STREAM[start:end])
                await trio.testing.wait_all_tasks_blocked()
            assert isinstance(client, trio.StapledStream)
            await client.send_eof()
            raw = await read_all(client)
            assert raw.count(b"HTTP/1.1 200") == len(SEEN)

    trio.run(main)
    assert seen == SEEN


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(noise=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([GET, POST, b"\r\n", b"0\r\n\r\n"]))))
def test_arbitrary_bytes_end_the_connection_and_nothing_else(noise: list[bytes]) -> None:
    """I8, I9: whatever comes, the connection ends in bounded time and the next one is served."""
    errors: list[BaseException] = []

    async def main() -> None:
        async with serving_in_memory(errors=errors) as (_, listener):
            client = listener.connect()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send, client, b"".join(noise))
                with trio.fail_after(120):
                    await read_all(client)
                nursery.cancel_scope.cancel()
            other = listener.connect()
            await other.send_all(GET)
            assert (await read_answer(other)).status == 200
            assert not errors

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def _send(stream: trio.abc.Stream, data: bytes) -> None:
    try:
        if data:
            await stream.send_all(data)
    except trio.BrokenResourceError:
        pass


async def test_no_byte_of_the_answer_before_the_handler_returned() -> None:
    """I1: the first response byte leaves after the handler returned."""
    proceed = trio.Event()
    entered = trio.Event()

    async def slow(_request: Request) -> Response:
        entered.set()
        await proceed.wait()
        return json_response(200, {})

    async with serving_in_memory(slow) as (_, listener):
        client = listener.connect()
        await client.send_all(GET)
        await entered.wait()
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.05) as nothing_came:
            await client.receive_some(1)
        assert nothing_came.cancelled_caught
        proceed.set()
        assert (await read_answer(client)).status == 200


async def test_nothing_is_read_while_the_handler_works() -> None:
    """I8: pipelined bytes wait in the kernel, not in the daemon."""
    proceed = trio.Event()

    async def slow(_request: Request) -> Response:
        await proceed.wait()
        return json_response(200, {})

    async with serving(slow) as served, await served.connect() as client:
        much, sent = 64 * 1024 * 1024, 0

        async def send_much() -> None:
            nonlocal sent
            while sent < much:
                await client.send_all(GET * 4096)
                sent += len(GET) * 4096

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_much)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert sent < much
            nursery.cancel_scope.cancel()
        proceed.set()


async def test_a_crowd_of_requests_in_one_piece_holds_nobody_up() -> None:
    """I8: without a pause between them, some thousands in one piece of bytes stop everything else for 0.1 s."""
    served_at_once = most = 0

    async def quick(_request: Request) -> Response:
        nonlocal served_at_once, most
        served_at_once += 1
        most = max(most, served_at_once)
        return json_response(200, {})

    async def turn() -> None:
        nonlocal served_at_once
        while True:
            served_at_once = 0
            await trio.lowlevel.checkpoint()

    async with serving(quick) as served, trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        assert len(await served.say(GET * 200)) == 200
        nursery.cancel_scope.cancel()
    assert most <= 2


async def test_a_failing_handler_is_500_and_its_text_stays_inside() -> None:
    """I9, I11."""

    async def broken(request: Request) -> Response:
        if request.path == "/hello":
            raise BaseExceptionGroup("many", [ExceptionGroup("inner", [RuntimeError("5511999")])])
        return json_response(200, {})

    async with serving(broken) as served:
        answers = await served.say(GET + POST)
    assert [answer.status for answer in answers] == [500, 200]
    assert b"5511999" not in answers[0].body
    assert len(served.errors) == 1


async def test_a_header_that_breaks_its_line_is_500() -> None:
    async def broken(_request: Request) -> Response:
        return Response(200, headers={"X": "a\r\nSet-Cookie: b"})

    async with serving(broken) as served:
        (answer,) = await served.say(GET)
    assert answer.status == 500
    assert "set-cookie" not in answer.headers


async def test_http_1_0_and_close() -> None:
    async with serving() as served:
        old = await served.say(b"GET / HTTP/1.0\r\n\r\n" + GET)
        kept = await served.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET)
        closed = await served.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
    assert [len(old), len(kept), len(closed)] == [1, 2, 1]
    assert old[0].headers["connection"] == "close"
    assert kept[0].headers["connection"] == "keep-alive"


async def test_head_has_no_body() -> None:
    async with serving() as served, await served.connect() as client:
        await client.send_all(b"HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        (answer,) = answers_in(await read_all(client), head_only=True)
    assert int(answer.headers["content-length"]) > 0


async def test_expect_continue() -> None:
    head = b"POST /w HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
    async with serving(limits=Limits(max_body_bytes=10)) as served, await served.connect() as client:
        await client.send_all(head % 5)
        assert (await read_answer(client)).status == 100
        await client.send_all(b"hello")
        assert (await read_answer(client)).document["body"] == "hello"
        (refused,) = await served.say(head % 11)
    assert refused.status == 413


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413, "body_too_large"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", 413, "body_too_large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 500, 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 500 + b"\r\n\r\n", 431, "head_too_large"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", 400, "request_cut_short"),
        (b"GET / HT", 400, "request_cut_short"),
        (b"\x16\x03\x01\x02\x00", 400, "malformed_head"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "bad_chunk"),
    ],
)
async def test_refused_and_closed(raw: bytes, status: int, reason: str) -> None:
    """I8: told early, then closed; what follows is not read as a request."""
    async with serving(limits=Limits(max_head_bytes=400, max_body_bytes=100)) as served:
        (answer,) = await served.say(raw)
        assert (answer.status, answer.document["reason"]) == (status, reason)
        assert answer.headers["connection"] == "close"
        assert served.server.counters.rejected == {reason: 1}
        await served.say(GET)
    assert served.server.counters.requests == 1


async def test_exactly_the_limits_are_served() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nX: "
    head += b"y" * (400 - len(head) - 4) + b"\r\n\r\n"
    async with serving(limits=Limits(max_head_bytes=400, max_body_bytes=100)) as served:
        (answer,) = await served.say(head + b"b" * 100)
    assert answer.status == 200


async def test_a_large_body_is_refused_without_being_read() -> None:
    """I8: 136 MB announced, 413 at once, and the answer is not lost to a reset."""
    async with serving() as served, await served.connect() as client:
        await client.send_all(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 136000000\r\n\r\n" + b"x" * 200_000
        )
        assert (await read_answer(client)).status == 413


@pytest.mark.parametrize(
    ("start", "drop", "reason", "seconds"),
    [
        (b"GET / HTTP/1.1\r\nX: ", b"y", "head_too_slow", 5),
        (GET + b"GET /", b"y", "head_too_slow", 5),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n", b"y", "body_too_slow", 10),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n384\r\n",
            b"y",
            "body_too_slow",
            10,
        ),
    ],
)
async def test_a_dripping_request_is_408(
    start: bytes, drop: bytes, reason: str, seconds: float, autojump_clock: trio.testing.MockClock
) -> None:
    """I8: a drop now and then does not buy time."""
    async with serving_in_memory() as (server, listener):
        client = listener.connect()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drip, client, start, drop)
            with trio.fail_after(60):
                raw = await read_all(client)
            nursery.cancel_scope.cancel()
    assert answers_in(raw)[-1].status == 408
    assert dict(server.counters.rejected) == {reason: 1}
    assert seconds <= trio.current_time() - began <= seconds + 1


async def _drip(stream: trio.abc.Stream, start: bytes, drop: bytes) -> None:
    try:
        await stream.send_all(start)
        while True:
            await stream.send_all(drop)
            await trio.sleep(0.5)
    except trio.BrokenResourceError:
        pass


async def test_silent_connections_are_closed(autojump_clock: trio.testing.MockClock) -> None:
    """I8: a new one after the head's time, one that was served after the idle time."""
    async with serving_in_memory() as (_, listener):
        silent, served = listener.connect(), listener.connect()
        began = trio.current_time()
        with trio.fail_after(60):
            assert await silent.receive_some(1) == b""
        assert 5 <= trio.current_time() - began <= 6
        await served.aclose()
        kept = listener.connect()
        await kept.send_all(GET)
        await read_answer(kept)
        began = trio.current_time()
        with trio.fail_after(600):
            assert await kept.receive_some(1) == b""
        assert 75 <= trio.current_time() - began <= 76


async def test_a_slow_handler_is_not_cut(autojump_clock: trio.testing.MockClock) -> None:
    async def slow(_request: Request) -> Response:
        await trio.sleep(1000)
        return json_response(200, {})

    async with serving_in_memory(slow) as (_, listener):
        client = listener.connect()
        await client.send_all(GET)
        with trio.fail_after(2000):
            raw = await client.receive_some(1000)
    assert raw.startswith(b"HTTP/1.1 200")


async def test_a_peer_that_does_not_read_is_left() -> None:
    """I8: the write has a bound."""

    async def big(_request: Request) -> Response:
        return Response(200, b"x" * 64 * 1024 * 1024)

    async with serving(big, Limits(write_seconds=0.2)) as served, await served.connect() as client:
        await client.send_all(GET)
        await until(lambda: served.server.counters.requests and not served.server.counters.connections)
    assert not served.errors


# --- streamed answers --------------------------------------------------------------------------------------


async def test_a_streamed_answer() -> None:
    async def stream(_request: Request) -> Response:
        send, receive = trio.open_memory_channel[bytes](4)
        for piece in (b"one", b"", b"three"):
            send.send_nowait(piece)
        send.close()
        return Response(200, stream=receive)

    async with serving(stream) as served, await served.connect() as client:
        await client.send_all(GET + GET.replace(b"1.1", b"1.0"))
        raw = await read_all(client)
    first, _, rest = raw.partition(b"0\r\n\r\n")
    assert first.endswith(b"\r\n\r\n3\r\none\r\n5\r\nthree\r\n")
    assert b"Transfer-Encoding: chunked" in first
    assert b"chunked" not in rest
    assert rest.endswith(b"\r\n\r\nonethree")


async def test_a_peer_that_leaves_ends_its_stream() -> None:
    """I8: also when nothing is being sent."""
    send, receive = trio.open_memory_channel[bytes](0)

    async def stream(_request: Request) -> Response:
        return Response(200, stream=receive)

    async with serving(stream) as served:
        client = await served.connect()
        await client.send_all(GET)
        await client.receive_some(1)
        await client.aclose()
        await until(lambda: not served.server.counters.connections)
        with pytest.raises(trio.BrokenResourceError):
            send.send_nowait(b"the channel is closed")
    assert not served.errors


async def test_a_stream_that_fails_is_cut_without_its_end() -> None:
    class Failing(trio.abc.ReceiveChannel[bytes]):
        async def receive(self) -> bytes:
            await trio.lowlevel.checkpoint()
            raise RuntimeError

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async def stream(_request: Request) -> Response:
        return Response(200, stream=Failing())

    async with serving(stream) as served, await served.connect() as client:
        await client.send_all(GET)
        raw = await read_all(client)
        assert not raw.endswith(b"0\r\n\r\n")
        assert len(served.errors) == 1


async def test_echo_of_defaults() -> None:
    async with serving(echo) as served:
        (answer,) = await served.say(GET)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["date"].endswith("GMT")
