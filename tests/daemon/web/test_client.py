"""Outgoing HTTP against real sockets: what a failure proves, and the bounds."""

from __future__ import annotations

import gc
import gzip
import json
import logging
import math
import re
import socket
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from actors.errors import MajlisError
from daemon.web import client as client_module
from daemon.web.answer import HttpAnswer
from daemon.web.client import DeliveryUnknown, HttpClient, NotDelivered, unix_get, unix_lines, unix_post
from daemon.web.progress import Progress
from tests.support.http_faults import Exchange, FaultServer, Request
from tests.support.patience import PATIENCE_SECONDS
from tests.support.transports import library

DEADLINE_SECONDS = PATIENCE_SECONDS
SHORT_SECONDS = 0.5
"""For cases in which only the deadline can end the exchange."""

MAX_BODY_BYTES = 100_000


class Peer(FaultServer):
    """Does what the path says."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    async def handle(self, request: Request, exchange: Exchange) -> None:  # noqa: PLR0912
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        match request.path.removeprefix("/"):
            case "echo":
                await exchange.answer_json(200, request.json())
            case "hang":
                await exchange.hang()
            case "reset":
                exchange.reset()
            case "close":
                pass
            case "drip":
                await exchange.drip(200, b"x" * 1000, 0.05)
            case "long":
                await exchange.answer(200, b"x" * (MAX_BODY_BYTES + 1))
            case "longest":
                await exchange.answer(200, b"x" * MAX_BODY_BYTES)
            case "bomb":
                bomb = gzip.compress(b"x" * 50_000_000)
                await exchange.answer(200, bomb, {"content-encoding": "gzip"})
            case "gzip":
                await exchange.answer(200, gzip.compress(b"small"), {"content-encoding": "gzip"})
            case "deflate":
                await exchange.answer(200, zlib.compress(b"small"), {"content-encoding": "deflate"})
            case "no-gzip":
                await exchange.answer(200, b"small", {"content-encoding": "gzip"})
            case "brotli":
                await exchange.answer(200, b"small", {"content-encoding": "br"})
            case "redirect":
                await exchange.answer(302, b"", {"location": f"{self.url}/echo", "set-cookie": "a=b"})
            case "cut":
                await exchange.begin(200, 100)
                await exchange.send_raw(b"half")
            case "noise":
                await exchange.send_raw(b"220 mail.example.org ESMTP\r\n")
            case _:
                raise AssertionError(request.path)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with Peer().running() as server:
        yield server


async def ask(
    url: str, *, seconds: float = DEADLINE_SECONDS, client: HttpClient | None = None, body: object = "hello"
) -> HttpAnswer:
    own = HttpClient()
    async with own:
        return await (client or own).post_json(url, body, {"apikey": "k-secret"}, seconds, MAX_BODY_BYTES)


async def test_posts_json_and_reads_the_answer(peer: Peer) -> None:
    answer = await ask(f"{peer.url}/echo", body={"text": "مرحبا", "half": "\ud83d"})
    assert (answer.status, answer.json()) == (200, {"text": "مرحبا", "half": "?"})
    sent = peer.requests[-1]
    assert sent.headers["apikey"] == "k-secret"
    assert sent.headers["content-type"] == "application/json"


async def test_json_leaves_as_the_standard_library_writes_it(peer: Peer) -> None:
    body: dict[object, object] = {
        "none": None,
        1: 2.5,
        None: True,
        "big": 2**70,
        "text": "null \u2028\x7f\x00",
        "some": (1, []),
    }
    answer = await ask(f"{peer.url}/echo", body=body)
    assert answer.json() == json.loads(json.dumps(body))
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="JSON"):
            await ask(f"{peer.url}/echo", body={"temperature": number})


async def test_gets_without_a_body(peer: Peer) -> None:
    async with HttpClient() as client:
        answer = await client.get(f"{peer.url}/gzip", {}, DEADLINE_SECONDS, MAX_BODY_BYTES)
    assert answer.body == b"small"
    assert (peer.requests[-1].method, peer.requests[-1].body) == ("GET", b"")


@pytest.mark.parametrize("path", ["reset", "close", "cut", "noise"])
async def test_a_connection_that_breaks_after_the_request_proves_nothing(peer: Peer, path: str) -> None:
    """I6: what may have arrived is never called undelivered."""
    with pytest.raises(DeliveryUnknown) as failure:
        await ask(f"{peer.url}/{path}")
    assert failure.value.reason == "connection_broken"


@pytest.mark.parametrize("path", ["hang", "drip"])
async def test_the_deadline_is_total(peer: Peer, path: str) -> None:
    """I8: a slow drip ends like silence does. I6: the deadline after the request proves nothing."""
    with trio.fail_after(DEADLINE_SECONDS), pytest.raises(DeliveryUnknown) as failure:
        await ask(f"{peer.url}/{path}", seconds=SHORT_SECONDS)
    assert failure.value.reason == "timed_out"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("long", "too_large"),
        ("bomb", "too_large"),
        ("no-gzip", "bad_encoding"),
        ("brotli", "bad_encoding"),
    ],
)
async def test_a_body_beyond_bounds_is_not_taken(peer: Peer, path: str, reason: str) -> None:
    """I8: the cap counts what comes out of the decompression."""
    with pytest.raises(DeliveryUnknown) as failure:
        await ask(f"{peer.url}/{path}")
    assert failure.value.reason == reason


@pytest.mark.parametrize(("path", "length"), [("longest", MAX_BODY_BYTES), ("gzip", 5), ("deflate", 5)])
async def test_a_body_up_to_the_cap_is_taken(peer: Peer, path: str, length: int) -> None:
    assert len((await ask(f"{peer.url}/{path}")).body) == length


async def test_a_redirect_is_an_answer_and_cookies_are_not_kept(peer: Peer) -> None:
    """I12: requests go to the URL they were given, nowhere else."""
    async with HttpClient(keepalive_seconds=5) as client:
        before = len(peer.requests)
        assert (await ask(f"{peer.url}/redirect", client=client)).status == 302
        assert len(peer.requests) == before + 1
        await ask(f"{peer.url}/echo", client=client)
    assert "cookie" not in peer.requests[-1].headers


async def test_proxies_of_the_environment_are_not_used(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """I12."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert (await ask(f"{peer.url}/echo")).status == 200


