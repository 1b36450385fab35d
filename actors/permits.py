"""What a turn needs to run: a slot in flight for as long as it lasts, and one at work while it waits for nobody else.

Laws of this file:
1. A turn has its slot in flight before its batch is frozen: so no more batches are frozen than answers are waited for.
   What comes meanwhile joins the burst.
2. It is at work while it is opened and stored, and steps aside while it waits for a model, a gateway or a vector. So
   however long they take, as many turns are worked on.
3. Who comes back goes before all who are new: what is begun ends first. An outcome that was seen at the gateway waits
   for nothing: it is a fact, and is stored at once.
4. Who steps aside is known by the task: without a turn, `aside` does nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import NamedTuple

from actors.fairness import FairSlots


class TurnPermits(NamedTuple):
    in_flight: FairSlots
    work: FairSlots

    @asynccontextmanager
    async def at_work(self, instance: str, first: bool = False) -> AsyncIterator[None]:
        """Hold a slot at work; `aside` gives it up for a while."""
        async with _AtWork(self.work, instance).held(first):
            yield


class _AtWork:
    """The slot of one turn. Several of its tasks may be aside at once: it is held while none is."""

    def __init__(self, slots: FairSlots, instance: str) -> None:
        self._slots = slots
        self._instance = instance
        self._aside = 0
        self._is_held = False
        self._is_returning = False
        self._is_over = False

    @asynccontextmanager
    async def held(self, first: bool) -> AsyncIterator[None]:
        await self._slots.enter(self._instance, first)
        self._is_held = True
        token = _AT_WORK.set(self)
        try:
            yield
        finally:
            _AT_WORK.reset(token)
            self._is_over = True
            self._give_up()

    def step_out(self) -> None:
        self._aside += 1
        self._give_up()

    async def come_back(self) -> None:
        self._aside -= 1
        if self._stays_out:
            return
        self._is_returning = True
        try:
            await self._slots.come_back(self._instance)
        finally:
            self._is_returning, self._is_held = False, True
            if self._aside or self._is_over:  # meanwhile another of its tasks has stepped aside
                self._give_up()

    def come_back_at_once(self) -> None:
        self._aside -= 1
        if not self._stays_out:
            self._slots.come_back_at_once(self._instance)
            self._is_held = True

    @property
    def _stays_out(self) -> bool:
        return bool(self._aside or self._is_held or self._is_returning or self._is_over)

    def _give_up(self) -> None:
        if self._is_held:
            self._is_held = False
            self._slots.step_out(self._instance)


_AT_WORK: ContextVar[_AtWork | None] = ContextVar("at_work", default=None)


@asynccontextmanager
async def aside(at_once: bool = False) -> AsyncIterator[None]:
    """Be at work for nobody while something far away is waited for.

    `at_once`: what comes back is a fact, and waits for no slot.
    """
    permit = _AT_WORK.get()
    if permit is None:
        yield
        return
    permit.step_out()
    try:
        yield
    except Exception:
        if at_once:
            permit.come_back_at_once()
        else:
            await permit.come_back()  # noqa: ASYNC120  a cancellation may take over
        raise
    except BaseException:
        permit.come_back_at_once()
        raise
    if at_once:
        permit.come_back_at_once()
    else:
        await permit.come_back()
