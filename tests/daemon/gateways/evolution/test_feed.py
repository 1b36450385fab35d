"""The gateway's own feed: its events are handled like webhooks, and the connection is restored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio_websocket import wrap_server_stream

from daemon.gateways.evolution import feed as evolution_feed
from daemon.gateways.evolution import socketio
from daemon.gateways.evolution.feed import EvolutionFeed
from daemon.web.http1 import Response, json_response
from tests.support.patience import PATIENCE_SECONDS
from tests.support.payloads import upsert
from tests.support.realtime import Door
from tests.support.socketio_server import FakeSocketIo

GUEST = "5511900001095"


class Listening:
    """A feed, what it listens to, and the ingress behind it."""

    def __init__(self, server: FakeSocketIo | Frozen) -> None:
        self.server = server
        self.door = Door()
        self.refusals = 0
        self.full = ""
        """Why the message `FULL` cannot be stored while others can."""
        self.asked = 0
        self.feed = EvolutionFeed(server.url, server.api_key, "demo", self._receive, self.door.feed)

    async def until(self, ids: list[str]) -> None:
        await self.door.until(lambda: [message.id for message in self.door.accepted] == ids)

    async def until_connected(self) -> None:
        await self.door.until(lambda: self.feed.view().connected)

    async def _receive(self, body: bytes) -> Response:
        self.asked += 1
        if self.refusals:
            self.refusals -= 1
            await trio.lowlevel.checkpoint()
            return Response(503)
        if b'"BUG"' in body:
            raise ZeroDivisionError
        if self.full and b'"FULL"' in body:
            return json_response(503, {"status": "retry", "reason": self.full})
        return await self.door.ingress.receive(body)


@asynccontextmanager
async def listening(server: FakeSocketIo | Frozen) -> AsyncIterator[Listening]:
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


async def test_a_message_from_feed_and_webhook_is_stored_once() -> None:
    """I3."""
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.until_connected()
        await here.door.until(lambda: len(set(server.joined)) == 2)
        await server.emit("messages.upsert", said("A"))
        await here.until(["A"])
        await here.door.ingress.receive(b'{"event":"presence.update","instance":"demo","data":{}}')
        await server.emit("messages.upsert", said("A"))
        await here.door.until(lambda: here.door.counters.duplicates == 1)
        assert here.feed.view().received == 2


async def test_binary_parts_in_a_message_lose_no_message() -> None:
    """Keys and secrets in a message travel as binary parts."""
    payload = said("A")
    payload["data"]["message"]["messageContextInfo"] = {"messageSecret": {"_placeholder": True, "num": 0}}  # type: ignore[index]
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        await server.emit("messages.upsert", payload, binary=1)
        await server.emit("messages.upsert", said("B"))
        await here.until(["A", "B"])


async def test_only_our_instance_is_read_from_the_common_namespace() -> None:
    """Any key gets the global events of all instances."""
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/" in server.joined)
        await server.emit("messages.upsert", said("X", "other"), "/")
        await server.emit("messages.upsert", said("A"), "/")
        await here.until(["A"])
        assert here.feed.view().received == 1


async def test_a_namespace_that_does_not_exist_yet_is_asked_for_again() -> None:
    server = FakeSocketIo()
    server.namespaces = set()
    async with server.running(), listening(server) as here:
        await here.door.until(lambda: server.connections == 1)
        assert not here.feed.view().connected
        server.namespaces = {"/demo"}
        await here.until_connected()
        await server.emit("messages.upsert", said("A"))
        await here.until(["A"])
        assert server.connections == 1


async def test_the_common_namespace_alone_is_not_a_connection() -> None:
    """The gateway lets everybody into it, also for an instance that it has never heard of."""
    server = FakeSocketIo()
    server.namespaces = {"/"}
    async with server.running(), listening(server) as here:
        await here.door.until(lambda: here.feed.view().waiting)
        await here.door.until(lambda: here.door.feed.counters["gateway.feed_waiting"] == 1)
        assert not here.feed.view().connected
        await server.emit("messages.upsert", said("X", "other"), "/")
        await server.emit("messages.upsert", said("A"), "/")
        await here.until(["A"])
        assert (here.feed.view().connected, here.feed.view().waiting) == (True, False)
        assert here.door.feed.counters["gateway.feed_up"] == here.feed.view().connections == 1
        await server.drop_all()  # what was heard says nothing of the next connection
        await here.door.until(lambda: here.feed.view().waiting)
        await here.door.until(lambda: here.door.feed.counters["gateway.feed_waiting"] == 2)
        server.namespaces = {"/", "/demo"}
        await here.until_connected()
        counters = here.door.feed.counters
        assert (counters["gateway.feed_up"], counters["gateway.feed_waiting"]) == (2, 2)


async def test_a_lost_connection_is_reported_and_restored() -> None:
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.until_connected()
        await server.drop_all()
        await here.door.until(lambda: here.feed.view().connections == 2)
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
        await here.door.until(lambda: here.door.feed.reasons("gateway.feed_down") == {"unreachable": 1})
        assert not here.feed.view().connected
        server.api_key = "another"
        async with server.running():
            await here.door.until(lambda: server.rejected >= 2)
            assert not here.feed.view().connected
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


async def test_a_message_that_cannot_be_stored_now_is_stored_later_in_order() -> None:
    """I1: the feed sends nothing again, so we have to try again."""
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        here.refusals = 3
        await server.emit("messages.upsert", said("A"))
        await server.emit("messages.upsert", said("B"))
        await here.until(["A", "B"])
        assert here.asked == 5


@pytest.mark.parametrize("why", ["conversation_full", "amended_message_unknown"])
async def test_what_only_itself_or_its_conversation_delays_delays_no_other(why: str) -> None:
    """I9: a paused one may stay full for days, and the edit of an unknown message comes again for a minute."""
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        here.full = why
        for message_id in ("FULL", "A", "B"):
            await server.emit("messages.upsert", said(message_id))
        await here.until(["A", "B"])
        here.full = ""
        await here.until(["A", "B", "FULL"])
        assert here.feed.view().lost == 0


async def test_a_bug_with_one_message_loses_only_that_message() -> None:
    """I14: and it is reported. The connection is kept, because it brings nothing twice."""
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        for message_id in ("BUG", "A"):
            await server.emit("messages.upsert", said(message_id))
        await here.until(["A"])
        await here.door.until(lambda: here.feed.view().lost == 1)
        assert (here.feed.view().connections, server.connections) == (1, 1)
        assert here.door.feed.reasons("daemon.problem") == {"gateway feed": 1 + evolution_feed.MAX_FAILURES}


async def test_after_a_bug_of_ours_the_feed_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """I14: a feed that is connected must also be read."""
    read, failures = socketio.read, [ZeroDivisionError()]

    def fails_once(message: str) -> socketio.Packet:
        if "A" in message and failures:
            raise failures.pop()
        return read(message)

    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        monkeypatch.setattr(socketio, "read", fails_once)
        await server.emit("messages.upsert", said("A"))
        await here.door.until(lambda: here.feed.view().connections == 2)
        await here.door.until(lambda: server.joined.count("/demo") == 2)
        await server.emit("messages.upsert", said("B"))
        await here.until(["B"])
        assert here.door.feed.reasons("gateway.feed_down") == {"failed": 1}


class Frozen:
    """A gateway that froze: its host still takes connections and bytes, but nothing answers."""

    api_key = "key"

    def __init__(self) -> None:
        self.connections = 0
        self.url = ""

    async def serve(self, stream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:
            socket = await (await wrap_server_stream(nursery, stream)).accept()
            self.connections += 1
            await socket.send_message('0{"sid":"s","pingInterval":100,"pingTimeout":100}')
            await socket.send_message('40/demo,{"sid":"n"}')
            nursery.cancel_scope.cancel()
        await trio.sleep_forever()


async def test_a_frozen_gateway_is_left_without_waiting_for_its_goodbye(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each second of waiting for it would lose the events of that second."""
    monkeypatch.setattr(evolution_feed, "CLOSE_SECONDS", 0.1)
    frozen = Frozen()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    frozen.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, frozen.serve, listeners)
        async with listening(frozen) as here:
            await here.until_connected()
            await here.door.until(lambda: frozen.connections >= 2)
            assert set(here.door.feed.reasons("gateway.feed_down")) == {"silent"}
        nursery.cancel_scope.cancel()


