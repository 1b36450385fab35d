"""Checks everything Majlis depends on, and advises: stores, folders, gateways, responders, embeddings.

Each kind of gateway and provider brings its own check: `GatewayKind.check`, `ProviderKind.check`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import trio

from actors.errors import MajlisError
from daemon.config import Settings
from daemon.gateways.kind import GatewaySettings
from daemon.gateways.kinds import GATEWAYS
from daemon.knowledge.embeddings import TURN_SECONDS, EmbeddingsClient, EmbeddingsUnavailable
from daemon.ledger.rows import StoredInstances
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.responders.kind import ProviderSettings
from daemon.responders.kinds import PROVIDERS
from daemon.web.client import HttpClient
from daemon.web.finding import Finding
from daemon.web.http1 import Response, json_response
from daemon.web.tls import problem, sources

PEERS_SECONDS = 20.0
"""For all gateways and responders together: less than the caller waits for the report."""
MAX_AT_ONCE = 8
MAX_STORED = 50
"""How many instances that only the database knows are checked at the gateway."""
LOW_DISK_BYTES = 1024**3
UNDECLARED = "default"
"""Used where the settings declare no instances: all are in the database."""

CheckState = Literal["ok", "warning", "problem"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: CheckState
    detail: str
    advice: str = ""
    """What to do; empty when there is nothing to do."""


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    checks: list[Check]

    @property
    def well(self) -> bool:
        return all(check.state != "problem" for check in self.checks)


Ask = Callable[[], Awaitable[Check]]
AskStored = Callable[[Collection[str], int], Awaitable[StoredInstances]]


async def examine(
    settings: Settings,
    http: HttpClient,
    stores: Callable[[], Awaitable[Iterable[Check]]],
    embeddings: EmbeddingsClient | None = None,
    stored: AskStored | None = None,
) -> DoctorReport:
    """Run all checks, each with a time limit. A check that breaks is one more problem, and never ends the report.

    Args:
      stores: checks Redis and Postgres; it differs with whether the daemon runs.
      embeddings: makes vectors; None where no model is configured.
      stored: returns at most so many instances that are not declared; None where the database cannot be asked.
    """
    checks = [_data_dir(settings.data_dir), _tls(settings.tls.ca_file)]
    try:
        checks += await stores()
    except MajlisError as error:
        checks.append(Check(name="stores", state="problem", detail=str(error), advice="See the message."))
    others = await _stored(settings, stored)
    declared = {name: settings.for_instance(name) for name in sorted(settings.instances)}
    providers = set(settings.responder.providers)
    for name, own in declared.items():
        checks += _budget(name, own.limits.cost_per_day, own.responder.providers)
        providers.update(own.responder.providers)
    if not declared:
        checks += _budget(UNDECLARED, settings.limits.cost_per_day, settings.responder.providers)
    # Gateways last: there may be hundreds of instances, and a silent gateway must not hold up the others.
    asks: list[Ask] = [
        *(partial(_provider, http, one) for one in sorted(providers, key=lambda each: each.name)),
        *([partial(_embeddings, embeddings)] if embeddings is not None else []),
        *(partial(_gateway, http, name, own.gateway) for name, own in declared.items()),
        *(partial(_stored_gateway, http, name, settings.gateway) for name in others.names),
    ]
    if not (declared or others.names):
        asks.append(partial(_default_gateway, http, settings.gateway))
    return DoctorReport(checks=[*checks, *await _side_by_side(asks), *_left_out(others)])


async def _side_by_side(asks: Sequence[Ask]) -> list[Check]:
    """Run these in this order, side by side; those that do not finish in time are counted."""
    found: dict[int, Check] = {}
    limiter = trio.CapacityLimiter(MAX_AT_ONCE)

    async def one(place: int, ask: Ask) -> None:
        try:
            found[place] = await ask()
        finally:
            limiter.release_on_behalf_of(place)

    with trio.move_on_after(PEERS_SECONDS):
        async with trio.open_nursery() as nursery:
            for place, ask in enumerate(asks):
                await limiter.acquire_on_behalf_of(place)
                nursery.start_soon(one, place, ask)
    checks = [found[place] for place in sorted(found)]
    if missing := len(asks) - len(found):
        detail = f"{missing} of {len(asks)} did not answer within {PEERS_SECONDS:g} s"
        advice = (
            "Make sure that the gateway and the providers can be reached from here; those above answered."
        )
        checks.append(Check(name="not asked", state="problem", detail=detail, advice=advice))
    return checks


async def _stored(settings: Settings, stored: AskStored | None) -> StoredInstances:
    """They all reply through the default gateway, which is asked about them only if it knows instances."""
    if stored is None or not GATEWAYS[settings.gateway.kind].knows_instances:
        return StoredInstances()
    try:
        return await stored(settings.instances.keys(), MAX_STORED)
    except MajlisError:  # the checks of the stores say why
        return StoredInstances()


def _left_out(others: StoredInstances) -> list[Check]:
    more = others.total - len(others.names)
    if more <= 0:
        return []
    detail = f"{more} more instances are only in the database; the gateway was not asked about them"
    advice = "Look at the gateway's own list, or add those that matter to `instances` in config.yaml."
    return [Check(name="gateway of others", state="warning", detail=detail, advice=advice)]


def _data_dir(data_dir: Path) -> Check:
    name = "data_dir"
    place = next(parent for parent in (data_dir.absolute(), *data_dir.absolute().parents) if parent.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        advice = f"Give the user that runs Majlis write access to {place}, or set data_dir elsewhere."
        return Check(name=name, state="problem", detail=f"{data_dir} cannot be written.", advice=advice)
    free = shutil.disk_usage(place).free
    if free < LOW_DISK_BYTES:
        advice = "Free some space: a store on a full disk refuses messages."
        detail = f"{free // 1024**2} MiB are free at {place}."
        return Check(name=name, state="warning", detail=detail, advice=advice)
    if place == data_dir.absolute() and place.stat().st_mode & 0o077:
        detail = f"Other users of this machine may enter {data_dir}, which holds messages and phone numbers."
        return Check(name=name, state="warning", detail=detail, advice=f"Run `chmod 700 {data_dir}`.")
    return Check(name=name, state="ok", detail=f"{data_dir}, {free // 1024**3} GiB free")


def _tls(ca_file: Path | None) -> Check:
    """Whose certificates outgoing connections believe, as a start now would find them."""
    if broken := problem(ca_file):
        advice = "Correct it: a daemon that runs has read it before, and the next start would be refused."
        return Check(name="tls", state="problem", detail=broken, advice=advice)
    return Check(name="tls", state="ok", detail=f"believes the certificates of {sources(ca_file)}")


async def _gateway(http: HttpClient, instance: str, gateway: GatewaySettings) -> Check:
    return _gateway_check(instance, gateway, await _gateway_finding(http, instance, gateway))


async def _gateway_finding(http: HttpClient, instance: str, gateway: GatewaySettings) -> Finding:
    return await GATEWAYS[gateway.kind].check(gateway, instance, http)


def _gateway_check(instance: str, gateway: GatewaySettings, finding: Finding) -> Check:
    return _check(f"gateway of {instance}", gateway.kind, finding)


async def _default_gateway(http: HttpClient, gateway: GatewaySettings) -> Check:
    """The gateway need not know an instance called `default`: that it answers is enough."""
    finding = await _gateway_finding(http, UNDECLARED, gateway)
    if finding.unknown_instance:
        finding = Finding("ok", "reachable; config.yaml names no instance, so none was checked")
    return _gateway_check(UNDECLARED, gateway, finding)


async def _stored_gateway(http: HttpClient, instance: str, gateway: GatewaySettings) -> Check:
    """A database may hold old rows: an instance that the gateway does not know is only a warning."""
    finding = await _gateway_finding(http, instance, gateway)
    if finding.unknown_instance:
        advice = "Create the instance at the gateway, or switch it off in the database (is_active)."
        finding = Finding("warning", finding.detail, advice)
    return _gateway_check(instance, gateway, finding)


def _budget(instance: str, cost_per_day: float | None, providers: Iterable[ProviderSettings]) -> list[Check]:
    """A provider without a price never uses up a budget in money."""
    free = [
        provider.name
        for provider in providers
        if PROVIDERS[provider.kind].costs_money
        and not (provider.price_per_million_input_tokens or provider.price_per_million_output_tokens)
    ]
    if cost_per_day is None or not free:
        return []
    detail = f"cost_per_day is set, but answers of {', '.join(free)} cost nothing"
    advice = "Set price_per_million_input_tokens and …_output_tokens of each provider, or use tokens_per_day."
    return [Check(name=f"limits of {instance}", state="warning", detail=detail, advice=advice)]


async def _provider(http: HttpClient, provider: ProviderSettings) -> Check:
    finding = await PROVIDERS[provider.kind].check(provider, http)
    return _check(f"responder {provider.name}", provider.kind, finding)


def _check(name: str, kind: str, finding: Finding) -> Check:
    return Check(name=name, state=finding.state, detail=f"{kind}: {finding.detail}", advice=finding.advice)


async def _embeddings(embeddings: EmbeddingsClient) -> Check:
    """Has one word turned into a vector: the cheapest request that every such server answers."""
    name, started = "embeddings", trio.current_time()
    try:
        await embeddings.vectors(["hello"])
    except EmbeddingsUnavailable as error:
        passing = error.reason in ("overloaded", "rate_limited")
        advice = "Do what it says; until then only words are compared."
        return Check(name=name, state="warning" if passing else "problem", detail=str(error), advice=advice)
    if (seconds := trio.current_time() - started) > TURN_SECONDS:
        detail = (
            f"{seconds:.1f} s for one word; a turn waits only {TURN_SECONDS:g} s, then compares words alone"
        )
        return Check(name=name, state="warning", detail=detail, advice="Use a faster server or model.")
    return Check(name=name, state="ok", detail=f"reachable, model {embeddings.model}")


class Doctor:
    """`examine` runs all checks, from inside the running daemon."""

    def __init__(self, examine: Callable[[], Awaitable[DoctorReport]]) -> None:
        self.examine = examine


async def _examine(doctor: Doctor, call: AdminCall, asked: Parameters) -> Response:
    """Check stores, settings, gateway and responder, and say what to do."""
    return json_response(200, await doctor.examine())


ROUTES = (Route("GET", "/v1/doctor", Doctor, _examine, "read", DoctorReport),)