async def test_a_refused_connection_is_proven_undelivered() -> None:
    """I6: nothing left, so it may be sent again."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, not listening: refused
        with pytest.raises(NotDelivered) as failure:
            await ask(f"http://127.0.0.1:{bound.getsockname()[1]}/echo")
    assert failure.value.reason == "connect_failed"


async def test_an_unknown_host_is_proven_undelivered() -> None:
    """I6."""
    with pytest.raises(NotDelivered) as failure:
        await ask("http://no-such-host.invalid/echo", seconds=SHORT_SECONDS * 10)
    assert failure.value.reason in ("connect_failed", "connect_timed_out")


async def test_a_failed_tls_handshake_is_proven_undelivered(peer: Peer) -> None:
    """I6."""
    with pytest.raises(NotDelivered) as failure:
        await ask(f"https://127.0.0.1:{peer.port}/echo")
    assert failure.value.reason == "tls_failed"


async def test_a_handshake_that_never_ends_is_proven_undelivered() -> None:
    """I6, I8."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NotDelivered) as failure:
        await ask(f"https://127.0.0.1:{silent.getsockname()[1]}/", seconds=SHORT_SECONDS)
    assert failure.value.reason == "tls_timed_out"


@pytest.mark.parametrize(
    "url", ["", "no-scheme", "ftp://127.0.0.1/x", "http://", "http://[broken", "http://a:b/"]
)
async def test_an_unusable_url_is_proven_undelivered(url: str) -> None:
    """I6, I12."""
    with pytest.raises(NotDelivered) as failure:
        await ask(url)
    assert failure.value.reason in ("bad_request", "connect_failed")


