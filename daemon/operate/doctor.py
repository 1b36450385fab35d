"""Checks everything Majlis depends on, and advises: this machine, the stores, gateways, responders, embeddings.

The checks are by topic: `host_checks.py`, `door_check.py`, `feed_check.py`, `store_checks.py`, `peer_checks.py`. Each
kind of gateway and provider brings its own: `GatewayKind.check`, `ProviderKind.check`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from daemon.config import Settings
from daemon.config.open_doors import OpenDoor
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.kind import FeedView
from daemon.knowledge.embeddings import EmbeddingsClient
from daemon.operate.call import AdminCall
from daemon.operate.checks import WORST_FIRST, Check, DoctorReport, contained
from daemon.operate.door_check import door_checks
from daemon.operate.door_credentials import credential_checks
from daemon.operate.feed_check import feed_checks
from daemon.operate.host_checks import host_checks
from daemon.operate.parameters import Parameters
from daemon.operate.peer_checks import NOTHING_KNOWN, Known, peer_checks
from daemon.operate.route import Route
from daemon.web.client import HttpClient
from daemon.web.http1 import Response, json_response


async def examine(
    settings: Settings,
    http: HttpClient,
    stores: Callable[[], Awaitable[Iterable[Check]]],
    embeddings: EmbeddingsClient | None = None,
    known: Known = NOTHING_KNOWN,
    doors: Sequence[OpenDoor] = (),
    feeds: Sequence[FeedView] = (),
    *,
    live: LiveSettings | None = None,
) -> DoctorReport:
    """Run all checks, each with a time limit. A check that breaks is one more problem, and never ends the report.

    The report has the problems first, then the warnings.

    Args:
      stores: checks Redis and Postgres; it differs with whether the daemon runs.
      embeddings: makes vectors; None where no model is configured.
      known: what the ledger knows of instances and sends.
      doors: those that are open to the world.
      feeds: the gateways' own, as the daemon has them now.
      live: the settings in force, where this process is the daemon; without them, those of the configuration count.
    """

    async def peers() -> list[Check]:
        return await peer_checks(live or settings, http, embeddings, known)

    checks = [*host_checks(settings, live is not None), *door_checks(doors), *feed_checks(feeds)]
    checks += credential_checks(live or settings)
    checks += await contained("stores", stores)
    checks += await contained("peers", peers)
    return DoctorReport(checks=sorted(checks, key=lambda check: WORST_FIRST.index(check.state)))


class Doctor:
    """`examine` runs all checks, from inside the running daemon."""

    def __init__(self, examine: Callable[[], Awaitable[DoctorReport]]) -> None:
        self.examine = examine


async def _examine(doctor: Doctor, call: AdminCall, asked: Parameters) -> Response:
    """Check this machine, stores, settings, gateway and responder, and say what to do."""
    return json_response(200, await doctor.examine())


ROUTES = (Route("GET", "/v1/doctor", Doctor, _examine, "read", DoctorReport),)
