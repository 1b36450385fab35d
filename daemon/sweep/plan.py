"""What a sweep reads next, and what it makes of a message that was not heard. Pure; times are Unix seconds, as the
records bear them.

Laws of this file:
1. Time is read from old to new, in slices. What was read whole is behind the mark, so that a sweep which ends early has
   lost nothing: the next one goes on there.
2. Nothing is read that is so new that the gateway may be about to deliver it, and nothing from before the floor: the
   first sweep, or the end of a time in which the instance rested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from actors.identity import is_lid
from actors.messages import Message, Swept
from daemon.ingress.inbound import OwnMessage

SLICE_SECONDS = 3_600
SHORTEST_SECONDS, LONGEST_SECONDS = 60, 86_400
FEW_PAGES, MANY_PAGES, MOST_PAGES = 2, 10, 40
"""Of a slice: with few the next one is longer, with many it is cut in half, and more than the most are not read."""
OVERLAP_SECONDS = 120
"""So much before the mark is always read again: a record may come a little late."""
LOOK_BACK_SECONDS = 3_600
"""The same when something was away. A phone that was offline gives its messages later, with their old times."""
MAX_BACK_SECONDS = 7 * 86_400
"""Nothing older is read: a daemon that was off for a month has other worries than a month of history."""
FUTURE_SECONDS = 60
"""A mark so far in the future was set by a clock that has been corrected since."""


ItemT = TypeVar("ItemT", Message, OwnMessage)


class Mark(msgspec.Struct, frozen=True):
    """How far an instance's records were compared."""

    floor: int
    """Nothing before it is compared."""
    until: int
    """Up to here everything was heard."""


def since(mark: Mark, moment: float) -> Mark:
    """The mark without what was written before the moment."""
    first = math.ceil(moment) if moment > 0 else 0
    return Mark(max(mark.floor, first), max(mark.until, first))


class Start(NamedTuple):
    since: int
    """Where reading begins."""
    passed_over: bool
    """What lies between the mark and `since` is too much to be read."""


def start(mark: Mark, now: int, wide: bool) -> Start:
    """Where a sweep begins. `wide`: something was away, so records may have come late."""
    back_seconds = LOOK_BACK_SECONDS if wide else OVERLAP_SECONDS
    reached = mark.until if mark.until <= now + FUTURE_SECONDS else now - LOOK_BACK_SECONDS
    since = max(mark.floor if mark.floor <= reached else 0, reached - back_seconds)
    oldest = now - MAX_BACK_SECONDS
    return Start(max(since, oldest), reached < oldest)


def reached(mark: Mark, end: int, now: int) -> Mark:
    """The mark after everything up to `end` was heard. It goes back only where it was set by a wrong clock."""
    until = max(mark.until, end) if mark.until <= now + FUTURE_SECONDS else end
    return Mark(min(mark.floor, until), until)


def next_length(length: int, pages: int) -> int:
    """How long the next slice is after one of so many pages."""
    if pages <= FEW_PAGES:
        return min(2 * length, LONGEST_SECONDS)
    return length


def in_order(messages: Iterable[Message]) -> list[Message]:
    """Each once, oldest first. `messages` are newest first, as the gateway lists those of one second too."""
    oldest_first = _once(messages)
    oldest_first.reverse()
    return sorted(oldest_first, key=lambda message: message.sent_at)


def judged(
    missing: Iterable[Message],
    own: Iterable[OwnMessage],
    phones: Mapping[str, str],
    answers: Mapping[str, int],
    now: int,
    max_age_seconds: float,
) -> list[Message]:
    """The messages as they are to be heard.

    Args:
      own: what the business wrote in the same time and later.
      phones: the phone numbers of LIDs, where they are known.
      answers: of those that Majlis sent, up to when each answers what was said. A reply is no answer to what it did not
        hear, unless the customer said more since then, and that was answered.
    """
    latest: dict[str, int] = {}
    for item in own:
        until = answers.get(item.id, item.sent_at)
        for name in names(item, phones):
            latest[name] = max(latest.get(name, 0), until)
    return [
        msgspec.structs.replace(message, swept=_verdict(message, latest, phones, now - max_age_seconds))
        for message in missing
    ]


def names(item: Message | OwnMessage, phones: Mapping[str, str]) -> set[str]:
    """Whatever the chat may be called: the number, and the LID."""
    known = {item.contact, item.lid} - {""}
    return known | {phones[name] for name in known if name in phones}


def lids(items: Iterable[Message | OwnMessage]) -> set[str]:
    return {name for item in items for name in (item.contact, item.lid) if is_lid(name)}


def _verdict(message: Message, latest: Mapping[str, int], phones: Mapping[str, str], oldest: float) -> Swept:
    # Later, not in the same second: nobody reads and answers so quickly, and silence would be the worse mistake.
    if any(latest.get(name, 0) > message.sent_at for name in names(message, phones)):
        return "already_answered"
    return "too_old" if message.sent_at < oldest else "missed"


def until_of(own: Sequence[OwnMessage], until: int) -> list[OwnMessage]:
    """Those up to then, each once, newest first; of one second, in the order of the gateway."""
    return sorted(_once(item for item in own if item.sent_at <= until), key=lambda item: -item.sent_at)


def _once(items: Iterable[ItemT]) -> list[ItemT]:
    """Each where it comes last: the page that repeats a second has all of it."""
    once: dict[str, ItemT] = {}
    for item in items:
        once.pop(item.id, None)
        once[item.id] = item
    return list(once.values())
