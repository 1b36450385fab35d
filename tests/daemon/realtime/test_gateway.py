"""Replies through a proxy: what is known of each send, whatever the connection does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import CannotTell, NotSent, SendOutcome, Sent, Unknown
from daemon.gateways.realtime import RealtimeGateway
from daemon.realtime.session import SessionLimits
from tests.support.patience import PATIENCE_SECONDS
from tests.support.payloads import upsert
from tests.support.realtime import Door, Talk

GUEST = Conversation("demo", "5511900001095")


def gateway(door: Door, timeout_seconds: float = PATIENCE_SECONDS) -> RealtimeGateway:
    numbers = iter(range(1000))
    return RealtimeGateway(
        door.couriers,
        "proxy",
        label=door.feed.label,
        new_id=lambda: f"id{next(numbers)}",
        timeout_seconds=timeout_seconds,
    )


@asynccontextmanager
async def serving(door: Door) -> AsyncIterator[Talk]:
    async with door.talk("proxy-token") as talk:
        await talk.say("serve")
        await talk.hear("serving")
        yield talk


async def outcome(
    send: Callable[[], Awaitable[SendOutcome]], proxy: Callable[[], Awaitable[None]]
) -> SendOutcome:
    """What `send` says while the proxy does its part."""
    said: list[SendOutcome] = []

    async def run() -> None:
        said.append(await send())

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await proxy()
    return said[0]


async def test_while_the_proxy_is_away_replies_are_held() -> None:
    async with Door().open() as door:
        assert await gateway(door).send(GUEST, "hello") == NotSent("proxy_away", "hold")
        with pytest.raises(GatewayHeld):
            await gateway(door).find(GUEST, "hello", 0, frozenset())
        async with door.talk("proxy-token"):  # connected is not enough: it must say that it delivers
            assert await gateway(door).send(GUEST, "hello") == NotSent("proxy_away", "hold")
        assert door.serving == 0
        async with serving(door):
            assert door.serving == 1


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ({"outcome": "sent", "message_id": "3EB0"}, Sent("3EB0")),
        ({"outcome": "sent"}, Sent("")),
        ({"outcome": "not_sent", "reason": "no_whatsapp", "remedy": "refuse"}, NotSent("no_whatsapp", "refuse")),
        ({"outcome": "not_sent", "retry_after_seconds": 3}, NotSent("proxy_says_so", "retry", 3)),
        ({"outcome": "not_sent", "reason": "call 5511900001095", "remedy": "hold"}, NotSent("proxy_says_so", "hold")),
        ({"outcome": "unknown", "reason": "timed_out"}, Unknown("timed_out")),
    ],
)  # fmt: skip
async def test_the_proxys_word_is_the_outcome(word: dict[str, object], known: SendOutcome) -> None:
    """I6, I11: and its reason is a stable word, or none."""
    async with Door().open() as door, serving(door) as talk:

        async def proxy() -> None:
            order = await talk.hear("deliver")
            assert (order["instance"], order["contact"], order["text"]) == ("demo", GUEST.contact, "hello")
            await talk.say("outcome", key="another one", outcome="sent")
            await talk.say("outcome", key=order["key"], **word)

        assert await outcome(lambda: gateway(door).send(GUEST, "hello"), proxy) == known


async def test_a_connection_lost_after_the_frame_left_proves_nothing() -> None:
    """I6."""
    async with Door().open() as door, serving(door) as talk:

        async def proxy() -> None:
            await talk.hear("deliver")
            await talk.socket.aclose()

        assert await outcome(lambda: gateway(door).send(GUEST, "hello"), proxy) == Unknown("connection_lost")
        assert await gateway(door).send(GUEST, "hello") == NotSent("proxy_away", "hold")


async def test_what_the_proxy_said_before_it_left_counts_and_what_comes_then_is_held() -> None:
    """I6: its word waits behind pushes that take their time. A reply for it meanwhile has certainly not left."""
    door, go, busy = Door(limits=SessionLimits(max_pushes_in_flight=1)), trio.Event(), trio.Event()
    said: list[SendOutcome] = []

    async def wait(_message: object) -> None:
        busy.set()
        await go.wait()

    async def send(text: str) -> None:
        said.append(await gateway(door).send(GUEST, text, key=text))

    door.before_accept = wait
    async with door.open(), trio.open_nursery() as nursery:
        async with serving(door) as talk:
            nursery.start_soon(send, "first")
            order = await talk.hear("deliver")
            for number in range(2):
                payload = upsert("demo", GUEST.contact, "oi", f"M{number}", 1785100386)
                await talk.say("push", id=number, payload=payload)
            await busy.wait()
            await talk.say("outcome", key=order["key"], outcome="sent", message_id="3EB0")
        nursery.start_soon(send, "second")
        await trio.testing.wait_all_tasks_blocked()
        go.set()
        await door.until(lambda: len(said) == 2)
    assert sorted(said, key=repr) == [NotSent("proxy_away", "hold"), Sent("3EB0")]


async def test_a_proxy_that_stays_silent_proves_nothing() -> None:
    async with Door().open() as door, serving(door):
        assert await gateway(door, timeout_seconds=0.5).send(GUEST, "hello") == Unknown("timed_out")


async def test_every_try_of_one_message_has_the_same_key_and_no_other_message_has_it() -> None:
    """I6: by it a proxy knows what it has sent already."""
    keys = []
    async with Door().open() as door, serving(door) as talk:
        sender = gateway(door)

        async def proxy() -> None:
            order = await talk.hear("deliver")
            keys.append(order["key"])
            await talk.say("outcome", key=order["key"], outcome="unknown")

        other = Conversation("demo", "1")
        for who, key in (
            (GUEST, "7.0"),
            (GUEST, "7.0"),
            (GUEST, "7.1"),
            (other, "7.0"),
            (GUEST, ""),
            (GUEST, ""),
        ):
            await outcome(lambda who=who, key=key: sender.send(who, "hello", key=key), proxy)  # type: ignore[misc]
    assert keys[0] == keys[1] and len(set(keys)) == 5


async def test_of_two_connections_the_newest_delivers_and_the_other_takes_over() -> None:
    async with Door().open() as door, serving(door) as old:
        async with serving(door) as new:

            async def proxy() -> None:
                order = await new.hear("deliver")
                await new.say("outcome", key=order["key"], outcome="sent", message_id="new")

            assert await outcome(lambda: gateway(door).send(GUEST, "hello"), proxy) == Sent("new")
        await door.until(lambda: len(door.server.sessions) == 1)

        async def other() -> None:
            order = await old.hear("deliver")
            await old.say("outcome", key=order["key"], outcome="sent", message_id="old")

        assert await outcome(lambda: gateway(door).send(GUEST, "hello"), other) == Sent("old")


async def test_a_proxy_that_keeps_no_records_is_not_asked() -> None:
    async with Door().open() as door, serving(door):
        assert await gateway(door).find(GUEST, "hello", 0, frozenset()) == CannotTell()


async def test_a_proxy_that_does_not_answer_a_question_is_asked_later() -> None:
    async with Door().open() as door, door.talk("proxy-token") as talk:
        await talk.say("serve", finds=True)
        await talk.hear("serving")
        with pytest.raises(GatewayHeld):
            await gateway(door, timeout_seconds=0.5).find(GUEST, "hello", 0, frozenset())


async def test_a_proxy_gets_no_replies_of_an_instance_that_it_may_not_see() -> None:
    """An instance that stands in the database alone has the default gateway: its token still bounds it."""
    stranger = Conversation("other", GUEST.contact)
    async with Door().open() as door, serving(door):
        assert await gateway(door).send(stranger, "hello") == NotSent("proxy_away", "hold")
        with pytest.raises(GatewayHeld):
            await gateway(door).find(stranger, "hello", 0, frozenset())
