"""What the HTTP client makes of what peers do, on our own transport and on the HTTP library's: the same.

One server, in the test's own loop, whose answers are raw bytes; the path of a request says what happens.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from daemon.web.answer import HttpAnswer
from daemon.web.client import DeliveryUnknown, HttpClient, NotDelivered
from tests.support.certificates import AUTHORITY, SERVER
from tests.support.patience import PATIENCE_SECONDS
from tests.support.transports import library

MAX_BODY_BYTES = 3_000_000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = b"x" * 2_000_000
ANSWERS = {
    "length": OK + b"Content-Length: 2\r\nA: 1\r\na:  2 \r\nEmpty:\r\n\r\nok",
    "chunked": CHUNKED + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\nTrailer: t\r\n\r\n",
    "tiny-chunks": CHUNKED + b"1\r\no\r\n" * 2000 + b"0\r\n\r\n",
    "padded-chunk": CHUNKED + b"2  \r\nok\r\n0\r\n\r\n",
    "until-the-end": OK + b"\r\nok",
    "old": b"HTTP/1.0 200 OK\r\n\r\nok",
    "early-hints": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 H\r\nB: 1\r\n\r\n"
    + OK
    + b"Content-Length: 2\r\n\r\nok",
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n",
    "no-reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "bare-lines": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "two-lengths": OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"ok"),
    "latin": OK + b"Content-Length: 2\r\nA: \xe4\r\n\r\nok",
    "large": OK + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE,
}
"""Whole answers. Those of `ENDED` are ended by the connection."""
ENDED = ("until-the-end", "old", "gzip")
BODIES = {"tiny-chunks": b"o" * 2000, "no-content": b"", "not-modified": b"", "large": LARGE}
BROKEN = {
    "nothing": b"",
    "half-head": OK + b"Content-Le",
    "half-body": OK + b"Content-Length: 9\r\n\r\nok",
    "half-chunk": CHUNKED + b"9\r\nok",
    "no-last-chunk": CHUNKED + b"2\r\nok\r\n",
    "only-hints": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00 no http at all\r\n\r\n",
    "mail": b"220 mail.example.org ESMTP\r\n\r\n",
    "bad-length": OK + b"Content-Length: -1\r\n\r\nok",
    "bad-chunk": CHUNKED + b"zz\r\nok\r\n0\r\n\r\n",
    "bad-coding": OK + b"Transfer-Encoding: gzip\r\n\r\nok",
    "bad-name": OK + b"A b: 1\r\nContent-Length: 0\r\n\r\n",
}
"""No answers, or not the whole of one."""
ENDLESS = {
    "head": (OK, b"A: " + b"b" * 1000 + b"\r\n"),
    "value": (OK + b"A: ", b"b" * 1000),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\nA: " + b"b" * 500 + b"\r\n\r\n"),
    "extension": (CHUNKED + b"1;", b"b" * 1000),
    "extensions": (CHUNKED, b"1;" + b"b" * 200 + b"\r\na\r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"A: " + b"b" * 1000 + b"\r\n"),
    "body": (OK + b"\r\n", b"b" * 100_000),
}
"""What begins well and goes on for ever."""
SLOW_FOR_THE_LIBRARY = ("hints", "extensions")
"""Those it takes as long as they come: only the deadline ends them."""


class Server:
    """Does what the path of a request says, and what comes behind the path's second slash to the connection."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        """Path and body."""
        self.connections = 0
        self.ended = trio.Event()
        """A connection that hung was ended by the client."""
        self.url = ""

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        try:
            async with stream:
                while await self._answer_one(stream):
                    pass
        except trio.BrokenResourceError:
            pass

    async def _answer_one(self, stream: trio.abc.Stream) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := await stream.receive_some(65536)):
                return False
            head += data
        head, _, body = head.partition(b"\r\n\r\n")
        path = head.split(b" ")[1].decode().removeprefix("/")
        what, _, then = path.partition("/")
        if what == "early":  # nothing of the body is read
            await stream.send_all(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
            )
            await trio.sleep(0.05)  # the answer arrives before the reset that unread bytes cause
            return False
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        wanted = int(length[0][15:]) if length else 0
        while len(body) < wanted and (data := await stream.receive_some(65536)):
            body += data
        self.requests.append((path, body))
        if what == "hang":
            await stream.receive_some(1)
            self.ended.set()
            return False
        if what == "reset":
            assert isinstance(stream, trio.SocketStream)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if what == "endless":
            begins, goes_on = ENDLESS[then]
            await stream.send_all(begins)
            while True:
                await stream.send_all(goes_on * 50)
        await stream.send_all(ANSWERS.get(what, BROKEN.get(what, b"")))
        if then == "more":
            await stream.send_all(ANSWERS["length"])
        return what not in (*BROKEN, *ENDED) and then != "end"


class Both:
    """Makes clients that differ in their transport alone."""

    def __init__(self, kind: str) -> None:
        self.is_ours = kind == "ours"

    def client(self, keep_seconds: float = 0.0) -> HttpClient:
        transport = None if self.is_ours else library(keep_seconds)
        return HttpClient(max_connections=10, keepalive_seconds=keep_seconds, transport=transport)


