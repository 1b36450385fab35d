"""When conversations that only wait are to be seen to: one task for all of them.

Times are of Trio's clock. An alarm that comes too early costs a look; none is ever late.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import inf

import trio

from actors.identity import Conversation

_AT_ONCE = 500
"""Alarms that ring before others have their turn: thousands may be due together."""
_SPARE = 1_000
"""Entries that are out of date before all of them are looked through."""


class Alarms:
    def __init__(self) -> None:
        self._at: dict[Conversation, float] = {}
        self._heap: list[tuple[float, Conversation]] = []
        """Of `_at`, with entries that are out of date."""
        self._sooner = trio.Event()

    def __contains__(self, conversation: Conversation) -> bool:
        return conversation in self._at

    def set(self, conversation: Conversation, at: float) -> None:
        """Ring at this time. An earlier alarm of it stays: whoever hears that one sets the next."""
        if self._at.get(conversation, inf) <= at:
            return
        self._at[conversation] = at
        heapq.heappush(self._heap, (at, conversation))
        if self._heap[0][1] == conversation:
            self._sooner.set()
        if len(self._heap) > 2 * len(self._at) + _SPARE:
            self._heap = [(at, one) for one, at in self._at.items()]
            heapq.heapify(self._heap)

    def drop(self, conversation: Conversation) -> None:
        """It needs none any more."""
        self._at.pop(conversation, None)

    async def run(self, ring: Callable[[Conversation], None]) -> None:
        """Ring until cancelled. Each alarm rings once, and is over then."""
        while True:
            self._sooner = trio.Event()
            with trio.move_on_at(self._heap[0][0] if self._heap else inf):
                await self._sooner.wait()
            now = trio.current_time()
            for _ in range(_AT_ONCE):
                if not self._heap or self._heap[0][0] > now:
                    break
                at, conversation = heapq.heappop(self._heap)
                if self._at.get(conversation) == at:
                    del self._at[conversation]
                    ring(conversation)
