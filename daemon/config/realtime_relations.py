"""How the settings of the realtime door must fit together, and those of the gateways that stand behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from actors.reply import origin_of
from daemon.config.misfit import Misfit
from daemon.config.schema import Settings
from daemon.config.sections import GatewaySettings, Realtime
from daemon.config.sources import KeyPath
from daemon.web.http1 import split_address


def realtime_misfits(settings: Settings) -> Iterator[Misfit]:
    realtime = settings.realtime
    if realtime.listen is not None:
        yield from _door(realtime, realtime.listen)
    yield from _clients(realtime)
    yield from _gateway(("gateway",), settings.gateway, realtime)
    for name, overrides in settings.instances.items():
        merged = settings.for_instance(name).gateway
        at = ("instances", name, "gateway") if "gateway" in overrides.model_fields_set else ("gateway",)
        if at[0] == "instances":
            yield from _gateway(at, merged, realtime)
        yield from _scope(at, name, merged, realtime)
        if merged.feed == "websocket" and "," in name:
            allowed = "must be webhook for an instance with a comma in its name"
            yield Misfit((*at, "feed"), merged.feed, allowed)


def _door(realtime: Realtime, listen: str) -> Iterator[Misfit]:
    try:
        split_address(listen)
    except ValueError:
        yield Misfit(("realtime", "listen"), listen, "must be host:port, e.g. 127.0.0.1:8081, or null")
    if not realtime.clients:
        yield Misfit(
            ("realtime", "clients"), None, "must name at least one client when realtime.listen is set"
        )
    for index, origin in enumerate(realtime.allowed_origins):
        if origin_of(origin) != origin:
            allowed = "must be scheme, host and port alone, e.g. https://app.example.com"
            yield Misfit(("realtime", "allowed_origins", str(index)), origin, allowed)


def _clients(realtime: Realtime) -> Iterator[Misfit]:
    names = Counter(client.name for client in realtime.clients)
    tokens = Counter(token.get_secret_value() for client in realtime.clients for token in client.token)
    for index, client in enumerate(realtime.clients):
        at = ("realtime", "clients", str(index))
        if names[client.name] > 1:
            yield Misfit((*at, "name"), client.name, "must differ from the other clients' names")
        if any(tokens[token.get_secret_value()] > 1 for token in client.token):
            yield Misfit((*at, "token"), "(hidden)", "must differ from the other tokens")


def _gateway(at: KeyPath, gateway: GatewaySettings, realtime: Realtime) -> Iterator[Misfit]:
    if gateway.feed == "websocket" and gateway.kind != "evolution":
        yield Misfit((*at, "feed"), gateway.feed, "can be websocket for kind evolution only")
    if gateway.kind != "realtime":
        return
    if realtime.listen is None:
        yield Misfit((*at, "kind"), gateway.kind, "needs realtime.listen to be set")
    if gateway.client not in {client.name for client in realtime.clients}:
        yield Misfit((*at, "client"), gateway.client, "must be the name of one of realtime.clients")


def _scope(at: KeyPath, instance: str, gateway: GatewaySettings, realtime: Realtime) -> Iterator[Misfit]:
    """A proxy delivers only what it may see."""
    for client in realtime.clients:
        if gateway.kind == "realtime" and client.name == gateway.client and not client.may_see(instance):
            allowed = f"must name a client whose instances include {instance}"
            yield Misfit((*at, "client"), gateway.client, allowed)
