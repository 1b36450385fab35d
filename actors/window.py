"""The batching window. Pure.

Laws of this file:
1. A window is armed by its first message; later messages never move its end later. Only the first message that speaks
   arms it anew where nothing but asides waited: a reaction must not cut short what is said after it.
2. It closes when its time is up or enough messages wait, whichever comes first, or when an operator flushes it. An
   album counts as one message; asides, edits and deletions do not count.
3. What would close it waits for the rest of an album, for a bounded time. Nobody waits for parts that nobody announced.
4. Its end survives restarts: the mirror stores it, and what remains of it is waited, never the whole again. How long an
   album is waited for follows from that end and from what waits, so nothing else needs to be stored.

`daemon/mirror/scripts/prelude.lua` counts in the same way, for daemons that do not know what waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from actors.messages import CloseReason, Message, Waiting, WindowPolicy


def counted(waiting: Iterable[Waiting], policy: WindowPolicy, most: int | None = None) -> int:
    """How many messages the window counts. `most`: enough to know that there are so many."""
    found, albums = 0, set[str]()
    for entry in waiting:
        message = entry.message
        if not message.speaks or message.album in albums:
            continue
        if message.album and policy.album_seconds:
            albums.add(message.album)
        found += 1
        if found == most:
            break
    return found


def close_reason(
    waiting: int, deadline: float | None, now: float, policy: WindowPolicy
) -> CloseReason | None:
    """Why the window closes now, or None while it stays open.

    Args:
      waiting: messages in the window that it counts.
      deadline: when its time is up, on the same clock as `now` (seconds); None when nothing armed it.
      now: the current time, seconds.
    """
    if waiting >= policy.max_messages:
        return "count"
    if deadline is not None and now >= deadline:
        return "timeout"
    return None


def awaits_album(waiting: Sequence[Waiting], policy: WindowPolicy) -> bool:
    """Whether parts of an album are still to come."""
    if not policy.album_seconds:
        return False
    messages: list[Message] = [entry.message for entry in waiting if entry.message.album]
    if not messages:
        return False
    parts = Counter(message.album for message in messages if not message.album_size)
    return any(parts[message.album] < message.album_size for message in messages)


def remaining_seconds(deadline_ms: int, now_ms: int, policy: WindowPolicy) -> float:
    """What remains of a stored window; negative when it is over, never more than a whole window.

    The bound matters when the mirror's clock was set back while no daemon ran: a burst must not wait an hour.
    """
    return min((deadline_ms - now_ms) / 1000, policy.window_seconds)
