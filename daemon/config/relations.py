"""How settings must fit together; a broken rule yields the key to change, its value and what is allowed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from pydantic import SecretStr

from actors.identity import phone_number
from actors.reply import origin_of
from actors.response_cache import CACHE
from actors.triage import ESCALATION, FALLBACK
from daemon.config.dashboard_relations import dashboard_misfits
from daemon.config.misfit import Misfit
from daemon.config.realtime_relations import realtime_misfits
from daemon.config.schema import Settings
from daemon.config.sections import Batching, GatewaySettings, Provider, ResponderSettings
from daemon.config.sources import KeyPath

OWN_VOICES = frozenset({CACHE, ESCALATION, FALLBACK})
"""Shown where a provider's name is, for what no provider said."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]+")
_OWN_HEADERS = frozenset(
    {"accept", "connection", "content-length", "content-type", "host", "transfer-encoding"}
)


def misfits(settings: Settings) -> Iterator[Misfit]:
    """Every broken relation, defaults first, then each instance as it will run."""
    yield from _ingress(settings)
    yield from _admin(settings)
    yield from _stores(settings)
    yield from _batching(("batching",), settings.batching)
    yield from _responder(("responder",), settings.responder)
    yield from _gateway(("gateway",), settings.gateway)
    yield from realtime_misfits(settings)
    yield from _tracing(settings)
    yield from dashboard_misfits(settings)
    yield from _embeddings(settings)
    yield from _webhooks((), settings.escalation.notify_webhook, settings.alerts.webhook)
    yield from _staff((), settings.escalation.notify_numbers)
    for name, overrides in settings.instances.items():
        merged, written = settings.for_instance(name), overrides.model_fields_set
        at = ("instances", name)
        yield from _staff(at, overrides.escalation.notify_numbers)
        if "batching" in written:
            yield from _batching((*at, "batching"), merged.batching)
        if "responder" in written:
            yield from _responder((*at, "responder"), merged.responder)
        if "gateway" in written:
            yield from _gateway((*at, "gateway"), merged.gateway)
        if written & {"escalation", "alerts"}:
            yield from _webhooks(at, merged.escalation.notify_webhook, merged.alerts.webhook)


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


def _admin(settings: Settings) -> Iterator[Misfit]:
    admin = settings.admin
    if admin.group is not None and admin.open_to == "owner":
        allowed = "must be group (or everyone) where admin.group is set, or the group cannot connect"
        yield Misfit(("admin", "open_to"), admin.open_to, allowed)


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
        if provider.name in OWN_VOICES:
            allowed = f"must be another name: Majlis' own answers are shown as {provider.name}"
            yield Misfit((*here, "name"), provider.name, allowed)
        yield from _provider(here, provider)
    wait_seconds = responder.batching.wait_seconds
    if wait_seconds >= responder.deadline_seconds:
        allowed = f"must be less than deadline_seconds ({responder.deadline_seconds})"
        yield Misfit((*at, "batching", "wait_seconds"), wait_seconds, allowed)


def _provider(at: KeyPath, provider: Provider) -> Iterator[Misfit]:
    if provider.kind == "rehearsal":
        return
    missing = f"must be set for kind {provider.kind}"
    if provider.kind == "openai" or provider.base_url is not None:
        yield from _web_address((*at, "base_url"), provider.base_url, missing)
    if not provider.model:
        yield Misfit((*at, "model"), provider.model, missing)
    if provider.kind != "openai" and provider.api_key is None:
        yield Misfit((*at, "api_key"), None, missing)


def _embeddings(settings: Settings) -> Iterator[Misfit]:
    embeddings = settings.embeddings
    if embeddings.base_url is None and embeddings.model is None:
        return
    missing = "must be set where embeddings.{} is (or neither)"
    yield from _web_address(("embeddings", "base_url"), embeddings.base_url, missing.format("model"))
    if not embeddings.model:
        yield Misfit(("embeddings", "model"), embeddings.model, missing.format("base_url"))


def _tracing(settings: Settings) -> Iterator[Misfit]:
    tracing = settings.tracing
    if tracing.endpoint is not None:
        missing = "must be an http:// or https:// address, or null"
        yield from _web_address(("tracing", "endpoint"), tracing.endpoint, missing, keys="tracing.headers")
    for name, value in tracing.headers.items():
        if _HEADER_NAME.fullmatch(name) is None or name.lower() in _OWN_HEADERS:
            allowed = "must be the name of a header that Majlis does not set itself, e.g. authorization"
            yield Misfit(("tracing", "headers", name), "(hidden)", allowed)
        elif _HEADER_VALUE.fullmatch(value.get_secret_value()) is None:
            allowed = "must be one line of printable ASCII characters"
            yield Misfit(("tracing", "headers", name), "(hidden)", allowed)
    if tracing.max_batch_spans > tracing.max_queued_spans:
        allowed = f"must be at most tracing.max_queued_spans ({tracing.max_queued_spans})"
        yield Misfit(("tracing", "max_batch_spans"), tracing.max_batch_spans, allowed)


def _webhooks(at: KeyPath, notify: SecretStr | None, alert: SecretStr | None) -> Iterator[Misfit]:
    """A webhook's address may hold a key: its value is never shown."""
    for path, secret in ((("escalation", "notify_webhook"), notify), (("alerts", "webhook"), alert)):
        if secret is not None and not _is_web_address(secret.get_secret_value()):
            yield Misfit((*at, *path), "(hidden)", "must be an http:// or https:// address")


def _staff(at: KeyPath, numbers: Sequence[str]) -> Iterator[Misfit]:
    for index, written in enumerate(numbers):
        if phone_number(written) is None:
            allowed = "must be a phone number with its country code, 6 to 15 digits, e.g. '966500000001'"
            yield Misfit((*at, "escalation", "notify_numbers", str(index)), written, allowed)


def _gateway(at: KeyPath, gateway: GatewaySettings) -> Iterator[Misfit]:
    if gateway.kind == "evolution":
        yield from _web_address((*at, "base_url"), gateway.base_url, "must be set for kind evolution")
        if gateway.api_key is None:
            yield Misfit((*at, "api_key"), None, "must be set for kind evolution")
    for index, origin in enumerate(gateway.allowed_origins):
        if origin_of(origin) != origin:
            allowed = "must be scheme, host and port alone, e.g. https://evolution.example.com:8443"
            yield Misfit((*at, "allowed_origins", str(index)), origin, allowed)


def _web_address(path: KeyPath, url: str | None, missing: str, keys: str = "api_key") -> Iterator[Misfit]:
    if not url:
        yield Misfit(path, url, missing)
        return
    if not _is_web_address(url):
        yield Misfit(path, url, "must be an http:// or https:// address")
        return
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        yield Misfit(path, url, f"must hold no user, password, query or fragment; keys go into {keys}")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
