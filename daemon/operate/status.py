"""The daemon's state at a glance: what `majlis status` shows. Cheap, and available above all when a store is away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.permits import TurnPermits
from actors.supervisor import Supervisor
from daemon import package_version
from daemon.config.open_doors import OpenDoor
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.kind import FeedView
from daemon.ingress.counters import IngressCounters
from daemon.ingress.refusals import RefusedView
from daemon.ingress.unknown import UnknownView
from daemon.ledger.records import Records
from daemon.ledger.rows import Pause, TableSize
from daemon.observe.alerts import AlertView
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.observe.vitals import Figures
from daemon.operate.call import AdminCall
from daemon.operate.directory import longest_hand_back_seconds
from daemon.operate.instances import InstancePause, instance_pause
from daemon.operate.login import DashboardView
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.operate.stop import Stop
from daemon.responders.breaker import ProviderView
from daemon.stores.postgres import LedgerError
from daemon.sweep.view import SweepView
from daemon.web.http1 import Response, json_response

if TYPE_CHECKING:  # the command line reads the views here, and needs no driver
    from daemon.mirror.survey import Survey
    from daemon.partitions.fencing import FencedOwnership


class IngressCounts(msgspec.Struct, frozen=True, kw_only=True):
    accepted: int = 0
    duplicate: int = 0
    ignored: dict[str, int] = {}
    """By reason."""
    refused: dict[str, int] = {}
    """By reason. The gateway sends these again."""
    forwarded: int = 0
    """Webhooks of instances in mode `passthrough`, taken in to be forwarded."""
    unreadable: int = 0
    unauthorized: int = 0
    """Requests with a wrong token or none, or for an instance that is not the sender's."""
    lost: list[RefusedView] = []
    """Webhooks that were refused for good: the gateway does not send them again, or in vain. The latest first."""
    unknown: list[UnknownView] = []
    """Instances that nobody has set up, and whose customers write. The latest first."""
    overruled: dict[str, int] = {}
    """Webhooks whose path names another known instance than the payload, which wins: `path → payload`."""


class RealtimeView(msgspec.Struct, frozen=True, kw_only=True):
    """The realtime door."""

    listen: str
    connected: dict[str, int] = {}
    """Connections now, by the client's name."""
    latest_event: int
    """The number of the newest event since the daemon's start."""


class Status(Figures, frozen=True, kw_only=True):
    """Durations are in seconds. Counts are since the daemon's start unless stated otherwise."""

    reasons: Sequence[str] = ()
    """Why it is not ready, each a sentence that says what to do."""
    draining: bool = False
    stopping: str = ""
    """Why it stops: `SIGTERM`, `asked for by uid 0, pid 17`; empty: it does not."""
    version: str
    node_id: str = ""
    pid: int = 0
    listen: str
    suppressed_by_rule: dict[str, int]
    """Turns since the start, by the rule that ended them without an answer."""
    said_by_rule: dict[str, int]
    """Turns since the start that Majlis answered itself, by the rule: escalated, a limit, a stop word."""
    typing: Mapping[str, int] = {}
    """Windows that closed since the start, by what the gateway had told of their customer's typing: `nothing`, `told`,
    `extended`: it held the window open."""
    cache_hits: int = 0
    limits_reached: dict[str, int]
    """Limits that were reached since the start, by kind."""
    providers: Sequence[ProviderView] = ()
    feeds: Sequence[FeedView] = ()
    """Instances whose messages come through the gateway's own feed."""
    sweep: SweepView | None = None
    """None: it is off, or no gateway keeps records."""
    realtime: RealtimeView | None = None
    """None: it is off."""
    dashboard: DashboardView | None = None
    """None: it is off."""
    tables: Sequence[TableSize] = ()
    """What the database's tables take, as measured within the last hour, the largest first; empty: not measured yet."""
    pauses: Sequence[InstancePause] = ()
    """Instances that an operator has paused now."""
    alerts: Sequence[AlertView] = ()
    """Alerts raised now, the latest last; `docs/operations.md` says what to do."""
    warnings: Sequence[str] = ()
    """Doors that are open to more than this machine, and settings that have a better one, each a sentence that says
    what to write."""
    credentials: str = ""
    """What a webhook may show to be let in, by the keys of the settings."""
    ingress: IngressCounts = IngressCounts()


class Watched(NamedTuple):
    """Values that are read again for every answer, here and in `majlis top`."""

    pauses: Callable[[], Sequence[Pause]]
    providers: Callable[[], Sequence[ProviderView]] = tuple
    alerts: Callable[[], Sequence[AlertView]] = tuple
    sweep: Callable[[], SweepView | None] = lambda: None
    tables: Callable[[], Sequence[TableSize]] = tuple
    typing: Callable[[], dict[str, int]] = dict


class Doors(NamedTuple):
    """What the daemon's doors report about themselves."""

    listen: str
    """Where webhooks come in."""
    ingress: IngressCounters
    realtime: Callable[[], RealtimeView | None] = lambda: None
    feeds: Callable[[], Sequence[FeedView]] = tuple
    dashboard: Callable[[], DashboardView | None] = lambda: None
    open: Callable[[], Sequence[OpenDoor]] = tuple
    """Those that stand open to more than this machine."""
    outlived: Sequence[str] = ()
    """Settings that have a better one, each a sentence."""
    credentials: Callable[[], str] = str
    """What a webhook may show."""


