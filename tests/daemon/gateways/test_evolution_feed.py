"""The gateway's own feed: everything that it brings goes the way of a webhook, and the connection comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from daemon.gateways import evolution_feed, socketio
from daemon.gateways.evolution_feed import EvolutionFeed
from daemon.http1 import Response
from tests.support.payloads import upsert
from tests.support.realtime import SECONDS, Door
from tests.support.socketio_server import FakeSocketIo

GUEST = "5511900001095"


class Listening:
    """A feed, what it listens to, and the ingress behind it."""

    def __init__(self, server: FakeSocketIo) -> None:
        self.server = server
        self.door = Door()
        self.refusals = 0
        self.asked = 0
        self.feed = EvolutionFeed(server.url, server.api_key, "demo", self._receive, self.door.feed)

    async def until(self, ids: list[str]) -> None:
        await self.door.until(lambda: [message.id for message in self.door.accepted] == ids)

    async def until_connected(self) -> None:
        await self.door.until(lambda: self.feed.state().connected)

    async def _receive(self, body: bytes) -> Response:
        self.asked += 1
        if self.refusals:
            self.refusals -= 1
            await trio.lowlevel.checkpoint()
            return Response(503)
        return await self.door.ingress.receive(body)


@asynccontextmanager
async def listening(server: FakeSocketIo) -> AsyncIterator[Listening]:
    made = Listening(server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.feed.run)  # noqa: ASYNC113 - the tests wait until it is connected
        yield made
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evolution_feed, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(evolution_feed, "NAMESPACE_SECONDS", 0.05)


def said(message_id: str, instance: str = "demo") -> dict[str, object]:
    return upsert(instance, GUEST, "oi", message_id, 1785100386)


async def test_a_message_comes_by_the_feed_and_by_webhook_and_is_kept_once() -> None:
    """I3."""
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.until_connected()
        await here.door.until(lambda: len(set(server.joined)) == 2)
        await server.emit("messages.upsert", said("A"))
        await here.until(["A"])
        await here.door.ingress.receive(b'{"event":"presence.update","instance":"demo","data":{}}')
        await server.emit("messages.upsert", said("A"))
        await here.door.until(lambda: here.door.counters.duplicates == 1)
        assert here.feed.state().received == 2


async def test_bytes_in_a_message_cost_no_message() -> None:
    """Keys and secrets in a message travel as binary parts."""
    payload = said("A")
    payload["data"]["message"]["messageContextInfo"] = {"messageSecret": {"_placeholder": True, "num": 0}}  # type: ignore[index]
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        await server.emit("messages.upsert", payload, binary=1)
        await server.emit("messages.upsert", said("B"))
        await here.until(["A", "B"])


async def test_of_the_common_namespace_only_our_instance_counts() -> None:
    """Any key gets the global events of all instances."""
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/" in server.joined)
        await server.emit("messages.upsert", said("X", "other"), "/")
        await server.emit("messages.upsert", said("A"), "/")
        await here.until(["A"])
        assert here.feed.state().received == 1


async def test_a_namespace_that_does_not_exist_yet_is_asked_for_again() -> None:
    server = FakeSocketIo()
    server.namespaces = set()
    async with server.running(), listening(server) as here:
        await here.door.until(lambda: server.connections == 1)
        assert not here.feed.state().connected
        server.namespaces = {"/demo"}
        await here.until_connected()
        await server.emit("messages.upsert", said("A"))
        await here.until(["A"])
        assert server.connections == 1


async def test_a_lost_connection_comes_back_and_it_is_said() -> None:
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.until_connected()
        await server.drop_all()
        await here.door.until(lambda: here.feed.state().connections == 2)
        await here.door.until(lambda: "/demo" in server.joined[2:])
        await server.emit("messages.upsert", said("A"))
        await here.until(["A"])
        counters = here.door.feed.counters
        assert (counters["gateway.feed_up"], counters["gateway.feed_down"]) == (2, 1)


async def test_a_gateway_that_is_away_or_refuses_the_key_is_tried_again() -> None:
    server = FakeSocketIo()
    async with server.running():
        pass  # its port is known now, and nobody listens there
    async with listening(server) as here:
        await trio.sleep(0.1)
        assert not here.feed.state().connected
        server.api_key = "another"
        async with server.running():
            await trio.sleep(0.1)
            assert not here.feed.state().connected
            server.api_key = "key"
            await here.until_connected()


async def test_pings_are_answered_and_silence_is_noticed() -> None:
    server = FakeSocketIo()
    server.ping_ms = (100, 100)
    async with server.running(), listening(server) as here:
        await here.until_connected()
        await server.ping()
        await here.door.until(lambda: server.pongs == 1)
        await here.door.until(lambda: here.door.feed.reasons("gateway.feed_down").get("silent", 0) >= 1)
        await here.door.until(lambda: server.connections >= 2)


async def test_what_cannot_be_stored_now_is_stored_later_and_in_order() -> None:
    """I1: the feed sends nothing again, so it is ours to try."""
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        here.refusals = 3
        await server.emit("messages.upsert", said("A"))
        await server.emit("messages.upsert", said("B"))
        await here.until(["A", "B"])
        assert here.asked == 5


async def test_what_is_lost_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: a full queue has a named policy."""
    monkeypatch.setattr(evolution_feed, "MAX_WAITING", 2)
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        here.refusals = 1_000_000
        for number in range(10):
            await server.emit("messages.upsert", said(f"M{number}"))
        await here.door.until(lambda: here.feed.state().received == 10)
        assert here.feed.state().lost >= 7
        assert here.door.feed.reasons("gateway.feed_lost")["demo"] == here.feed.state().lost


