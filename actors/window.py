"""The batching window. Pure.

What ends a window is its policy (`WindowPolicy.kind`). Laws of this file, for each of them:
1. A window is armed by its first message, and its stored end follows from when its messages arrived alone.
   By `rule` it is `window_seconds` after the first one; later messages never move it later. By `quiet` it is
   `quiet_seconds` after the last one that speaks, never more than `max_seconds` after the first; what speaks moves it
   later, never earlier.
   The first message that speaks arms it anew where nothing but asides waited: a reaction must not cut short what is
   said after it. Asides, edits and deletions move nothing.
2. It closes when its time is up or enough messages wait, whichever comes first, or when an operator flushes it. An
   album counts as one message; asides, edits and deletions do not count.
3. What would close it waits for the rest of an album, for a bounded time. Nobody waits for parts that nobody announced.
4. What its time would close waits for somebody who types, `typing_seconds` after the first message at the most, and as
   long as what was told is fresh. It only ever makes a window longer.
5. The stored end survives restarts: the mirror has it, and what remains of it is waited, never the whole again. How
   long an album is waited for follows from that end and from what waits. Who types is known in memory alone: a restart
   costs what typing added, never a message.
6. A window that is open keeps its stored end when other settings come into force. By `quiet`, the next message that
   speaks sets it by the settings of that moment.

`daemon/mirror/scripts/prelude.lua` counts in the same way, for daemons that do not know what waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf

from actors.messages import CloseReason, Message, Waiting, WindowPolicy

STALE_SECONDS = 25.0
"""Whoever was said to type this long ago is not believed to: the word that it ended was lost."""
SENDS_SECONDS = 1.0
"""How long after typing ended its message may take to come: the two race each other."""


def stored_end(policy: WindowPolicy, first: float, last: float) -> float:
    """When the window closes by what was written, on the clock of `first` and `last` (seconds): what the mirror stores.

    Args:
      first: when the first of its messages that speak arrived.
      last: when the last one did.
    """
    if policy.kind == "quiet":
        return min(last + policy.quiet_seconds, first + policy.max_seconds)
    return first + policy.window_seconds


def extended(end: float, first: float, typing_until: float, policy: WindowPolicy) -> float:
    """When the window closes, `end` being its stored end; never before that.

    Args:
      typing_until: until when its writer is believed to type (`types`, `stops_typing`).
    """
    return max(end, min(typing_until, first + policy.typing_seconds))


def window_end(policy: WindowPolicy, first: float, last: float, typing_until: float = -inf) -> float:
    """When the window closes if nothing more is written. Of albums and counts it knows nothing."""
    return extended(stored_end(policy, first, last), first, typing_until, policy)


def types(now: float) -> float:
    """Until when somebody is believed to type who does so now. A message of his ends it."""
    return now + STALE_SECONDS


def stops_typing(typing_until: float, now: float) -> float:
    """Until when somebody is waited for who has stopped typing now."""
    return min(typing_until, now + SENDS_SECONDS)


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
        return policy.time_is_up
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
    return min((deadline_ms - now_ms) / 1000, policy.lasts_seconds)
