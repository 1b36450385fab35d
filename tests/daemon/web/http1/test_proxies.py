"""Whose a request is behind a proxy, and that limits count clients there."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio

from daemon.web.http1 import Front, Limits, Peer, Request, Response, TrustedProxies, json_response
from tests.daemon.web.http1.support import echo, in_rounds, read_answer, serving
from tests.support.patience import until

PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/8", "127.0.0.1"])


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),  # what the client wrote himself stands on the left
        ("203.0.113.7, 10.1.2.3, 10.9.9.9", "203.0.113.7"),
        ("127.0.0.1, 203.0.113.7", "203.0.113.7"),
        ("10.1.2.3,10.9.9.9", "10.1.2.3"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:4711, fd00::2", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, unknown", "unknown"),
        (" , ", ""),
        ("", ""),
        ("203.0.113.7, " + "10.0.0.1, " * 50, "10.0.0.1"),
    ],
)
def test_the_rightmost_address_that_is_no_proxy_is_the_clients(header: str, client: str) -> None:
    assert PROXIES.client(header) == client


def test_which_proxies_are_trusted() -> None:
    assert [PROXIES.trusts(Peer(address)) for address in ("10.1.1.1", "127.0.0.1", "11.0.0.1", "nobody")] == [
        True,
        True,
        False,
        False,
    ]
    over_socket_file = Peer("unix", uid=33)
    assert not PROXIES.trusts(over_socket_file) and TrustedProxies(["unix"]).trusts(over_socket_file)
    assert not TrustedProxies([]).trusts(Peer("127.0.0.1"))


async def test_the_header_of_anybody_else_counts_for_nothing() -> None:
    seen: list[str] = []

    async def note(request: Request) -> Response:
        seen.append(request.peer.address)
        return json_response(200, {})

    for front in (Front(), Front(proxies=TrustedProxies(["10.0.0.0/8"])), Front(proxies=PROXIES)):
        async with serving(note, front=front) as served:
            await served.say(ask("203.0.113.7") + ask(""))
    assert seen == ["127.0.0.1"] * 4 + ["203.0.113.7", "127.0.0.1"]


def ask(client: str, length: int = 0) -> bytes:
    forwarded = f"X-Forwarded-For: {client}\r\n" if client else ""
    return f"POST / HTTP/1.1\r\nHost: a\r\n{forwarded}Content-Length: {length}\r\n\r\n".encode()


@pytest.mark.parametrize("rounds", [False, True])
async def test_behind_a_proxy_limits_count_clients(rounds: bool) -> None:
    """A client's slow requests keep nobody else out; the proxy's idle connections are nobody's."""
    limits = Limits(max_connections=20, max_connections_per_address=2)
    front = Front(in_rounds(echo).at_once if rounds else None, PROXIES)
    async with (
        serving(limits=limits, front=front, gate=lambda _request: True) as served,
        AsyncExitStack() as crowd,
    ):

        async def begin(client: str, length: int = 0) -> trio.SocketStream:
            stream = await crowd.enter_async_context(await served.connect())
            await stream.send_all(ask(client, length))
            return stream

        idle = [await begin("203.0.113.9") for _ in range(6)]
        assert [(await read_answer(stream)).status for stream in idle] == [200] * 6
        slow = [await begin("203.0.113.7", 5) for _ in range(2)]
        await until(lambda: served.server.counters.connections == 8)
        refused = await begin("203.0.113.7", 5)
        answer = await read_answer(refused)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        other = await begin("203.0.113.8")
        assert (await read_answer(other)).status == 200
        for stream in slow:
            await stream.send_all(b"hello")
            assert (await read_answer(stream)).status == 200
        again = await begin("203.0.113.7")
        assert (await read_answer(again)).status == 200
