"""All that is worth watching, with one page of busy conversations: what `majlis top` draws."""

from __future__ import annotations

import heapq
import time
from datetime import UTC, datetime

import msgspec
import trio

from actors.counted import ActorView
from actors.permits import TurnPermits
from actors.supervisor import Supervisor
from daemon import package_version
from daemon.controls.live_settings import LiveSettings
from daemon.observe.alerts import AlertView
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies, LatencyView
from daemon.observe.readiness import Health
from daemon.operate.actors import SORTS, ActorRow, Sort, actor_row
from daemon.operate.call import AdminCall, iso
from daemon.operate.instances import InstancePause, instance_pause
from daemon.operate.parameters import Instance, Offset, Parameters, Reveal
from daemon.operate.route import Route
from daemon.operate.status import Watched
from daemon.operate.turns import DEFAULT_ROWS, Rows
from daemon.responders.breaker import ProviderView
from daemon.web.http1 import Response

_COUNTED = (
    "message.accepted",
    "turn.answered",
    "turn.done",
    "turn.suppressed",
    "turn.failed",
    "turn.dead",
    "part.sent",
    "part.not_sent",
)


class TopRow(ActorRow, frozen=True, kw_only=True):
    window_seconds: float
    """The full length of its window."""


class TopPage(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    node_id: str
    version: str
    ready: bool
    draining: bool
    reasons: list[str] = []
    uptime_seconds: float
    active: int
    open_windows: int
    waiting_messages: int
    """In this daemon's memory."""
    phases: dict[str, int]
    in_flight: int
    """Turns that run now, those that wait for an answer included."""
    at_work: int
    """Those of them that are being opened or stored."""
    at_work_most: int
    counters: dict[str, int]
    """Counts since the start: the difference of two pages gives rates."""
    latencies: list[LatencyView]
    providers: list[ProviderView]
    alerts: list[AlertView]
    pauses: list[InstancePause]
    matching: int
    rows: list[TopRow]


class TopQuery(Parameters, frozen=True, kw_only=True):
    sort: Sort = "urgency"
    instance: Instance | None = None
    offset: Offset = 0
    limit: Rows = DEFAULT_ROWS
    reveal: Reveal = False


class Top:
    """Asks no store: it is read every second, even while a store is away."""

    def __init__(
        self,
        settings: LiveSettings,
        node_id: str,
        health: Health,
        supervisor: Supervisor,
        permits: TurnPermits,
        latencies: Latencies,
        feed: EventFeed,
        watched: Watched,
    ) -> None:
        self._settings = settings
        self._node_id = node_id
        self._health = health
        self._supervisor = supervisor
        self._permits = permits
        self._latencies = latencies
        self._feed = feed
        self._watched = watched
        self._started_at = time.monotonic()

    async def page(self, asked: TopQuery) -> TopPage:
        """Sorts all conversations, but makes labels only for the page: there may be many thousands."""
        readiness, phases = self._health.readiness(), self._supervisor.phases()
        await trio.lowlevel.checkpoint()
        views = self._supervisor.views()
        busy = [
            view
            for view in views
            if view.phase != "idle" and (not asked.instance or asked.instance == view.conversation.instance)
        ]
        page = heapq.nsmallest(asked.offset + asked.limit, busy, key=SORTS[asked.sort])[asked.offset :]
        return TopPage(
            at=iso(datetime.now(UTC)),
            node_id=self._node_id,
            version=package_version(),
            ready=readiness.ready and not readiness.draining,
            draining=readiness.draining,
            reasons=list(readiness.reasons),
            uptime_seconds=time.monotonic() - self._started_at,
            active=len(views),
            open_windows=self._supervisor.open_windows(),
            waiting_messages=self._supervisor.waiting_messages(),
            phases=dict(phases),
            in_flight=self._permits.in_flight.held,
            at_work=self._permits.work.held,
            at_work_most=self._permits.work.limit,
            counters={name: self._feed.counters[name] for name in _COUNTED},
            latencies=self._latencies.views(),
            providers=list(self._watched.providers()),
            alerts=list(self._watched.alerts()),
            pauses=[instance_pause(pause) for pause in self._watched.pauses()],
            matching=len(busy),
            rows=[self._row(view) for view in page],
        )

    def _row(self, view: ActorView) -> TopRow:
        row = msgspec.structs.asdict(actor_row(view, self._feed.label(view.conversation)))
        return TopRow(**row, window_seconds=self._settings.window(view.conversation.instance).lasts_seconds)


async def _page(top: Top, call: AdminCall, asked: TopQuery) -> Response:
    """All that is worth watching, and one page of busy conversations."""
    return await call.answer(await top.page(asked), "top")


ROUTES = (Route("GET", "/v1/top", Top, _page, "read", TopPage, TopQuery),)
