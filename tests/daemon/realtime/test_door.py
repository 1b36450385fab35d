"""Who gets in at the realtime door, and how a connection ends."""

from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing
from trio_websocket import ConnectionRejected

from daemon.gateways.couriers import Courier, Couriers
from daemon.realtime.clients import Client, Clients
from daemon.realtime.server import Admission
from daemon.realtime.session import SessionLimits
from tests.support.patience import PATIENCE_SECONDS
from tests.support.realtime import PROXY, WATCHER, Door


@pytest.mark.parametrize("token", ["proxy-token", "new-token"])
async def test_a_token_in_a_header_opens_the_door(token: str) -> None:
    async with Door().open() as door, door.talk(None, Authorization=f"Bearer {token}") as talk:
        hello = await talk.hear("hello")
        assert hello["client"] == "proxy" and hello["instances"] == ["demo"] and hello["may_deliver"] is True
        assert hello["boot"] == door.feed.boot and hello["version"] == 1
        assert (hello["may_push"], hello["may_watch"]) == (True, False)


async def test_a_token_in_the_first_frame_opens_it_too() -> None:
    """Browsers cannot set headers."""
    async with Door().open() as door, door.talk(None) as talk:
        await talk.say("auth", token="watch")
        assert (await talk.hear("hello"))["instances"] is None


@pytest.mark.parametrize("first", ['{"type":"auth","token":"wrong"}', '{"type":"serve"}', "nonsense", "{}"])
async def test_without_a_right_token_a_client_gets_nothing(first: str) -> None:
    async with Door().open() as door, door.talk(None) as talk:
        await talk.socket.send_message(first)
        assert await talk.closed() == (4401, "wrong_or_missing_token")
        assert door.feed.reasons("realtime.refused") == {"wrong_or_missing_token": 1}


async def test_who_says_nothing_is_not_waited_for() -> None:
    limits = Admission(auth_seconds=0.1)
    async with Door(admission=limits).open() as door, door.talk(None) as talk:
        assert (await talk.closed())[0] == 4401


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({"Authorization": "Bearer wrong"}, "/v1", 401),
        ({"apikey": "wrong"}, "/v1", 401),
        ({"apikey": "watch"}, "/v2", 404),
        ({"apikey": "watch", "Origin": "https://evil.example"}, "/v1", 403),
    ],
)
async def test_a_handshake_is_refused_with_a_status(headers: dict[str, str], path: str, status: int) -> None:
    async with Door(admission=Admission(allowed_origins=frozenset({"https://app.example"}))).open() as door:
        with pytest.raises(ConnectionRejected) as refused:
            async with door.talk(None, path, **headers):
                pass
        assert refused.value.status_code == status
        assert door.feed.counters["realtime.refused"] == 1


async def test_a_page_of_an_allowed_origin_comes_in() -> None:
    origin = "https://app.example"
    async with (
        Door(admission=Admission(allowed_origins=frozenset({origin}))).open() as door,
        door.talk("watch", Origin=origin) as talk,
    ):
        assert (await talk.watch())["resumed"] is True


async def test_the_number_of_connections_is_bounded() -> None:
    """I8."""
    async with Door(admission=Admission(max_connections=1)).open() as door:
        async with door.talk("watch"):
            with pytest.raises(ConnectionRejected) as refused:
                async with door.talk("watch"):
                    pass
            assert refused.value.status_code == 503
        await door.until(lambda: not door.server.sessions)
        async with door.talk("watch"):
            pass


async def test_a_frame_that_is_too_big_ends_the_connection() -> None:
    async with (
        Door(admission=Admission(max_frame_bytes=1000)).open() as door,
        door.talk("proxy-token") as talk,
    ):
        await talk.say("push", id=1, payload={"x": "y" * 2000})
        assert (await talk.closed())[0] == 1009
        await door.until(lambda: door.feed.reasons("realtime.left") == {"frame_too_big": 1})


@pytest.mark.parametrize("frame", ["nonsense", "[]", '{"type":"dance"}', '{"type":"push","payload":{}}'])
async def test_a_bad_frame_ends_the_connection_with_its_reason(frame: str) -> None:
    async with Door().open() as door, door.talk("proxy-token") as talk:
        await talk.socket.send_message(frame)
        assert await talk.closed() == (4400, "bad_frame")


async def test_a_client_that_does_what_it_may_not_is_refused() -> None:
    async with Door().open() as door:
        async with door.talk("proxy-token") as talk:
            await talk.say("watch")
            assert await talk.closed() == (4403, "not_allowed")
        async with door.talk("watch") as talk:
            assert (await talk.push(1))["status"] == "refused"
            await talk.say("serve")
            assert await talk.closed() == (4403, "not_allowed")
        assert door.accepted == []