@pytest.mark.parametrize("key", ["k\r\nx-injected: 1", "schlüssel", "k\x00"])
async def test_a_key_that_fits_no_header_is_proven_undelivered(peer: Peer, key: str) -> None:
    """I6: also no header can be smuggled in."""
    async with HttpClient() as client:
        with pytest.raises(NotDelivered) as failure:
            await client.post_json(f"{peer.url}/echo", {}, {"apikey": key}, DEADLINE_SECONDS, 1000)
    assert failure.value.reason == "bad_request"


async def test_a_body_of_another_length_than_its_header_says_is_proven_undelivered(peer: Peer) -> None:
    """I6: it is looked at before the first byte leaves."""
    before = len(peer.requests)
    async with HttpClient() as client:
        for length in ("1", "3", "two"):
            with pytest.raises(NotDelivered) as failure:
                await client.post_json(
                    f"{peer.url}/echo", {}, {"content-length": length}, DEADLINE_SECONDS, 1000
                )
            assert failure.value.reason == "bad_request"
    assert len(peer.requests) == before


async def test_the_last_word_before_the_first_byte_is_the_callers(peer: Peer) -> None:
    """I6: a lease that ended while it connected; on a fresh connection and on a kept one."""
    asked = 0

    class TooLate(MajlisError):
        pass

    def may_send() -> None:
        nonlocal asked
        asked += 1
        if asked != 2:
            raise TooLate

    before = len(peer.requests)
    async with HttpClient(keepalive_seconds=30) as client:
        post = partial(client.post_json, f"{peer.url}/echo", {}, {}, DEADLINE_SECONDS, 1000)
        for allowed in (False, True, False):
            if allowed:
                assert (await post(may_send)).status == 200
                continue
            with pytest.raises(NotDelivered) as failure:
                await post(may_send)
            assert failure.value.reason == "not_allowed"
    assert (asked, len(peer.requests) - before) == (3, 1)


@pytest.mark.parametrize("kind", ["ours", "library"])
async def test_the_trace_tells_what_the_proof_stands_on(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """I6: with other names nothing would ever be proven, and `may_send` not be asked."""
    told = _hear(monkeypatch)
    connects = ["connection.connect_tcp.started", "connection.connect_tcp.complete"]
    sends = "http11.send_request_headers.started"
    transport = None if kind == "ours" else library(keep_seconds=30)
    async with HttpClient(keepalive_seconds=30, transport=transport) as client:
        for before in (connects, []):
            told.clear()
            await ask(f"{peer.url}/echo", client=client)
            assert told[: len(before) + 2] == [*before, sends, "http11.send_request_headers.complete"]
        told.clear()
        with pytest.raises(NotDelivered):
            await ask(f"https://127.0.0.1:{peer.port}/echo", client=client)
    assert told[:3] == [*connects, "connection.start_tls.started"]


async def test_a_cancelled_handshake_leaves_no_socket_open() -> None:
    """I8: not even until the garbage is collected."""
    gc.disable()
    try:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, f"https://127.0.0.1:{silent.getsockname()[1]}/")
                peer_socket, _ = await trio.to_thread.run_sync(silent.accept)
                with peer_socket:
                    peer_socket.settimeout(DEADLINE_SECONDS)
                    assert await trio.to_thread.run_sync(peer_socket.recv, 1)  # the handshake began
                    nursery.cancel_scope.cancel()
                    with trio.CancelScope(shield=True):
                        await trio.to_thread.run_sync(_read_to_the_end, peer_socket)
    finally:
        gc.enable()


