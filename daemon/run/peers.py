"""Gateways and responders as the settings name them: a default, and one of its own where an instance differs."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from functools import partial

import trio

from actors.identity import Conversation
from actors.ports import Feed, FlagSource, Gateway, Responder
from daemon.config import GatewaySettings, Provider, ResponderSettings, Settings
from daemon.gateways.console import ConsoleGateway
from daemon.gateways.evolution.client import EvolutionGateway
from daemon.gateways.playground import Chats, PlaygroundGateway
from daemon.gateways.router import BoundedGateway, RoutedGateway
from daemon.knowledge.embeddings import EmbeddingsClient
from daemon.realtime.gateway import Couriers, RealtimeGateway
from daemon.responders.batching import BatchingResponder
from daemon.responders.breaker import Breaker, BreakerPolicy
from daemon.responders.http_provider import HttpProvider, ProviderTerms
from daemon.responders.kinds import dialect
from daemon.responders.rehearsal import RehearsalResponder
from daemon.responders.router import ProviderRouter, RoutedResponder, Seat
from daemon.web.client import HttpClient


def gateways(
    settings: Settings,
    http: HttpClient,
    couriers: Couriers,
    chats: Chats,
    label: Callable[[Conversation], str],
) -> Gateway:
    """`http` must keep no connections: see `EvolutionGateway`. `couriers` and `label`: see `RealtimeGateway`.

    `chats` gets what is for the playground's customers, whatever gateway their instance has.
    """
    own = {name: settings.for_instance(name).gateway for name in settings.instances}

    def make(gateway: GatewaySettings) -> Gateway:
        if gateway.kind == "realtime":
            return _realtime_gateway(gateway, couriers, label)
        return _gateway(gateway, http)

    by_instance = {name: make(gateway) for name, gateway in own.items() if gateway != settings.gateway}
    return PlaygroundGateway(RoutedGateway(make(settings.gateway), by_instance), chats)


def responders(
    settings: Settings,
    http: HttpClient,
    flags: FlagSource,
    feed: Feed,
    draw: Callable[[], float] = random.random,
) -> RoutedResponder:
    """`http` should keep connections; `draw` gives uniform random numbers in [0, 1)."""
    own = {name: settings.for_instance(name).responder for name in settings.instances}
    breakers: dict[tuple[Provider, BreakerPolicy], Breaker] = {}

    def seat(provider: Provider, responder: ResponderSettings, instance: str) -> Seat:
        policy = _breaker(responder)
        new = Breaker(provider.name, policy, feed, now=trio.current_time, instance=instance)
        breaker = breakers.setdefault((provider, policy), new)
        return Seat(_provider(provider, http, responder.max_answer_chars), breaker, provider.weight)

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
    """None: no model is configured, and words alone are compared."""
    wanted = settings.embeddings
    if wanted.base_url is None or wanted.model is None:
        return None
    return EmbeddingsClient(
        http,
        feed,
        base_url=wanted.base_url,
        api_key=wanted.api_key.get_secret_value() if wanted.api_key else "",
        model=wanted.model,
        batch_size=wanted.batch_size,
        timeout_seconds=wanted.timeout_seconds,
        cache_seconds=wanted.cache_seconds,
    )


def _gateway(gateway: GatewaySettings, http: HttpClient) -> Gateway:
    if gateway.kind == "console":
        return ConsoleGateway()
    assert gateway.base_url is not None and gateway.api_key is not None  # seen to when the settings were read
    evolution = EvolutionGateway(
        http,
        base_url=gateway.base_url,
        api_key=gateway.api_key.get_secret_value(),
        timeout_seconds=gateway.timeout_seconds,
        allowed_origins=gateway.allowed_origins,
    )
    return BoundedGateway(evolution)


def _realtime_gateway(
    gateway: GatewaySettings, couriers: Couriers, label: Callable[[Conversation], str]
) -> Gateway:
    assert gateway.client is not None  # seen to when the settings were read
    proxy = RealtimeGateway(
        couriers,
        gateway.client,
        label=label,
        new_id=partial(secrets.token_hex, 8),
        timeout_seconds=gateway.timeout_seconds,
    )
    return BoundedGateway(proxy)


def _provider(
    provider: Provider, http: HttpClient, max_answer_chars: int
) -> HttpProvider | RehearsalResponder:
    if provider.kind == "rehearsal":
        return RehearsalResponder(provider.name)
    terms = ProviderTerms(
        timeout_seconds=provider.timeout_seconds,
        system_prompt=provider.system_prompt,
        max_answer_chars=max_answer_chars,
        price_per_million_input_tokens=provider.price_per_million_input_tokens,
        price_per_million_output_tokens=provider.price_per_million_output_tokens,
    )
    return HttpProvider(http, provider.name, dialect(provider), terms)


def _breaker(responder: ResponderSettings) -> BreakerPolicy:
    seconds = responder.breaker_seconds
    longest = max(seconds, BreakerPolicy().max_open_seconds)
    return BreakerPolicy(responder.breaker_failures, seconds, longest)
