"""The alerts of this daemon: which there are, which are raised now, and the notices about a change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
import trio

from actors import notices
from actors.errors import LedgerUnavailable
from actors.ports import Feed, Ledger, Notice
from actors.targets import LOADS, Judgement
from daemon.config import MonitorSettings, TargetsSettings
from daemon.observe.alert_rules import AlertRule, AlertState, Change, rule, step
from daemon.stores.postgres import LedgerError

MAX_NOTICES_PER_DAY = 20
"""How many notices the webhook gets in a day (UTC) of one alert being raised, and as many of its being cleared."""
MAX_UNSTORED = 64
"""Notices kept while the ledger is away; the oldest are dropped first. The log has them all."""


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know of, for as long as it lasts."""

    flag: str
    meaning: str
    value: float | None = None
    """The current value; None when it is unknown."""
    threshold: float
    """Above this it was raised."""
    detail: str = ""
    """The providers, instances or reasons concerned, and what to do where that depends on them."""
    seconds: float
    """Since it was raised."""


TARGET = "target_"
"""What the alert of a target is called begins with this, and ends with the name of the target."""
_OF_TARGETS = {
    "response_time": "seconds from the end of a window to the first message of the reply, for 95 of 100 answers",
    "errors": "share of turns that end as dead letters",
    "cost_per_message": "cost per answered message",
    "conversations": "minutes in which webhooks were turned away below the target of conversations at once",
    "messages_per_minute": "minutes in which webhooks were turned away below the target of messages",
}


def of_targets(verdicts: Sequence[Judgement] | None) -> dict[str, float | None]:
    """The values of the targets' alerts: 0 where there is too little traffic to say."""
    values: dict[str, float | None] = {}
    for verdict in verdicts or ():
        value = verdict.failures if verdict.name in LOADS else verdict.actual
        values[TARGET + verdict.name] = float(value or 0.0) if verdict.state != "unknown" else 0.0
    return values


def rules(settings: MonitorSettings, targets: TargetsSettings) -> tuple[AlertRule, ...]:
    """Every alert there is."""
    raised, cleared = settings.raise_seconds, settings.clear_seconds
    return (
        rule(
            "lease_failures",
            "share of the lease renewals that fail",
            settings.lease_failures,
            raised,
            cleared,
        ),
        rule("time_outs", "calls that time out, per turn", settings.time_outs, raised, cleared),
        rule("queue_depth", "waiting messages", settings.queue_depth, raised, cleared),
        rule(
            "oldest_waiting",
            "seconds that the oldest message has waited",
            settings.oldest_waiting_seconds,
            raised,
            cleared,
        ),
        rule("memory", "share of the memory in use", settings.memory, raised, cleared),
        rule(
            "redis_memory", "share of Redis' memory in use", settings.redis_memory, raised, cleared, "install"
        ),
        # The first round names them to their actors: only what stays is a fault.
        rule("unfinished_turns", "old unfinished turns that no conversation works on", 0, raised, cleared),
        # Each of these is a fault from the first one on.
        rule("orphans", "forgotten conversations that were picked up", 0, 0, cleared),
        rule(
            "refused_for_good", "webhooks refused lately, messages lost: see `majlis status`", 0, 0, cleared
        ),
        rule(
            "provider_open",
            "providers that get no calls after failures, or turn them all down",
            0,
            0,
            cleared,
            "install",
        ),
        rule(
            "unknown_instance",
            "messages lately for instances that nobody has set up: see `majlis status`",
            0,
            0,
            cleared,
        ),
        rule("undelivered", "messages of the last hour that no webhook brought", 0, 0, cleared),
        rule("old_messages", "messages of the last hour that were too old when they arrived", 0, 0, cleared),
        rule(
            "machine_talk", "conversations of the last hour that look like ones with a machine", 0, 0, cleared
        ),
        rule(
            "forwards_waiting",
            "seconds that a webhook has waited to be forwarded: see `majlis forwards`",
            settings.oldest_waiting_seconds,
            raised,
            cleared,
            "install",
        ),
        rule(
            "forwards_dead",
            "webhooks that could not be forwarded: see `majlis forwards --dead`",
            0,
            0,
            cleared,
            "install",
        ),
        rule("instances_held", "instances held: a secret of theirs cannot be opened", 0, 0, 0),
        rule("budget_reached", "instances that used up their daily budget", 0, 0, cleared, "install"),
        *_target_rules(targets, raised, cleared),
    )


