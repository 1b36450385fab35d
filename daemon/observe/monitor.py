"""Looks after the daemon itself: measures, raises and clears alerts, and picks up conversations that were forgotten.

Laws of this file:
1. It only looks on: what fails here is told and tried again at the next look, and never reaches a turn.
2. One look does bounded work in bounded time: `PARTITIONS` of the mirror are searched for orphans, others next time.
3. An orphan waits without an actor, and without a time at which the due poll would find it. It is given an actor, which
   asks the mirror; what turns out to have nothing pending is cleaned away instead.
4. What cannot be measured while a store is away is unknown: it raises nothing and clears nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import trio

from actors.errors import MajlisError
from actors.identity import Conversation
from actors.ports import Ledger
from actors.supervisor import Supervisor
from daemon.config import MonitorSettings
from daemon.mirror.upkeep import Upkeep
from daemon.observe.alert_rules import Sample, Share
from daemon.observe.alerts import Alerts
from daemon.observe.feed import EventFeed
from daemon.observe.vitals import Vitals, VitalSigns
from daemon.partitions.fencing import FencedOwnership
from daemon.responders.circuit import ProviderView

SWEEP_SECONDS = 20.0
PARTITIONS = 64
"""Searched for orphans at one look."""
BUDGET_SECONDS = 3_600.0
"""How long after it was told that an instance's budget is used up that still counts: a turn would tell it again."""
MAX_INSTANCES = 1_000
MAX_NAMED = 5
BUDGETS = ("tokens_per_day", "cost_per_day")
TIME_OUTS = ("message.refused", "lookup.failed", "provider.failed", "part.not_sent", "part.unknown")
"""Events whose reason tells of a call that ran out of its time."""


class Monitor:
    """One Trio task: `nursery.start_soon(monitor.run)`."""

    def __init__(
        self,
        *,
        settings: MonitorSettings,
        flags: Alerts,
        vitals: VitalSigns,
        upkeep: Upkeep,
        ownership: FencedOwnership,
        supervisor: Supervisor,
        partition_of: Callable[[Conversation], int],
        ledger: Ledger,
        nudge: Callable[[], None],
        feed: EventFeed,
    ) -> None:
        """`nudge` is called when notices were stored."""
        self._settings = settings
        self._flags = flags
        self._vitals = vitals
        self._upkeep = upkeep
        self._ownership = ownership
        self._supervisor = supervisor
        self._partition_of = partition_of
        self._ledger = ledger
        self._nudge = nudge
        self._feed = feed
        self.sweeps = 0
        """Looks that came to their end."""
        self.orphans = 0
        """Conversations that were picked up again, since the start."""
        self._next_partition = 0
        self._lease_failures = Share(settings.window_seconds)
        self._time_outs = Share(settings.window_seconds)
        self._budgets: dict[str, float] = {}
        feed.observe("limit.reached", self._heard_limit)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await trio.sleep(self._settings.every_seconds)
            try:
                with trio.move_on_after(SWEEP_SECONDS):
                    await self.sweep()
            except Exception as error:  # law 1; the class alone, for its text may quote a conversation
                self._feed.emit("daemon.problem", part="monitor", error=type(error).__name__)

    async def sweep(self) -> None:
        """Look once."""
        orphans = await self._search()
        vitals = await self._vitals.read(self._settings.every_seconds / 2)
        values = {"orphans": orphans, **self._measured(vitals)}
        self._flags.take(values, self._details(vitals))
        if await self._flags.notify(self._ledger):
            self._nudge()
        self.sweeps += 1

    # Orphans

    async def _search(self) -> float | None:
        """How many orphans were found and picked up; None while the mirror cannot be asked."""
        epochs = self._some_partitions()
        try:
            found = await self._upkeep.strays(epochs, self._settings.orphan_seconds)
            places = {one: self._partition_of(one) for one in found if self._is_lost(one)}
            lost = {one: epochs[place] for one, place in places.items() if place in epochs}
            tidied = await self._upkeep.tidy(lost)
        except MajlisError:
            return None  # the watch over the stores says so
        if tidied:
            self._feed.emit("mirror.tidied", conversations=len(tidied))
        # What a stopping daemon leaves to the next start is not picked up, and nobody forgot it.
        orphans = [one for one in lost.keys() - set(tidied) if self._supervisor.nudge(one)]
        for conversation in orphans:
            self._feed.emit("orphan.rearmed", conversation)
        self.orphans += len(orphans)
        return float(len(orphans))

    def _is_lost(self, conversation: Conversation) -> bool:
        return self._supervisor.view(conversation) is None and self._ownership.owns(conversation)

    def _some_partitions(self) -> Mapping[int, int]:
        """The next of those that are ours, with their epochs."""
        ours = sorted(self._ownership.fenced().items())
        if not ours:
            return {}
        start = self._next_partition % len(ours)
        self._next_partition = start + PARTITIONS
        return dict([*ours[start:], *ours[:start]][:PARTITIONS])

    # Values

    def _measured(self, vitals: Vitals) -> dict[str, float | None]:
        now, leases = trio.current_time(), vitals.leases
        turns = self._feed.counters["turn.started"]
        values: dict[str, float | None] = {
            "lease_failures": self._lease_failures.add(Sample(now, leases.failures, leases.renewals)),
            "time_outs": self._time_outs.add(Sample(now, self._count_time_outs(), turns)),
            "budget_reached": float(len(self._over_budget())),
            "memory": vitals.memory_share,
            "provider_open": float(len(_open_providers(vitals.providers))),
        }
        figures, redis = vitals.figures, vitals.redis_memory
        if redis is not None:
            values["redis_memory"] = redis.used_bytes / redis.limit_bytes
        if figures is not None and figures.stores.get("redis") == "ok":
            values["queue_depth"] = float(figures.waiting_messages)
            values["oldest_waiting"] = figures.oldest_waiting_seconds or 0.0
        return values

    def _count_time_outs(self) -> int:
        reasons = (item for event in TIME_OUTS for item in self._feed.reasons(event).items())
        return sum(count for reason, count in reasons if reason.endswith(("timed_out", "ack_timeout")))

    def _details(self, vitals: Vitals) -> dict[str, str]:
        providers = _some(_open_providers(vitals.providers))
        return {"budget_reached": _some(self._over_budget()), "provider_open": providers}

    def _heard_limit(self, conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        if conversation is not None and fields.get("reason") in BUDGETS:
            known = conversation.instance in self._budgets
            if known or len(self._budgets) < MAX_INSTANCES:
                self._budgets[conversation.instance] = trio.current_time()

    def _over_budget(self) -> list[str]:
        since = trio.current_time() - BUDGET_SECONDS
        self._budgets = {name: at for name, at in self._budgets.items() if at > since}
        return sorted(self._budgets)


def _open_providers(providers: Sequence[ProviderView]) -> list[str]:
    return sorted({one.name for one in providers if one.state in ("open", "half_open")})


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
