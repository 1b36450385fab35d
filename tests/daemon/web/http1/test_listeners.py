"""TCP addresses and socket files."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio

from daemon.web.http1 import (
    HttpServer,
    Peer,
    Request,
    Response,
    address_of,
    json_response,
    open_tcp_listeners,
    open_unix_listener,
    passed_tcp_listener,
    split_address,
)
from tests.daemon.web.http1.support import GET, echo, in_rounds, read_answer


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a socket's path, wherever the tests keep theirs."""
    with TemporaryDirectory(dir="/tmp", prefix="h1") as name:
        yield Path(name)


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("*:80", ("*", 80)),
    ],
)
def test_addresses(listen: str, address: tuple[str, int]) -> None:
    assert split_address(listen) == address


@pytest.mark.parametrize("listen", ["8080", ":8080", "::1:80", "a:b", "a:", "a:65536", "a:-1", "[]:80", ""])
def test_bad_addresses(listen: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        split_address(listen)


async def test_an_abstract_socket_has_an_address_too() -> None:
    """A service manager may pass one (`ListenStream=@name`)."""
    name = f"majlis-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(f"\0{name}")
        passed.listen()
        assert address_of(passed_tcp_listener(passed)) == f"unix:@{name}"


async def test_a_free_port() -> None:
    (listener,) = await open_tcp_listeners("127.0.0.1:0")
    async with listener:
        assert listener.socket.getsockname()[1] > 0


async def test_a_socket_file_is_private_reveals_the_peer_and_is_removed(folder: Path) -> None:
    peers: list[Peer] = []

    async def note(request: Request) -> Response:
        peers.append(request.peer)
        return json_response(200, {})

    path = folder / "admin.sock"
    async with trio.open_nursery() as nursery:
        await nursery.start(HttpServer(note).serve, [open_unix_listener(path)])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with await trio.open_unix_socket(os.fspath(path)) as client:
            await client.send_all(GET)
            await read_answer(client)
        nursery.cancel_scope.cancel()
    assert peers == [Peer("unix", os.getpid(), os.getuid(), os.getgid())]
    assert names_in(folder) == []


async def test_a_socket_file_may_be_the_door_for_webhooks(folder: Path) -> None:
    """Of a mode of its own; read in rounds, and a burst is taken together."""
    path = folder / "in.sock"
    listener = open_unix_listener(path, 0o666)
    assert address_of(listener) == f"unix:{path}" and stat.S_IMODE(path.stat().st_mode) == 0o666
    async with trio.open_nursery() as nursery:
        server = HttpServer(echo, front=in_rounds(echo))
        await nursery.start(server.serve, [listener])
        clients = [await trio.open_unix_socket(os.fspath(path)) for _ in range(100)]
        for client in clients:
            await client.send_all(GET)
        for client in clients:
            assert (await read_answer(client)).status == 200
            await client.aclose()
        nursery.cancel_scope.cancel()
    assert names_in(folder) == []


async def test_a_dead_servers_socket_is_replaced(folder: Path) -> None:
    path = folder / "admin.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    async with open_unix_listener(path), await trio.open_unix_socket(os.fspath(path)):
        pass


async def test_a_live_servers_socket_is_left_alone(folder: Path) -> None:
    path = folder / "admin.sock"
    async with open_unix_listener(path):
        with pytest.raises(FileExistsError, match="already answers"):
            open_unix_listener(path)
        assert names_in(folder) == ["admin.sock"]


async def test_somebody_elses_file_is_left_alone(folder: Path) -> None:
    path = folder / "admin.sock"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="not a socket"):
        open_unix_listener(path)
    assert path.read_text() == "precious"


async def test_a_successors_socket_is_not_removed(folder: Path) -> None:
    path = folder / "admin.sock"
    listener = open_unix_listener(path)
    path.unlink()
    async with open_unix_listener(path):
        await listener.aclose()
        assert path.exists()


def test_a_path_too_long_is_said_so(folder: Path) -> None:
    with pytest.raises(ValueError, match="longer than"):
        open_unix_listener(folder / ("x" * 110))
