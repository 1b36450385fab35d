"""Checks everything Majlis leans on and says what to do: stores, folders, gateways, responders, embeddings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec
import trio

from actors.errors import MajlisError
from daemon.config import GatewaySettings, Provider, Settings
from daemon.knowledge.embeddings import TURN_SECONDS, EmbeddingsClient, EmbeddingsUnavailable
from daemon.ledger.rows import StoredInstances
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.responders.kinds import dialect
from daemon.web.answer import dig
from daemon.web.client import HttpClient, HttpFailed
from daemon.web.http1 import Response, json_response

CALL_SECONDS = 10.0
PEERS_SECONDS = 20.0
"""For all gateways and responders together: less than whoever asked for the report waits."""
MAX_AT_ONCE = 8
MAX_STORED = 50
"""Instances of the database alone that the gateway is asked about."""
MAX_BODY_BYTES = 1024 * 1024
LOW_DISK_BYTES = 1024**3
UNDECLARED = "default"
"""Stands for the instances where the settings declare none: they are in the database alone."""

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


class UnknownThere(NamedTuple):
    """What it means that a gateway does not know an instance."""

    state: CheckState
    detail: str
    advice: str = ""


DECLARED = UnknownThere(
    "problem",
    "evolution: no such instance",
    "Create the instance at the gateway, or correct its name under instances.",
)
STORED = UnknownThere(  # a database may hold rows of long ago
    "warning",
    "evolution: no such instance",
    "Create the instance at the gateway, or switch it off in the database (is_active).",
)
NONE_DECLARED = UnknownThere(  # the name stands for all of them: it answers, and that is what was asked
    "ok", "evolution: reachable; no instance stands in config.yaml, so none was asked for"
)

Ask = Callable[[], Awaitable[Check]]
AskStored = Callable[[Collection[str], int], Awaitable[StoredInstances]]


async def examine(
    settings: Settings,
    http: HttpClient,
    stores: Callable[[], Awaitable[Iterable[Check]]],
    embeddings: EmbeddingsClient | None = None,
    stored: AskStored | None = None,
) -> DoctorReport:
    """All checks, each bounded; one that breaks is a problem of its own, never the end of the report.

    Args:
      stores: checks Redis and Postgres; how depends on whether the daemon runs.
      embeddings: whoever makes vectors; None where no model is configured.
      stored: gives the instances beside the declared ones, so many at most; None where nobody can say.
    """
    checks = [_data_dir(settings.data_dir)]
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
    # Gateways last: there may be hundreds of instances, and a gateway that is silent keeps nobody else waiting.
    asks: list[Ask] = [
        *(partial(_provider, http, one) for one in sorted(providers, key=lambda each: each.name)),
        *([partial(_embeddings, embeddings)] if embeddings is not None else []),
        *(partial(_gateway, http, name, own.gateway, DECLARED) for name, own in declared.items()),
        *(partial(_gateway, http, name, settings.gateway, STORED) for name in others.names),
    ]
    if not (declared or others.names):
        asks.append(partial(_gateway, http, UNDECLARED, settings.gateway, NONE_DECLARED))
    return DoctorReport(checks=[*checks, *await _side_by_side(asks), *_left_out(others)])


async def _side_by_side(asks: Sequence[Ask]) -> list[Check]:
    """What they found; each begins after those before it. Those that came to no end in time are counted."""
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
        detail = f"{missing} of {len(asks)} gave no answer within {PEERS_SECONDS:g} s"
        advice = "See that the gateway and the providers can be reached from here; those above answered."
        checks.append(Check(name="not asked", state="problem", detail=detail, advice=advice))
    return checks


async def _stored(settings: Settings, stored: AskStored | None) -> StoredInstances:
    """They all reply through the default gateway: only one that knows instances is asked about them."""
    if stored is None or settings.gateway.kind != "evolution":
        return StoredInstances()
    try:
        return await stored(settings.instances.keys(), MAX_STORED)
    except MajlisError:  # the checks of the stores say why
        return StoredInstances()


def _left_out(others: StoredInstances) -> list[Check]:
    more = others.total - len(others.names)
    if more <= 0:
        return []
    detail = f"{more} more instances stand in the database alone; the gateway was not asked about them"
    advice = "Look at the gateway's own list, or name those that matter under instances."
    return [Check(name="gateway of others", state="warning", detail=detail, advice=advice)]


def _data_dir(data_dir: Path) -> Check:
    name = "data_dir"
    place = next(parent for parent in (data_dir.absolute(), *data_dir.absolute().parents) if parent.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        advice = f"Give the user that runs Majlis write access to {place}, or set data_dir elsewhere."
        return Check(name=name, state="problem", detail=f"{data_dir} cannot be written.", advice=advice)
    free = shutil.disk_usage(place).free
    if free < LOW_DISK_BYTES:
        advice = "Make room: a store on a full disk refuses messages."
        detail = f"{free // 1024**2} MiB are free at {place}."
        return Check(name=name, state="warning", detail=detail, advice=advice)
    return Check(name=name, state="ok", detail=f"{data_dir}, {free // 1024**3} GiB free")


async def _gateway(http: HttpClient, instance: str, gateway: GatewaySettings, unknown: UnknownThere) -> Check:
    name = f"gateway of {instance}"
    if gateway.kind == "console":
        return Check(name=name, state="ok", detail="console: replies are printed, not sent")
    if gateway.kind == "realtime":
        detail = f"realtime: {gateway.client} delivers; `majlis status` shows whether it is connected"
        return Check(name=name, state="ok", detail=detail)
    assert gateway.base_url is not None and gateway.api_key is not None
    url = f"{gateway.base_url.rstrip('/')}/instance/connectionState/{quote(instance, safe='')}"
    try:
        headers = {"apikey": gateway.api_key.get_secret_value()}
        answer = await http.get(url, headers, CALL_SECONDS, MAX_BODY_BYTES)
    except HttpFailed as failure:
        advice = "Check gateway.base_url, and that the gateway runs and can be reached from here."
        return Check(name=name, state="problem", detail=f"evolution: {failure}", advice=advice)
    if answer.status == 404:
        return Check(name=name, state=unknown.state, detail=unknown.detail, advice=unknown.advice)
    return _connection(name, answer.status, dig(answer.json(), "instance", "state"))


def _connection(name: str, status: int, state: object) -> Check:
    if status in (401, 403):
        advice = "Set gateway.api_key to the gateway's global key or the instance's token."
        return Check(name=name, state="problem", detail="evolution: the key is refused", advice=advice)
    if status != 200 or not isinstance(state, str):
        advice = "Look into the gateway's log; the instance may not be loaded."
        return Check(
            name=name, state="problem", detail=f"evolution: status {status}, no state", advice=advice
        )
    if state != "open":
        advice = "Connect the instance at the gateway (scan its QR code)."
        return Check(name=name, state="problem", detail=f"evolution: the phone is {state}", advice=advice)
    return Check(name=name, state="ok", detail="evolution: connected")


def _budget(instance: str, cost_per_day: float | None, providers: Iterable[Provider]) -> list[Check]:
    """A budget in money is never reached by a provider without a price."""
    free = [
        provider.name
        for provider in providers
        if provider.kind != "rehearsal"
        and not (provider.price_per_million_input_tokens or provider.price_per_million_output_tokens)
    ]
    if cost_per_day is None or not free:
        return []
    detail = f"cost_per_day is set, and what {', '.join(free)} says costs nothing"
    advice = "Set price_per_million_input_tokens and …_output_tokens of each provider, or use tokens_per_day."
    return [Check(name=f"limits of {instance}", state="warning", detail=detail, advice=advice)]


async def _provider(http: HttpClient, provider: Provider) -> Check:
    if provider.kind == "rehearsal":
        name = f"responder {provider.name}"
        return Check(name=name, state="ok", detail="rehearsal: repeats what it heard")
    spoken = dialect(provider)
    try:
        answer = await http.get(spoken.probe_url, spoken.headers, CALL_SECONDS, MAX_BODY_BYTES)
    except HttpFailed as failure:
        advice = "Check its base_url, and that the server can be reached from here."
        return _finding(provider, "problem", str(failure), advice)
    return _probed(provider, answer.status, spoken.verdict(answer.status, answer.json()))


def _probed(provider: Provider, status: int, verdict: str | None) -> Check:
    if verdict == "bad_key" or status in (401, 402, 403):
        advice = "Set its api_key, and see that its account is in order."
        return _finding(provider, "problem", "the key is refused", advice)
    if status == 404:
        return _not_found(provider)
    if status != 200:
        advice = "Wait, or add another provider to fall back on."
        return _finding(provider, "warning", f"status {status}", advice)
    return _finding(provider, "ok", f"reachable, model {provider.model}")


def _not_found(provider: Provider) -> Check:
    if provider.kind == "openai":  # many servers that speak it list no models
        advice = "See that base_url is the part before /chat/completions; if it is, this server just lists no models."
        return _finding(provider, "warning", "there is no /models", advice)
    advice = "Correct its model, or its base_url: it ends with the API's version."
    return _finding(provider, "problem", f"there is no model {provider.model}", advice)


def _finding(provider: Provider, state: CheckState, detail: str, advice: str = "") -> Check:
    return Check(
        name=f"responder {provider.name}", state=state, detail=f"{provider.kind}: {detail}", advice=advice
    )


async def _embeddings(embeddings: EmbeddingsClient) -> Check:
    """Has one word turned into a vector: there is no cheaper question that every such server answers."""
    name, started = "embeddings", trio.current_time()
    try:
        await embeddings.vectors(["hello"])
    except EmbeddingsUnavailable as error:
        passing = error.reason in ("overloaded", "rate_limited")
        advice = "Do what it says; until then words alone are compared."
        return Check(name=name, state="warning" if passing else "problem", detail=str(error), advice=advice)
    if (seconds := trio.current_time() - started) > TURN_SECONDS:
        detail = (
            f"{seconds:.1f} s for one word; a turn waits {TURN_SECONDS:g} s and compares words alone then"
        )
        return Check(name=name, state="warning", detail=detail, advice="Use a faster server or model.")
    return Check(name=name, state="ok", detail=f"reachable, model {embeddings.model}")


class Doctor:
    """`examine` looks at everything, from inside the running daemon."""

    def __init__(self, examine: Callable[[], Awaitable[DoctorReport]]) -> None:
        self.examine = examine


async def _examine(doctor: Doctor, call: AdminCall, asked: Parameters) -> Response:
    """Check stores, settings, gateway and responder, and say what to do."""
    return json_response(200, await doctor.examine())


ROUTES = (Route("GET", "/v1/doctor", Doctor, _examine, "read", DoctorReport),)
