"""Gateways and responders as the settings name them: a default, and one of its own where an instance differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from actors.ports import Gateway, Responder
from daemon.config import GatewaySettings, Provider, ResponderSettings, Settings
from daemon.gateways.console import ConsoleGateway
from daemon.gateways.evolution import EvolutionGateway
from daemon.gateways.router import BoundedGateway, RoutedGateway
from daemon.http_client import HttpClient
from daemon.responders.openai import DEFAULT_SYSTEM_PROMPT, OpenAiResponder
from daemon.responders.rehearsal import RehearsalResponder
from daemon.responders.router import FallbackResponder, RoutedResponder

Peer = TypeVar("Peer")
PeerSettings = TypeVar("PeerSettings", GatewaySettings, ResponderSettings)


def gateways(settings: Settings, http: HttpClient) -> Gateway:
    """`http` must keep no connections: see `EvolutionGateway`."""
    own = {name: settings.for_instance(name).gateway for name in settings.instances}

    def make(gateway: GatewaySettings) -> Gateway:
        return _gateway(gateway, http)

    return RoutedGateway(make(settings.gateway), _differing(own, settings.gateway, make))


def responders(settings: Settings, http: HttpClient) -> Responder:
    own = {name: settings.for_instance(name).responder for name in settings.instances}

    def make(responder: ResponderSettings) -> Responder:
        return FallbackResponder([_provider(provider, http) for provider in responder.providers])

    return RoutedResponder(make(settings.responder), _differing(own, settings.responder, make))


def _differing(
    own: dict[str, PeerSettings], default: PeerSettings, make: Callable[[PeerSettings], Peer]
) -> dict[str, Peer]:
    return {name: make(settings) for name, settings in own.items() if settings != default}


def _gateway(gateway: GatewaySettings, http: HttpClient) -> Gateway:
    if gateway.kind == "console":
        return ConsoleGateway()
    assert gateway.base_url is not None and gateway.api_key is not None  # seen to when the settings were read
    evolution = EvolutionGateway(
        http,
        base_url=gateway.base_url,
        api_key=gateway.api_key.get_secret_value(),
        timeout_seconds=gateway.timeout_seconds,
    )
    return BoundedGateway(evolution)


def _provider(provider: Provider, http: HttpClient) -> Responder:
    if provider.kind == "rehearsal":
        return RehearsalResponder(provider.name)
    assert provider.base_url is not None and provider.model is not None  # seen to when the settings were read
    return OpenAiResponder(
        http,
        name=provider.name,
        base_url=provider.base_url,
        api_key=provider.api_key.get_secret_value() if provider.api_key else "",
        model=provider.model,
        timeout_seconds=provider.timeout_seconds,
        system_prompt=DEFAULT_SYSTEM_PROMPT if provider.system_prompt is None else provider.system_prompt,
    )
