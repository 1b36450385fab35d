"""Places and kept connections: bounds, turns, age, and what is given back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import trio
import trio.testing

from daemon.web.outgoing.pool import Pool
from daemon.web.outgoing.wire import Origin, Wire

HERE, THERE, ELSEWHERE = ("http", "here", 80), ("http", "there", 80), ("http", "elsewhere", 80)


class Peers:
    """Connections, and their other ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._ends: dict[Wire, socket.socket] = {}

    def wire(self, origin: Origin) -> Wire:
        ours, theirs = map(self._stack.enter_context, socket.socketpair())
        theirs.setblocking(False)
        wire = Wire(ours, origin)
        self._ends[wire] = theirs
        return wire

    def end(self, wire: Wire) -> socket.socket:
        return self._ends[wire]

    def is_open(self, wire: Wire) -> bool:
        try:
            return self._ends[wire].recv(1) != b""
        except BlockingIOError:
            return True


@pytest.fixture
def peers() -> Iterator[Peers]:
    with ExitStack() as stack:
        yield Peers(stack)


async def begin(pool: Pool, peers: Peers, origin: Origin) -> Wire:
    await pool.enter(origin)
    wire = pool.kept(origin)
    if wire is None:
        wire = peers.wire(origin)
        pool.opened(wire)
    return wire


async def test_the_youngest_is_used_first_and_the_old_are_closed(
    peers: Peers, autojump_clock: trio.testing.MockClock
) -> None:
    pool = Pool(10, 40, 30.0)
    first, second = await begin(pool, peers, HERE), await begin(pool, peers, HERE)
    pool.leave(HERE, first, is_fit=True)
    await trio.sleep(20)
    pool.leave(HERE, second, is_fit=True)
    assert await begin(pool, peers, HERE) is second
    pool.leave(HERE, second, is_fit=True)
    await trio.sleep(15)
    assert await begin(pool, peers, THERE) not in (first, second)
    assert (peers.is_open(first), peers.is_open(second), len(pool)) == (False, True, 2)
    await trio.sleep(15)
    assert await begin(pool, peers, HERE) is not second
    assert not peers.is_open(second)


@pytest.mark.parametrize("keep_seconds", [0.0, 30.0])
async def test_none_is_kept_that_is_not_fit_or_not_wanted(peers: Peers, keep_seconds: float) -> None:
    pool = Pool(10, 40, keep_seconds)
    wire = await begin(pool, peers, HERE)
    pool.leave(HERE, wire, is_fit=keep_seconds == 0)
    assert (peers.is_open(wire), len(pool), pool.servers) == (False, 0, 0)


@pytest.mark.parametrize("came", [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b""])
async def test_one_on_which_something_came_is_not_used(peers: Peers, came: bytes) -> None:
    """I6: it would be taken for the answer."""
    pool = Pool(10, 40, 30.0)
    wire = await begin(pool, peers, HERE)
    pool.leave(HERE, wire, is_fit=True)
    peers.end(wire).sendall(came) if came else peers.end(wire).shutdown(socket.SHUT_WR)
    assert await begin(pool, peers, HERE) is not wire
    assert len(pool) == 1


async def test_no_server_holds_more_than_its_own_bound_and_turns_are_kept(peers: Peers) -> None:
    """I8."""
    pool = Pool(1, 2, 30.0)
    came: list[str] = []

    async def use(name: str, origin: Origin) -> None:
        wire = await begin(pool, peers, origin)
        came.append(name)
        await trio.testing.wait_all_tasks_blocked()
        pool.leave(origin, wire, is_fit=True)

    held = await begin(pool, peers, HERE)
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(use, f"here {number}", HERE)
            await trio.testing.wait_all_tasks_blocked()
        await use("there", THERE)
        pool.leave(HERE, held, is_fit=True)
    assert came == ["there", "here 0", "here 1", "here 2"]
    assert len(pool) == 2


async def test_those_that_are_kept_count_and_give_way(peers: Peers) -> None:
    """I8: the oldest of all."""
    pool = Pool(2, 3, 30.0)
    kept = []
    for origin in (HERE, THERE):
        kept += [await begin(pool, peers, origin)]
        pool.leave(origin, kept[-1], is_fit=True)
    used = [await begin(pool, peers, ELSEWHERE) for _ in range(2)]
    assert [peers.is_open(wire) for wire in (*kept, *used)] == [False, True, True, True]
    assert (len(pool), pool.servers) == (3, 2)


@pytest.mark.parametrize("bounds", [(1, 9), (9, 1)])
@pytest.mark.parametrize("is_late", [False, True])
async def test_who_is_cancelled_as_he_waits_holds_no_place(
    peers: Peers, bounds: tuple[int, int], is_late: bool
) -> None:
    """I8: or the pool would shrink for as long as the daemon runs. Late: as his turn comes."""
    pool = Pool(*bounds, 30.0)
    held = await begin(pool, peers, HERE)

    async def wait() -> None:
        wire = await begin(pool, peers, HERE)
        try:
            await trio.lowlevel.checkpoint()
        finally:
            pool.leave(HERE, wire, is_fit=False)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        if is_late:
            pool.leave(HERE, held, is_fit=True)
        nursery.cancel_scope.cancel()
    if not is_late:
        pool.leave(HERE, held, is_fit=True)
    with trio.fail_after(1):
        pool.leave(HERE, await begin(pool, peers, HERE), is_fit=False)
    assert (len(pool), pool.servers) == (0, 0)


async def test_who_is_cancelled_behind_others_holds_no_place_at_his_own_server(peers: Peers) -> None:
    """I8."""
    pool = Pool(2, 2, 30.0)
    here, there = await begin(pool, peers, HERE), await begin(pool, peers, THERE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(begin, pool, peers, HERE)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    pool.leave(THERE, there, is_fit=False)
    with trio.fail_after(1):
        pool.leave(HERE, await begin(pool, peers, HERE), is_fit=False)
    pool.leave(HERE, here, is_fit=False)
    assert (len(pool), pool.servers) == (0, 0)


async def test_closing_ends_those_in_use_too(peers: Peers) -> None:
    pool = Pool(10, 40, 30.0)
    used, kept = await begin(pool, peers, HERE), await begin(pool, peers, HERE)
    pool.leave(HERE, kept, is_fit=True)

    async def receive() -> None:
        with pytest.raises(OSError, match="closed"):
            await used.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        pool.close()
    pool.leave(HERE, used, is_fit=True)
    assert (peers.is_open(used), peers.is_open(kept), len(pool)) == (False, False, 0)


async def test_no_step_looks_at_all_that_are_kept(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(200, 400, 30.0)
    used = [await begin(pool, peers, HERE) for _ in range(50)]
    for wire in used:
        pool.leave(HERE, wire, is_fit=True)
    looked: list[Wire] = []
    look = Wire.is_quiet

    def is_quiet(wire: Wire) -> bool:
        looked.append(wire)
        return look(wire)

    monkeypatch.setattr(Wire, "is_quiet", is_quiet)
    wire = await begin(pool, peers, HERE)
    pool.leave(HERE, wire, is_fit=True)
    assert looked == [wire]
