"""Which of a gateway's records shows a send. Pure.

A text proves nothing by itself: the same may have been sent before, as another reply or by a person. So a record is
evidence only if it went to the same contact, at a time when the send may have left, and under an id that no other reply
owns.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import msgspec

from actors.text import plain_text

CLOCK_TOLERANCE_SECONDS = 5
"""How much older than the send a record may seem, by the gateway's own clock: it counts in whole seconds."""

UNKNOWN_CLOCK_TOLERANCE_SECONDS = 600
"""The same where the gateway does not say what its clock shows.

Generous, since a wrong match is nearly impossible (same contact, same text, an id that no other reply owns), and a
missed match sends a reply twice.
"""


class SentRecord(msgspec.Struct, frozen=True):
    """One message of the business, as the gateway recorded it."""

    id: str
    sent_at: int
    """Unix seconds, by the gateway's clock."""
    contacts: Collection[str]
    """Whom it went to, under every name the record gives."""
    text: str


def tolerance_seconds(clock_ahead_seconds: float | None) -> int:
    return UNKNOWN_CLOCK_TOLERANCE_SECONDS if clock_ahead_seconds is None else CLOCK_TOLERANCE_SECONDS


def earliest(since_seconds: float, clock_ahead_seconds: float | None) -> int:
    """From when on a record may be that of a send, by the gateway's clock, in Unix seconds.

    Args:
      since_seconds: the first claim of the send, by our clock.
      clock_ahead_seconds: how far the gateway's clock is ahead of ours; None: it does not say.
    """
    return math.floor(since_seconds + (clock_ahead_seconds or 0.0)) - tolerance_seconds(clock_ahead_seconds)


def oldest(
    newest_first: Iterable[SentRecord],
    contact: str,
    text: str,
    from_seconds: int,
    owned: Collection[str],
    until_seconds: float = math.inf,
) -> SentRecord | None:
    """The record under which `text` went to `contact`, and which no other reply owns; None if there is none.

    If there are several, the oldest, because replies are sent in order: an older one without an owner was sent first.

    Args:
      newest_first: in the gateway's own order: its timestamps alone do not tell the order within a second.
      from_seconds: older records do not count, nor do those later than `until_seconds`.
      owned: ids of messages that are known to be others.
    """
    wanted = plain_text(text).strip()
    matches = [
        (record.sent_at, -place, record)
        for place, record in enumerate(newest_first)
        if from_seconds <= record.sent_at <= until_seconds
        and contact in record.contacts
        and record.id not in owned
        and plain_text(record.text).strip() == wanted
    ]
    return min(matches, key=lambda match: match[:2])[2] if matches else None
