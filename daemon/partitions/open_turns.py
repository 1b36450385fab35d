"""Names the conversations whose unfinished turns no actor works on: the mirror may have lost them.

It only names. Two stores that are read from outside are never read at one moment, and a turn may begin in between; so
the actor loads the mirror, asks the ledger, and decides. A name too many costs it two questions.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from actors.errors import LedgerUnavailable
from actors.ports import Ledger
from actors.supervisor import Supervisor
from daemon.partitions.fencing import FencedOwnership

AT_ONCE = 500
"""Turns that are read at a time."""
AFTER_RECOVERY = 20
"""How often at most that is done after a recovery; what is left is for the monitor's rounds."""


class OpenTurnSearch:
    """Goes through the unfinished turns of the partitions that are ours, some at a time.

    Args:
      old_seconds: a turn that nobody works on and that is older counts as forgotten.
    """

    def __init__(
        self, ledger: Ledger, ownership: FencedOwnership, supervisor: Supervisor, old_seconds: float
    ) -> None:
        self._ledger = ledger
        self._ownership = ownership
        self._supervisor = supervisor
        self._old_seconds = old_seconds
        self._after = 0
        self._wake = trio.Event()
        self.old = 0
        """Turns that the last round found unfinished, old, and in nobody's hands."""

    def recovered(self) -> None:
        """Partitions became ours, or the mirror came back: look at all of them soon."""
        self._wake.set()

    async def run(self, report: Callable[[str], object]) -> None:
        """Search after each recovery, until cancelled. `report` gets the kind of an error that nobody expected."""
        while True:
            await self._wake.wait()
            self._wake, self._after = trio.Event(), 0
            try:
                for _ in range(AFTER_RECOVERY):
                    if await self.search() is None or not self._after:
                        break
            except Exception as error:  # the monitor's rounds go on all the same
                report(type(error).__name__)

    async def search(self) -> int | None:
        """Name the next ones; returns how many of them are old, None while the ledger is away."""
        partitions = self._ownership.fenced()
        try:
            found = await self._ledger.unfinished(tuple(partitions), self._after, AT_ONCE)
        except LedgerUnavailable:
            return None  # the store watch reports why
        self._after = found[-1].id if len(found) == AT_ONCE else 0
        left = [turn for turn in found if not self._supervisor.works_on(turn.conversation, turn.number)]
        for turn in left:
            self._supervisor.nudge(turn.conversation, check_ledger=True)
        self.old = sum(turn.age_seconds > self._old_seconds for turn in left)
        return self.old
