"""Which servers are believed: a real TLS server, whose authority only `tls.ca_file` or SSL_CERT_FILE knows."""

from __future__ import annotations

import ast
import math
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio

from daemon.config import ConfigError, load
from daemon.gateways.evolution import feed as feeds
from daemon.observe.feed import EventFeed
from daemon.run import run
from daemon.web.client import HttpClient, NotDelivered
from daemon.web.http1 import Response
from daemon.web.tls import problem, tls_context
from tests.support.certificates import AUTHORITY, SERVER
from tests.support.patience import PATIENCE_SECONDS, until

ROOT = Path(__file__).parents[3]
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
)


CLIENTS = ("HttpClient", "OtlpHttp")
CONTEXTS = ("create_default_context", "SSLContext")


class SecureServer:
    """Answers every request with an empty document."""

    def __init__(self, directory: Path) -> None:
        self.asked: list[bytes] = []
        """First lines of requests."""
        self.port = 0
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate = directory / "server.pem"
        certificate.write_text(SERVER)
        self._context.load_cert_chain(certificate)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_ssl_over_tcp_listeners(0, self._context, host="127.0.0.1")
        plain = listeners[0].transport_listener
        assert isinstance(plain, trio.SocketListener)
        self.port = plain.socket.getsockname()[1]
        other = await trio.open_ssl_over_tcp_listeners(self.port, self._context, host="127.0.0.2")
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._serve, [*listeners, *other])
            task_status.started()

    async def _serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            async with stream:
                asked = b""
                while b"\r\n\r\n" not in asked and (piece := await stream.receive_some(4096)):
                    asked += piece
                self.asked += asked.splitlines()[:1]
                await stream.send_all(ANSWER)
        except trio.BrokenResourceError:
            pass  # it did not believe us


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text(AUTHORITY)
    return path


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SecureServer]:
    async with trio.open_nursery() as nursery:
        secure = SecureServer(tmp_path)
        await nursery.start(secure.run)
        yield secure
        nursery.cancel_scope.cancel()


async def status(server: SecureServer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> int:
    async with HttpClient(tls=tls) as client:
        url = f"https://{host}:{server.port}/"
        return (await client.post_json(url, {}, {}, PATIENCE_SECONDS, 1024)).status


async def test_a_server_of_an_unknown_authority_is_not_believed(server: SecureServer, ca_file: Path) -> None:
    with pytest.raises(NotDelivered, match="tls_failed"):
        await status(server)
    assert await status(server, tls_context(ca_file)) == 200
    with pytest.raises(NotDelivered, match="tls_failed"):  # the certificate is for another name
        await status(server, tls_context(ca_file), "127.0.0.2")
    assert server.asked == [b"POST / HTTP/1.1"]


async def test_the_environment_names_authorities_as_for_every_program(
    server: SecureServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take the place of those that are known otherwise; the setting adds to them."""
    empty = ca_file.with_name("certs")
    empty.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    monkeypatch.setenv("SSL_CERT_DIR", str(empty))
    assert await status(server) == 200
    assert len(tls_context().get_ca_certs()) == 1
    monkeypatch.delenv("SSL_CERT_FILE")
    assert await status(server, tls_context(ca_file)) == 200


async def test_a_gateways_feed_believes_the_same(
    server: SecureServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def receive(_payload: bytes) -> Response:
        await trio.lowlevel.checkpoint()
        return Response(200)

    async def reported(host: str, tls: ssl.SSLContext | None) -> Counter[str]:
        """Why the feed does not connect, which it knows long before its own limit."""
        events = EventFeed(strict=True)
        feed = feeds.EvolutionFeed(f"https://{host}:{server.port}", "key", "demo", receive, events, tls)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed.run)
            await until(lambda: sum(events.counters.values()) > 0)
            nursery.cancel_scope.cancel()
        reasons = Counter(events.reasons("gateway.feed_down"))
        assert list(reasons) == [feed.view().reason]
        return reasons

    monkeypatch.setattr(feeds, "CONNECT_SECONDS", math.inf)
    believed = tls_context(ca_file)
    assert await reported("127.0.0.1", None) == {"certificate_not_believed": 1}
    assert await reported("127.0.0.2", believed) == {"certificate_not_believed": 1}
    assert server.asked == []
    assert await reported("127.0.0.1", believed) == {"refused": 1}
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "cannot be read (No such file or directory)"), ("x", "holds no certificates in PEM format")],
)
def test_a_file_that_cannot_be_used_stops_the_start_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, words: str
) -> None:
    bad = tmp_path / "bad.pem"
    if text is not None:
        bad.write_text(text)
    with pytest.raises(ConfigError) as refused:
        run(load(None, [f"data_dir={tmp_path}/data", f"tls.ca_file={bad}"], {}))
    assert str(refused.value) == f"tls.ca_file: {bad} {words}."
    assert not (tmp_path / "data").exists()
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, str(bad))
        assert problem(None).startswith(f"{name}: {bad} ")
        monkeypatch.delenv(name)


def test_a_file_that_goes_bad_later_is_found_by_the_doctor_alone(ca_file: Path) -> None:
    known = tls_context(ca_file)
    ca_file.unlink()
    assert tls_context(ca_file) is known
    assert problem(ca_file).startswith("tls.ca_file: ")


def test_no_connection_is_made_past_the_settings() -> None:
    """Every client of the daemon gets its authorities by name, and only one file makes them."""
    calls = [
        (path.relative_to(ROOT).as_posix(), node)
        for path in (ROOT / "daemon").rglob("*.py")
        if (text := path.read_text(encoding="utf-8")) and any(name in text for name in (*CLIENTS, *CONTEXTS))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
    ]
    named = partial(_is_call_of, names=CLIENTS)
    clients = [(path, node) for path, node in calls if named(node)]
    assert len(clients) >= 5
    assert [path for path, node in clients if "tls" not in {word.arg for word in node.keywords}] == []
    made = {path for path, node in calls if _is_call_of(node, CONTEXTS)}
    assert made == {"daemon/web/tls.py", "daemon/run/__init__.py"}


def _is_call_of(node: ast.Call, names: tuple[str, ...]) -> bool:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return called in names
