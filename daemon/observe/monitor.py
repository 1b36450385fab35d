"""Looks after the daemon itself: measures, raises and clears alerts, and has forgotten
conversations and turns picked up.

Laws of this file:
1. It only observes: what fails here is reported and tried again in the next sweep, and never reaches a turn.
2. A sweep does bounded work in bounded time.
3. What cannot be measured while a store is away is unknown: it raises nothing and clears nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import trio

from actors.identity import Conversation
from actors.ports import Ledger
from actors.triage import BACKLOG
from daemon.config import MonitorSettings
from daemon.observe.alert_rules import FailureShare, RecentCount, Sample
from daemon.observe.alerts import Alerts, of_targets
from daemon.observe.feed import EventFeed
from daemon.observe.orphans import OrphanSearch
from daemon.observe.vitals import Vitals, VitalSigns
from daemon.partitions.open_turns import OpenTurnSearch
from daemon.responders.breaker import ProviderView

SWEEP_SECONDS = 20.0
BUDGET_SECONDS = 3_600.0
"""For how long an instance whose budget was used up counts as such: any further turn would report it again."""
NOTED_SECONDS = 3_600.0
"""For how long a message counts that was found in the gateway's records alone, or was old when it arrived."""
MAX_NOTED = 10_000
MACHINE_SECONDS = 3_600.0
"""For how long a conversation counts that had too many replies, or was silenced as one with a machine."""
MAX_INSTANCES = 1_000
MAX_NAMED = 5
BUDGETS = ("tokens_per_day", "cost_per_day")
TIME_OUTS = ("message.refused", "lookup.failed", "provider.failed", "part.not_sent", "part.unknown")
"""Events whose reason names a call that timed out."""


class _Noted:
    """Messages of the last hour, each by its instance."""

    def __init__(self) -> None:
        self._found: deque[tuple[float, str]] = deque(maxlen=MAX_NOTED)

    def note(self, instance: str) -> None:
        self._found.append((trio.current_time(), instance))

    def count(self) -> int:
        self._forget()
        return len(self._found)

    def instances(self) -> list[str]:
        self._forget()
        return sorted({name for _, name in self._found})

    def _forget(self) -> None:
        since = trio.current_time() - NOTED_SECONDS
        while self._found and self._found[0][0] <= since:
            self._found.popleft()