def _read_to_the_end(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def _hear(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that the transport tells from now on."""
    told: list[str] = []

    class Hearing(Progress):
        async def __call__(self, event: str, info: Mapping[str, object]) -> None:
            told.append(event)
            await super().__call__(event, info)

    monkeypatch.setattr(client_module, "Progress", Hearing)
    return told


async def test_a_full_pool_is_a_bound_and_proven_undelivered(peer: Peer) -> None:
    """I8, I6."""
    async with HttpClient(max_connections=1) as client, trio.open_nursery() as nursery:

        async def occupy() -> None:
            with pytest.raises(DeliveryUnknown):
                await ask(f"{peer.url}/hang", client=client)

        before = len(peer.requests)
        nursery.start_soon(occupy)
        await trio.to_thread.run_sync(
            peer.wait_until, lambda: len(peer.requests) > before, "the pool is full"
        )
        with pytest.raises(NotDelivered) as failure:
            await ask(f"{peer.url}/echo", client=client, seconds=SHORT_SECONDS)
        assert failure.value.reason == "no_connection_free"
        await client.aclose()


async def test_connections_are_fresh_unless_asked_to_be_kept(peer: Peer) -> None:
    """I6: a kept connection may die unseen under a send."""
    counts = []
    for keepalive_seconds in (0.0, 30.0):
        before = peer.connections
        async with HttpClient(keepalive_seconds=keepalive_seconds) as client:
            for _ in range(3):
                await ask(f"{peer.url}/echo", client=client)
        counts.append(peer.connections - before)
    assert counts == [3, 1]


async def test_being_cancelled_is_not_an_answer(peer: Peer) -> None:
    """I13: the caller's own cancellation passes through."""
    with trio.move_on_after(SHORT_SECONDS) as scope:
        await ask(f"{peer.url}/hang")
    assert scope.cancelled_caught


async def test_failures_show_no_secret() -> None:
    """I11: neither the message nor a cause holds the URL, the key or the body."""
    with pytest.raises(NotDelivered) as failure:
        await ask("http://user:pw-secret@127.0.0.1:1/k-secret", body="text-secret")
    assert "secret" not in f"{failure.value!r} {failure.value}"
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


async def test_no_log_line_shows_a_request(
    peer: Peer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I11: the library tells the log URLs and headers, where everything is logged."""
    path = tmp_path / "admin.sock"
    with caplog.at_level(logging.DEBUG):
        await ask(f"{peer.url}/echo")
        with unix_peer(path, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"):
            await trio.to_thread.run_sync(unix_get, str(path), "/status")
    assert [record.name for record in caplog.records if record.name.startswith("http")] == []


@contextmanager
def unix_peer(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Answers one request on a Unix socket with bytes as they are, then closes."""
    received: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as reader:
                head = b"".join(iter(reader.readline, b"\r\n"))
                length = int((re.search(rb"content-length: (\d+)", head.lower()) or [0, 0])[1])
                received.append(head + reader.read(length))
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield received
        thread.join(DEADLINE_SECONDS)


def test_the_command_line_asks_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with unix_peer(path, b'HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{"ready":true}') as received:
        assert unix_get(str(path), "/status") == (200, {"ready": True})
    assert received[0].startswith(b"GET /status HTTP/1.1\r\n")


def test_the_command_line_posts_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with unix_peer(path, b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno") as received:
        assert unix_post(str(path), "/flush", {"conversation": "demo/55"}) == (404, None)
    assert received[0].endswith(b'{"conversation":"demo/55"}')


def test_the_command_line_reads_lines_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    with (
        unix_peer(path, head + b'8\r\n{"a":1}\n\r\n8\r\n{"b":2}\n\r\n0\r\n\r\n'),
        unix_lines(str(path), "/tail") as (status, lines),
    ):
        assert (status, list(lines)) == (200, ['{"a":1}', '{"b":2}'])


def test_the_command_line_learns_that_no_daemon_listens(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered):
        unix_get(str(tmp_path / "none.sock"), "/status")
    with pytest.raises(NotDelivered), unix_lines(str(tmp_path / "none.sock"), "/tail"):
        pass


def test_the_command_line_learns_that_the_daemon_died_under_its_question(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with unix_peer(path, b""), pytest.raises(DeliveryUnknown):
        unix_get(str(path), "/status")
