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

from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import NamedTuple

from actors.fairness import FairSlots


class TurnPermits(NamedTuple):
    in_flight: FairSlots
    work: FairSlots

    def at_work(self, instance: str, first: bool = False) -> AbstractAsyncContextManager[None]:
        """Hold a slot at work; `aside` gives it up for a while."""
        return _AtWork(self.work, instance, first)


class _AtWork:
    """The slot of one turn. Several of its tasks may be aside at once: it is held while none is."""

    def __init__(self, slots: FairSlots, instance: str, first: bool) -> None:
        self._slots = slots
        self._instance = instance
        self._first = first
        self._aside = 0
        self._is_held = False
        self._is_returning = False
        self._is_over = False

    async def __aenter__(self) -> None:
        await self._slots.enter(self._instance, self._first)
        self._is_held = True
        self._token = _AT_WORK.set(self)

    async def __aexit__(self, *_: object) -> None:
        _AT_WORK.reset(self._token)
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


class aside:
    """`async with aside():` be at work for nobody while something far away is waited for.

    `at_once`: what comes back is a fact, and waits for no slot.
    """

    def __init__(self, at_once: bool = False) -> None:
        self._at_once = at_once

    async def __aenter__(self) -> None:
        self._permit = _AT_WORK.get()
        if self._permit is not None:
            self._permit.step_out()

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._permit is None:
            return
        if self._at_once or not (error is None or isinstance(error, Exception)):
            self._permit.come_back_at_once()
        else:
            await self._permit.come_back()  # noqa: ASYNC102  cancelled, it comes back at once
