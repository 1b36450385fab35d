"""Rules between settings. A broken rule yields the key to change, its value and what is allowed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from zoneinfo import available_timezones

from pydantic import SecretStr

from actors import hours, situation
from actors.contacts import ALLOWED, pattern
from actors.escalation import REASONS
from actors.identity import phone_number
from actors.instance import Mode
from actors.reply import origin_of
from actors.response_cache import CACHE
from actors.text import normalised, words
from actors.triage import ESCALATION, FALLBACK, OPT_OUT
from daemon.config.schema import Settings
from daemon.config.secret_keys import BadKey, read_key
from daemon.config.sections import (
    BatchingSettings,
    ContactsSettings,
    OptOutSettings,
    PassthroughSettings,
    RealtimeSettings,
    ResponderSettings,
    SecretsSettings,
    TakeoverSettings,
)
from daemon.gateways.kind import GatewaySettings
from daemon.gateways.kinds import GATEWAYS
from daemon.responders.kinds import PROVIDERS
from daemon.schema.fields import KeyPath, Misfit, is_web_address, unsendable, web_address
from daemon.web.http1 import is_listenable, is_proxy, split_address

_COUNTRY = re.compile(r"[A-Z]{2}")
OWN_VOICES = frozenset({CACHE, ESCALATION, FALLBACK, OPT_OUT})
"""Shown instead of a provider's name, for answers that no provider gave."""
_HOST = re.compile(
    r"(?=.{1,253}(:|$))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?"
)


def misfits(settings: Settings) -> Iterator[Misfit]:
    """Every broken relation, defaults first, then each instance as it will run."""
    yield from _ingress(settings)
    yield from _admin(settings)
    yield from _secret_keys(settings.secrets)
    yield from _stores(settings)
    yield from _batching(("batching",), settings.batching)
    yield from _responder(("responder",), settings.responder)
    yield from _gateway(("gateway",), settings.gateway, settings.realtime)
    yield from _realtime(settings)
    yield from _tracing(settings)
    yield from _dashboard(settings)
    yield from _embeddings(settings)
    yield from _webhooks((), settings.escalation.notify_webhook, settings.alerts.webhook)
    yield from _staff((), settings.escalation.notify_numbers)
    yield from _reason_names((), settings.escalation.reason_names)
    yield from _contacts((), settings.contacts)
    yield from _clock((), settings.timezone, settings.hours)
    yield from _opt_out(("opt_out",), settings.opt_out)
    yield from _takeover(("takeover",), settings.takeover)
    yield from _country((), settings.country)
    yield from _mode((), settings.mode, settings.passthrough, settings.gateway.feed)
    yield from misfits_of_instances(settings)


def misfits_of_instances(settings: Settings) -> Iterator[Misfit]:
    """Every broken relation of an instance."""
    for name, overrides in settings.instances.items():
        merged, written = settings.for_instance(name), overrides.model_fields_set
        at = ("instances", name)
        yield from _staff(at, overrides.escalation.notify_numbers)
        yield from _reason_names(at, overrides.escalation.reason_names)
        yield from _contacts(at, overrides.contacts)
        yield from _clock(at, overrides.timezone, overrides.hours)
        if "opt_out" in written:
            yield from _opt_out((*at, "opt_out"), merged.opt_out)
        if "takeover" in written:
            yield from _takeover((*at, "takeover"), merged.takeover)
        if "batching" in written:
            yield from _batching((*at, "batching"), merged.batching)
        if "responder" in written:
            yield from _responder((*at, "responder"), merged.responder)
        gateway_at = (*at, "gateway") if "gateway" in written else ("gateway",)
        if "gateway" in written:
            yield from _gateway(gateway_at, merged.gateway, settings.realtime)
        kind = GATEWAYS[merged.gateway.kind]
        yield from _within(gateway_at, kind.instance_misfits(merged.gateway, name, settings.realtime))
        yield from _country(at, overrides.country)
        if written & {"mode", "passthrough", "gateway"}:
            yield from _mode(at, merged.mode, merged.passthrough, merged.gateway.feed)
        if written & {"escalation", "alerts"}:
            yield from _webhooks(at, merged.escalation.notify_webhook, merged.alerts.webhook)


