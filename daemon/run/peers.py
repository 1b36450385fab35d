"""Gateways and responders as the settings in force name them; made when they are needed, and never kept longer.

Each kind is defined in `daemon/gateways/kinds.py` and `daemon/responders/kinds.py`; no kind is named here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import msgspec
import trio

from actors.errors import ResponderHeld
from actors.messages import Prompt
from actors.ports import Feed, FlagSource, Gateway, Responder
from daemon.config import ResponderSettings, Settings
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.kind import GatewaySettings, RecordsReader, Tools
from daemon.gateways.kinds import GATEWAYS, server_of
from daemon.gateways.playground import Chats, PlaygroundGateway
from daemon.gateways.router import RoutedGateway, ServerPlaces
from daemon.ingress.inbound import Parse, no_webhooks
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.reading import Reader
from daemon.knowledge.embeddings import EmbeddingsClient, VectorModel
from daemon.responders.batching import BatchingResponder
from daemon.responders.breaker import Breaker, BreakerPolicy, ProviderView
from daemon.responders.calls import CallsUnderWay
from daemon.responders.kind import ProviderSettings
from daemon.responders.kinds import PROVIDERS
from daemon.responders.lessons import Lessons
from daemon.responders.router import ProviderRouter, RoutedResponder, Seat
from daemon.schema.in_use import InUse
from daemon.web.client import HttpClient

HELD = "instance_held"


def gateways(live: LiveSettings, tools: Tools, chats: Chats) -> Gateway:
    """Sends each reply through its instance's gateway.

    Replies to the playground's customers go to `chats`, whatever gateway their instance has.
    """
    senders = InUse[GatewaySettings, Gateway](lambda own: GATEWAYS[own.kind].sender(own, tools))
    places = InUse[Hashable, ServerPlaces](lambda server: ServerPlaces())

    def changed() -> None:
        wanted = {own.gateway for own in live.every()}
        senders.keep(wanted)
        places.keep(set(map(server_of, wanted)))
        _load(senders, wanted)

    live.follow(changed)
    return PlaygroundGateway(RoutedGateway(live.gateway, senders, places, server_of), chats)


def reader(live: LiveSettings, known: KnownInstances) -> Reader:
    """Reads each webhook as its instance's gateway writes it."""
    reading = Reader(_parser(live.of_others.gateway), known=known)

    def changed() -> None:
        own = {name: _parser(live.for_instance(name).gateway) for name in live.names}
        reading.read_by(_parser(live.of_others.gateway), own)

    live.follow(changed)
    return reading


def _parser(gateway: GatewaySettings) -> Parse:
    return GATEWAYS[gateway.kind].parser(gateway) or no_webhooks


def records(live: LiveSettings, http: HttpClient) -> Callable[[str], RecordsReader | None]:
    """Who reads the records of an instance's gateway; None: it keeps none. Equal settings have the same reader."""
    made = InUse[GatewaySettings, RecordsReader | None](lambda own: GATEWAYS[own.kind].records(own, http))

    def changed() -> None:
        wanted = {own.gateway for own in live.every()}
        made.keep(wanted)
        _load(made, wanted)

    live.follow(changed)

    def reader_of(instance: str) -> RecordsReader | None:
        gateway = live.gateway(instance)
        return None if gateway is None else made.of(gateway)

    return reader_of


def _load(made: InUse[GatewaySettings, Any], wanted: Iterable[GatewaySettings]) -> None:
    """Make one of each kind: its files are read now, not on the way of the first message (I14)."""
    for own in {own.kind: own for own in wanted}.values():
        made.of(own)


class _Asked(NamedTuple):
    """What a breaker belongs to: a provider, and when it is left alone; not what it is asked, nor what that costs."""

    provider: ProviderSettings
    policy: BreakerPolicy


class _Shown(NamedTuple):
    breaker: Breaker
    calls: CallsUnderWay
    max_in_flight: int
    instance: str
    """Whose own provider it is; empty: one of the defaults."""