@pytest.mark.parametrize(
    ("message", "kind", "namespace", "event", "data"),
    [
        ('0{"sid":"x"}', "open", "/", "", {"sid": "x"}),
        ("2", "ping", "/", "", None),
        ("1", "close", "/", "", None),
        ('40{"sid":"x"}', "connected", "/", "", {"sid": "x"}),
        ('40/demo,{"sid":"x"}', "connected", "/demo", "", {"sid": "x"}),
        ("41/demo,", "disconnected", "/demo", "", None),
        ('44/demo,{"message":"no"}', "refused", "/demo", "", {"message": "no"}),
        ('42["a",1]', "event", "/", "a", 1),
        ('42/demo,12["a",{"b":2}]', "event", "/demo", "a", {"b": 2}),
        ('452-/demo,["a",{"x":{"num":0}}]', "event", "/demo", "a", {"x": {"num": 0}}),
        ('42/demo,{"not":"a list"}', "event", "/demo", "", None),
        ("42/demo,nonsense", "event", "/demo", "", None),
        ("", "other", "/", "", None),
        ("4", "other", "/", "", None),
        ("47", "other", "/", "", None),
        ("6", "other", "/", "", None),
        ("x" * 10, "other", "/", "", None),
    ],
)  # fmt: skip
def test_packets_are_read(message: str, kind: str, namespace: str, event: str, data: object) -> None:
    packet = socketio.read(message)
    assert (packet.kind, packet.namespace, packet.event, packet.data) == (kind, namespace, event, data)


def test_the_servers_own_patience_counts_within_bounds() -> None:
    def patience(opened: str) -> float:
        return socketio.silence_seconds(socketio.read(opened), 60.0)

    assert patience('0{"pingInterval":25000,"pingTimeout":20000}') == 45.0
    assert patience('0{"pingInterval":9e9,"pingTimeout":20000}') == 60.0
    assert patience("0{}") == patience("0nonsense") == 60.0


async def test_the_key_is_in_no_event() -> None:
    """I11."""
    server = FakeSocketIo(api_key="canary key/&")
    async with server.running(), listening(server) as here:
        here.door.feed.keep(100)
        tail = here.door.feed.tail(after=0)
        await here.until_connected()
        await server.drop_all()
        await here.door.until(lambda: here.feed.state().connections == 2)
        seen: list[object] = []
        with trio.fail_after(SECONDS):
            while len(seen) < here.door.feed.seq:
                seen.append(await tail.receive())
        assert "canary" not in str(seen)
        tail.close()
