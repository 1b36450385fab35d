"""Notes of which instances events come through our own door, durably: only those are swept.

An instance may be set up here while another system still has its messages. Its records then show customers who wait for
that one, not for us. So nothing of it is compared before it is ours: since an event of it came here, or since its
webhook was set to us and proven, and until it is given back or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import trio

from actors.errors import LedgerUnavailable
from daemon.observe.feed import EventFeed

EVERY_SECONDS = 1.0
AGAIN_SECONDS = 60.0
"""An instance is noted again so often while events come: it may have become somebody else's, and ours again."""


class Notes(Protocol):
    async def note_ours(self, instances: Collection[str]) -> Collection[str]:
        """Those that are ours only now. May raise `LedgerUnavailable`."""


class OurInstances:
    """One task. Args: take: the instances of which events came since it was called last; joined: some are ours now."""

    def __init__(
        self, take: Callable[[], Collection[str]], notes: Notes, joined: Callable[[], None], feed: EventFeed
    ) -> None:
        self._take = take
        self._notes = notes
        self._joined = joined
        self._feed = feed

    async def run(self) -> None:
        """Until cancelled; nothing of it can end the daemon."""
        noted: dict[str, float] = {}
        waiting = set[str]()
        while True:
            await trio.sleep(EVERY_SECONDS)
            now = trio.current_time()
            noted = {name: at for name, at in noted.items() if now - at < AGAIN_SECONDS}
            waiting |= set(self._take()) - noted.keys()
            if not waiting:
                continue
            try:
                new = await self._notes.note_ours(waiting)
            except LedgerUnavailable:  # the store watch reports it
                continue
            except Exception as error:  # the class alone, because its text may quote a name
                self._feed.emit("daemon.problem", part="sweep", error=type(error).__name__)
                new = ()
            noted |= dict.fromkeys(waiting, now)
            waiting = set()
            if new:
                self._joined()
