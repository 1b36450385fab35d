"""Gateways and responders as the settings name them: a default, and an instance's own where it differs.

Each kind is defined in `daemon/gateways/kinds.py` and `daemon/responders/kinds.py`; no kind is named here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import trio

from actors.ports import Feed, FlagSource, Gateway, Responder
from daemon.config import ResponderSettings, Settings
from daemon.gateways.kind import GatewaySettings, RecordsReader, Tools
from daemon.gateways.kinds import GATEWAYS
from daemon.gateways.playground import Chats, PlaygroundGateway
from daemon.gateways.router import BoundedGateway, RoutedGateway
from daemon.ingress.inbound import Parse, no_webhooks
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.reading import Reader
from daemon.knowledge.embeddings import EmbeddingsClient, VectorModel
from daemon.responders.batching import BatchingResponder
from daemon.responders.breaker import Breaker, BreakerPolicy
from daemon.responders.kind import ProviderSettings
from daemon.responders.kinds import PROVIDERS
from daemon.responders.lessons import Lessons
from daemon.responders.router import ProviderRouter, RoutedResponder, Seat
from daemon.web.client import HttpClient


def gateways(settings: Settings, tools: Tools, chats: Chats) -> Gateway:
    """Sends each reply through its instance's gateway.

    Replies to the playground's customers go to `chats`, whatever gateway their instance has.
    """

    def make(gateway: GatewaySettings) -> Gateway:
        return BoundedGateway(GATEWAYS[gateway.kind].sender(gateway, tools))

    by_instance = {name: make(gateway) for name, gateway in _differing(settings).items()}
    return PlaygroundGateway(RoutedGateway(make(settings.gateway), by_instance), chats)


def reader(settings: Settings, known: KnownInstances) -> Reader:
    """Reads each webhook as its instance's gateway writes it."""

    def make(gateway: GatewaySettings) -> Parse:
        return GATEWAYS[gateway.kind].parser(gateway) or no_webhooks

    by_instance = {name: make(gateway) for name, gateway in _differing(settings).items()}
    return Reader(make(settings.gateway), by_instance, known)


def records(
    settings: Settings, http: HttpClient
) -> tuple[RecordsReader | None, Mapping[str, RecordsReader | None]]:
    """Who reads the records of the default gateway, and of those instances that have another one."""

    def make(gateway: GatewaySettings) -> RecordsReader | None:
        return GATEWAYS[gateway.kind].records(gateway, http)

    return make(settings.gateway), {name: make(gateway) for name, gateway in _differing(settings).items()}


def _differing(settings: Settings) -> dict[str, GatewaySettings]:
    """The instances whose gateway is not the default one. The others share it, and its bounds."""
    own = {name: settings.for_instance(name).gateway for name in settings.instances}
    return {name: gateway for name, gateway in own.items() if gateway != settings.gateway}


def responders(
    settings: Settings,
    http: HttpClient,
    flags: FlagSource,
    feed: Feed,
    draw: Callable[[], float] = random.random,
) -> RoutedResponder:
    """Answers each turn through its instance's providers.

    `http` should keep connections; `draw` gives uniform random numbers in [0, 1).
    """
    own = {name: settings.for_instance(name).responder for name in settings.instances}
    lessons = Lessons(feed)
    breakers: dict[tuple[ProviderSettings, BreakerPolicy], Breaker] = {}

    def seat(provider: ProviderSettings, responder: ResponderSettings, instance: str) -> Seat:
        policy = _breaker(responder)
        new = Breaker(provider.name, policy, feed, now=trio.current_time, instance=instance)
        breaker = breakers.setdefault((provider, policy), new)
        asked = PROVIDERS[provider.kind].provider(provider, http, responder.max_answer_chars, lessons)
        return Seat(asked, breaker, provider.weight)

    def make(responder: ResponderSettings, instance: str = "") -> Responder:
        router = ProviderRouter(
            [seat(provider, responder, instance) for provider in responder.providers],
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

    default = make(settings.responder)
    by_instance = {
        name: make(responder, name) for name, responder in own.items() if responder != settings.responder
    }
    return RoutedResponder(default, by_instance, breakers.values())


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


def _breaker(responder: ResponderSettings) -> BreakerPolicy:
    seconds = responder.breaker_seconds
    longest = max(seconds, BreakerPolicy().max_open_seconds)
    return BreakerPolicy(responder.breaker_failures, seconds, longest)
