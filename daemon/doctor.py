"""Checks everything Majlis leans on and says what to do: stores, folders, gateways, responders, embeddings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from urllib.parse import quote

import trio

from actors.errors import MajlisError
from daemon.admin.views import Check, CheckState, DoctorReport
from daemon.config import GatewaySettings, Provider, Settings
from daemon.http_answer import dig
from daemon.http_client import HttpClient, HttpFailed
from daemon.knowledge.embeddings import TURN_SECONDS, Embeddings, EmbeddingsUnavailable
from daemon.responders.kinds import dialect

CALL_SECONDS = 10.0
MAX_BODY_BYTES = 1024 * 1024
LOW_DISK_BYTES = 1024**3
UNDECLARED = "default"
"""Stands for the instances where the settings declare none: they are in the database alone."""
NO_INSTANCE = "evolution: no such instance"


async def examine(
    settings: Settings,
    http: HttpClient,
    stores: Callable[[], Awaitable[Iterable[Check]]],
    embeddings: Embeddings | None = None,
) -> DoctorReport:
    """All checks, each bounded; one that breaks is a problem of its own, never the end of the report.

    Args:
      stores: checks Redis and Postgres; how depends on whether the daemon runs.
      embeddings: whoever makes vectors; None where no model is configured.
    """
    checks = [_data_dir(settings.data_dir)]
    try:
        checks += await stores()
    except MajlisError as error:
        checks.append(Check(name="stores", state="problem", detail=str(error), advice="See the message."))
    for name in sorted(settings.instances):
        own = settings.for_instance(name)
        checks.append(await _gateway(http, name, own.gateway))
        checks += _budget(name, own.limits.cost_per_day, own.responder.providers)
    if not settings.instances:
        checks.append(
            _undeclared(await _gateway(http, UNDECLARED, settings.for_instance(UNDECLARED).gateway))
        )
        checks += _budget(UNDECLARED, settings.limits.cost_per_day, settings.responder.providers)
    providers = set(settings.responder.providers)
    for name in settings.instances:
        providers.update(settings.for_instance(name).responder.providers)
    for provider in sorted(providers, key=lambda each: each.name):
        checks.append(await _provider(http, provider))
    if embeddings is not None:
        checks.append(await _embeddings(embeddings))
    return DoctorReport(checks=checks)


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


async def _gateway(http: HttpClient, instance: str, gateway: GatewaySettings) -> Check:
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
    return _connection(name, answer.status, dig(answer.json(), "instance", "state"))


def _connection(name: str, status: int, state: object) -> Check:
    if status in (401, 403):
        advice = "Set gateway.api_key to the gateway's global key or the instance's token."
        return Check(name=name, state="problem", detail="evolution: the key is refused", advice=advice)
    if status == 404:
        advice = "Create the instance at the gateway, or correct its name under instances."
        return Check(name=name, state="problem", detail=NO_INSTANCE, advice=advice)
    if status != 200 or not isinstance(state, str):
        advice = "Look into the gateway's log; the instance may not be loaded."
        return Check(
            name=name, state="problem", detail=f"evolution: status {status}, no state", advice=advice
        )
    if state != "open":
        advice = "Connect the instance at the gateway (scan its QR code)."
        return Check(name=name, state="problem", detail=f"evolution: the phone is {state}", advice=advice)
    return Check(name=name, state="ok", detail="evolution: connected")


def _undeclared(check: Check) -> Check:
    """That the gateway knows no instance of the name that stands for all is no fault: it answers."""
    if check.detail != NO_INSTANCE:
        return check
    detail = "evolution: reachable; no instance stands in config.yaml, so none was asked for"
    return Check(name=check.name, state="ok", detail=detail)


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


async def _embeddings(embeddings: Embeddings) -> Check:
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
