"""Finds conversations that wait without an actor, and without a time at which the due poll would find them.

Such an orphan is given an actor, which asks the mirror. What turns out to have nothing pending is cleaned away instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.errors import MajlisError
from actors.identity import Conversation
from actors.supervisor import Supervisor
from daemon.mirror.upkeep import Upkeep
from daemon.observe.feed import EventFeed
from daemon.partitions.fencing import FencedOwnership

PARTITIONS = 64
"""Searched at a time."""


class OrphanSearch:
    """Goes through the partitions that are ours, some at a time.

    Args:
      grace_seconds: what waits for less is not looked at: its actor may just be starting.
    """

    def __init__(
        self,
        upkeep: Upkeep,
        ownership: FencedOwnership,
        supervisor: Supervisor,
        partition_of: Callable[[Conversation], int],
        grace_seconds: float,
        feed: EventFeed,
    ) -> None:
        self._upkeep = upkeep
        self._ownership = ownership
        self._supervisor = supervisor
        self._partition_of = partition_of
        self._grace_seconds = grace_seconds
        self._feed = feed
        self._next_partition = 0
        self.found = 0
        """Conversations that were picked up again, since the start."""

    async def search(self) -> int | None:
        """Search the next partitions; returns how many orphans were picked up, None while the mirror is away."""
        epochs = self._some_partitions()
        try:
            found = await self._upkeep.strays(epochs, self._grace_seconds)
            places = {one: self._partition_of(one) for one in found if self._is_lost(one)}
            lost = {one: epochs[place] for one, place in places.items() if place in epochs}
            tidied = await self._upkeep.tidy(lost)
        except MajlisError:
            return None  # the store watch reports why
        if tidied:
            self._feed.emit("mirror.tidied", conversations=len(tidied))
        # A daemon that stops picks nothing up: it leaves that to the next start, and nothing was forgotten.
        orphans = [one for one in lost.keys() - set(tidied) if self._supervisor.nudge(one)]
        for conversation in orphans:
            self._feed.emit("orphan.rearmed", conversation)
        self.found += len(orphans)
        return len(orphans)

    def _is_lost(self, conversation: Conversation) -> bool:
        return self._supervisor.view(conversation) is None and self._ownership.owns(conversation)

    def _some_partitions(self) -> Mapping[int, int]:
        """The next of those that are ours, with their epochs."""
        ours = sorted(self._ownership.fenced().items())
        if not ours:
            return {}
        start = self._next_partition % len(ours)
        self._next_partition = start + PARTITIONS
        return dict([*ours[start:], *ours[:start]][:PARTITIONS])