def responders(
    live: LiveSettings,
    http: HttpClient,
    flags: FlagSource,
    feed: Feed,
    draw: Callable[[], float] = random.random,
) -> RoutedResponder[ResponderSettings]:
    """Answers each turn through its instance's providers.

    `http` should keep connections; `draw` gives uniform random numbers in [0, 1).
    """
    lessons = Lessons(feed)
    breakers = InUse[_Asked, Breaker](
        lambda asked: Breaker(asked.provider.name, asked.policy, feed, now=trio.current_time)
    )
    calls = InUse[str, CallsUnderWay](lambda _place: CallsUnderWay())
    shown: list[_Shown] = []

    def seat(provider: ProviderSettings, responder: ResponderSettings) -> Seat:
        asked = PROVIDERS[provider.kind].provider(provider, http, responder.max_answer_chars, lessons)
        breaker, under_way = breakers.of(_asked(provider, responder)), calls.of(provider.place)
        return Seat(asked, breaker, provider.weight, under_way, provider.max_in_flight)

    def make(responder: ResponderSettings) -> Responder:
        router = ProviderRouter(
            [seat(provider, responder) for provider in responder.providers],
            weighted=responder.balance == "weighted",
            deadline_seconds=responder.deadline_seconds,
            draw=draw,
        )
        together = responder.batching
        return BatchingResponder(
            router,
            flags,
            feed,
            wait_seconds=together.wait_seconds,
            max_conversations=together.max_conversations,
        )

    made = InUse[ResponderSettings, Responder](make)

    def changed() -> None:
        users: dict[_Asked, str] = {}
        limits: dict[_Asked, int] = {}
        wanted = {live.of_others.responder: ""}
        for name in sorted(live.names):
            wanted.setdefault(live.for_instance(name).responder, name)
        for responder, name in wanted.items():
            for provider in responder.providers:
                asked = _asked(provider, responder)
                users.setdefault(asked, name)
                limits.setdefault(asked, provider.max_in_flight)
        made.keep(wanted)
        breakers.keep(users)
        places = [(asked.provider.place, limits[asked]) for asked in users]
        calls.keep({place for place, _ in places})
        shown[:] = [
            _Shown(breakers.of(asked), calls.of(place), most, name)
            for (asked, name), (place, most) in zip(users.items(), places, strict=True)
        ]

    def settings_of(prompt: Prompt) -> ResponderSettings:
        """Those that the turn began with."""
        # Also of a turn that began before, and of a draft that is tried.
        if live.lacks_secret(prompt.instance, "responder"):
            raise ResponderHeld(HELD)
        began_with = prompt.answered_by
        if isinstance(began_with, ResponderSettings):
            return began_with
        return live.for_instance(prompt.instance).responder

    live.follow(changed)
    return RoutedResponder(settings_of, made, lambda: _views(shown))


def _views(shown: Iterable[_Shown]) -> tuple[ProviderView, ...]:
    return tuple(
        msgspec.structs.replace(
            one.breaker.view,
            instance=one.instance,
            in_flight=one.calls.count,
            max_in_flight=one.max_in_flight,
        )
        for one in shown
    )


def _asked(provider: ProviderSettings, responder: ResponderSettings) -> _Asked:
    seconds = responder.breaker_seconds
    policy = BreakerPolicy(
        responder.breaker_failures, seconds, max(seconds, BreakerPolicy().max_open_seconds)
    )
    return _Asked(provider.model_copy(update=_OF_NO_BREAKER), policy)


_OF_NO_BREAKER: dict[str, object] = {
    "system_prompt": None,
    "weight": 1.0,
    "max_in_flight": 2_000,
    "price_per_million_input_tokens": 0.0,
    "price_per_million_output_tokens": 0.0,
}
"""Keys of a provider whose change leaves it as well or ill as it was."""


def embeddings(settings: Settings, http: HttpClient, feed: Feed) -> EmbeddingsClient | None:
    """None: no model is configured, and only words are compared."""
    wanted = settings.embeddings
    if wanted.base_url is None or wanted.model is None:
        return None
    return EmbeddingsClient(
        http,
        feed,
        base_url=wanted.base_url,
        api_key=wanted.api_key.get_secret_value() if wanted.api_key else "",
        model=VectorModel(wanted.model, wanted.key, *wanted.prefixes),
        batch_size=wanted.batch_size,
        timeout_seconds=wanted.timeout_seconds,
        cache_seconds=wanted.cache_seconds,
    )