def _target_rules(targets: TargetsSettings, raised: float, cleared: float) -> Iterator[AlertRule]:
    """One for each target that is set. What a machine should carry is missed with the first minute."""
    aims = {
        "response_time": targets.response_seconds,
        "errors": targets.errors,
        "cost_per_message": targets.cost_per_message,
        "conversations": None if targets.conversations is None else 0,
        "messages_per_minute": None if targets.messages_per_minute is None else 0,
    }
    for name, above in aims.items():
        if above is not None:
            yield rule(TARGET + name, _OF_TARGETS[name], above, raised, cleared, "install")


class Alerts:
    """Remembers every alert's state. A change is an event, and a notice where a webhook is configured."""

    def __init__(
        self,
        rules: tuple[AlertRule, ...],
        feed: Feed,
        *,
        node_id: str,
        has_webhook: bool,
        today: Callable[[], datetime],
    ) -> None:
        """`has_webhook`: whether anyone is notified; `today` gives the time, UTC."""
        self._rules = {each.name: each for each in rules}
        self._states = {each.name: AlertState() for each in rules}
        self._details: dict[str, str] = {}
        self._feed = feed
        self._node_id = node_id
        self._has_webhook = has_webhook
        self._today = today
        self._unstored: list[Notice] = []
        self._day = ""
        self._times: Counter[tuple[str, Change]] = Counter()

    @property
    def up(self) -> Mapping[str, bool]:
        """Every alert, and whether it is raised."""
        return {name: state.raised for name, state in self._states.items()}

    def views(self) -> list[AlertView]:
        """Those that are raised, the latest last."""
        now = trio.current_time()
        up = sorted((state.changed_at, name) for name, state in self._states.items() if state.raised)
        return [self._view(name, now) for _, name in up]

    def take(self, values: Mapping[str, float | None], details: Mapping[str, str]) -> None:
        """Take the values measured now, by alert; one that is missing is unknown."""
        now = trio.current_time()
        self._details = dict(details)
        for name, each in self._rules.items():
            self._states[name], change = step(each, self._states[name], values.get(name), now)
            if change is not None:
                self._announce(each, self._states[name], change)

    async def notify(self, ledger: Ledger) -> bool:
        """Store the notices of what changed; True when there were any. What cannot be stored is kept for next time."""
        due = tuple(self._unstored)
        if not due:
            return False
        try:
            await ledger.notify(due)
        except (LedgerUnavailable, LedgerError):
            return False
        self._unstored = self._unstored[len(due) :]
        return True

    def _announce(self, alert: AlertRule, state: AlertState, change: Change) -> None:
        value = None if state.value is None else round(state.value, 4)
        event = "flag.raised" if change == "raised" else "flag.cleared"
        detail = self._details.get(alert.name, "")
        self._feed.emit(event, flag=alert.name, value=value, threshold=alert.raise_above, detail=detail)
        if self._has_webhook:
            day = self._today().date().isoformat()
            nth = self._count(day, alert.name, change)
            shared = alert.scope == "install"
            notice = notices.alert(
                alert.name, change, value, alert.raise_above, self._node_id, shared, day, nth
            )
            self._unstored = [*self._unstored, notice][-MAX_UNSTORED:]

    def _count(self, day: str, alert: str, change: Change) -> int:
        """The number of this notice among those about this change on this day."""
        if day != self._day:
            self._day, self._times = day, Counter()
        self._times[alert, change] += 1
        return min(self._times[alert, change], MAX_NOTICES_PER_DAY)

    def _view(self, name: str, now: float) -> AlertView:
        alert, state = self._rules[name], self._states[name]
        return AlertView(
            flag=name,
            meaning=alert.meaning,
            value=state.value,
            threshold=alert.raise_above,
            detail=self._details.get(name, ""),
            seconds=now - state.changed_at,
        )