class Monitor:
    """One Trio task: `nursery.start_soon(monitor.run)`."""

    def __init__(
        self,
        settings: MonitorSettings,
        alerts: Alerts,
        vitals: VitalSigns,
        orphans: OrphanSearch,
        open_turns: OpenTurnSearch,
        ledger: Ledger,
        nudge: Callable[[], None],
        feed: EventFeed,
    ) -> None:
        """`nudge` is called when notices were stored in the ledger."""
        self._settings = settings
        self._alerts = alerts
        self._vitals = vitals
        self._orphans = orphans
        self._open_turns = open_turns
        self._ledger = ledger
        self._nudge = nudge
        self._feed = feed
        self.sweeps = 0
        """Sweeps that came to their end."""
        self._lease_failures = FailureShare(settings.window_seconds)
        self._time_outs = FailureShare(settings.window_seconds)
        self._budgets: dict[str, float] = {}
        self._refusals = RecentCount(settings.window_seconds)
        self._unknown = RecentCount(settings.window_seconds)
        self._unknown_names: dict[str, float] = {}
        """When each was heard of last."""
        self._refused: dict[tuple[str, str], float] = {}
        """When webhooks were refused for good, by reason and instance."""
        self._undelivered, self._old = _Noted(), _Noted()
        self._machines: dict[Conversation, float] = {}
        """When each was noticed."""
        self._held: set[str] = set()
        feed.observe("secret.shut", self._note_shut)
        feed.observe("secret.opened", self._note_opened)
        feed.observe("conversation.busy", self._note_machine)
        feed.observe("conversation.machine", self._note_machine)
        feed.observe("limit.reached", self._note_limit)
        feed.observe("webhook.refused", self._note_refused)
        feed.observe("instance.unknown", self._note_unknown)
        feed.observe("message.swept", self._note_swept)
        feed.observe("message.aside", self._note_aside)

    async def run(self) -> None:
        """Sweep again and again until cancelled."""
        while True:
            await trio.sleep(self._settings.every_seconds)
            try:
                with trio.move_on_after(SWEEP_SECONDS):
                    await self.sweep()
            except Exception as error:  # law 1; the class alone, because its text may quote a conversation
                self._feed.emit("daemon.problem", part="monitor", error=type(error).__name__)

    async def sweep(self) -> None:
        """Measure and search once."""
        orphans = await self._orphans.search()
        unfinished = await self._open_turns.search()
        vitals = await self._vitals.read(self._settings.every_seconds / 2)
        values: dict[str, float | None] = {
            "orphans": orphans,
            "unfinished_turns": unfinished,
            **self._measured(vitals),
        }
        self._alerts.take(values, self._details(vitals))
        if await self._alerts.notify(self._ledger):
            self._nudge()
        self.sweeps += 1

    def _measured(self, vitals: Vitals) -> dict[str, float | None]:
        now, leases = trio.current_time(), vitals.leases
        turns = self._feed.counters["turn.started"]
        values: dict[str, float | None] = {
            "lease_failures": self._lease_failures.add(Sample(now, leases.failures, leases.renewals)),
            "time_outs": self._time_outs.add(Sample(now, self._count_time_outs(), turns)),
            "refused_for_good": float(self._refusals.add(now, self._feed.counters["webhook.refused"])),
            "unknown_instance": float(self._unknown.add(now, self._feed.counters["instance.unknown"])),
            "budget_reached": float(len(self._over_budget())),
            "instances_held": float(len(self._held)),
            "undelivered": float(self._undelivered.count()),
            "old_messages": float(self._old.count()),
            "machine_talk": float(len(self._machines_lately())),
            "memory": vitals.memory_share,
            "provider_open": float(len(_open_providers(vitals.providers))),
            **of_targets(vitals.verdicts),
        }
        figures, redis = vitals.figures, vitals.redis_memory
        if redis is not None:
            values["redis_memory"] = redis.used_bytes / redis.limit_bytes
        if figures is not None and figures.stores.get("redis") == "ok":
            values["queue_depth"] = float(figures.waiting_messages)
            values["oldest_waiting"] = figures.oldest_waiting_seconds or 0.0
        if figures is not None and figures.stores.get("postgres") == "ok":
            values["forwards_waiting"] = figures.forwards_oldest_seconds or 0.0
            values["forwards_dead"] = float(figures.forwards_dead)
        return values

    def _count_time_outs(self) -> int:
        reasons = (item for event in TIME_OUTS for item in self._feed.reasons(event).items())
        return sum(count for reason, count in reasons if reason.endswith(("timed_out", "ack_timeout")))

    def _details(self, vitals: Vitals) -> dict[str, str]:
        providers = _some(_open_providers(vitals.providers))
        return {
            "budget_reached": _some(self._over_budget()),
            "instances_held": _some(sorted(self._held)),
            "provider_open": providers,
            "refused_for_good": self._refused_lately(),
            "unknown_instance": self._unknown_lately(),
            "undelivered": _some(self._undelivered.instances()),
            "old_messages": _some(self._old.instances()),
            "machine_talk": _some(self._machines_lately()),
        }

    def _note_limit(self, conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        if conversation is not None and fields.get("reason") in BUDGETS:
            known = conversation.instance in self._budgets
            if known or len(self._budgets) < MAX_INSTANCES:
                self._budgets[conversation.instance] = trio.current_time()

    def _note_refused(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        key = (str(fields.get("reason")), str(fields.get("instance")))
        if key in self._refused or len(self._refused) < MAX_INSTANCES:
            self._refused[key] = trio.current_time()

    def _refused_lately(self) -> str:
        """Each reason with its instances, the latest first."""
        since = trio.current_time() - self._settings.window_seconds
        self._refused = {key: at for key, at in self._refused.items() if at > since}
        latest = sorted(self._refused, key=lambda key: -self._refused[key])
        of_reason: dict[str, list[str]] = {}
        for reason, instance in latest:
            of_reason.setdefault(reason, []).append(instance)
        return "; ".join(f"{reason} of {_some(names)}" for reason, names in of_reason.items())

    def _note_unknown(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        name = str(fields.get("instance"))
        if name in self._unknown_names or len(self._unknown_names) < MAX_INSTANCES:
            self._unknown_names[name] = trio.current_time()

    def _unknown_lately(self) -> str:
        since = trio.current_time() - self._settings.window_seconds
        self._unknown_names = {name: at for name, at in self._unknown_names.items() if at > since}
        return _some(sorted(self._unknown_names))

    def _note_shut(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        self._held.add(str(fields.get("instance")))

    def _note_opened(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        self._held.discard(str(fields.get("instance")))

    def _note_swept(self, conversation: Conversation | None, _fields: Mapping[str, object]) -> None:
        if conversation is not None:
            self._undelivered.note(conversation.instance)

    def _note_aside(self, conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        if conversation is not None and fields.get("reason") == BACKLOG:
            self._old.note(conversation.instance)

    def _note_machine(self, conversation: Conversation | None, _fields: Mapping[str, object]) -> None:
        known = conversation in self._machines
        if conversation is not None and (known or len(self._machines) < MAX_INSTANCES):
            self._machines[conversation] = trio.current_time()

    def _machines_lately(self) -> list[str]:
        """Instance and label of each: never its number."""
        since = trio.current_time() - MACHINE_SECONDS
        self._machines = {one: at for one, at in self._machines.items() if at > since}
        return sorted(f"{one.instance} {self._feed.label(one)}" for one in self._machines)

    def _over_budget(self) -> list[str]:
        since = trio.current_time() - BUDGET_SECONDS
        self._budgets = {name: at for name, at in self._budgets.items() if at > since}
        return sorted(self._budgets)


def _open_providers(providers: Sequence[ProviderView]) -> list[str]:
    return sorted({one.name for one in providers if one.state in ("open", "half_open", "rejecting")})


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
