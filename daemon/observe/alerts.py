"""The alerts of this daemon: what may go up, what is up now, and who is told of a change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
import trio

from actors import notices
from actors.errors import LedgerUnavailable
from actors.ports import Feed, Ledger, Notice
from daemon.config import MonitorSettings
from daemon.observe.alert_rules import AlertRule, AlertState, Change, rule, step
from daemon.stores.postgres import LedgerError

MAX_TOLD_PER_DAY = 20
"""How often the webhook hears of one flag going up, and of its coming down, in a day (UTC)."""
MAX_UNTOLD = 64
"""Notices kept for a ledger that is away; the oldest go first. The log has them all."""


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know of, for as long as it lasts."""

    flag: str
    meaning: str
    value: float | None = None
    """The current value; None when it is unknown."""
    threshold: float
    """Above this it was raised."""
    detail: str = ""
    """The providers or instances concerned."""
    seconds: float
    """Since it was raised."""


def rules(settings: MonitorSettings) -> tuple[AlertRule, ...]:
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
        rule("time_outs", "calls that run out of their time, per turn", settings.time_outs, raised, cleared),
        rule("queue_depth", "messages that wait", settings.queue_depth, raised, cleared),
        rule(
            "oldest_waiting",
            "seconds that the oldest message waits",
            settings.oldest_waiting_seconds,
            raised,
            cleared,
        ),
        rule("memory", "share of the memory in use", settings.memory, raised, cleared),
        rule(
            "redis_memory", "share of Redis' memory in use", settings.redis_memory, raised, cleared, "install"
        ),
        # What these count is wrong the first time it is seen.
        rule("orphans", "conversations that were forgotten and picked up", 0, 0, cleared),
        rule("provider_open", "providers left alone after failures", 0, 0, cleared, "install"),
        rule("budget_reached", "instances that used their budget of the day", 0, 0, cleared, "install"),
    )


class Alerts:
    """Remembers every flag's state. What changes is an event, and a notice where a webhook is configured."""

    def __init__(
        self,
        flags: tuple[AlertRule, ...],
        feed: Feed,
        *,
        node_id: str,
        webhook: str,
        today: Callable[[], datetime],
    ) -> None:
        """`webhook`: an address, or empty; `today`: the time of now, UTC."""
        self._rules = {each.name: each for each in flags}
        self._states = {each.name: AlertState() for each in flags}
        self._details: dict[str, str] = {}
        self._feed = feed
        self._node_id = node_id
        self._webhook = webhook
        self._today = today
        self._untold: list[Notice] = []
        self._day = ""
        self._times: Counter[tuple[str, Change]] = Counter()

    @property
    def up(self) -> Mapping[str, bool]:
        """Every flag, and whether it is up."""
        return {name: state.raised for name, state in self._states.items()}

    def views(self) -> list[AlertView]:
        """Those that are up, the latest last."""
        now = trio.current_time()
        up = sorted((state.changed_at, name) for name, state in self._states.items() if state.raised)
        return [self._view(name, now) for _, name in up]

    def take(self, values: Mapping[str, float | None], details: Mapping[str, str]) -> None:
        """What was measured now, by flag; what is missing is unknown."""
        now = trio.current_time()
        self._details = dict(details)
        for name, each in self._rules.items():
            self._states[name], change = step(each, self._states[name], values.get(name), now)
            if change is not None:
                self._tell(each, self._states[name], change)

    async def notify(self, ledger: Ledger) -> bool:
        """Store what is to be told; True when anything was. What cannot be stored now is kept for the next time."""
        told = tuple(self._untold)
        if not told:
            return False
        try:
            await ledger.notify(told)
        except (LedgerUnavailable, LedgerError):
            return False
        self._untold = self._untold[len(told) :]
        return True

    def _tell(self, flag: AlertRule, state: AlertState, change: Change) -> None:
        value = None if state.value is None else round(state.value, 4)
        event = "flag.raised" if change == "raised" else "flag.cleared"
        detail = self._details.get(flag.name, "")
        self._feed.emit(event, flag=flag.name, value=value, threshold=flag.raise_above, detail=detail)
        if self._webhook:
            day = self._today().date().isoformat()
            nth = self._count(day, flag.name, change)
            shared = flag.scope == "install"
            notice = notices.alert(
                flag.name, change, value, flag.raise_above, self._node_id, shared, self._webhook, day, nth
            )
            self._untold = [*self._untold, notice][-MAX_UNTOLD:]

    def _count(self, day: str, flag: str, change: Change) -> int:
        """How often the webhook hears of this change on this day, this time included."""
        if day != self._day:
            self._day, self._times = day, Counter()
        self._times[flag, change] += 1
        return min(self._times[flag, change], MAX_TOLD_PER_DAY)

    def _view(self, name: str, now: float) -> AlertView:
        flag, state = self._rules[name], self._states[name]
        return AlertView(
            flag=name,
            meaning=flag.meaning,
            value=state.value,
            threshold=flag.raise_above,
            detail=self._details.get(name, ""),
            seconds=now - state.changed_at,
        )
