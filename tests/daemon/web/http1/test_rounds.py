"""Many connections in one task: the same answers as with a task for each, and nobody waits for another."""

from __future__ import annotations

import itertools
import socket
from contextlib import suppress
from functools import partial

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.web.http1 import (
    UNPROVEN,
    Finish,
    Front,
    Limits,
    Request,
    Respond,
    Response,
    Unproven,
    json_response,
)
from tests.daemon.web.http1.support import (
    GET,
    echo,
    in_rounds,
    read_answer,
    serving,
    serving_pairs,
)
from tests.support.patience import PATIENCE_SECONDS, until

POST = b"POST /w HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def post(path: bytes, body: bytes, field: bytes = b"X: y") -> bytes:
    head = b"POST /%b HTTP/1.1\r\nHost: a\r\n%b\r\nContent-Length: %d\r\n\r\n"
    return head % (path, field, len(body)) + body


LIMITS = Limits(max_head_bytes=300, max_body_bytes=60, max_unproven_bytes=20)
"""A signed body of 30 bytes is too much for all strangers together."""
SPOKEN = (
    GET,
    post(b"w", b"hello"),
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    post(b"broken", b"x"),
    post(b"task", b"xy"),
    post(b"stranger", b"xy"),
    post(b"signed", b"xy"),
    post(b"signed", b"z" * 30),
    b"GET /stranger HTTP/1.1\r\nHost: a\r\n\r\n",
    post(b"e", b"xy", b"Expect: 100-continue"),
    b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\n",
    post(b"last", b"x", b"Connection: close"),
    post(b"l", b"z" * 60),
    post(b"l", b"z" * 61),
    post(b"x", b"", b"X: " + b"y" * 300),
    b"GET /half HTT",
    b"\x16\x03\x01",
)


async def handler(request: Request) -> Response:
    if request.path == "/broken":
        raise RuntimeError
    if request.path == "/task":
        await trio.lowlevel.checkpoint()
    return json_response(200, [request.method, request.path, request.body.decode("latin-1")])


def at_once(request: Request, respond: Respond) -> Finish | None:
    if request.path == "/task":
        return partial(handler, request)
    front = in_rounds(handler)
    assert front.at_once is not None
    return front.at_once(request, respond)


def gate(request: Request) -> Response | bool | Unproven:
    if request.path == "/signed":
        return UNPROVEN
    return json_response(401, {}) if request.path == "/stranger" else False


async def heard(pieces: list[bytes], front: Front) -> tuple[bytes, dict[str, int], int]:
    """What a server answers and counts, and how often it failed, when it is told these pieces."""
    errors: list[BaseException] = []
    async with serving_pairs(front, handler, LIMITS, errors, gate) as (server, listener):
        client = listener.connect()
        raw = b""

        async def speak() -> None:
            with suppress(trio.BrokenResourceError):  # the server had heard enough
                for piece in pieces:
                    await client.send_all(piece)
                    await trio.testing.wait_all_tasks_blocked()
                await client.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak)
            with suppress(trio.BrokenResourceError), trio.fail_after(100):
                while data := await client.receive_some():
                    raw += data
        await trio.sleep(LIMITS.linger_seconds + 1)
        assert (server.counters.connections, server.bodies.held, server.bodies.strange) == (0, 0, 0)
        counted = {"requests": server.counters.requests, **server.counters.rejected}
    dates_apart = b"\r\n".join(line for line in raw.split(b"\r\n") if not line.startswith(b"Date: "))
    return dates_apart, counted, len(errors)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spoken=st.lists(st.sampled_from(SPOKEN), max_size=8).map(b"".join),
    cuts=st.lists(st.integers(0, 1200), max_size=8),
)
def test_however_a_stream_is_cut_both_ways_of_reading_answer_alike(spoken: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted({cut for cut in cuts if cut < len(spoken)} - {0}), len(spoken)]
    pieces = [spoken[start:end] for start, end in itertools.pairwise(edges)]

    def told(front: Front) -> tuple[bytes, dict[str, int], int]:
        return trio.run(heard, pieces, front, clock=trio.testing.MockClock(autojump_threshold=0))

    assert told(Front(at_once)) == told(Front())


async def test_no_byte_of_the_answer_before_it_is_given() -> None:
    """I1: also where the answer is given later, and by another task."""
    asked: list[Respond] = []
    front = Front(lambda _request, respond: asked.append(respond))
    async with serving_pairs(front) as (server, listener):
        client = listener.connect()
        await client.send_all(POST + POST)
        await trio.testing.wait_all_tasks_blocked()
        assert len(asked) == 1  # law 2: the second one waits
        with trio.move_on_after(0.05) as nothing_came:
            await client.receive_some(1)
        assert nothing_came.cancelled_caught
        for number in (1, 2):
            asked[-1](json_response(200, {}))
            assert (await read_answer(client)).status == 200
            await trio.testing.wait_all_tasks_blocked()
            assert len(asked) == 2 and server.counters.requests == 2, number


