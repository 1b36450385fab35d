"""What `majlis doctor` says about gateways, providers, embeddings and budgets.

All are asked side by side. There may be hundreds of instances, so what several have in common is said once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import trio

from actors.errors import MajlisError
from daemon.config import Settings
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.kind import GatewaySettings, KnownSends
from daemon.gateways.kinds import GATEWAYS
from daemon.knowledge.calibration_texts import CHARACTERS, PASSAGES, QUESTIONS
from daemon.knowledge.embeddings import TURN_SECONDS, EmbeddingsClient, EmbeddingsUnavailable
from daemon.ledger.rows import StoredInstances
from daemon.operate.checks import Check, broken, check_of
from daemon.responders.kind import ProviderSettings
from daemon.responders.kinds import PROVIDERS
from daemon.web.client import HttpClient
from daemon.web.finding import Finding

PEERS_SECONDS = 20.0
"""For all gateways and responders together: less than the caller waits for the report."""
MAX_AT_ONCE = 8
MAX_STORED = 50
"""How many instances that only the database knows are checked at the gateway."""
NAMES_SHOWN = 3
"""Of the instances that have something in common."""
UNDECLARED = "default"
"""Used where the settings declare no instances: all are in the database."""


class Said(NamedTuple):
    """A finding, and the peer that it is about."""

    peer: str
    kind: str
    finding: Finding
    instance: str = ""
    """Empty: it is about no instance."""


class Ask(NamedTuple):
    peer: str
    ask: Callable[[], Awaitable[Sequence[Said]]]


AskStored = Callable[[Collection[str], int], Awaitable[StoredInstances]]
AskConnections = Callable[[], Awaitable[Mapping[str, str]]]
AskSends = Callable[[Collection[str]], Awaitable[Mapping[str, KnownSends]]]


class Known(NamedTuple):
    """What the ledger knows. None where the database cannot be asked."""

    stored: AskStored | None = None
    """Returns at most so many instances that are not declared."""
    sends: AskSends | None = None
    """Returns what became of the last sends of each of these instances."""
    connections: AskConnections | None = None
    """Returns the address that `majlis instance connect` set, by instance."""


NOTHING_KNOWN = Known()


async def peer_checks(
    in_force: Settings | LiveSettings, http: HttpClient, embeddings: EmbeddingsClient | None, known: Known
) -> list[Check]:
    """All of them, each with a time limit. `in_force`: as configured, where no daemon runs."""
    others = await _stored(in_force, known.stored)
    of_others = in_force.of_others
    declared = {name: in_force.for_instance(name) for name in sorted(in_force.names)}
    sends = await _sends([*declared, *others.names], known.sends)
    connected = await _connections(known.connections)
    providers = set(of_others.responder.providers)
    budgets: list[Check] = []
    for name, own in declared.items():
        budgets += _budget(name, own.limits.cost_per_day, own.responder.providers)
        providers.update(own.responder.providers)
    if not declared:
        budgets += _budget(UNDECLARED, of_others.limits.cost_per_day, of_others.responder.providers)
    thresholds = [(own.cache.similarity, own.knowledge.threshold) for own in declared.values()]
    thresholds.append((of_others.cache.similarity, of_others.knowledge.threshold))
    is_measured = any("auto" in each for each in thresholds)
    # Gateways last: a silent one must not hold up the others.
    asks = [
        *(
            Ask(f"responder {one.name}", partial(_provider, http, one))
            for one in sorted(providers, key=lambda each: each.name)
        ),
        *(
            [Ask("embeddings", partial(_embeddings, embeddings, is_measured))]
            if embeddings is not None
            else []
        ),
        *(
            Ask(
                f"gateway of {name}",
                partial(_gateway, http, name, own.gateway, sends.get(name), connected.get(name, "")),
            )
            for name, own in declared.items()
            if _is_meant(in_force, name)
        ),
        *(
            Ask(
                f"gateway of {name}",
                partial(
                    _stored_gateway,
                    http,
                    name,
                    of_others.gateway,
                    sends.get(name),
                    connected.get(name, ""),
                ),
            )
            for name in others.names
            if _is_meant(in_force, name)
        ),
    ]
    if not (declared or others.names):
        asks.append(Ask(f"gateway of {UNDECLARED}", partial(_default_gateway, http, of_others.gateway)))
    return [*budgets, *await _side_by_side(asks), *_left_out(others)]


def _is_meant(in_force: Settings | LiveSettings, instance: str) -> bool:
    """Whether its gateway is known with its key: another key must not go there. Other checks name the instance."""
    return isinstance(in_force, Settings) or in_force.gateway(instance) is not None


async def _side_by_side(asks: Sequence[Ask]) -> list[Check]:
    """Run these in this order, side by side; those that do not finish in time are counted."""
    answers: dict[int, Sequence[Said]] = {}
    broke: list[Check] = []
    limiter = trio.CapacityLimiter(MAX_AT_ONCE)

    async def one(place: int, ask: Ask) -> None:
        try:
            answers[place] = await ask.ask()
        except Exception as error:
            answers[place] = ()
            broke.append(broken(ask.peer, error))
        finally:
            limiter.release_on_behalf_of(place)

    with trio.move_on_after(PEERS_SECONDS):
        async with trio.open_nursery() as nursery:
            for place, ask in enumerate(asks):
                await limiter.acquire_on_behalf_of(place)
                nursery.start_soon(one, place, ask)
    checks = [*_together([said for place in sorted(answers) for said in answers[place]]), *broke]
    if missing := len(asks) - len(answers):
        detail = f"{missing} of {len(asks)} did not answer within {PEERS_SECONDS:g} s"
        advice = (
            "Make sure that the gateway and the providers can be reached from here; those above answered."
        )
        checks.append(Check(name="not asked", state="problem", detail=detail, advice=advice))
    return checks


def _together(said: Sequence[Said]) -> list[Check]:
    """One check for each; a finding beside the main one that several instances share is said once."""
    shared: dict[tuple[str, Finding], list[str]] = {}
    for one in said:
        if one.finding.topic:
            shared.setdefault((one.kind, one.finding), []).append(one.instance)
    return [
        *(check_of(one.finding, one.peer, one.kind) for one in said if not one.finding.topic),
        *(
            check_of(finding, f"gateway {finding.topic}", f"{kind}, {_names(names)}")
            for (kind, finding), names in shared.items()
        ),
    ]


def _names(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


async def _stored(in_force: Settings | LiveSettings, stored: AskStored | None) -> StoredInstances:
    """They all reply through the default gateway, which is asked about them only if it knows instances."""
    if stored is None or not GATEWAYS[in_force.of_others.gateway.kind].knows_instances:
        return StoredInstances()
    try:
        return await stored(in_force.names, MAX_STORED)
    except MajlisError:  # the checks of the stores say why
        return StoredInstances()


async def _sends(instances: Collection[str], sends: AskSends | None) -> Mapping[str, KnownSends]:
    if sends is None or not instances:
        return {}
    try:
        return await sends(instances)
    except MajlisError:  # as above
        return {}


async def _connections(ask: AskConnections | None) -> Mapping[str, str]:
    if ask is None:
        return {}
    try:
        return await ask()
    except MajlisError:  # as above
        return {}


def _left_out(others: StoredInstances) -> list[Check]:
    more = others.total - len(others.names)
    if more <= 0:
        return []
    detail = f"{more} more instances are only in the database; the gateway was not asked about them"
    advice = "Look at the gateway's own list, or add those that matter to `instances` in config.yaml."
    return [Check(name="gateway of others", state="warning", detail=detail, advice=advice)]


async def _gateway(
    http: HttpClient, instance: str, gateway: GatewaySettings, sends: KnownSends | None, connected_to: str
) -> list[Said]:
    findings = await GATEWAYS[gateway.kind].check(gateway, instance, http, sends, connected_to)
    return _said(instance, gateway, findings)


async def _default_gateway(http: HttpClient, gateway: GatewaySettings) -> list[Said]:
    """The gateway need not know an instance called `default`: that it answers is enough."""
    findings = await GATEWAYS[gateway.kind].check(gateway, UNDECLARED, http, None)
    if findings[0].unknown_instance:
        findings = [Finding("ok", "reachable; config.yaml names no instance, so none was checked")]
    return _said(UNDECLARED, gateway, findings)


async def _stored_gateway(
    http: HttpClient, instance: str, gateway: GatewaySettings, sends: KnownSends | None, connected_to: str
) -> list[Said]:
    """A database may hold old rows: an instance that the gateway does not know is only a warning."""
    findings = await GATEWAYS[gateway.kind].check(gateway, instance, http, sends, connected_to)
    if findings[0].unknown_instance:
        advice = "Create the instance at the gateway, or switch it off in the database (is_active)."
        findings = [Finding("warning", findings[0].detail, advice)]
    return _said(instance, gateway, findings)


def _said(instance: str, gateway: GatewaySettings, findings: Iterable[Finding]) -> list[Said]:
    return [Said(f"gateway of {instance}", gateway.kind, finding, instance) for finding in findings]


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


async def _provider(http: HttpClient, provider: ProviderSettings) -> list[Said]:
    finding = await PROVIDERS[provider.kind].check(provider, http)
    return [Said(f"responder {provider.name}", provider.kind, finding)]


async def _embeddings(embeddings: EmbeddingsClient, is_measured: bool) -> list[Said]:
    """Has one word turned into a vector: the cheapest request that every such server answers.

    Args:
      is_measured: some threshold is `auto`.
    """
    return [Said("embeddings", "", await _embeddings_finding(embeddings, is_measured))]


async def _embeddings_finding(embeddings: EmbeddingsClient, is_measured: bool) -> Finding:
    started = trio.current_time()
    try:
        await embeddings.vectors(["hello"])
    except EmbeddingsUnavailable as error:
        passing = error.reason in ("overloaded", "rate_limited")
        advice = "Do what it says; until then only words are compared."
        return Finding("warning" if passing else "problem", str(error), advice)
    if (seconds := trio.current_time() - started) > TURN_SECONDS:
        detail = (
            f"{seconds:.1f} s for one word; a turn waits only {TURN_SECONDS:g} s, then compares words alone"
        )
        return Finding("warning", detail, "Use a faster server or model.")
    texts = len(QUESTIONS) + len(PASSAGES)
    cost = f"; `auto` measures it once, by {texts} texts of {CHARACTERS:,} characters" if is_measured else ""
    return Finding("ok", f"reachable, model {embeddings.model}{cost}")
