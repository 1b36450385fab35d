"""The webhook client: persistent connections, every form of response, and no response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from daemon.simulate.webhooks import MAX_ANSWER_BYTES, Target, Unanswered, WebhookClient, WebhookResponse

Serve = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes], list[int]]]:
    """Answers each request with the next bytes; a connection ends after an empty one. Its url, the requests, and
    how many requests each connection carried."""
    rest, heads, carried = list(answers), list[bytes](), list[int]()

    async def serve(stream: trio.SocketStream) -> None:
        place = len(carried)
        carried.append(0)
        async with stream:
            while rest:
                received = b""
                while not received.endswith(b"{}"):
                    more = await stream.receive_some()
                    if not more:
                        return
                    received += more
                heads.append(received)
                carried[place] += 1
                answer = rest.pop(0)
                await stream.send_all(answer.removesuffix(b"END"))
                if not answer or answer.endswith(b"END"):
                    return
            await stream.receive_some()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, listeners)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", heads, carried
        nursery.cancel_scope.cancel()


OK = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"ok"'


async def test_one_connection_is_kept() -> None:
    async with (
        server(OK, OK, OK) as (url, heads, carried),
        WebhookClient(Target(url, {"apikey": "s3"})) as client,
    ):
        for _ in range(3):
            assert await client.post("/webhook/demo", b"{}") == WebhookResponse(200, b'"ok"')
    assert carried == [3]
    assert heads[0].startswith(b"POST /webhook/demo HTTP/1.1\r\n")
    assert b"\r\napikey: s3\r\n" in heads[0]


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (
            b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n1\r\n!\r\n0\r\n\r\n",
            WebhookResponse(503, b"no!"),
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nokEND",
            WebhookResponse(200, b"ok"),
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nto the endEND", WebhookResponse(200, b"to the end")),
    ],
)
async def test_each_form_of_response(raw: bytes, answer: WebhookResponse) -> None:
    """By length, in chunks, or until the end of the connection; the next request works after each."""
    async with server(raw, OK) as (url, _, _), WebhookClient(Target(url)) as client:
        assert await client.post("/webhook/demo", b"{}") == answer
        assert await client.post("/webhook/demo", b"{}") == WebhookResponse(200, b'"ok"')


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshortEND",
        b"HTTP/1.1 200 OK\r\nContent-LengEND",
        b"SSH-2.0-OpenSSH\r\n\r\nEND",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nEND",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * (2 * MAX_ANSWER_BYTES) + b"END",
    ],
    ids=["none", "short_body", "short_head", "no_http", "bad_chunks", "too_long"],
)
async def test_incomplete_and_invalid_responses(raw: bytes) -> None:
    """The outcome of the webhook is unknown; the next one gets a new connection."""
    async with server(raw, OK) as (url, _, carried), WebhookClient(Target(url)) as client:
        with pytest.raises(Unanswered):
            await client.post("/webhook/demo", b"{}")
        assert await client.post("/webhook/demo", b"{}") == WebhookResponse(200, b'"ok"')
    assert carried == [1, 1]


async def test_nobody_listens() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    async with WebhookClient(Target(f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(Unanswered):
            await client.post("/webhook/demo", b"{}")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://a", "http://", "http://u:p@a", "http://a/?x=1", "http://a:x"]
)
def test_invalid_addresses(url: str) -> None:
    with pytest.raises(ValueError):
        Target(url)


def test_a_token_cannot_inject_headers() -> None:
    with pytest.raises(ValueError, match="line break"):
        Target("http://a", {"apikey": "x\r\nevil: 1"})


def test_a_path_before_the_webhooks() -> None:
    target = Target("https://majlis.example.com/in/")
    assert (target.host, target.port, target.prefix, target.is_secure) == (
        "majlis.example.com",
        443,
        "/in",
        True,
    )
