"""The contract of every gateway (`actors.ports.Gateway`)."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
import trio

from actors.errors import LeaseUncertain
from actors.identity import Conversation
from actors.outcome import CannotTell, NoRecord, NotSent, RecordFound, Sent
from actors.ports import Gateway
from daemon.gateways.console import ConsoleGateway
from daemon.gateways.evolution.client import EvolutionGateway
from daemon.gateways.kinds import GATEWAYS
from daemon.gateways.realtime import RealtimeGateway
from daemon.gateways.router import RoutedGateway, ServerPlaces
from daemon.schema.in_use import InUse
from daemon.web.client import HttpClient
from tests.support.gateway_server import Channel, FakeEvolution
from tests.support.patience import PATIENCE_SECONDS
from tests.support.pigeon import FakeLoft, PigeonGateway
from tests.support.realtime import Door, Proxy

GUEST = Conversation("demo", "5511900001095")

Delivered = Callable[[str], int]
"""How often a text arrived at the other end."""
Behind = tuple[Gateway, Delivered]


@asynccontextmanager
async def to_the_console(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Behind]:
    def printed(text: str) -> int:
        return capsys.readouterr().out.count(text)

    yield ConsoleGateway(), printed


@asynccontextmanager
async def to_evolution(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Behind]:
    async with _to_evolution("baileys", 0) as behind:
        yield behind


@asynccontextmanager
async def _to_evolution(channel: Channel, skew_seconds: int) -> AsyncIterator[Behind]:
    with FakeEvolution().running() as server:
        server.channel, server.clock_skew_seconds = channel, skew_seconds
        async with HttpClient() as http:
            evolution = EvolutionGateway(
                http, base_url=server.url, api_key=server.api_key, timeout_seconds=PATIENCE_SECONDS
            )
            yield evolution, lambda text: server.texts().count(text)


@asynccontextmanager
async def to_the_evolution_channel(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Behind]:
    """Its records name the contact as it was addressed; its clock is off as well."""
    async with _to_evolution("evolution", 3600) as behind:
        yield behind


@asynccontextmanager
async def through_a_router(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Behind]:
    async with to_evolution(capsys) as (evolution, delivered):
        servers = InUse[Hashable, ServerPlaces](lambda server: ServerPlaces())
        routed = RoutedGateway(lambda instance: evolution, InUse(lambda made: made), servers, id)
        yield routed, delivered


@asynccontextmanager
async def through_a_proxy(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Behind]:
    async with Door().open() as door, door.talk("proxy-token") as talk:
        proxy = Proxy()
        async with trio.open_nursery() as nursery:
            await nursery.start(proxy.run, talk)
            new_id = partial(secrets.token_hex, 8)
            yield (
                RealtimeGateway(
                    door.couriers,
                    "proxy",
                    label=door.feed.label,
                    new_id=new_id,
                    timeout_seconds=PATIENCE_SECONDS,
                ),
                proxy.times,
            )
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def by_pigeon(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Behind]:
    with FakeLoft().running() as loft:
        async with HttpClient() as http:
            yield (
                PigeonGateway(http, loft.url, loft.seal, PATIENCE_SECONDS),
                lambda text: loft.words().count(text),
            )


BEHIND: Mapping[str, Callable[[pytest.CaptureFixture[str]], AbstractAsyncContextManager[Behind]]] = {
    "console": to_the_console,
    "evolution": to_evolution,
    "evolution channel": to_the_evolution_channel,
    "realtime": through_a_proxy,
    "routed": through_a_router,
    "pigeon": by_pigeon,
}


@pytest.fixture(params=list(BEHIND))
async def gateway(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Behind]:
    async with BEHIND[request.param](capsys) as behind:
        yield behind


def test_every_kind_of_gateway_is_tried_here() -> None:
    assert set(GATEWAYS) <= set(BEHIND)


async def test_a_sent_message_arrives_once(gateway: Behind) -> None:
    """I6: a confirmed send is exactly one message."""
    sender, delivered = gateway
    assert isinstance(await sender.send(GUEST, "مرحبا"), Sent)
    assert delivered("مرحبا") == 1


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "x" * 60_000, "a\nb", "\u202eabc", "{}", "😀"])
async def test_any_text_has_an_outcome(gateway: Behind, text: str) -> None:
    """I6, I14: `send` never raises because of the text."""
    sender, _ = gateway
    assert isinstance(await sender.send(GUEST, text), Sent | NotSent)


@pytest.mark.parametrize("contact", ["5511900001095", "168500006331@lid"])
async def test_a_sent_message_is_found_or_cannot_be_looked_up(gateway: Behind, contact: str) -> None:
    """I6: found under the id that the send returned; an id is empty only if nothing can be looked up."""
    sender, _ = gateway
    guest, since_ms = Conversation("demo", contact), int(time.time() * 1000)
    sent = await sender.send(guest, "hello")
    assert isinstance(sent, Sent)
    evidence = await sender.find(guest, "hello", since_ms, frozenset())
    assert evidence == (RecordFound(sent.message_id) if sent.message_id else CannotTell())


async def test_what_was_not_sent_is_not_found(gateway: Behind) -> None:
    """I6: no false evidence: neither for another text nor for a message already accounted for."""
    sender, _ = gateway
    sent = await sender.send(GUEST, "hello")
    assert isinstance(sent, Sent)
    assert isinstance(await sender.find(GUEST, "other words", 0, frozenset()), NoRecord | CannotTell)
    known = frozenset({sent.message_id})
    assert isinstance(await sender.find(GUEST, "hello", 0, known), NoRecord | CannotTell)


async def test_nothing_is_sent_if_the_lease_ends_during_the_connect(
    gateway: Behind,
) -> None:
    """I5, I6: the lease is checked for the last time just before the first byte leaves."""
    sender, delivered = gateway
    looks = 0

    def ended() -> None:
        nonlocal looks
        looks += 1
        raise LeaseUncertain("lease_uncertain")

    assert await sender.send(GUEST, "too late", ended) == NotSent("lease_ended", "hold")
    assert looks == 1
    assert delivered("too late") == 0
    assert isinstance(await sender.send(GUEST, "in time"), Sent)


async def test_an_origin_that_is_not_allowed_is_ignored(gateway: Behind) -> None:
    """I12: the key goes only to the configured gateway, whatever a payload names."""
    sender, delivered = gateway
    stranger = "http://127.0.0.1:9"
    sent = await sender.send(GUEST, "hello", origin=stranger)
    assert isinstance(sent, Sent)
    assert delivered("hello") == 1
    evidence = await sender.find(GUEST, "hello", 0, frozenset(), stranger)
    assert evidence == (RecordFound(sent.message_id) if sent.message_id else CannotTell())
