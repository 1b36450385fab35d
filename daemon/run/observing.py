"""What looks on: metrics, traces, the monitor and its alerts, put together. Nothing else depends on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from daemon.config import Settings
from daemon.ingress.webhooks import IngressCounters
from daemon.observe.alerts import Alerts, rules
from daemon.observe.feed import EventFeed
from daemon.observe.metrics import Exposition, Observed, Sources, watch_loop
from daemon.observe.monitor import Monitor
from daemon.observe.vitals import Figures, LeaseCounts, VitalSigns
from daemon.run.engine import Parts
from daemon.run.tracing import TurnTraces
from daemon.web.http1 import HttpServer


class Watching:
    """Metrics are there from the first moment; the rest joins when the daemon's parts are up.

    Raises:
      CannotStart: traces are wanted, and what they need is not installed.
    """

    def __init__(
        self, settings: Settings, feed: EventFeed, on_error: Callable[[str, BaseException], None]
    ) -> None:
        self._settings = settings
        self._feed = feed
        self.observed = Observed(feed)
        self.traces = TurnTraces(settings, feed, on_error)
        self._exposition: Exposition | None = None

    def expose(self, counters: IngressCounters) -> Exposition | None:
        """What answers `/metrics`; None when that is off."""
        if not self._settings.metrics.enabled:
            return None
        self._exposition = Exposition(self._settings.metrics, self._feed, self.observed, counters)
        return self._exposition

    def serve_at(self, http: HttpServer) -> None:
        """The ingress whose connections are told of."""
        if self._exposition is not None:
            self._exposition.http = http

    def alerts(self, node_id: str) -> Alerts:
        webhook = self._settings.alerts.webhook
        return Alerts(
            rules(self._settings.monitor),
            self._feed,
            node_id=node_id,
            webhook=webhook.get_secret_value() if webhook else "",
            today=partial(datetime.now, UTC),
        )

    def join(self, parts: Parts, figures: Callable[[], Awaitable[Figures]], flags: Alerts) -> None:
        """Everything is put together: from here on there is more to tell, and the monitor starts with the parts."""
        leases = parts.leases
        vitals = VitalSigns(
            figures=figures,
            redis_memory=parts.upkeep.memory,
            leases=lambda: LeaseCounts(leases.certain(), leases.renewals, leases.failures),
            appends_waiting=lambda: parts.group.waiting,
            providers=parts.answering.responder.views,
        )
        monitor = Monitor(
            settings=self._settings.monitor,
            flags=flags,
            vitals=vitals,
            upkeep=parts.upkeep,
            ownership=parts.ownership,
            supervisor=parts.supervisor,
            partition_of=lambda conversation: conversation.partition(self._settings.partitions),
            ledger=parts.answering.ledger,
            nudge=parts.answering.notifier.nudge,
            feed=self._feed,
        )
        if self._exposition is not None:
            self._exposition.vitals = vitals
            self._exposition.sources = Sources(
                providers=parts.answering.responder.views,
                flags=lambda: flags.up,
                monitor=monitor,
                spans=self.traces.spans,
            )
        parts.companions["monitor"] = monitor.run
        parts.companions["loop lag"] = partial(watch_loop, self.observed.lag.observe)
