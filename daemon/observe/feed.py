"""Every event is emitted once, and becomes a log line, a count and a tail event.

Laws of this file:
- `emit` never waits and never raises in production: no observer may disturb what it observes.
- A conversation appears by its label alone, the keyed hash of one install.
- Events are numbered from the daemon's start; `boot` distinguishes one life of the daemon from the next. The newest are
  kept only where that is configured: without it, and without a tail, an event costs no more than a count.
- What strangers can cause at will is logged once in a while for each of its reasons (`Event.log_every_seconds`), with
  the number of lines left out. It is counted, observed and shown to tails every time.
- An observer is registered for one event, and costs the others one lookup in a dict; its failures are counted.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from actors.identity import Conversation
from daemon.observe.events import EVENTS, Event
from daemon.observe.logs import LEVELS, logger
from daemon.observe.tail import EVERYTHING, TAIL_EVENTS, Happened, Tail, TailEvent, Wanted

if TYPE_CHECKING:  # commands come by this file, and log nothing
    from structlog.typing import FilteringBoundLogger

__all__ = ["EVERYTHING", "MAX_REASONS", "TAIL_EVENTS", "EventFeed", "Gap", "Tail", "TailEvent", "Wanted"]

NO_LABEL = "-"
"""Of every conversation, until the installation is known."""
MAX_REASONS = 100
"""How many reasons are counted apart for one event; further ones count as `other`."""

_UNKNOWN = Event("warning", "")
Gap = Literal["restarted", "too_old"]
"""Why events are missing from a resumed tail: the daemon was restarted | they are not kept any more."""
Observer = Callable[[Conversation | None, Mapping[str, object]], None]
"""Called where one event is emitted: synchronous and quick. It gets the contact, too, and must not pass it on."""


class _Line:
    """The last log line about something, and how many were left out since."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.left_out = 0


class EventFeed:
    """The `Feed` of production.

    Args:
      strict: for tests; refuses names that the catalogue does not know, and lets an observer's error out.
      kept_events: how many of the newest are kept for tails that begin with earlier ones.
      now: seconds of a monotonic clock.
    """

    def __init__(
        self, strict: bool = False, kept_events: int = 0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.boot = secrets.token_hex(8)
        self.seq = 0
        """The number of the latest event."""
        self._kept: deque[Happened] | None = deque(maxlen=kept_events) if kept_events else None
        self.observer_failures = 0
        self._observers: dict[str, tuple[Observer, ...]] = {}
        self._reasons: dict[str, Counter[str]] = {}
        self._strict = strict
        self._now = now
        self._lines: dict[tuple[str, str], _Line] = {}
        """Of the events that are not logged every time, by event and reason."""
        self._install_id = ""
        self._tails: set[Tail] = set()
        self._log: FilteringBoundLogger | None = (
            None  # bound at the first event: logging is configured by then
        )

    @property
    def install_id(self) -> str:
        """Of the stores; empty until they are known."""
        return self._install_id

    def set_install_id(self, install_id: str) -> None:
        """Conversations get labels from now on; until then every label is `-`."""
        self._install_id = install_id

    @property
    def tails(self) -> int:
        """How many follow now."""
        return sum(not tail.closed for tail in self._tails)

    def label(self, conversation: Conversation) -> str:
        return conversation.label(self._install_id) if self._install_id else NO_LABEL

    def reasons(self, event: str) -> dict[str, int]:
        """How often `event` was emitted for each `reason`, or for what else the catalogue counts it by."""
        return dict(self._reasons.get(event, {}))

    def observe(self, event: str, observer: Observer) -> None:
        """Have `observer` called for every `event` from now on, whether it is logged or not."""
        self._observers[event] = (*self._observers.get(event, ()), observer)

    def emit(self, event: str, conversation: Conversation | None = None, **fields: object) -> None:
        known = EVENTS.get(event)
        if known is None:
            if self._strict:
                raise ValueError(f"{event} is not in the event catalogue")
            known, fields = _UNKNOWN, {**fields, "unknown_event": True}
        self._count(event, fields.get(known.counted_by))
        if (observers := self._observers.get(event)) is not None:
            self._notify(observers, conversation, fields)
        self.seq += 1
        if self._log is None:
            self._log = logger().bind()
        log, level = self._log, LEVELS[known.level]
        if self._tails or self._kept is not None:
            self._offer(Happened(self.seq, event, known, conversation, fields, self.label))
        if not log.is_enabled_for(level):
            return  # below the log level: the hot path pays for the count alone
        if known.log_every_seconds:
            left_out = self._left_out(event, str(fields.get(known.counted_by, "")), known.log_every_seconds)
            if left_out is None:
                return
            fields = {**fields, **({"left_out": left_out} if left_out else {})}
        if conversation is not None:
            fields = {"conversation": self.label(conversation), "instance": conversation.instance, **fields}
        log.log(level, event, **fields)

    def log_changed(self) -> None:
        """Logging was configured again: use that from the next line on."""
        self._log = None

    def tail(
        self, max_events: int = TAIL_EVENTS, wanted: Wanted = EVERYTHING, after: int | None = None
    ) -> Tail:
        """Subscribe to the events that are wanted, also to those below the log level. Close it after use.

        `after` begins with the kept events of higher numbers; without it, all are new.
        """
        earlier = () if after is None else [event for event in self._kept or () if event.seq > after]
        tail = Tail(max_events, wanted, earlier)
        self._tails = {other for other in self._tails if not other.closed} | {tail}
        return tail

    def gap(self, boot: str, after: int) -> Gap | None:
        """Why a tail that saw event number `after` of the life `boot` has missed some for good; None: it has not."""
        if boot != self.boot or after > self.seq:
            return "restarted"
        oldest = self._kept[0].seq if self._kept else self.seq + 1
        return "too_old" if after < oldest - 1 else None

    def _count(self, event: str, reason: object) -> None:
        self.counters[event] += 1
        if isinstance(reason, str):
            counted = self._reasons.setdefault(event, Counter())
            counted[reason if reason in counted or len(counted) < MAX_REASONS else "other"] += 1

    def _left_out(self, event: str, reason: str, every_seconds: float) -> int | None:
        """How many lines were left out since the last one; None: this one is left out too."""
        now = self._now()
        key = (event, reason if (event, reason) in self._lines or len(self._lines) < MAX_REASONS else "other")
        last = self._lines.get(key)
        if last is not None and now - last.at < every_seconds:
            last.left_out += 1
            return None
        self._lines[key] = _Line(now)
        return 0 if last is None else last.left_out

    def _notify(
        self,
        observers: tuple[Observer, ...],
        conversation: Conversation | None,
        fields: Mapping[str, object],
    ) -> None:
        for observer in observers:
            try:
                observer(conversation, fields)
            except Exception:
                self.observer_failures += 1
                if self._strict:
                    raise

    def _offer(self, event: Happened) -> None:
        if self._kept is not None:
            self._kept.append(event)
        for tail in tuple(self._tails):
            if not tail.offer(event):
                self._tails.discard(tail)
