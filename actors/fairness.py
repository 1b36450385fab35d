"""Slots that are shared fairly between instances: by weight, and within an instance by who goes first.

Laws of this file:
1. At most `limit` holders at once, and at each place (a provider) no more than it takes. Those who come back are let
   in before anybody else; one who comes back at once, or is cancelled on the way, is let in over the limit, and then
   nobody else until it is kept again.
2. A free slot goes to the instances in turn: deficit round robin in which every turn costs 1 and each round brings an
   instance its weight. One tenant's flood waits behind itself; one with three times the weight gets three times as
   many.
3. Within an instance, first come, first served; those who go first before the others. While others wait, at most
   `FIRST_IN_A_ROW` of the first go in a row, so that the others have a quarter of the instance's turns, whatever comes.
4. One instance holds at most three quarters of the slots that it may have: while its responder hangs, others find a
   free one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio

from actors.instance import TurnShare

FIRST_IN_A_ROW = 3


def open_to_all(_instance: str) -> None:
    """The gate that lets every instance in."""


def equal_shares(_instance: str) -> TurnShare:
    """All instances have the same weight, and one limit bounds all."""
    return _EQUAL


_EQUAL = TurnShare()


class Waiter:
    __slots__ = ("granted", "instance", "place")

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.granted = trio.Event()
        self.place = ""


class _Line:
    """Those of one instance who wait."""

    __slots__ = ("credit", "first", "in_a_row", "others")

    def __init__(self, credit: float) -> None:
        self.credit = credit
        self.first: deque[Waiter] = deque()
        self.others: deque[Waiter] = deque()
        self.in_a_row = 0
        """How many of the first went since one of the others did."""

    def __bool__(self) -> bool:
        return bool(self.first or self.others)

    def pop(self) -> Waiter:
        if self.first and (self.in_a_row < FIRST_IN_A_ROW or not self.others):
            self.in_a_row += bool(self.others)
            return self.first.popleft()
        self.in_a_row = 0
        return self.others.popleft()


class FairOrder:
    """Who is next of those who wait: laws 2 and 3. Pure but for what the waiters wait on."""

    def __init__(self, weight: Callable[[str], float]) -> None:
        self._weight = weight
        # Insertion order is the round-robin order: an instance whose credit is spent goes to the end.
        self._lines: dict[str, _Line] = {}

    def add(self, waiter: Waiter, first: bool) -> None:
        line = self._lines.get(waiter.instance)
        if line is None:
            line = self._lines[waiter.instance] = _Line(self._weight(waiter.instance))
        (line.first if first else line.others).append(waiter)

    def remove(self, waiter: Waiter) -> None:
        line = self._lines[waiter.instance]
        (line.first if waiter in line.first else line.others).remove(waiter)
        if not line:
            del self._lines[waiter.instance]

    def pop(self, place_for: Callable[[str], str | None]) -> Waiter | None:
        """The next one for whose instance there is a place; None: there is no such one."""
        found = self._next(place_for)
        if found is None:
            return None
        line = self._lines[found[0]]
        waiter = line.pop()
        waiter.place = found[1]
        line.credit -= 1
        if not line:
            del self._lines[waiter.instance]
        elif line.credit < 1:
            self._to_the_end(waiter.instance)
        return waiter

    def _next(self, place_for: Callable[[str], str | None]) -> tuple[str, str] | None:
        """The first in order that may have one more, and where. One at its own limit keeps its place."""
        while True:
            passed, found = list[str](), None
            for instance, line in self._lines.items():
                place = place_for(instance)
                if place is None:
                    continue
                if line.credit >= 1:
                    found = instance, place
                    break
                passed.append(instance)
            for instance in passed:
                self._to_the_end(instance)
            if found is not None or not passed:
                return found

    def _to_the_end(self, instance: str) -> None:
        line = self._lines.pop(instance)
        line.credit += self._weight(instance)
        self._lines[instance] = line


class FairSlots:
    """`async with slots.hold(instance):` waits for a slot and gives it back.

    Args:
      gate: asked before the wait and after it; what it raises goes to the caller.
      share: what an instance may have, by the settings in force.
    """

    def __init__(
        self,
        limit: int,
        gate: Callable[[str], None] = open_to_all,
        share: Callable[[str], TurnShare] = equal_shares,
    ) -> None:
        self.limit = limit
        self._gate = gate
        self._share = share
        self.held = 0
        self._held_by: Counter[str] = Counter()
        self._held_at: Counter[str] = Counter()
        self._order = FairOrder(lambda instance: share(instance).weight)
        self._returning: deque[Waiter] = deque()

    def hold(self, instance: str, first: bool = False) -> AbstractAsyncContextManager[None]:
        """`first`: it goes before the others of its instance (law 3)."""
        return _Hold(self, instance, first)

    def at(self, place: str) -> int:
        """How many hold a slot at this place."""
        return self._held_at[place]

    def look_again(self) -> None:
        """Shares have changed: there may be room."""
        while self._grant():
            pass

    # For a holder that steps aside for a while. There are no places then.

    async def enter(self, instance: str, first: bool = False) -> None:
        """As `hold`; `step_out` gives the slot back."""
        await self._enter(instance, first)

    def step_out(self, instance: str) -> None:
        self._release(instance, "")

    async def come_back(self, instance: str) -> None:
        """Wait for a slot, before all who are new. The slot is held afterwards, also when this is cancelled."""
        if self.held < self.limit and not self._returning:
            self._take(instance, "")
            return
        waiter = Waiter(instance)
        self._returning.append(waiter)
        try:
            await waiter.granted.wait()
        except BaseException:
            if not waiter.granted.is_set():
                self._returning.remove(waiter)
                self._take(instance, "")
            raise

    def come_back_at_once(self, instance: str) -> None:
        self._take(instance, "")

    async def _enter(self, instance: str, first: bool) -> str:
        """Returns the place."""
        self._gate(instance)
        place = await self._acquire(instance, first)
        try:
            self._gate(instance)
        except BaseException:
            self._release(instance, place)
            raise
        return place

    async def _acquire(self, instance: str, first: bool) -> str:
        place = self._place_for(instance)
        if place is not None and not self._returning:
            self._take(instance, place)
            return place
        waiter = Waiter(instance)
        self._order.add(waiter, first)
        try:
            await waiter.granted.wait()
        except BaseException:
            if waiter.granted.is_set():
                # Granted and cancelled in the same moment: the slot is ours already, so pass it on.
                self._release(instance, waiter.place)
            else:
                self._order.remove(waiter)
            raise
        return waiter.place

    def _place_for(self, instance: str) -> str | None:
        """Where the instance may have one slot more; None: nowhere now."""
        if self.held >= self.limit:
            return None
        places = self._share(instance).places
        most = min(self.limit, sum(limit for _, limit in places)) if places else self.limit
        if self._held_by[instance] >= most - most // 4:  # law 4
            return None
        if not places:
            return ""
        return next((name for name, limit in places if self._held_at[name] < limit), None)

    def _take(self, instance: str, place: str) -> None:
        self.held += 1
        self._held_by[instance] += 1
        self._held_at[place] += 1

    def _release(self, instance: str, place: str) -> None:
        self.held -= 1
        for counted, name in ((self._held_by, instance), (self._held_at, place)):
            counted[name] -= 1
            if not counted[name]:
                del counted[name]
        self.look_again()

    def _grant(self) -> bool:
        """Give a free slot to whoever is next; False: nobody may have one."""
        if self.held >= self.limit:
            return False
        waiter = self._returning.popleft() if self._returning else self._order.pop(self._place_for)
        if waiter is None:
            return False
        # For the waiter, before it runs, so that no other can take the slot in between.
        self._take(waiter.instance, waiter.place)
        waiter.granted.set()
        return True


class _Hold:
    """A slot for as long as a block lasts. No generator: a turn enters several of these."""

    def __init__(self, slots: FairSlots, instance: str, first: bool) -> None:
        self._slots = slots
        self._instance = instance
        self._first = first

    async def __aenter__(self) -> None:
        self._place = await self._slots._enter(self._instance, self._first)

    async def __aexit__(self, *_: object) -> None:
        self._slots._release(self._instance, self._place)
