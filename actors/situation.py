"""What holds while a customer writes: date, time, whether the business is open, who writes and where. Pure.

A person who answers knows these without being told; a model does not. They change from turn to turn, so they are told
last, right before the customer's words: all that a provider may have cached comes before.

Laws of this file:
1. Each part is told only where its setting says so; with none, nothing is said.
2. The name is the customer's own invention: one JSON string of bounded length, said to be from their profile. What has
   no letter is no name.
3. A zone that is not known is UTC, and is called so: no time is told under another zone's name.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from actors import hours
from actors.messages import Batch
from actors.ports import Question
from actors.prompt import json_line
from actors.text import shown_text

MAX_NAME_CHARS = 64
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_UTC = "UTC"
_MINUTE_MS = 60_000


class Clock(NamedTuple):
    """What an instance's clock shows."""

    now: datetime
    """In the instance's zone."""
    zone: str
    openness: hours.Openness | None
    """None: the instance has not said when it is open."""


def zone(name: str) -> ZoneInfo | None:
    """The zone of this name; None if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; no name at all; a folder of the database
        return None


_known_zone = lru_cache(maxsize=512)(zone)


def clock(question: Question) -> Clock | None:
    """None where it is not told."""
    terms = question.terms.context
    return _clock(terms.timezone, terms.hours, _minute(question)) if terms.clock and question.now_ms else None


def _minute(question: Question) -> int:
    """In which the attempt began, Unix time in milliseconds: nothing finer is told."""
    return question.now_ms // _MINUTE_MS * _MINUTE_MS


@lru_cache(maxsize=512)
def _clock(timezone: str, lines: tuple[str, ...], now_ms: int) -> Clock:
    """Kept, because a turn asks several times, and many turns in a minute."""
    found = _known_zone(timezone)
    name, where = (timezone, found) if found is not None else (_UTC, ZoneInfo(_UTC))
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    week = hours.week(lines) if lines else None
    return Clock(now.astimezone(where), name, None if week is None else hours.openness(week, where, now))


def situation(question: Question) -> str:
    """In whole sentences; empty where nothing of it is told."""
    terms = question.terms.context
    said: list[str] = []
    if terms.clock and question.now_ms:
        said += _told_clock(terms.timezone, terms.hours, _minute(question))
    name = told_name(question)
    if terms.clock or terms.customer_name:
        said.append(
            f"The customer writes on WhatsApp; their profile says that their name is {json_line(name)}."
            if name
            else "The customer writes on WhatsApp."
        )
    return " ".join(said)


def told_name(question: Question) -> str:
    """The customer's name, where it is told."""
    return customer_name(question.batch) if question.terms.context.customer_name else ""


def customer_name(batch: Batch) -> str:
    """As the profile of the latest message says; empty if it says none."""
    given = next((message.push_name for message in reversed(batch.messages) if message.push_name.strip()), "")
    name = " ".join(shown_text(given).split())[:MAX_NAME_CHARS].strip()
    return name if any(map(str.isalpha, name)) else ""


def _now(clock: Clock) -> str:
    offset = clock.now.strftime("%z")
    return (
        f"It is {_day(clock.now.date())}, {_time(clock.now)} in {clock.zone} (UTC{offset[:3]}:{offset[3:5]})."
    )


@lru_cache(maxsize=512)
def _told_clock(timezone: str, lines: tuple[str, ...], now_ms: int) -> tuple[str, ...]:
    shown = _clock(timezone, lines, now_ms)
    return _now(shown), *_opening(shown, lines)


def _opening(clock: Clock, hours_lines: tuple[str, ...]) -> tuple[str, ...]:
    if clock.openness is None:
        return ()
    lines = f"The business's opening hours: {'; '.join(hours_lines)}."
    changes_at = clock.openness.changes_at
    if changes_at is None:
        state = "Open now, day and night." if clock.openness.is_open else "Closed now, for a week at least."
    elif clock.openness.is_open:
        state = f"Open now; closes {_closing(changes_at, clock.now.date())}."
    else:
        state = f"Closed now; opens {_when(changes_at, clock.now.date())}."
    return lines, state


def _closing(moment: datetime, today: date) -> str:
    """The midnight that ends a day belongs to it: nobody says "tomorrow" who means tonight."""
    if moment.time() == time():
        return f"{_on(moment.date() - timedelta(days=1), today)} at midnight"
    return _when(moment, today)


def _when(moment: datetime, today: date) -> str:
    return f"{_on(moment.date(), today)} at {_time(moment)}"


def _on(day: date, today: date) -> str:
    if day == today:
        return "today"
    near = "tomorrow, " if day == today + timedelta(days=1) else "on "
    return f"{near}{_day(day)},"


def _day(day: date) -> str:
    return f"{hours.DAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"


def _time(moment: datetime) -> str:
    return f"{moment.hour:02}:{moment.minute:02}"
