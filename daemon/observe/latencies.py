"""How long things took lately: the last few hundred of each, for a person who is watching."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from actors.identity import Conversation
from daemon.observe.feed import EventFeed

KEPT = 500
ACKNOWLEDGEMENT = "acknowledgement"

_FOLLOWED = {
    "turn": ("turn.done", "took_ms"),
    "responder": ("turn.answered", "took_ms"),
    "lookups": ("turn.lookups", "total_ms"),
    "send": ("part.sent", "took_ms"),
    "window lateness": ("window.closed", "late_ms"),
}
"""What is shown, with the event and the field that it comes from."""


class LatencyView(msgspec.Struct, frozen=True, kw_only=True):
    """How long one thing took, of the latest ones."""

    what: str
    count: int
    p50_ms: float
    p95_ms: float
    max_ms: float


class Latencies:
    def __init__(self, feed: EventFeed) -> None:
        self._kept = {what: deque[float](maxlen=KEPT) for what in (ACKNOWLEDGEMENT, *_FOLLOWED)}
        for what, (event, field) in _FOLLOWED.items():
            self._follow(feed, event, field, self._kept[what])

    def webhook(self, status: int, seconds: float) -> None:
        """Called for every webhook: keeps the time to its acknowledgement, if it was acknowledged."""
        if status == 200:
            self._kept[ACKNOWLEDGEMENT].append(seconds * 1000)

    def views(self) -> list[LatencyView]:
        return [_view(what, sorted(kept)) for what, kept in self._kept.items() if kept]

    def _follow(self, feed: EventFeed, event: str, field: str, kept: deque[float]) -> None:
        def take(_conversation: Conversation | None, fields: Mapping[str, object]) -> None:
            took_ms = fields.get(field)
            if isinstance(took_ms, int | float):
                kept.append(max(0.0, float(took_ms)))

        feed.observe(event, take)


def _view(what: str, ordered: list[float]) -> LatencyView:
    return LatencyView(
        what=what,
        count=len(ordered),
        p50_ms=_share(ordered, 0.5),
        p95_ms=_share(ordered, 0.95),
        max_ms=ordered[-1],
    )


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