async def test_a_feed_that_is_down_is_reported_once_with_its_reason() -> None:
    server = FakeSocketIo()
    async with server.running():
        pass  # its port is known now, and nobody listens there
    async with listening(server) as here:
        await here.door.until(lambda: here.door.feed.reasons("gateway.feed_down") == {"unreachable": 1})
        async with server.running():
            await here.until_connected()
        await here.door.until(lambda: here.door.feed.counters["gateway.feed_down"] == 2)
    async with server.running(), listening(server) as here:
        server.api_key = "another"
        await here.door.until(lambda: here.door.feed.reasons("gateway.feed_down") == {"refused": 1})


async def test_a_message_that_is_too_large_is_lost_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: one message cannot take more memory than that, and the next one comes."""
    monkeypatch.setattr(evolution_feed, "MAX_FRAME_BYTES", 5_000)
    large = said("LARGE") | {"padding": "x" * 10_000}
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        await server.emit("messages.upsert", large)
        await here.door.until(lambda: server.joined.count("/demo") == 2)
        await server.emit("messages.upsert", said("A"))
        await here.until(["A"])
        assert here.feed.view().lost == 1
        assert here.door.feed.reasons("gateway.feed_down") == {"frame_too_big": 1}


async def test_media_in_an_event_do_not_wait_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: what waits is the caption; so a large photo finds room where its bytes would not."""
    monkeypatch.setattr(evolution_feed, "MAX_WHOLE_BYTES", 10_000)
    monkeypatch.setattr(evolution_feed, "MAX_WAITING_BYTES", 10_000)
    photo = upsert("demo", GUEST, "", "A", 1785100386)
    photo["data"]["message"] = {"imageMessage": {"caption": "this one"}, "base64": "A9+/" * 50_000}  # type: ignore[index]
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        await server.emit("messages.upsert", photo)
        await here.until(["A"])
        (message,) = here.door.accepted
        assert (message.text, message.media_inline_dropped) == (
            "[image; it cannot be seen here] this one",
            True,
        )


