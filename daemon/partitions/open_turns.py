"""Names the conversations whose unfinished turns no actor works on: the mirror may have lost them.

It only names. Two stores that are read from outside are never read at one moment, and a turn may begin in between; so
the actor loads the mirror, asks the ledger, and decides. A name too many costs it two questions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import trio

from actors.errors import MajlisError
from actors.identity import Conversation
from actors.messages import Snapshot
from actors.ports import Ledger
from actors.supervisor import Supervisor
from daemon.partitions.fencing import FencedOwnership

AT_ONCE = 500
"""Turns that are read at a time."""
RECOVERY_SECONDS = 3.0
"""The longest that a recovery is held up: the ledger may be slow, and there may be many."""


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
        self._frozen: Collection[tuple[Conversation, int | None]] = ()
        self.old = 0
        """Turns that the last round found unfinished, old, and in nobody's hands."""

    async def search_all(self, snapshots: Iterable[Snapshot]) -> None:
        """After a recovery: name all of them, in bounded time. What is left is for the monitor's rounds.

        Args:
          snapshots: what the mirror holds. A turn of a batch that is frozen there is not lost, and thousands may be.
        """
        self._after = 0
        self._frozen = {(one.conversation, one.batch_number) for one in snapshots}
        with trio.move_on_after(RECOVERY_SECONDS):
            while await self.search() is not None and self._after:
                pass
        self._frozen = ()

    async def search(self) -> int | None:
        """Name the next ones; returns how many of them are old, None while the ledger is away."""
        partitions = self._ownership.fenced()
        try:
            found = await self._ledger.unfinished(tuple(partitions), self._after, AT_ONCE)
        except MajlisError:
            return None  # the store watch reports why
        self._after = found[-1].id if len(found) == AT_ONCE else 0
        left = [turn for turn in found if not self._supervisor.works_on(turn.conversation, turn.number)]
        left = [turn for turn in left if (turn.conversation, turn.number) not in self._frozen]
        for turn in left:
            self._supervisor.nudge(turn.conversation, check_ledger=True)
        self.old = sum(turn.age_seconds > self._old_seconds for turn in left)
        return self.old
