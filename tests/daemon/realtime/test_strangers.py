"""Connections that are not known yet never keep a known client out, and nothing of theirs is parsed."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionRejected

from daemon.realtime import frames
from daemon.realtime.clients import Client
from daemon.realtime.server import Admission
from daemon.realtime.strangers import STRANGER_BYTES, Strangers
from daemon.web.http1 import network_of
from tests.support.patience import PATIENCE_SECONDS, until
from tests.support.realtime import PROXY, WATCHER, Door


async def test_silent_strangers_keep_no_client_out() -> None:
    """More of them than there are places in all, renewed as fast as they end."""
    admission = Admission(max_connections=4, max_strangers=8, max_strangers_per_network=8, auth_seconds=600)
    async with Door(admission=admission).open() as door, AsyncExitStack() as silent:
        for _ in range(20):
            await silent.enter_async_context(await trio.open_tcp_stream("127.0.0.1", door.port))
        async with door.talk("proxy-token") as talk:
            assert (await talk.push(1))["status"] == "accepted"
        async with door.talk(None) as talk:
            await talk.say("auth", token="watch")
            await talk.hear("hello")
        await until(lambda: door.feed.reasons("realtime.refused")["too_many_strangers"] >= 12)


async def test_the_known_are_bounded_apart() -> None:
    admission = Admission(max_connections=1, max_strangers=2)
    async with Door(admission=admission).open() as door, door.talk("watch"):
        with pytest.raises(ConnectionRejected) as refused:
            async with door.talk("proxy-token"):
                pass
        assert refused.value.status_code == 503
        assert (b"Retry-After", b"5") in [
            (name.title(), value) for name, value in refused.value.headers or ()
        ]
        assert door.feed.reasons("realtime.refused") == {"too_many_connections": 1}


async def test_of_a_stranger_little_is_read() -> None:
    """What it sends beyond that waits in the kernel, and it is not let in."""
    async with Door(admission=Admission(auth_seconds=0.5)).open() as door, door.talk(None) as talk:
        frame = json.dumps({"type": "auth", "token": "watch", "padding": "x" * (2 * STRANGER_BYTES)})
        with trio.move_on_after(PATIENCE_SECONDS):
            await talk.socket.send_message(frame)
        assert not door.server.sessions
        await until(lambda: door.feed.counters["realtime.refused"] == 1)


async def test_a_known_client_sends_much_at_once() -> None:
    """Also directly after its token, without waiting for an answer."""
    async with Door().open() as door, door.talk(None) as talk:
        await talk.say("auth", token="proxy-token")
        await talk.say("push", id=1, payload={"padding": "x" * (3 * STRANGER_BYTES)})
        await talk.hear("hello")
        assert (await talk.hear("ack"))["id"] == 1


async def test_the_oldest_silent_stranger_of_the_same_network_loses_its_place() -> None:
    strangers = Strangers(4, 2)
    left: list[str] = []

    async def stay(address: str) -> None:
        with strangers.staying(address) as place:
            await trio.sleep(600)
        if place.cancelled_caught:
            left.append(address)

    async with trio.open_nursery() as nursery:
        for address in ("2001:db8::1", "203.0.113.1", "203.0.113.1", "203.0.113.1"):
            nursery.start_soon(stay, address)
            await trio.testing.wait_all_tasks_blocked()
        assert left == ["203.0.113.1"]
        for last in (
            "2001:db8::2",
            "2001:db8:0:1::1",
        ):  # of the same /64, and of another: now all places are taken
            nursery.start_soon(stay, last)
            await trio.testing.wait_all_tasks_blocked()
        assert len(strangers) == 4 and left[1:] == ["2001:db8::1"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.1", "203.0.113.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::1", "127.0.0.1", False),
        ("memory", "memory", True),
    ],
)
def test_what_counts_as_one_client(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


FRAMES: dict[str, dict[str, object]] = {
    "auth": {"token": "t"},
    "push": {"id": 1, "payload": {}},
    "watch": {},
    "serve": {},
    "outcome": {"key": "k", "outcome": "sent"},
    "evidence": {"id": "k", "evidence": "found"},
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("client", [PROXY, WATCHER], ids=lambda client: client.name)
def test_rights_come_before_parsing(kind: str, client: Client) -> None:
    """A frame without a right is refused for that, however broken the rest of it is."""
    assert set(FRAMES) == set(frames.KINDS), "a new type of frame: say who may send it"
    allowed = client.frames
    frames_of_all = json.dumps({"type": kind, **FRAMES[kind]})
    if kind in allowed:
        assert type(frames.read(frames_of_all, allowed)) is frames.KINDS[kind]
    else:
        for text in (frames_of_all, json.dumps({"type": kind, "token": 7, "kinds": 7, "key": 7, "id": {}})):
            with pytest.raises(frames.NotAllowed):
                frames.read(text, allowed)


async def test_a_push_for_a_foreign_instance_is_refused_unread() -> None:
    async with Door().open() as door, door.talk("proxy-token") as talk:
        await talk.say("push", id=1, payload="not a payload at all", instance="other")
        ack = await talk.hear("ack")
        assert (ack["status"], ack["reason"]) == ("refused", "instance_not_allowed")
        assert door.quarantined == []