async def test_waiting_messages_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: a thousand messages with media need far more memory than a thousand texts."""
    monkeypatch.setattr(evolution_feed, "MAX_WAITING_BYTES", 50_000)
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        here.refusals = 1_000_000
        for number in range(10):
            await server.emit("messages.upsert", said(f"M{number}") | {"padding": "x" * 10_000})
        await here.door.until(lambda: here.feed.view().received == 10)
        assert here.feed.view().lost == 6
        here.refusals = 0
        await here.until(["M0", "M1", "M2", "M3"])
        await server.emit("messages.upsert", said("A"))
        await here.until(["M0", "M1", "M2", "M3", "A"])


async def test_messages_that_still_wait_at_the_end_are_lost_and_reported() -> None:
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        here.refusals = 1_000_000
        for number in range(3):
            await server.emit("messages.upsert", said(f"M{number}"))
        await here.door.until(lambda: here.feed.view().received == 3)
    here.feed.give_up()
    assert here.feed.view().lost == here.door.feed.reasons("gateway.feed_lost")["demo"] == 3


async def test_messages_beyond_the_bound_are_lost_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: a full queue has a named policy."""
    monkeypatch.setattr(evolution_feed, "MAX_WAITING", 2)
    async with FakeSocketIo().running() as server, listening(server) as here:
        await here.door.until(lambda: "/demo" in server.joined)
        here.refusals = 1_000_000
        for number in range(10):
            await server.emit("messages.upsert", said(f"M{number}"))
        await here.door.until(lambda: here.feed.view().received == 10)
        assert here.feed.view().lost >= 7
        assert here.door.feed.reasons("gateway.feed_lost")["demo"] == here.feed.view().lost


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


def test_the_time_out_that_the_server_names_is_used_within_bounds() -> None:
    def patience(opened: str) -> float:
        return socketio.silence_seconds(socketio.read(opened), 60.0)

    assert patience('0{"pingInterval":25000,"pingTimeout":20000}') == 45.0
    assert patience('0{"pingInterval":9e9,"pingTimeout":20000}') == 60.0
    assert patience("0{}") == patience("0nonsense") == 60.0


async def test_the_key_is_in_no_event() -> None:
    """I11."""
    server = FakeSocketIo(api_key="canary key/&")
    async with server.running(), listening(server) as here:
        tail = here.door.feed.tail(after=0)
        await here.until_connected()
        await server.drop_all()
        await here.door.until(lambda: here.feed.view().connections == 2)
        seen: list[object] = []
        with trio.fail_after(PATIENCE_SECONDS):
            while len(seen) < here.door.feed.seq:
                seen.append(await tail.receive())
        assert "canary" not in str(seen)
        tail.close()