HANDSHAKE = (
    b"GET /v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\napikey: watch\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def test_a_client_that_answers_no_ping_is_dropped() -> None:
    limits = SessionLimits(ping_seconds=0.05, pong_seconds=0.2, close_seconds=0.1)
    async with (
        Door(limits=limits).open() as door,
        await trio.open_tcp_stream("127.0.0.1", door.port) as stream,
    ):
        await stream.send_all(HANDSHAKE)
        await door.until(lambda: door.feed.reasons("realtime.left") == {"no_pong": 1})


async def test_a_ping_into_the_closing_of_a_connection_is_no_failure_of_ours() -> None:
    """`Door.open` looks at the end that none was reported."""
    limits = SessionLimits(close_seconds=2)
    async with (
        Door(limits=limits).open() as door,
        await trio.open_tcp_stream("127.0.0.1", door.port) as stream,
    ):
        await stream.send_all(HANDSHAKE)
        nonsense, ping = b"\x81\x80\x00\x00\x00\x00", b"\x89\x80\x00\x00\x00\x00"
        received = b""
        with trio.fail_after(PATIENCE_SECONDS):
            while b"hello" not in received:
                received += await stream.receive_some()
            await stream.send_all(nonsense)
            while b"bad_frame" not in received:
                received += await stream.receive_some()
            await stream.send_all(ping)
        await door.until(lambda: door.feed.reasons("realtime.left") == {"bad_frame": 1})


async def test_an_idle_client_is_dropped_and_a_watcher_is_not() -> None:
    limits = SessionLimits(ping_seconds=0.05, idle_seconds=1.5)
    async with Door(limits=limits).open() as door, door.talk("watch") as watcher:
        await watcher.watch(kinds=["turn"])
        async with door.talk("proxy-token") as talk:
            assert await talk.closed() == (4408, "idle")
        door.feed.emit("turn.done")
        assert (await watcher.events(1))[0]["event"] == "turn.done"


async def test_at_the_end_every_client_gets_the_reason() -> None:
    async with Door().open() as door, door.talk("watch") as talk:
        with trio.fail_after(PATIENCE_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(door.server.close)
                assert await talk.closed() == (1001, "going_away")


async def test_during_a_stop_no_client_is_let_in() -> None:
    """A client that is told to leave reconnects at once: it must be neither let in nor waited for."""
    limits = SessionLimits(close_seconds=PATIENCE_SECONDS)
    async with (
        Door(limits=limits).open() as door,
        await trio.open_tcp_stream("127.0.0.1", door.port) as stuck,
    ):
        await stuck.send_all(HANDSHAKE)
        await door.until(lambda: len(door.server.sessions) == 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.server.close)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ConnectionRejected) as refused:
                async with door.talk("watch"):
                    pass
            assert refused.value.status_code == 503
            nursery.cancel_scope.cancel()


async def test_a_token_of_any_letters_in_a_header() -> None:
    client = Client(name="c", tokens=("schlüssel",), instances=None, may_push=True, may_watch=True)
    async with Door([client]).open() as door, door.talk("schlüssel"):
        pass


async def test_one_connection_that_fails_ends_alone() -> None:
    """I9: a bug behind one client's frame is reported, and the others go on."""

    class Broken(Couriers):
        def join(self, client: str, courier: Courier) -> None:
            raise ZeroDivisionError

    door = Door(couriers=Broken())
    async with door.open(), door.talk("watch") as other:
        await other.watch(kinds=["turn"])
        async with door.talk("proxy-token") as talk:
            await talk.say("serve")
            assert await talk.closed() == (1011, "failed")
        door.feed.emit("turn.done")
        await other.events(1)
        assert len(door.errors) == 1
        door.errors.clear()


def test_a_token_is_compared_whole() -> None:
    clients = Clients([PROXY, WATCHER])
    assert clients.known_by("watch") == WATCHER and clients.known_by("new-token") == PROXY
    assert [clients.known_by(token) for token in ("", "watc", "watch ", "wätch", "\udce4")] == [None] * 5


def test_a_client_sees_its_instances_alone() -> None:
    everything = Client(name="a", tokens=("x",), instances=None, may_push=True, may_watch=True)
    assert everything.may_see("other") and PROXY.may_see("demo") and not PROXY.may_see("other")


async def test_a_client_that_becomes_a_gateway_may_deliver_on_the_connection_that_it_has() -> None:
    is_gateway = False
    client = msgspec.structs.replace(PROXY, delivers=lambda: is_gateway)
    async with Door([client]).open() as door:
        async with door.talk("proxy-token") as talk:
            await talk.say("serve")
            assert (await talk.closed())[0] == 4403
        async with door.talk("proxy-token") as talk:
            is_gateway = True
            await talk.say("serve")
            await talk.hear("serving")
            is_gateway = False
            await talk.say("outcome", key="k", outcome="sent")
            await talk.push("p")
