"""What this daemon carries, minute by minute: conversations at once, messages, and what it turned away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from actors.targets import Minute

LOAD_REASONS = ("overloaded", "ack_timeout")
"""Why a webhook is refused when there is more to do than can be done."""
MAX_KEPT = 120
"""Minutes kept while they cannot be stored; the oldest go first."""

_MINUTE = timedelta(minutes=1)


class Minutes:
    """Call `sample` every few seconds. Times are of the wall clock, UTC.

    Args:
      conversations: how many there are now.
      messages: how many were accepted since the start.
      turned_away: how many webhooks were refused because of the load since the start.
    """

    def __init__(
        self, conversations: Callable[[], int], messages: Callable[[], int], turned_away: Callable[[], int]
    ) -> None:
        self._conversations = conversations
        self._messages = messages
        self._turned_away = turned_away
        self._minute: datetime | None = None
        self._most = 0
        self._base = (0, 0)
        self._ended: list[Minute] = []

    def sample(self, now: datetime) -> None:
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        counts = (self._messages(), self._turned_away())
        if self._minute is None or abs(minute - self._minute) > MAX_KEPT * _MINUTE:
            self._minute, self._base = minute, counts  # the first sample, or the clock was set
        elif minute > self._minute:
            self._end(counts)
            self._minute = minute
        self._most = max(self._most, self._conversations())

    def seconds_to_next(self, now: datetime, at_most: float) -> float:
        """When to sample again: at the end of the minute, or earlier."""
        return min(at_most, 60.0 - now.second - now.microsecond / 1e6)

    def take(self) -> tuple[Minute, ...]:
        """The minutes that ended and are still to be stored. What is not `put_back` is forgotten."""
        ended, self._ended = tuple(self._ended), []
        return ended

    def put_back(self, minutes: tuple[Minute, ...]) -> None:
        self._ended = [*minutes, *self._ended][-MAX_KEPT:]

    def _end(self, counts: tuple[int, int]) -> None:
        assert self._minute is not None
        messages, turned_away = (now - then for now, then in zip(counts, self._base, strict=True))
        if self._most or messages or turned_away:
            self._ended = [*self._ended, Minute(self._minute, self._most, messages, turned_away)][-MAX_KEPT:]
        self._most, self._base = 0, counts
