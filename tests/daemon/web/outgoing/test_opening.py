"""Names whose addresses were reached lately: how often they are looked up, and what becomes of a wrong one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trio
import trio.testing

from daemon.web.outgoing import opening
from daemon.web.outgoing.opening import REMEMBERED_SECONDS, Opener
from daemon.web.outgoing.wire import Origin
from tests.support.patience import PATIENCE_SECONDS


class Names(trio.abc.HostnameResolver):
    """What names stand for, and how often that was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.addresses = ["127.0.0.1"]

    async def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        self.asked += 1
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.addresses]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise AssertionError


@pytest.fixture
async def names() -> Names:
    found = Names()
    trio.socket.set_custom_hostname_resolver(found)
    return found


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def origin_of(server: socket.socket, host: str = "gateway.test") -> Origin:
    return "http", host, server.getsockname()[1]


async def reach(opener: Opener, origin: Origin) -> str:
    """The address that was reached."""
    wire = await opener.open(origin, PATIENCE_SECONDS)
    address: str = wire.peer()[1][0]
    wire.close()
    return address


async def test_a_name_is_looked_up_once_in_a_while(names: Names, server: socket.socket) -> None:
    now = 0.0
    opener = Opener(lambda: now)
    for moment, asked in ((0.0, 1), (REMEMBERED_SECONDS - 1, 1), (REMEMBERED_SECONDS, 2)):
        now = moment
        await reach(opener, origin_of(server))
        assert (moment, names.asked) == (moment, asked)
    opener.forget(origin_of(server))
    await reach(opener, origin_of(server))
    assert names.asked == 3


async def test_an_address_that_takes_none_is_forgotten_and_the_others_are_tried(names: Names) -> None:
    """I6: a failure is none before all have been tried, and is not remembered."""
    opener = Opener()
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        origin = origin_of(first)
        names.addresses = ["127.0.0.1", "127.0.0.2"]
        assert await reach(opener, origin) == "127.0.0.1"
        first.close()
        second = stack.enter_context(socket.create_server(("127.0.0.2", origin[2])))
        assert (await reach(opener, origin), names.asked) == ("127.0.0.2", 2)
        second.close()
        for asked in (3, 4):
            with pytest.raises(OSError, match="connect"):
                await reach(opener, origin)
            assert (names.asked, len(opener)) == (asked, 0)


def fill(server: socket.socket, stack: ExitStack) -> None:
    """Fill its queue, so that it takes nothing and refuses nothing."""
    for _ in range(4):
        one = stack.enter_context(socket.socket())
        one.setblocking(False)
        one.connect_ex(server.getsockname())


async def test_an_address_that_keeps_silent_has_only_so_long(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I8."""
    monkeypatch.setattr(opening, "MAX_STRAIGHT_SECONDS", 0.05)
    opener = Opener()
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        origin = origin_of(first)
        await reach(opener, origin)
        fill(first, stack)
        stack.enter_context(socket.create_server(("127.0.0.2", origin[2])))
        names.addresses = ["127.0.0.2"]
        assert (await reach(opener, origin), names.asked) == ("127.0.0.2", 2)


async def test_as_many_names_are_remembered_at_most(
    names: Names, server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I8."""
    monkeypatch.setattr(opening, "MAX_REMEMBERED", 2)
    opener = Opener()
    for name in ("a.test", "b.test", "c.test"):
        await reach(opener, origin_of(server, name))
    assert len(opener) == 2
    await reach(opener, origin_of(server, "a.test"))
    assert names.asked == 4


async def test_an_address_is_not_looked_up(names: Names, server: socket.socket) -> None:
    opener = Opener()
    assert await reach(opener, origin_of(server, "127.0.0.1")) == "127.0.0.1"
    assert (names.asked, len(opener)) == (0, 0)


async def test_a_server_that_is_not_next_door_is_waited_for() -> None:
    """The kernel asks it again after a second."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        fill(server, stack)
        reached: list[str] = []

        async def reach_it() -> None:
            reached.append(await reach(Opener(), origin_of(server, "127.0.0.1")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reach_it)
            await trio.testing.wait_all_tasks_blocked()
            assert not reached
            server.listen(8)
