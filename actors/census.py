"""What the actors are at, counted as it changes: to ask costs nothing, however many there are.

Pure. The age of the oldest message is by the mirror's clock, whose time of now comes with whatever the mirror says.
"""

from __future__ import annotations

import heapq
from collections import Counter

from actors.identity import Conversation

_SPARE = 1_000
"""Entries that are out of date before all of them are looked through."""


class Census:
    def __init__(self) -> None:
        self._phases: Counter[str] = Counter()
        self.open_windows = 0
        """Conversations in which messages wait to be answered, whatever else goes on there."""
        self.messages = 0
        """That wait, or are being answered."""
        self._oldest: dict[Conversation, int] = {}
        self._heap: list[tuple[int, Conversation]] = []
        """Of `_oldest`, with entries that are out of date."""
        self._ahead_ms = 0.0
        """The mirror's clock against ours."""

    def phases(self) -> Counter[str]:
        """How many actors are in each phase."""
        return +self._phases

    def came(self, phase: str) -> None:
        self._phases[phase] += 1

    def left(self, phase: str) -> None:
        self._phases[phase] -= 1

    def clock(self, mirror_now_ms: int, now: float) -> None:
        """It is this late by the mirror's clock, and by ours."""
        self._ahead_ms = mirror_now_ms - now * 1000

    def note_oldest(self, conversation: Conversation, at_ms: int | None) -> None:
        """When the oldest message of this conversation arrived that has not ended; None: there is none."""
        if at_ms is None:
            self._oldest.pop(conversation, None)
        elif self._oldest.get(conversation) != at_ms:
            self._oldest[conversation] = at_ms
            heapq.heappush(self._heap, (at_ms, conversation))
            if len(self._heap) > 2 * len(self._oldest) + _SPARE:
                self._heap = [(at, one) for one, at in self._oldest.items()]
                heapq.heapify(self._heap)

    def oldest_seconds(self, now: float) -> float | None:
        """Age of the oldest message that has not ended; None: there is none."""
        heap = self._heap
        while heap and self._oldest.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        if not heap:
            return None
        return max(0.0, now + (self._ahead_ms - heap[0][0]) / 1000)
