"""Everything worth seeing is said once, to `emit`: it becomes a log line, a count and a tail event.

Laws of this file:
- `emit` never waits and never raises in production: no observer may disturb what it observes.
- A conversation appears by its label alone, the keyed hash of one install.
- A tail that reads too slowly is dropped: it gets what was queued and a last `tail.dropped`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import trio
from structlog.typing import FilteringBoundLogger

from actors.identity import Conversation
from daemon.events import EVENTS, Event
from daemon.logs import LEVELS, logger, masked_fields

TAIL_EVENTS = 1_000
"""How many events may wait for one tail before it is dropped."""
MAX_REASONS = 100
"""How many reasons are counted apart for one event; further ones count as `other`."""

_UNKNOWN = Event("warning", "")
TailEvent = Mapping[str, object]


class Tail(trio.abc.ReceiveChannel[TailEvent]):
    """One subscriber: `async for event in tail`."""

    def __init__(self, max_events: int) -> None:
        self._send, self._receive = trio.open_memory_channel[TailEvent](max_events)
        self._dropped = False
        self._told = False
        self.closed = False

    async def receive(self) -> TailEvent:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            if not self._dropped or self._told:
                raise
        self._told = True
        return {"event": "tail.dropped", "level": "warning", "at": _now(), "why": "the reader was too slow"}

    def offer(self, event: TailEvent) -> bool:
        """Queue one event; False when the tail takes no more: it was closed, or is full and now cut off."""
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self._dropped = True
            self._send.close()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return not self._dropped

    def close(self) -> None:
        """End the subscription; what is still queued is gone."""
        self.closed = True
        self._send.close()
        self._receive.close()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()


class EventFeed:
    """The `Feed` of production. `strict` (tests) refuses names that the catalogue does not know."""

    def __init__(self, strict: bool = False) -> None:
        self.counters: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = {}
        self._strict = strict
        self._install_id = ""
        self._tails: set[Tail] = set()
        self._log: FilteringBoundLogger | None = (
            None  # bound once, at the first event: logging is set up by then
        )

    def set_install_id(self, install_id: str) -> None:
        """Conversations are labelled from here on; until then a label is `-`."""
        self._install_id = install_id

    @property
    def tails(self) -> int:
        """How many follow now."""
        return sum(not tail.closed for tail in self._tails)

    def label(self, conversation: Conversation) -> str:
        return conversation.label(self._install_id) if self._install_id else "-"

    def reasons(self, event: str) -> dict[str, int]:
        """How often `event` was emitted for each `reason`, or for what else the catalogue counts it by."""
        return dict(self._reasons.get(event, {}))

    def emit(self, event: str, conversation: Conversation | None = None, **fields: object) -> None:
        known = EVENTS.get(event)
        if known is None:
            if self._strict:
                raise ValueError(f"{event} is not in the event catalogue")
            known, fields = _UNKNOWN, {**fields, "unknown_event": True}
        self._count(event, fields.get(known.counted_by))
        if self._log is None:
            self._log = logger().bind()
        log, level = self._log, LEVELS[known.level]
        if not self._tails and not log.is_enabled_for(level):
            return  # nobody looks: the hot path pays for a count alone
        if conversation is not None:
            fields = {"conversation": self.label(conversation), "instance": conversation.instance, **fields}
        log.log(level, event, **fields)
        if self._tails:
            self._offer(event, known, fields)

    def tail(self, max_events: int = TAIL_EVENTS) -> Tail:
        """Subscribe to every event from now on, also to those below the log level. Close it after use."""
        tail = Tail(max_events)
        self._tails = {other for other in self._tails if not other.closed} | {tail}
        return tail

    def _count(self, event: str, reason: object) -> None:
        self.counters[event] += 1
        if isinstance(reason, str):
            counted = self._reasons.setdefault(event, Counter())
            counted[reason if reason in counted or len(counted) < MAX_REASONS else "other"] += 1

    def _offer(self, event: str, known: Event, fields: Mapping[str, object]) -> None:
        shown: TailEvent = {
            "at": _now(),
            "level": known.level,
            "event": event,
            **masked_fields(fields),
        }
        for tail in tuple(self._tails):
            if not tail.offer(shown):
                self._tails.discard(tail)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
