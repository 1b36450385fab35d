"""The contract of what waits to be forwarded: the fake of the storms, and the tables, pass the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import trio

from actors.errors import LedgerUnavailable
from daemon.forwarding.store import ForwardStore, NoRoom
from tests.support.forwards import ForwardRows, MemoryForwards
from tests.support.ledgers import open_world

PLENTY = 1 << 30
BOUNDS = (PLENTY, PLENTY)


@dataclass
class Subject:
    """Two daemons. `expire` lets every lease end, `come_due` every rest."""

    one: ForwardStore
    two: ForwardStore
    expire: Callable[[], Awaitable[None]]
    come_due: Callable[[], Awaitable[None]]

    async def take(self, *bodies: bytes, bounds: tuple[int, int] = BOUNDS) -> NoRoom | None:
        refusal = None
        for body in bodies:
            refusal = await self.one.take("acme", "event", {"a": "b"}, [1], 0, body, bounds)
        return refusal

    async def waiting(self) -> list[bytes | None]:
        return [one.body for one in await self.one.next("acme", 9, PLENTY)]


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    """None: in memory."""
    return None if request.param == "memory" else str(request.getfixturevalue("migrated_postgres_dsn"))


@pytest.fixture
async def subject(dsn: str | None) -> AsyncIterator[Subject]:
    if dsn is None:
        rows = ForwardRows()

        async def expire() -> None:
            for line in rows.lines.values():
                line.held_until = trio.current_time()
            await trio.lowlevel.checkpoint()

        async def come_due() -> None:
            for line in rows.lines.values():
                line.due_at = trio.current_time()
            await trio.lowlevel.checkpoint()

        yield Subject(MemoryForwards(rows, "one"), MemoryForwards(rows, "two"), expire, come_due)
        return
    async with open_world(dsn, 8) as world:

        async def change(what: str) -> None:
            await world.db.fetch(f"UPDATE majlis_forward_queues SET {what} = now()")

        yield Subject(
            ForwardStore(world.db, "one"),
            ForwardStore(world.db, "two"),
            lambda: change("held_until"),
            lambda: change("due_at"),
        )


async def test_one_daemon_at_a_time_forwards_what_waits_in_its_order(subject: Subject) -> None:
    one, two = subject.one, subject.two
    assert await one.claim((), 9) == []
    await subject.take(b"first", b"second", b"third")
    assert await one.claim((), 0) == [] and await one.claim((), 9) == ["acme"]
    assert await two.claim((), 9) == [] and not await two.hold("acme")
    assert await one.claim(("acme",), 9) == [] and await one.claim((), 9) == ["acme"]  # left behind by itself
    first = (await one.next("acme", 1, 0))[0]
    assert (first.body, first.event, first.headers, first.places, first.place, first.size, first.pieces) == (
        *(b"first", "event", {"a": "b"}, (1,), 0, 5, 1),
    )
    assert [found.body for found in await one.next("acme", 9, 11)] == [b"first", b"second"]
    assert [found.body for found in await one.next("acme", 1, PLENTY)] == [b"first"]
    assert await one.hold("acme") and await one.sent("acme", first.id)
    await two.release("acme")
    assert await two.claim((), 9) == []
    await subject.expire()
    assert await two.claim((), 9) == ["acme"] and not await one.hold("acme")
    second, third = await one.next("acme", 9, PLENTY)
    assert not await one.sent("acme", second.id)  # it arrived, whoever says so
    assert await subject.waiting() == [b"third"]
    await two.release("acme")
    assert await one.claim((), 9) == ["acme"]
    assert await one.sent("acme", third.id) and await one.sent("acme", third.id)
    assert await subject.waiting() == [] and await one.claim((), 9) == []


async def test_what_fails_rests_and_what_is_dead_keeps_its_place(subject: Subject) -> None:
    one, two = subject.one, subject.two
    await subject.take(b"first", b"second")
    assert await one.claim((), 9) == ["acme"]
    first = (await one.next("acme", 1, 0))[0]
    await two.failed("acme", first.id, "not_ours", 0.0)  # counted, but the queue is another's
    assert await two.claim((), 9) == []
    await one.failed("acme", first.id, "held", 600.0, burn=False)
    assert (await one.next("acme", 1, 0))[0].tries == 1
    assert await one.claim((), 9) == [] and await two.claim((), 9) == []
    await subject.take(b"third")  # what comes behind it does not end the rest
    assert await two.claim((), 9) == []
    await subject.come_due()
    assert await two.claim((), 9) == ["acme"]
    assert await two.bury("acme", "answered_404", first.id) == 1
    assert await two.bury("acme", "answered_404", first.id) == 0
    assert await subject.waiting() == [b"second", b"third"]
    assert await one.retry(first.id, "other") == 0 and await one.retry(first.id) == 1
    assert await subject.waiting() == [b"first", b"second", b"third"]
    assert (await one.next("acme", 1, 0))[0].tries == 0
    assert await one.bury("acme", "instance_removed") == 3
    assert await two.claim((), 9) == []
    assert await one.retry(None) == 3 and await subject.waiting() == [b"first", b"second", b"third"]
    assert await one.drop(first.id) == "acme" and await one.drop(first.id) is None
    assert await subject.waiting() == [b"second", b"third"]


async def test_what_arrives_in_pieces_is_seen_when_it_is_whole(subject: Subject) -> None:
    one = subject.one
    large, given_up = await one.begin("acme"), await one.begin("acme")
    for piece, data in enumerate((b"ab", b"cd")):
        await one.add(large, piece, data)
        await one.add(given_up, piece, data)
    await one.add(large, 0, b"again")
    await one.abandon(given_up)
    assert await subject.waiting() == [] and await one.claim((), 9) == [] and await one.drop(large) is None
    assert await one.take("acme", "", {}, [], -1, (large, 4), BOUNDS) is None
    assert await one.take("acme", "", {}, [], -1, (given_up, 4), BOUNDS) == "gone"
    assert await one.take("acme", "", {}, [], -1, (large, 4), BOUNDS) == "gone"
    await one.abandon(large)
    [found] = await one.next("acme", 9, 0)
    assert (found.body, found.pieces, found.size) == (None, 2, 4)
    assert [await one.piece(large, number) for number in range(2)] == [b"ab", b"cd"]
    with pytest.raises(LedgerUnavailable):
        await one.piece(large, 2)


async def test_what_may_wait_is_bounded(subject: Subject) -> None:
    one = subject.one
    assert await subject.take(b"12", b"34", bounds=(4, PLENTY)) is None
    assert await subject.take(b"5", bounds=(4, PLENTY)) == "instance"
    assert await one.take("other", "", {}, [], -1, b"5", (4, 4)) == "all"
    await one.bury("acme", "answered_404")
    assert await subject.take(b"5", bounds=(4, 4)) == "all"  # the dead ones count there
    assert await subject.take(b"5", bounds=(4, 5)) is None
