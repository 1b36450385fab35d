"""Asks the mirror about once a second what is due: the backstop for what no actor knows of.

A message may have been appended by another daemon, or acknowledged as its daemon died. Actors keep their own time, so
on most rounds nothing new is found. Laws of this file:

1. Each poll asks for what became due lately. All that is overdue is asked for seldom, for thousands may rightly be; but
   it is asked for, and after any gap at once: what both missed is found then.
2. No answer holds more than a bound. Where it is reached, the search for all goes on from there with the next poll.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from daemon.mirror.mirror import DuePage, GoesOn, RedisMirror
from daemon.partitions.fencing import FencedOwnership

DUE_SECONDS = 0.9
"""Notices of changed settings come with it, and are promised within a second."""
RECENT_SECONDS = 5.0
EVERYTHING_SECONDS = 30.0
APART = 16
"""Partitions in one poll where each must be asked for itself, and no other daemon stores anything."""


async def poll_due(
    mirror: RedisMirror,
    ownership: FencedOwnership,
    nudge: Callable[[Conversation], object],
    heard: Callable[[bytes | None], None],
    turned: Callable[[], None],
) -> None:
    """Poll until cancelled.

    Args:
      nudge: called for each conversation in which something is due.
      heard: called with the counter of changes of settings.
      turned: called once a round.
    """
    searches = _Searches(mirror)
    while True:
        await trio.sleep(DUE_SECONDS)
        turned()
        try:
            pages = await searches.next(ownership.fenced(), is_alone=not ownership.elsewhere())
        except MirrorUnavailable:
            continue
        for page in pages:
            if page.stale:  # Redis lost our fence: it came back from an older copy of its data
                ownership.fence_again()
            for conversation in page.conversations:
                nudge(conversation)
        heard(pages[0].changes)


class _Searches:
    """What is asked for, poll by poll."""

    def __init__(self, mirror: RedisMirror) -> None:
        self._mirror = mirror
        self._start = 0
        self._asked_at = trio.current_time()
        """When the last poll that was answered was sent."""
        self._everything_at = self._asked_at
        self._is_under_way = False
        self._goes_on: GoesOn | None = None

    async def next(self, epochs: Mapping[int, int], is_alone: bool) -> list[DuePage]:
        now = trio.current_time()
        order = sorted(epochs)
        is_apart = self._mirror.is_split and is_alone
        # In turn, so that no partition is always behind the bound.
        start = self._start % max(len(order), 1)
        turn = [*order[start:], *order[:start]][: APART if is_apart else None]
        self._start = start + (APART if is_apart else 1)
        rounds = -(-len(order) // APART) if is_apart else 1
        within = RECENT_SECONDS + (rounds - 1) * DUE_SECONDS
        pages = [await self._mirror.due({number: epochs[number] for number in turn}, within)]
        if trio.current_time() - self._asked_at > RECENT_SECONDS:
            self._begin(now)
        self._asked_at = now
        if now - self._everything_at >= EVERYTHING_SECONDS * rounds:
            self._begin(now)
        if self._is_under_way:
            pages.append(await self._next_of_everything(epochs, order, APART if is_apart else None))
        return pages

    def _begin(self, now: float) -> None:
        self._is_under_way, self._goes_on, self._everything_at = True, None, now

    async def _next_of_everything(
        self, epochs: Mapping[int, int], order: list[int], at_once: int | None
    ) -> DuePage:
        known = self._goes_on
        left = [number for number in order if known is None or number >= known.partition]
        part = left[:at_once]
        is_same = known is not None and part[:1] == [known.partition]
        page = await self._mirror.due(
            {number: epochs[number] for number in part}, goes_on=known if is_same else None
        )
        self._goes_on = page.goes_on
        if page.goes_on is None and len(part) < len(left):
            self._goes_on = GoesOn(left[len(part)], b"", 0)
        self._is_under_way = self._goes_on is not None
        return page