def _ingress(settings: Settings) -> Iterator[Misfit]:
    ingress = settings.ingress
    if not is_listenable(ingress.listen):
        allowed = (
            "must be host:port, e.g. 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080, or unix: and an absolute path, "
            "e.g. unix:/run/majlis/ingress.sock"
        )
        yield Misfit(("ingress", "listen"), ingress.listen, allowed)
    for number, name in enumerate(ingress.trusted_proxies):
        if not is_proxy(name):
            allowed = "must be an address, a network such as 10.0.0.0/8, or unix"
            yield Misfit(("ingress", "trusted_proxies", str(number)), name, allowed)
    has_own = any(overrides.ingress.is_guarded for overrides in settings.instances.values())
    if ingress.auth.mode == "token" and not ingress.auth.is_set and not has_own:
        allowed = "must be set when ingress.auth.mode is token, or ingress.token of an instance"
        yield Misfit(("ingress", "auth", "token"), None, allowed)
    if ingress.max_bytes_in_flight < ingress.max_body_bytes:
        allowed = f"must be at least ingress.max_body_bytes ({ingress.max_body_bytes})"
        yield Misfit(("ingress", "max_bytes_in_flight"), ingress.max_bytes_in_flight, allowed)
    if ingress.max_unproven_bytes < ingress.max_body_bytes:
        allowed = f"must be at least ingress.max_body_bytes ({ingress.max_body_bytes})"
        yield Misfit(("ingress", "max_unproven_bytes"), ingress.max_unproven_bytes, allowed)
    if ingress.max_media_bytes < ingress.max_body_bytes:
        allowed = f"must be at least ingress.max_body_bytes ({ingress.max_body_bytes})"
        yield Misfit(("ingress", "max_media_bytes"), ingress.max_media_bytes, allowed)
    if ingress.max_connections_per_address > ingress.max_connections:
        allowed = f"must be at most ingress.max_connections ({ingress.max_connections})"
        yield Misfit(("ingress", "max_connections_per_address"), ingress.max_connections_per_address, allowed)


def _admin(settings: Settings) -> Iterator[Misfit]:
    admin = settings.admin
    if admin.group is not None and admin.open_to == "owner":
        allowed = "must be group (or everyone) where admin.group is set, or the group cannot connect"
        yield Misfit(("admin", "open_to"), admin.open_to, allowed)


def _secret_keys(secrets: SecretsSettings) -> Iterator[Misfit]:
    """A key is never shown."""
    seen: set[bytes] = set()
    for index, written in enumerate(secrets.keys or ()):
        here = ("secrets", "keys", str(index))
        try:
            key = read_key(written.get_secret_value())
        except BadKey as bad:
            yield Misfit(here, "(hidden)", str(bad))
            continue
        if key in seen:
            yield Misfit(here, "(hidden)", "must differ from the other key: the first one seals, both open")
        seen.add(key)


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
    url = settings.redis.url.get_secret_value()
    if "," in url.partition("://")[2].rpartition("@")[2].partition("/")[0] and not url.startswith("unix:"):
        allowed = "must name one server: Redis Cluster and Sentinel are not supported yet, so name the master itself"
        yield Misfit(("redis", "url"), url, allowed)
    program = settings.redis.program
    if program is not None and not program.is_absolute():
        allowed = "must be a whole path, e.g. /usr/bin/valkey-server"
        yield Misfit(("redis", "program"), str(program), allowed)
    if program is not None and url != "embedded":
        allowed = "runs the embedded Redis alone: leave it out beside a redis.url of your own"
        yield Misfit(("redis", "program"), str(program), allowed)


def _batching(at: KeyPath, batching: BatchingSettings) -> Iterator[Misfit]:
    if batching.max_messages > batching.max_batch_messages:
        allowed = f"must be at most max_batch_messages ({batching.max_batch_messages})"
        yield Misfit((*at, "max_messages"), batching.max_messages, allowed)
    if batching.max_batch_messages > batching.max_waiting_messages:
        allowed = f"must be at most max_waiting_messages ({batching.max_waiting_messages})"
        yield Misfit((*at, "max_batch_messages"), batching.max_batch_messages, allowed)
    if batching.quiet_seconds > batching.max_seconds:
        allowed = f"must be at most max_seconds ({batching.max_seconds:g})"
        yield Misfit((*at, "quiet_seconds"), batching.quiet_seconds, allowed)


def _responder(at: KeyPath, responder: ResponderSettings) -> Iterator[Misfit]:
    names = Counter(provider.name for provider in responder.providers)
    for index, provider in enumerate(responder.providers):
        here = (*at, "providers", str(index))
        if names[provider.name] > 1:
            yield Misfit((*here, "name"), provider.name, "must differ from the other providers' names")
        if provider.name in OWN_VOICES:
            allowed = f"must be another name: Majlis' own answers are shown as {provider.name}"
            yield Misfit((*here, "name"), provider.name, allowed)
        yield from _within(here, PROVIDERS[provider.kind].misfits(provider))
    wait_seconds = responder.batching.wait_seconds
    if wait_seconds >= responder.deadline_seconds:
        allowed = f"must be less than deadline_seconds ({responder.deadline_seconds})"
        yield Misfit((*at, "batching", "wait_seconds"), wait_seconds, allowed)