class Gauges:
    """Counts from memory, Redis and the ledger; zeros for a store that cannot be asked."""

    def __init__(
        self,
        settings: LiveSettings,
        health: Health,
        supervisor: Supervisor,
        ownership: FencedOwnership,
        survey: Survey,
        records: Records,
        permits: TurnPermits,
    ) -> None:
        self._settings = settings
        self._health = health
        self._supervisor = supervisor
        self._ownership = ownership
        self._survey = survey
        self._records = records
        self._permits = permits
        self._started_at = time.monotonic()

    async def figures(self) -> Figures:
        counted = {**await self._in_mirror(), **await self._in_ledger()}
        # After the waits, and nobody waits before the reasons are added: all of it must be of one moment.
        readiness = self._health.readiness()
        phases = self._supervisor.phases()
        return Figures(
            ready=readiness.ready and not readiness.draining,
            uptime_seconds=time.monotonic() - self._started_at,
            stores=dict(self._health.stores()),
            partitions_owned=len(self._ownership.fenced()),
            partitions_total=self._settings.configured.partitions,
            partitions_elsewhere=self._ownership.elsewhere(),
            active=phases.total(),
            open_windows=self._supervisor.open_windows(),
            running_turns=phases["answering"],
            queued_turns=phases["queued"],
            in_flight=self._permits.in_flight.held,
            at_work=self._permits.work.held,
            at_work_most=self._permits.work.limit,
            held_turns=phases["holding"],
            deferred_turns=phases["retrying"],
            parked=phases["parked"],
            **counted,
        )

    async def _in_mirror(self) -> dict[str, Any]:
        """The figures that Redis counts; none while it is away."""
        if self._health.stores()["redis"] != "ok":
            return {}
        partitions = list(self._ownership.fenced())
        try:
            totals = await self._survey.totals(partitions)
        except MirrorUnavailable:
            return {}
        return {
            "acknowledged": totals.acknowledged,
            "answered": totals.answered,
            "suppressed": totals.suppressed,
            "dead": totals.dead,
            "waiting_messages": totals.pending,
            "oldest_waiting_seconds": self._supervisor.oldest_seconds() if totals.pending > 0 else None,
        }

    async def _in_ledger(self) -> dict[str, Any]:
        """The figures that the ledger counts. One that is known to be away is not asked: it takes its time-outs."""
        if self._health.stores()["postgres"] != "ok":
            return {}
        try:
            found = await self._records.attention(longest_hand_back_seconds(self._settings))
        except (LedgerUnavailable, LedgerError):  # refused: not migrated yet
            return {}
        return {
            "dead_letters_open": found.dead_letters,
            "taken_over": found.taken_over,
            "opted_out": found.opted_out,
            "machines": found.machines,
            "escalated": found.escalated,
            "notices_waiting": found.notices_waiting,
            "notices_given_up": found.notices_given_up,
            "forwards_waiting": found.forwards_waiting,
            "forwards_bytes": found.forwards_bytes,
            "forwards_dead": found.forwards_dead,
            "forwards_oldest_seconds": found.forwards_oldest_seconds,
        }


class StatusReport:
    """The figures, and whatever else an operator asks first."""

    def __init__(
        self,
        node_id: str,
        health: Health,
        gauges: Gauges,
        feed: EventFeed,
        watched: Watched,
        doors: Doors,
        stop: Stop,
    ) -> None:
        self._node_id = node_id
        self._health = health
        self._gauges = gauges
        self._feed = feed
        self._watched = watched
        self._doors = doors
        self._stop = stop

    async def now(self) -> Status:
        figures = await self._gauges.figures()
        # The stores took a while to count, and readiness may have changed since: with its reasons, it is of one moment.
        readiness = self._health.readiness()
        ready = readiness.ready and not readiness.draining
        return Status(
            **msgspec.structs.asdict(msgspec.structs.replace(figures, ready=ready)),
            reasons=list(readiness.reasons),
            draining=readiness.draining,
            stopping=self._stop.cause.words if self._stop.cause else "",
            version=package_version(),
            node_id=self._node_id,
            pid=os.getpid(),
            listen=self._doors.listen,
            suppressed_by_rule=self._feed.reasons("turn.suppressed"),
            said_by_rule=self._feed.reasons("turn.done"),
            typing=self._watched.typing(),
            cache_hits=self._feed.reasons("turn.answered").get("cache", 0),
            limits_reached=self._feed.reasons("limit.reached"),
            providers=list(self._watched.providers()),
            pauses=[instance_pause(pause) for pause in self._watched.pauses()],
            alerts=list(self._watched.alerts()),
            sweep=self._watched.sweep(),
            tables=list(self._watched.tables()),
            realtime=self._doors.realtime(),
            feeds=list(self._doors.feeds()),
            dashboard=self._doors.dashboard(),
            warnings=[*(door.sentence for door in self._doors.open()), *self._doors.outlived],
            credentials=self._doors.credentials(),
            ingress=_ingress(self._doors.ingress),
        )


def _ingress(counters: IngressCounters) -> IngressCounts:
    return IngressCounts(
        accepted=counters.acked,
        duplicate=counters.duplicates,
        ignored=dict(counters.ignored),
        refused=dict(counters.refused),
        forwarded=counters.forwarded,
        unreadable=counters.unreadable,
        unauthorized=counters.unauthorized,
        lost=counters.lost.views(time.monotonic()),
        unknown=counters.unknown.views(time.monotonic()),
        overruled=dict(counters.overruled),
    )


async def _now(report: StatusReport, call: AdminCall, asked: Parameters) -> Response:
    """Readiness, stores, counts."""
    return json_response(200, await report.now())


ROUTES = (Route("GET", "/v1/status", StatusReport, _now, "read", Status),)
