"""Bodies that may be larger on the way than what is kept of them."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from daemon.web.http1 import LargeBodies, Limits, Request, Response, json_response
from tests.daemon.web.http1.hostile_requests import Letters
from tests.daemon.web.http1.support import GET, answers_in, serving, serving_in_memory

pytestmark = pytest.mark.usefixtures("both_ways")

MAX_BYTES, MAX_SENT_BYTES = 100, 100_000


def thin(request: Request) -> Letters | None:
    return Letters() if request.path == "/large" else None


LIMITS = Limits(max_body_bytes=MAX_BYTES, large=LargeBodies(MAX_SENT_BYTES, thin))


def counted(body: bytes, path: str = "/large", more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def chunked(*pieces: bytes, path: str = "/large") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (counted(b"a" + b"1" * 5000 + b"z"), b"az"),
        (chunked(b"a1" * 50, b"2" * 5000, b"z"), b"a" * 50 + b"z"),
        (chunked(*[b"a123456789"] * 99), b"a" * 99),
        (counted(b"a1" * 50), b"a1" * 50),
        (chunked(b"a1" * 25, b"a1" * 25), b"a1" * 50),
        (counted(b"1" * MAX_SENT_BYTES), b""),
    ],
    ids=["counted", "chunked", "small chunks", "counted and small", "chunked and small", "largest"],
)
async def test_what_is_too_large_is_thinned_and_nothing_else(raw: bytes, kept: bytes) -> None:
    """The next request of the connection is read from where this one ends."""
    async with serving(limits=LIMITS) as served:
        first, second = await served.say(raw + GET)
        assert str(first.document["body"]).encode() == kept
        assert second.document["path"] == "/hello"
        assert served.server.bodies.held == 0


@pytest.mark.parametrize(
    "raw",
    [
        counted(b"1" * (MAX_SENT_BYTES + 1)),
        counted(b"a" * (MAX_BYTES + 1)),
        chunked(b"a" * MAX_BYTES, b"a"),
        chunked(*[b"1" * 50_000] * 3),
        counted(b"1" * (MAX_BYTES + 1), "/other"),
        chunked(b"1" * MAX_BYTES, b"1", path="/other"),
    ],
    ids=["too much sent", "too much kept", "chunked", "chunked and sent", "another path", "another, chunked"],
)
async def test_what_stays_too_large_is_413(raw: bytes) -> None:
    async with serving(limits=LIMITS) as served:
        (refused,) = await served.say(raw + GET)
        assert (refused.status, refused.document["reason"]) == (413, "body_too_large")
        assert served.server.bodies.held == 0


async def test_what_streams_past_is_not_held(autojump_clock: trio.testing.MockClock) -> None:
    """I8: a large body has no more memory than a small one."""
    most = 0
    limits = Limits(
        max_body_bytes=MAX_BYTES, large=LargeBodies(10_000_000, thin), max_bytes_in_flight=300_000
    )
    async with serving_in_memory(limits=limits) as (server, listener):
        client = listener.connect()
        await client.send_all(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
        for _ in range(50):
            await client.send_all(b"1" * 100_000)
            await trio.testing.wait_all_tasks_blocked()
            most = max(most, server.bodies.held)
        assert (await client.receive_some(100)).startswith(b"HTTP/1.1 200")
        assert most <= 300_000


async def test_a_known_connection_shows_its_right_again() -> None:
    """I11: behind a proxy, many share one: a large body is read only for who may send it."""
    asked: list[str] = []

    def gate(request: Request) -> Response | bool:
        asked.append(request.path)
        return True if request.headers.get("apikey") == "good" else json_response(401, {})

    good, large = "apikey: good\r\n", b"1" * 5000
    async with serving(limits=LIMITS, gate=gate) as served:
        answers = await served.say(
            counted(b"a", more=good)
            + counted(b"a")
            + counted(large, more=good)
            + counted(large)
            + counted(b"a", more=good)
        )
    assert [answer.status for answer in answers] == [200, 200, 200, 401]
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("bytes_a_second", "status", "seconds"),
    [(11, 200, 91), (9, 408, 10), (1, 408, 10)],
    ids=["slow", "too slow", "drip"],
)
async def test_a_large_body_has_time_by_its_size(
    bytes_a_second: int, status: int, seconds: float, autojump_clock: trio.testing.MockClock
) -> None:
    """I8: `max_body_bytes` in each `body_seconds`, or it ends."""
    async with serving_in_memory(limits=LIMITS) as (_, listener):
        client = listener.connect()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_slowly, client, bytes_a_second)
            with trio.fail_after(600):
                raw = await client.receive_some(1000)
            took = trio.current_time() - began
            nursery.cancel_scope.cancel()
    assert answers_in(bytes(raw))[0].status == status
    assert seconds - 1 <= took <= seconds + 1


async def _send_slowly(stream: trio.abc.Stream, bytes_a_second: int) -> None:
    try:
        await stream.send_all(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            await stream.send_all(b"1")
            await trio.sleep(1 / bytes_a_second)
    except trio.BrokenResourceError:
        pass


class Shelf:
    """Keeps bodies whole."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.closed = 0

    async def write(self, piece: bytes) -> None:
        await trio.lowlevel.checkpoint()
        assert not self.closed
        self.kept += piece

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("raw", "whole", "left"),
    [
        (counted(b"a" + b"1" * 5000 + b"z"), b"a" + b"1" * 5000 + b"z", b"az"),
        (chunked(b"a1" * 50, b"2" * 5000, b"z"), b"a1" * 50 + b"2" * 5000 + b"z", b"a" * 50 + b"z"),
        (counted(b"a" * 5000), b"a" * 5000, b""),
        (counted(b"a1" * 50), b"", b"a1" * 50),
    ],
    ids=["counted", "chunked", "too much left", "not large"],
)
async def test_a_large_body_may_be_kept_whole_beside_what_is_left(
    raw: bytes, whole: bytes, left: bytes
) -> None:
    shelf, seen = Shelf(), list[Request]()

    async def handler(request: Request) -> Response:
        await trio.lowlevel.checkpoint()
        seen.append(request)
        assert not shelf.closed
        return json_response(200, {"body": request.body.decode()})

    limits = Limits(max_body_bytes=MAX_BYTES, large=LargeBodies(MAX_SENT_BYTES, thin, lambda: shelf))
    async with serving(handler, limits=limits) as served:
        first, _ = await served.say(raw + GET)
        assert str(first.document["body"]).encode() == left
        assert bytes(shelf.kept) == whole and shelf.closed == bool(whole)
        assert (seen[0].whole is shelf) == bool(whole)


async def test_what_was_kept_of_a_body_that_is_cut_short_is_given_up() -> None:
    shelf = Shelf()
    limits = Limits(max_body_bytes=MAX_BYTES, large=LargeBodies(MAX_SENT_BYTES, thin, lambda: shelf))
    async with serving(limits=limits) as served:
        await served.say(counted(b"1" * 5000)[:-1])
        assert shelf.closed == 1