async def test_what_comes_during_an_answer_is_answered_next() -> None:
    """It is not read before (law 2); its arrival is told once, and it is remembered."""
    asked: list[Respond] = []
    async with serving_pairs(Front(lambda _request, respond: asked.append(respond))) as (_, listener):
        client = listener.connect()
        for _ in range(3):
            await client.send_all(POST)
            await trio.testing.wait_all_tasks_blocked()
        for number in (1, 2, 3):
            assert len(asked) == number
            asked[-1](json_response(200, {}))
            assert (await read_answer(client)).status == 200
            await trio.testing.wait_all_tasks_blocked()


async def test_a_refusal_is_told_after_the_question_and_is_not_lost_to_a_reset() -> None:
    """Beyond a bound: nothing before the request comes, then 503, however much is still on its way."""
    limits, front = Limits(max_connections=1), in_rounds(echo)
    async with serving(limits=limits, front=front, gate=lambda _request: True) as served:
        first = await served.connect()
        await first.send_all(GET)
        assert (await read_answer(first)).status == 200
        async with first, await served.connect() as second:
            await trio.testing.wait_all_tasks_blocked(0.02)
            with trio.move_on_after(0.02) as nothing_came:
                await second.receive_some(1)
            assert nothing_came.cancelled_caught
            await second.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
            for _ in range(20):
                await second.send_all(b"x" * 100_000)
            answer = await read_answer(second)
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")


async def test_who_leaves_before_the_answer_is_forgotten() -> None:
    asked: list[Respond] = []
    async with serving_pairs(Front(lambda _request, respond: asked.append(respond))) as (server, listener):
        client = listener.connect()
        await client.send_all(POST)
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()
        await trio.testing.wait_all_tasks_blocked()
        asked[0](json_response(200, {}))
        await trio.testing.wait_all_tasks_blocked()
        assert (server.counters.connections, server.bodies.held) == (0, 0)


async def test_silent_connections_are_closed_in_rounds(autojump_clock: trio.testing.MockClock) -> None:
    """I8: a new one after the head's time, one that was served after the idle time."""
    async with serving_pairs(in_rounds(echo)) as (_, listener):
        silent, kept = listener.connect(), listener.connect()
        await kept.send_all(GET)
        assert (await read_answer(kept)).status == 200
        began = trio.current_time()
        for stream, seconds in ((silent, 5), (kept, 75)):
            with trio.fail_after(100):
                assert await stream.receive_some(1) == b""
            assert seconds <= trio.current_time() - began <= seconds + 1


async def test_an_answer_that_is_not_taken_holds_nobody_up(autojump_clock: trio.testing.MockClock) -> None:
    """I8: who does not read is given up after its time; the others have their answers meanwhile."""

    async def much(request: Request) -> Response:
        return Response(200, b"x" * (4_000_000 if request.path == "/hello" else 1))

    async with serving_pairs(in_rounds(much)) as (server, listener):
        deaf, other = listener.connect(), listener.connect()
        await deaf.send_all(GET)
        await trio.testing.wait_all_tasks_blocked()
        await other.send_all(POST)
        assert (await read_answer(other)).status == 200
        await trio.sleep(Limits().write_seconds + 1)
        assert server.counters.connections == 1
        await deaf.aclose()


async def test_a_round_serves_one_request_of_each_connection() -> None:
    """Who sends a crowd of requests in one piece waits for those of all others."""
    order: list[str] = []

    async def note(request: Request) -> Response:
        order.append(request.path)
        return json_response(200, {})

    async with serving_pairs(in_rounds(note)) as (_, listener):
        crowd, others = listener.connect(), [listener.connect() for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        await crowd.send_all(GET * 50)
        for stream in others:
            await stream.send_all(POST)
        await trio.testing.wait_all_tasks_blocked()
    assert len(order) == 53
    assert max(place for place, path in enumerate(order) if path == "/w") <= 6


@pytest.mark.parametrize("places", [500, 120])
async def test_a_burst_of_500_webhooks_is_taken_or_told_to_come_again(places: int) -> None:
    """From one address at once, each on a connection of its own: 200, or 503 with Retry-After; never a reset."""
    limits = Limits(max_connections=places, max_connections_per_address=places)
    front = in_rounds(echo)
    async with serving(limits=limits, front=front, gate=lambda _request: True) as served:
        clients = [socket.socket() for _ in range(500)]
        for client in clients:
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(("127.0.0.1", served.port))
        answers = list[tuple[int, str]]()

        async def speak(client: socket.socket) -> None:
            async with trio.SocketStream(trio.socket.from_stdlib_socket(client)) as stream:
                await trio.lowlevel.wait_writable(stream.socket)
                await stream.send_all(POST)
                answer = await read_answer(stream)
                answers.append((answer.status, answer.headers.get("retry-after", "")))
                await until(lambda: len(answers) == 500)  # who was taken keeps its place

        with trio.fail_after(PATIENCE_SECONDS):
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(speak, client)
    assert answers.count((200, "")) == places
    assert answers.count((503, "5")) == 500 - places
