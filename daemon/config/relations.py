"""How settings must fit together; a broken rule yields the key to change, its value and what is allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from daemon.config.schema import Batching, GatewaySettings, ResponderSettings, Settings
from daemon.config.sources import KeyPath


class Misfit(NamedTuple):
    path: KeyPath
    value: object
    allowed: str


def misfits(settings: Settings) -> Iterator[Misfit]:
    """Every broken relation, defaults first, then each instance as it will run."""
    yield from _ingress(settings)
    yield from _stores(settings)
    yield from _batching(("batching",), settings.batching)
    yield from _responder(("responder",), settings.responder)
    yield from _gateway(("gateway",), settings.gateway)
    for name, overrides in settings.instances.items():
        merged, written = settings.for_instance(name), overrides.model_fields_set
        at = ("instances", name)
        if "batching" in written:
            yield from _batching((*at, "batching"), merged.batching)
        if "responder" in written:
            yield from _responder((*at, "responder"), merged.responder)
        if "gateway" in written:
            yield from _gateway((*at, "gateway"), merged.gateway)


def _ingress(settings: Settings) -> Iterator[Misfit]:
    ingress = settings.ingress
    try:
        _ = ingress.address
    except ValueError:
        allowed = "must be host:port, e.g. 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080"
        yield Misfit(("ingress", "listen"), ingress.listen, allowed)
    if ingress.auth.mode == "token" and not ingress.auth.tokens:
        yield Misfit(("ingress", "auth", "token"), None, "must be set when ingress.auth.mode is token")
    if ingress.max_connections_per_address > ingress.max_connections:
        allowed = f"must be at most ingress.max_connections ({ingress.max_connections})"
        yield Misfit(("ingress", "max_connections_per_address"), ingress.max_connections_per_address, allowed)


def _stores(settings: Settings) -> Iterator[Misfit]:
    stores = (
        (("redis", "url"), settings.redis.url, ("redis", "rediss", "unix")),
        (("postgres", "dsn"), settings.postgres.dsn, ("postgresql", "postgres")),
    )
    for path, secret, schemes in stores:
        value = secret.get_secret_value()
        if value != "embedded" and value.partition("://")[0] not in schemes:
            ways = " or ".join(f"{scheme}://…" for scheme in schemes)
            yield Misfit(path, value, f"must be embedded, or {ways}")


def _batching(at: KeyPath, batching: Batching) -> Iterator[Misfit]:
    if batching.max_messages > batching.max_batch_messages:
        allowed = f"must be at most max_batch_messages ({batching.max_batch_messages})"
        yield Misfit((*at, "max_messages"), batching.max_messages, allowed)
    if batching.max_batch_messages > batching.max_waiting_messages:
        allowed = f"must be at most max_waiting_messages ({batching.max_waiting_messages})"
        yield Misfit((*at, "max_batch_messages"), batching.max_batch_messages, allowed)


def _responder(at: KeyPath, responder: ResponderSettings) -> Iterator[Misfit]:
    names = Counter(provider.name for provider in responder.providers)
    for index, provider in enumerate(responder.providers):
        here = (*at, "providers", str(index))
        if names[provider.name] > 1:
            yield Misfit((*here, "name"), provider.name, "must differ from the other providers' names")
        if provider.kind == "openai":
            yield from _web_address((*here, "base_url"), provider.base_url, "must be set for kind openai")
            if not provider.model:
                yield Misfit((*here, "model"), provider.model, "must be set for kind openai")


def _gateway(at: KeyPath, gateway: GatewaySettings) -> Iterator[Misfit]:
    if gateway.kind == "evolution":
        yield from _web_address((*at, "base_url"), gateway.base_url, "must be set for kind evolution")
        if gateway.api_key is None:
            yield Misfit((*at, "api_key"), None, "must be set for kind evolution")


def _web_address(path: KeyPath, url: str | None, missing: str) -> Iterator[Misfit]:
    if not url:
        yield Misfit(path, url, missing)
        return
    try:
        parts = urlsplit(url)
        _ = parts.port
        well = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        well = False
    if not well:
        yield Misfit(path, url, "must be an http:// or https:// address")
    elif parts.username or parts.password or parts.query or parts.fragment:
        yield Misfit(path, url, "must hold no user, password, query or fragment; keys go into api_key")
