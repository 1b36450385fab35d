"""How the daemon is, in one look: what `majlis status` shows. Cheap, and readable just when something is away."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.identity import Conversation
from actors.supervisor import Supervisor
from daemon import package_version
from daemon.config import Settings
from daemon.ingress.webhooks import IngressCounters
from daemon.ledger.records import Records
from daemon.ledger.rows import Attention, Pause
from daemon.mirror.survey import Pending, Survey, Totals
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.operate import AlertView, FeedView, IngressCounts, RealtimeView, Status, shown
from daemon.operate.login import DashboardView
from daemon.partitions.fencing import FencedOwnership
from daemon.responders.breaker import ProviderView
from daemon.stores.postgres import LedgerError

MAX_STRANGERS = 20
"""Names of unknown instances that are counted apart: anybody may write one into a webhook's path."""
OTHERS = "(others)"


class StatusReport:
    """Counts of the memory, of Redis and of the ledger; a store that cannot be asked gives zeros, and says why."""

    def __init__(
        self,
        *,
        settings: Settings,
        node_id: str,
        health: Health,
        supervisor: Supervisor,
        ownership: FencedOwnership,
        survey: Survey,
        records: Records,
        counters: IngressCounters,
        listen: str,
        feed: EventFeed,
        pauses: Callable[[], Sequence[Pause]],
        providers: Callable[[], Sequence[ProviderView]],
        alerts: Callable[[], Sequence[AlertView]] = tuple,
        realtime: Callable[[], RealtimeView | None],
        feeds: Callable[[], Sequence[FeedView]],
        dashboard: Callable[[], DashboardView | None],
    ) -> None:
        self._settings = settings
        self._node_id = node_id
        self._health = health
        self._supervisor = supervisor
        self._ownership = ownership
        self._survey = survey
        self._records = records
        self._counters = counters
        self._listen = listen
        self._feed = feed
        self._pauses = pauses
        self._providers = providers
        self._alerts = alerts
        self._realtime = realtime
        self._feeds = feeds
        self._dashboard = dashboard
        self._strangers: Counter[str] = Counter()
        self._started_at = time.monotonic()
        feed.observe("turn.suppressed", self._note)

    def _note(self, conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        if conversation is not None and fields.get("rule") == "unknown_instance":
            name, known = conversation.instance, self._strangers
            known[name if name in known or len(known) < MAX_STRANGERS else OTHERS] += 1

    async def now(self) -> Status:
        readiness = self._health.readiness()
        phases = self._supervisor.phases()
        totals, pending = await self._counts()
        attention = await self._attention()
        return Status(
            ready=readiness.ready and not readiness.draining,
            reasons=list(readiness.reasons),
            draining=readiness.draining,
            version=package_version(),
            node_id=self._node_id,
            pid=os.getpid(),
            uptime_seconds=time.monotonic() - self._started_at,
            listen=self._listen,
            stores=dict(self._health.stores()),
            partitions_owned=len(self._ownership.fenced()),
            partitions_total=self._settings.partitions,
            active=phases.total(),
            open_windows=self._supervisor.open_windows(),
            running_turns=phases["answering"],
            queued_turns=phases["queued"],
            held_turns=phases["holding"],
            deferred_turns=phases["retrying"],
            parked=phases["parked"],
            acknowledged=totals.acknowledged,
            answered=totals.answered,
            suppressed=totals.suppressed,
            dead=totals.dead,
            waiting_messages=totals.pending,
            oldest_waiting_seconds=_oldest_seconds(pending),
            dead_letters_open=attention.dead_letters,
            taken_over=attention.taken_over,
            escalated=attention.escalated,
            notices_waiting=attention.notices_waiting,
            notices_given_up=attention.notices_given_up,
            suppressed_by_rule=self._feed.reasons("turn.suppressed"),
            unknown_instances=dict(self._strangers),
            cache_hits=self._feed.reasons("turn.answered").get("cache", 0),
            limits_reached=self._feed.reasons("limit.reached"),
            providers=[shown.provider_view(one) for one in self._providers()],
            pauses=[shown.instance_pause(pause) for pause in self._pauses()],
            alerts=list(self._alerts()),
            realtime=self._realtime(),
            feeds=list(self._feeds()),
            dashboard=self._dashboard(),
            ingress=self._ingress(),
        )

    async def _counts(self) -> tuple[Totals, Pending]:
        if self._health.stores()["redis"] != "ok":
            return Totals(), Pending()
        try:
            partitions = list(self._ownership.fenced())
            return await self._survey.totals(partitions), await self._survey.pending(partitions)
        except MirrorUnavailable:
            return Totals(), Pending()

    async def _attention(self) -> Attention:
        """Zeros also when the ledger is not migrated yet. One that is known to be away would take its time-outs."""
        if self._health.stores()["postgres"] != "ok":
            return Attention()
        try:
            return await self._records.attention(longest_hand_back_seconds(self._settings))
        except (LedgerUnavailable, LedgerError):
            return Attention()

    def _ingress(self) -> IngressCounts:
        counters = self._counters
        return IngressCounts(
            accepted=counters.acked,
            duplicate=counters.duplicates,
            ignored=dict(counters.ignored),
            refused=dict(counters.refused),
            unreadable=counters.unreadable,
            unauthorized=counters.unauthorized,
        )


def longest_hand_back_seconds(settings: Settings) -> float:
    """An escalation older than this holds for no instance."""
    sections = [settings.escalation, *(settings.for_instance(name).escalation for name in settings.instances)]
    return max(section.hand_back_seconds for section in sections)


def _oldest_seconds(pending: Pending) -> float | None:
    if pending.oldest_at_ms is None:
        return None
    return max(0.0, (pending.now_ms - pending.oldest_at_ms) / 1000)