@pytest.fixture(params=["ours", "library"])
def made(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
        server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()


async def ask(client: HttpClient, url: str, body: object = "hello") -> HttpAnswer:
    return await client.post_json(url, body, {"apikey": "k"}, PATIENCE_SECONDS, MAX_BODY_BYTES)


@pytest.mark.parametrize("keep_seconds", [0.0, 30.0])
async def test_whole_answers_are_read(made: Both, keep_seconds: float) -> None:
    async with serving() as server, made.client(keep_seconds) as client:
        for name, raw in ANSWERS.items():
            answer = await ask(client, f"{server.url}/{name}")
            status = int(raw.rpartition(b"HTTP/1.")[2][2:5])
            assert (name, answer.status, answer.body) == (name, status, BODIES.get(name, b"ok"))
        fields = (await ask(client, f"{server.url}/length")).headers
        assert fields == {"content-length": "2", "a": "1, 2", "empty": ""}
        assert {body for _, body in server.requests} == {b'"hello"'}


async def test_what_is_no_whole_answer_proves_nothing(made: Both) -> None:
    """I6: and it is asked once."""
    async with serving() as server, made.client(30.0) as client:
        for name in (*BROKEN, "reset"):
            with pytest.raises(DeliveryUnknown) as failure:
                await ask(client, f"{server.url}/{name}")
            assert (name, failure.value.reason) == (name, "connection_broken")
        assert [path for path, _ in server.requests] == [*BROKEN, "reset"]


@pytest.mark.parametrize(
    ("made", "name"),
    # The library reads some of them on until the deadline.
    [("ours", name) for name in ENDLESS]
    + [("library", name) for name in ENDLESS if name not in SLOW_FOR_THE_LIBRARY],
    indirect=["made"],
)
async def test_what_never_ends_is_given_up(made: Both, name: str) -> None:
    """I8: by what it is, not by the clock."""
    async with serving() as server, made.client() as client:
        with pytest.raises(DeliveryUnknown) as failure:
            await ask(client, f"{server.url}/endless/{name}")
        assert failure.value.reason == ("too_large" if name == "body" else "connection_broken")


async def test_an_answer_before_the_request_was_read_is_an_answer(made: Both) -> None:
    async with serving() as server, made.client(30.0) as client:
        answer = await ask(client, f"{server.url}/early", "x" * 5_000_000)
        assert (answer.status, answer.body) == (413, b"no")
        assert (await ask(client, f"{server.url}/length")).status == 200


@pytest.mark.parametrize(
    ("made", "how"),
    [(made, how) for made in ("ours", "library") for how in ("length/end", "old", "until-the-end")]
    + [("ours", how) for how in ("length/more", "two-lengths")],  # the library trusts such a connection
    indirect=["made"],
)
async def test_a_connection_that_is_not_fit_is_not_used_again(made: Both, how: str) -> None:
    """I6: neither is one that the peer closed meanwhile, nor one on which something came that nobody asked for."""
    async with serving() as server, made.client(30.0) as client:
        assert (await ask(client, f"{server.url}/length")).status == 200
        assert (await ask(client, f"{server.url}/{how}")).status == 200
        assert server.connections == 1
        await trio.sleep(0.02)  # its end arrives
        answer = await ask(client, f"{server.url}/no-content")
        assert (answer.status, server.connections) == (204, 2)


async def test_a_cancelled_request_ends_its_connection(made: Both) -> None:
    """I8."""
    async with serving() as server, made.client(30.0) as client:
        with trio.move_on_after(0.1) as scope:
            await ask(client, f"{server.url}/hang")
        assert scope.cancelled_caught
        with trio.fail_after(PATIENCE_SECONDS):
            await server.ended.wait()


async def test_a_body_in_pieces_is_as_long_as_it_was_announced(made: Both) -> None:
    """I6: no byte beyond it leaves, or the next request on that connection would begin with it."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for piece in (b"ab", b"", b"cd"):
            yield piece

    async with serving() as server, made.client(30.0) as client:
        for length in (b"4", b"3", b"5"):
            post = client.post_pieces(
                f"{server.url}/length", pieces(), {"content-length": length}, PATIENCE_SECONDS
            )
            if length == b"4":
                assert (await post).status == 200
                continue
            with pytest.raises(DeliveryUnknown):
                await post
        assert (await ask(client, f"{server.url}/length")).status == 200
        assert server.requests[0] == ("length", b"abcd")
        assert {body for _, body in server.requests} - {b"ab"} == {b"abcd", b'"hello"'}


async def test_pieces_that_fail_break_the_request(made: Both) -> None:
    """I6: also where it is an error that a broken connection would raise."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"ab"
        raise OSError("the disk")

    async with serving() as server, made.client(30.0) as client:
        with pytest.raises(DeliveryUnknown) as failure:
            await client.post_pieces(
                f"{server.url}/length", pieces(), {"content-length": b"4"}, PATIENCE_SECONDS
            )
        assert failure.value.reason == "connection_broken"


async def test_over_tls_all_is_as_in_the_clear_and_the_host_must_be_there(
    made: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I6, I12: who is not the one asked for gets no byte of the request."""
    (tmp_path / "authority.pem").write_text(AUTHORITY)
    (tmp_path / "server.pem").write_text(SERVER)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    server = Server()
    async with trio.open_nursery() as nursery:
        listen = partial(
            trio.serve_ssl_over_tcp, server.serve, 0, context, https_compatible=True, host="127.0.0.1"
        )
        port = (await nursery.start(listen))[0].transport_listener.socket.getsockname()[1]
        listen = partial(trio.serve_ssl_over_tcp, server.serve, port, context, host="127.0.0.2")
        await nursery.start(listen)
        async with made.client(30.0) as client:
            for name in ("length", "large", "chunked", "until-the-end"):
                answer = await ask(client, f"https://127.0.0.1:{port}/{name}", "x" * 1_000_000)
                assert answer.body == BODIES.get(name, b"ok")
            assert server.connections == 1
            asked = len(server.requests)
            with pytest.raises(NotDelivered) as failure:
                await ask(client, f"https://127.0.0.2:{port}/length")
            assert (failure.value.reason, len(server.requests)) == ("tls_failed", asked)
        nursery.cancel_scope.cancel()
