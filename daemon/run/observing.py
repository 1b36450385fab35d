"""What observes the daemon: metrics, traces, the monitor and its alerts, put together. Nothing else depends on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import trio

from daemon.config import Settings
from daemon.controls.live_settings import LiveSettings
from daemon.ingress.counters import IngressCounters
from daemon.ledger.target_records import TargetRecords
from daemon.observe.alerts import Alerts, rules
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.observe.metrics import Exposition, Observed, Sources, watch_loop
from daemon.observe.minutes import LOAD_REASONS, Minutes
from daemon.observe.monitor import Monitor
from daemon.observe.orphans import OrphanSearch
from daemon.observe.target_watch import TargetWatch
from daemon.observe.vitals import Figures, LeaseCounts, VitalSigns
from daemon.run.engine import Parts
from daemon.run.tracing import TurnTraces
from daemon.web.http1 import HttpCounters


class Observing:
    """Metrics are served from the first moment; those that need the stores come with `sources`.

    Raises:
      CannotStart: traces are configured, and the package that they need is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        live: LiveSettings,
        feed: EventFeed,
        ingress: IngressCounters,
        http: HttpCounters,
        sources: Callable[[], Sources | None],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        """`sources` returns the result of `sources_of`; None until the stores run."""
        self._settings = settings
        self._feed = feed
        self._ingress = ingress
        self._observed = Observed(feed)
        self.latencies = Latencies(feed)
        self.traces = TurnTraces(settings, live, feed, on_error)
        self.exposition: Exposition | None = None
        """The handler of `/metrics`; None when that is off."""
        if settings.metrics.enabled:
            self.exposition = Exposition(settings.metrics, feed, self._observed, ingress, http, sources)

    def webhook(self, status: int, seconds: float) -> None:
        """Record how long the answer to a webhook took."""
        self._observed.webhook(status, seconds)
        self.latencies.webhook(status, seconds)

    def typing(self) -> dict[str, int]:
        """`Observed.typing_told`."""
        return self._observed.typing_told()

    def alerts(self, node_id: str) -> Alerts:
        return Alerts(
            rules(self._settings.monitor, self._settings.targets),
            self._feed,
            node_id=node_id,
            has_webhook=self._settings.alerts.webhook is not None,
            today=partial(datetime.now, UTC),
        )

    def targets(self, parts: Parts, node_id: str) -> TargetWatch:
        minutes = Minutes(
            conversations=lambda: parts.supervisor.phases().total(),
            messages=lambda: self._feed.counters["message.accepted"],
            turned_away=lambda: sum(self._ingress.refused[reason] for reason in LOAD_REASONS),
        )
        return TargetWatch(
            self._settings.targets,
            TargetRecords(parts.desk),
            minutes,
            parts.sizes,
            self._feed,
            node_id,
            partial(datetime.now, UTC),
        )

    def sources_of(
        self,
        parts: Parts,
        figures: Callable[[], Awaitable[Figures]],
        alerts: Alerts,
        targets: TargetWatch,
    ) -> Sources:
        leases = parts.leases
        vitals = VitalSigns(
            figures=figures,
            redis_memory=parts.upkeep.memory,
            leases=lambda: LeaseCounts(leases.certain(), leases.renewals, leases.failures),
            appends_waiting=lambda: parts.group.waiting,
            providers=parts.answering.responder.views,
            verdicts=lambda: targets.latest.verdicts if targets.latest else None,
        )
        orphans = OrphanSearch(
            parts.upkeep,
            parts.ownership,
            parts.supervisor,
            lambda conversation: conversation.partition(self._settings.partitions),
            self._settings.monitor.orphan_seconds,
            self._feed,
        )
        monitor = Monitor(
            settings=self._settings.monitor,
            alerts=alerts,
            vitals=vitals,
            orphans=orphans,
            open_turns=parts.open_turns,
            ledger=parts.answering.ledger,
            nudge=parts.answering.notifier.nudge,
            feed=self._feed,
        )
        return Sources(
            vitals=vitals,
            providers=parts.answering.responder.views,
            alerts=lambda: alerts.up,
            monitor=monitor,
            orphans=orphans,
            open_turns=parts.open_turns,
            targets=targets,
            spans=self.traces.spans,
        )

    def start(self, work: trio.Nursery, sources: Sources) -> None:
        """Start observing, until cancelled."""
        work.start_soon(sources.monitor.run, name="monitor")
        work.start_soon(sources.targets.run, name="targets")
        work.start_soon(watch_loop, self._observed.lag.observe, name="loop lag")
