"""Turn slots: a concurrency limit that is fair between instances.

Laws of this file:
1. At most `limit` holders at once.
2. A free slot goes to the instance served longest ago, not to the longest queue: deficit round robin in which
   every turn costs the same. One tenant's flood waits behind itself.
3. Within an instance, first come, first served.
4. One instance holds at most three quarters of the slots: while its responder hangs, others find a free one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio


def open_to_all(_instance: str) -> None:
    """The gate that lets every instance in."""


class FairSlots:
    """`async with slots.hold(instance):` waits for a slot and gives it back.

    `gate` is asked before the wait and after it; what it raises goes to the caller.
    """

    def __init__(self, limit: int, gate: Callable[[str], None] = open_to_all) -> None:
        self.limit = limit
        self._gate = gate
        self.limit_per_instance = limit - limit // 4  # law 4
        self.held = 0
        self._held_by: Counter[str] = Counter()
        # Insertion order is the round-robin order: the served instance goes to the end.
        self._queues: dict[str, deque[trio.Event]] = {}

    @asynccontextmanager
    async def hold(self, instance: str) -> AsyncIterator[None]:
        self._gate(instance)
        await self._acquire(instance)
        try:
            self._gate(instance)
            yield
        finally:
            self._release(instance)

    async def _acquire(self, instance: str) -> None:
        if self._may_hold(instance):
            self._take(instance)
            return
        granted = trio.Event()
        self._queues.setdefault(instance, deque()).append(granted)
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():
                # Granted and cancelled in the same moment: the slot is ours already, so pass it on.
                self._release(instance)
            else:
                self._forget(instance, granted)
            raise

    def _forget(self, instance: str, waiter: trio.Event) -> None:
        queue = self._queues[instance]
        queue.remove(waiter)
        if not queue:
            del self._queues[instance]

    def _may_hold(self, instance: str) -> bool:
        return self.held < self.limit and self._held_by[instance] < self.limit_per_instance

    def _take(self, instance: str) -> None:
        self.held += 1
        self._held_by[instance] += 1

    def _release(self, instance: str) -> None:
        self.held -= 1
        self._held_by[instance] -= 1
        if not self._held_by[instance]:
            del self._held_by[instance]
        # The first in the order that may hold one more: an instance at its own limit keeps its place.
        waiting = next((other for other in self._queues if self._may_hold(other)), None)
        if waiting is not None:
            queue = self._queues.pop(waiting)
            granted = queue.popleft()
            if queue:
                self._queues[waiting] = queue  # to the end: served longest ago comes first
            self._take(
                waiting
            )  # for the waiter, before it runs, so that no other can take the slot in between
            granted.set()
