"""Asks the mirror once a second what is due: the backstop for what no actor knows of.

A message may have been appended by another daemon, or acknowledged as its daemon died. Actors keep their own time, so
on most rounds nothing new is found.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from daemon.mirror.mirror import RedisMirror
from daemon.partitions.fencing import FencedOwnership

DUE_SECONDS = 1.0


async def poll_due(
    mirror: RedisMirror,
    ownership: FencedOwnership,
    nudge: Callable[[Conversation], object],
    turned: Callable[[], None],
) -> None:
    """Poll until cancelled.

    Args:
      nudge: called for each conversation in which something is due.
      turned: called once a round.
    """
    while True:
        await trio.sleep(DUE_SECONDS)
        turned()
        try:
            due, stale = await mirror.due(ownership.fenced())
        except MirrorUnavailable:
            continue
        if stale:  # Redis lost our fence: it came back from an older copy of its data
            ownership.fence_again()
        for conversation in due:
            nudge(conversation)