def _embeddings(settings: Settings) -> Iterator[Misfit]:
    embeddings = settings.embeddings
    if embeddings.base_url is None and embeddings.model is None:
        return
    missing = "must be set when embeddings.{} is set"
    yield from web_address(("embeddings", "base_url"), embeddings.base_url, missing.format("model"))
    if not embeddings.model:
        yield Misfit(("embeddings", "model"), embeddings.model, missing.format("base_url"))


def _tracing(settings: Settings) -> Iterator[Misfit]:
    tracing = settings.tracing
    if tracing.endpoint is not None:
        missing = "must be an http:// or https:// address, or null"
        yield from web_address(("tracing", "endpoint"), tracing.endpoint, missing, keys="tracing.headers")
    yield from unsendable(("tracing", "headers"), tracing.headers)
    if tracing.max_batch_spans > tracing.max_queued_spans:
        allowed = f"must be at most tracing.max_queued_spans ({tracing.max_queued_spans})"
        yield Misfit(("tracing", "max_batch_spans"), tracing.max_batch_spans, allowed)


def _realtime(settings: Settings) -> Iterator[Misfit]:
    realtime = settings.realtime
    if realtime.listen is not None:
        yield from _realtime_door(realtime, realtime.listen)
    yield from _realtime_clients(realtime)


def _realtime_door(realtime: RealtimeSettings, listen: str) -> Iterator[Misfit]:
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
            allowed = "must be scheme, host and port only, e.g. https://app.example.com"
            yield Misfit(("realtime", "allowed_origins", str(index)), origin, allowed)


def _realtime_clients(realtime: RealtimeSettings) -> Iterator[Misfit]:
    names = Counter(client.name for client in realtime.clients)
    tokens = Counter(token.get_secret_value() for client in realtime.clients for token in client.token)
    for index, client in enumerate(realtime.clients):
        at = ("realtime", "clients", str(index))
        if names[client.name] > 1:
            yield Misfit((*at, "name"), client.name, "must differ from the other clients' names")
        if any(tokens[token.get_secret_value()] > 1 for token in client.token):
            yield Misfit((*at, "token"), "(hidden)", "must differ from the other tokens")


def _dashboard(settings: Settings) -> Iterator[Misfit]:
    dashboard = settings.dashboard
    if dashboard.listen is not None:
        try:
            split_address(dashboard.listen)
        except ValueError:
            allowed = "must be host:port, e.g. 127.0.0.1:8089, or null"
            yield Misfit(("dashboard", "listen"), dashboard.listen, allowed)
    for index, host in enumerate(dashboard.hosts):
        if _HOST.fullmatch(host) is None:
            allowed = (
                "must be a host name in lower case, with its port if it has one, e.g. majlis.example.com"
            )
            yield Misfit(("dashboard", "hosts", str(index)), host, allowed)


def _webhooks(at: KeyPath, notify: SecretStr | None, alert: SecretStr | None) -> Iterator[Misfit]:
    """A webhook's address may contain a key, so its value is never shown."""
    for path, secret in ((("escalation", "notify_webhook"), notify), (("alerts", "webhook"), alert)):
        if secret is not None and not is_web_address(secret.get_secret_value()):
            yield Misfit((*at, *path), "(hidden)", "must be an http:// or https:// address")


def _staff(at: KeyPath, numbers: Sequence[str]) -> Iterator[Misfit]:
    for index, written in enumerate(numbers):
        if phone_number(written) is None:
            allowed = "must be a phone number with its country code, 6 to 15 digits, e.g. '966500000001'"
            yield Misfit((*at, "escalation", "notify_numbers", str(index)), written, allowed)


def _reason_names(at: KeyPath, names: Mapping[str, str]) -> Iterator[Misfit]:
    """A name that is another reason of ours would make one row mean two things."""
    for reason, name in names.items():
        here = (*at, "escalation", "reason_names", reason)
        if reason not in REASONS:
            yield Misfit(here, name, f"must be the name of one of the reasons: {', '.join(REASONS)}")
        elif name != reason and name in REASONS:
            yield Misfit(here, name, "must not be the name of another reason")


def _contacts(at: KeyPath, contacts: ContactsSettings) -> Iterator[Misfit]:
    lists = (("ignore", contacts.ignore), ("allow", contacts.allow), ("priority", contacts.priority))
    for name, listed in lists:
        for index, written in enumerate(listed):
            if pattern(written) is None:
                yield Misfit((*at, "contacts", name, str(index)), written, ALLOWED)


