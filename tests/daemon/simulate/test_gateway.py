"""The simulated gateway, used through the daemon's own gateway client."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from actors.identity import Conversation
from actors.outcome import NoRecord, NotSent, RecordFound, Sent
from daemon.gateways.evolution.client import EvolutionGateway
from daemon.simulate.books import Books
from daemon.simulate.gateway import MAX_RECORDS, GatewaySide
from daemon.simulate.tokens import contact_of, token
from daemon.web.client import HttpClient
from daemon.web.http1 import HttpServer, Limits, open_tcp_listeners
from tests.support.patience import PATIENCE_SECONDS

ANNA = Conversation("demo", contact_of(1))


async def nobody_writes(_customer: int) -> None:
    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def gateway_of(
    books: Books, answering: Callable[[int], Awaitable[None]] = nobody_writes
) -> AsyncIterator[tuple[EvolutionGateway, GatewaySide]]:
    side = GatewaySide("demo", 10, books, answering)
    server = HttpServer(side.handle, Limits())
    listeners = await open_tcp_listeners("127.0.0.1:0")
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    async with HttpClient() as http, trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: server.serve(listeners, task_status=task_status))
        yield EvolutionGateway(http, base_url=url, api_key="any", timeout_seconds=PATIENCE_SECONDS), side
        nursery.cancel_scope.cancel()


async def test_a_reply_is_recorded() -> None:
    books = Books("m")
    books.post(1, 0, 5, 1.0)
    books.acknowledge(1, 0, 1.1, 0.1)
    since_ms = int(time.time() * 1000)
    async with gateway_of(books) as (gateway, _):
        text = f"Heard 1: hello {token('m', 1, 0)}"
        assert await gateway.find(ANNA, text, since_ms, frozenset()) == NoRecord()
        sent = await gateway.send(ANNA, text)
        assert isinstance(sent, Sent)
        assert await gateway.find(ANNA, text, since_ms, frozenset()) == RecordFound(sent.message_id)
        assert await gateway.find(ANNA, text, since_ms, frozenset({sent.message_id})) == NoRecord()
    assert (books.answered, books.waiting, books.replies) == (1, 0, 1)


async def test_a_reply_is_recorded_before_the_response() -> None:
    """A daemon that is killed during the send finds it in the records."""
    books = Books("m")
    in_the_middle = trio.Event()

    async def hold(_customer: int) -> None:
        in_the_middle.set()
        await trio.sleep_forever()

    async with gateway_of(books, hold) as (gateway, _), trio.open_nursery() as nursery:
        nursery.start_soon(gateway.send, ANNA, "Heard 0: ")
        await in_the_middle.wait()
        assert books.replies == 1
        assert isinstance(await gateway.find(ANNA, "Heard 0: ", 0, frozenset()), RecordFound)
        nursery.cancel_scope.cancel()


async def test_replies_to_other_people_are_kept_by_the_daemon() -> None:
    """Real people and other instances: refused like an offline phone, which does not count as an attempt."""
    books = Books("m")
    async with gateway_of(books) as (gateway, side):
        for stranger in (
            Conversation("demo", "5511999990000"),
            Conversation("demo", contact_of(10)),
            Conversation("other", contact_of(1)),
        ):
            outcome = await gateway.send(stranger, "hello")
            assert isinstance(outcome, NotSent)
            assert outcome.remedy == "hold"
    assert side.strangers == 3
    assert books.replies == 0


async def test_records_are_bounded() -> None:
    async with gateway_of(Books("m")) as (gateway, side):
        for number in range(2 * MAX_RECORDS):
            await gateway.send(ANNA, f"Heard 1: {number}")
        assert isinstance(await gateway.find(ANNA, "Heard 1: 0", 0, frozenset()), NoRecord)
        last = f"Heard 1: {2 * MAX_RECORDS - 1}"
        assert isinstance(await gateway.find(ANNA, last, 0, frozenset()), RecordFound)
        assert sum(map(len, side._records.values())) == MAX_RECORDS
