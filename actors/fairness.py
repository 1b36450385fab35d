"""Turn slots: a concurrency limit that is fair between instances.

Laws of this file:
1. At most `limit` holders at once.
2. A free slot goes to the instance served longest ago, not to the longest queue: deficit round robin in which
   every turn costs the same. One tenant's flood waits behind itself.
3. Within an instance, first come, first served.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class FairSlots:
    """`async with slots.hold(instance):` waits for a slot and gives it back."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        # Insertion order is the round-robin order: the served instance goes to the end.
        self._queues: dict[str, deque[trio.Event]] = {}

    @property
    def queued(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    @asynccontextmanager
    async def hold(self, instance: str) -> AsyncIterator[None]:
        await self._acquire(instance)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, instance: str) -> None:
        if self.held < self.limit and not self._queues:
            self.held += 1
            return
        granted = trio.Event()
        self._queues.setdefault(instance, deque()).append(granted)
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():
                # Granted and cancelled in the same moment: pass the slot on.
                self._release()
            else:
                self._forget(instance, granted)
            raise

    def _forget(self, instance: str, waiter: trio.Event) -> None:
        queue = self._queues[instance]
        queue.remove(waiter)
        if not queue:
            del self._queues[instance]

    def _release(self) -> None:
        self.held -= 1
        if self._queues:
            instance, queue = next(iter(self._queues.items()))
            waiter = queue.popleft()
            del self._queues[instance]
            if queue:
                self._queues[instance] = queue
            self.held += 1
            waiter.set()