def _opt_out(at: KeyPath, opt_out: OptOutSettings) -> Iterator[Misfit]:
    lists = (("stop_words", opt_out.stop_words), ("start_words", opt_out.start_words))
    for name, listed in lists:
        for index, word in enumerate(listed):
            if not words(word):
                yield Misfit((*at, name, str(index)), word, "must have a letter or a digit")
    starts = {words(word) for word in opt_out.start_words}
    for index, word in enumerate(opt_out.stop_words):
        if words(word) in starts:
            yield Misfit((*at, "stop_words", str(index)), word, "must not be one of start_words too")
    if opt_out.stop_words and not starts:
        allowed = "must have a word, or nobody who wrote one of stop_words could come back"
        yield Misfit((*at, "start_words"), [], allowed)


def _takeover(at: KeyPath, takeover: TakeoverSettings) -> Iterator[Misfit]:
    commands = takeover.commands
    for name, command in (("resume", commands.resume), ("pause", commands.pause)):
        if command is not None and not normalised(command):
            yield Misfit((*at, "commands", name), command, "must be a text that can be seen, or null")
    if commands.resume and commands.pause and normalised(commands.resume) == normalised(commands.pause):
        allowed = "must differ from commands.resume, or nobody could tell which of the two is meant"
        yield Misfit((*at, "commands", "pause"), commands.pause, allowed)
    for index, text in enumerate(takeover.automatic_texts):
        if not normalised(text.strip().removesuffix("*")):
            allowed = "must have words, before the * if it ends in one"
            yield Misfit((*at, "automatic_texts", str(index)), text, allowed)


def _clock(at: KeyPath, timezone: str | None, lines: Sequence[str] | None) -> Iterator[Misfit]:
    """None: the instance has the defaults."""
    if timezone is not None and situation.zone(timezone) is None:
        allowed = f"must be a zone of the IANA database, e.g. {_near(timezone)}"
        yield Misfit((*at, "timezone"), timezone, allowed)
    try:
        hours.read(lines or ())
    except hours.BadHours as bad:
        yield Misfit((*at, "hours", str(bad.place)), (lines or ())[bad.place], str(bad))


def _country(at: KeyPath, country: str | None) -> Iterator[Misfit]:
    """None: the instance has the default; empty: none is set."""
    if country and not _COUNTRY.fullmatch(country):
        allowed = "must be the two letters of a country, e.g. SA, EG or BR (ISO 3166-1)"
        yield Misfit((*at, "country"), country, allowed)


def _mode(at: KeyPath, mode: Mode, passthrough: PassthroughSettings, feed: str) -> Iterator[Misfit]:
    """The address of the other system may contain a key, so its value is never shown."""
    url = passthrough.url
    if url is not None and not is_web_address(url.get_secret_value()):
        yield Misfit((*at, "passthrough", "url"), "(hidden)", "must be an http:// or https:// address")
    if mode == "passthrough" and url is None:
        yield Misfit((*at, "mode"), mode, "needs passthrough.url, the address to forward to")
    if mode == "passthrough" and feed != "webhook":
        allowed = "needs gateway.feed: webhook: a feed has no replay, and its media are cut out"
        yield Misfit((*at, "mode"), mode, allowed)
    yield from unsendable((*at, "passthrough", "headers"), passthrough.headers)


def _near(timezone: str) -> str:
    """The zone that was probably meant: written in another case or with an error, or named by its city alone."""
    zones = {zone.lower(): zone for zone in sorted(available_timezones())}
    cities = {name.rpartition("/")[2]: zone for name, zone in zones.items()}
    written = timezone.strip().lower().replace(" ", "_")
    near = next(
        (found[0] for names in (zones, cities) if (found := get_close_matches(written[:64], names, 1, 0.75))),
        "",
    )
    return (zones | cities).get(near, "Asia/Riyadh")


def _gateway(at: KeyPath, gateway: GatewaySettings, door: RealtimeSettings) -> Iterator[Misfit]:
    kind = GATEWAYS[gateway.kind]
    yield from _within(at, kind.misfits(gateway, door))
    if gateway.feed == "websocket" and not kind.has_feed:
        able = " or ".join(name for name, other in GATEWAYS.items() if other.has_feed)
        yield Misfit((*at, "feed"), gateway.feed, f"can be websocket for kind {able} only")
    for index, origin in enumerate(gateway.allowed_origins):
        if origin_of(origin) != origin:
            allowed = "must be scheme, host and port only, e.g. https://evolution.example.com:8443"
            yield Misfit((*at, "allowed_origins", str(index)), origin, allowed)


def _within(at: KeyPath, found: Iterable[Misfit]) -> Iterator[Misfit]:
    """What a kind found in its own section, with the full paths of the keys."""
    for misfit in found:
        yield misfit._replace(path=(*at, *misfit.path))
