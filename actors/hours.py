"""When a business is open: the lines of the setting `hours`, read, and what they say of one moment. Pure.

A line names days, and then when it is open on them: `sun-thu 09:00-22:00`, `sat 09:00-12:00 16:00-22:00`,
`mon,wed 20:00-02:00` (until two in the night after), `fri closed`. `daily` names every day that no other line names.
A day that no line names is closed.

Laws of this file:
1. Spans are wall times of the instance's zone. A day on which the clocks change has 23 or 25 hours, and what opens at
   nine opens at nine on it.
2. A span belongs to the day on which it begins. Spans that touch or overlap are one: it does not close between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MAX_LINES = 32
MAX_LINE_CHARS = 200
_DAILY = "daily"
_CLOSED = "closed"
_DAY_MINUTES = 24 * 60
_DASH = re.compile(r"[-–—]")
_TIME = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
_AHEAD_DAYS = 8
"""Whatever happens in a week happens within these."""


class OpenSpan(NamedTuple):
    """Minutes after the midnight with which its day begins."""

    opens: int
    closes: int
    """Beyond 1440: in the night after."""


Week = tuple[tuple[OpenSpan, ...], ...]
"""The spans of each day, Monday first."""


class BadHours(ValueError):
    """A line that cannot be read. `place` is its index; the text says what it must be."""

    def __init__(self, place: int, allowed: str) -> None:
        super().__init__(allowed)
        self.place = place


class Openness(msgspec.Struct, frozen=True):
    """What holds at one moment."""

    is_open: bool
    changes_at: datetime | None
    """When it closes or opens next, in the instance's zone; None: not within a week."""


def read(lines: Sequence[str]) -> Week:
    """Raises: BadHours."""
    named: dict[int, tuple[OpenSpan, ...]] = {}
    otherwise: tuple[OpenSpan, ...] | None = None
    if len(lines) > MAX_LINES:
        raise BadHours(MAX_LINES, f"must be left out: {MAX_LINES} lines are the most")
    for place, line in enumerate(lines):
        days, spans = _line(place, line)
        if days is None:
            if otherwise is not None:
                raise BadHours(place, f"must be one line with the other {_DAILY}: write all its times there")
            otherwise = spans
            continue
        for day in days:
            if day in named:
                short = DAYS[day][:3].lower()
                raise BadHours(
                    place, f"must name each day once: {short} has another line; write all its times there"
                )
            named[day] = spans
    return tuple(named.get(day, otherwise or ()) for day in range(7))


@lru_cache(maxsize=1024)
def week(lines: tuple[str, ...]) -> Week | None:
    """As `read`; None for what cannot be read, which no checked setting holds."""
    try:
        return read(lines)
    except BadHours:
        return None


def openness(week: Week, zone: ZoneInfo, now: datetime) -> Openness:
    """What `week` says of `now`, which has a zone, whichever."""
    today = now.astimezone(zone).date()
    closes: datetime | None = None
    for opens_at, closes_at in _stretches(week, zone, today):
        if closes_at <= now:
            continue
        if closes is None and opens_at > now:
            return Openness(False, opens_at.astimezone(zone))
        if closes is not None and opens_at > closes:
            return Openness(True, closes.astimezone(zone))
        closes = closes_at if closes is None else max(closes, closes_at)
    if closes is None:
        return Openness(False, None)
    always = closes.astimezone(zone).date() >= today + timedelta(days=_AHEAD_DAYS)
    return Openness(True, None if always else closes.astimezone(zone))


def _stretches(week: Week, zone: ZoneInfo, today: date) -> Iterator[tuple[datetime, datetime]]:
    """When it is open from yesterday on, in UTC, in order. One that the change of the clocks swallows is left out."""
    for ahead in range(-1, _AHEAD_DAYS + 1):
        day = today + timedelta(days=ahead)
        for span in week[day.weekday()]:
            opens_at, closes_at = (_moment(day, minutes, zone) for minutes in span)
            if opens_at < closes_at:
                yield opens_at, closes_at


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The wall time, in UTC. One that comes twice is its first coming."""
    days, within = divmod(minutes, _DAY_MINUTES)
    wall = datetime.combine(day + timedelta(days=days), time(within // 60, within % 60), zone)
    return wall.astimezone(UTC)


def _line(place: int, line: str) -> tuple[frozenset[int] | None, tuple[OpenSpan, ...]]:
    """The days (None: daily) and the spans of one line."""
    if len(line) > MAX_LINE_CHARS:
        raise BadHours(place, f"must be shorter: {MAX_LINE_CHARS} characters are the most")
    # "sun - thu" and "09:00 – 22:00" are as good as without blanks.
    words = "-".join(part.strip() for part in _DASH.split(line.lower())).split()
    first = next((at for at, word in enumerate(words) if word == _CLOSED or word[0].isdigit()), len(words))
    days, times = "".join(words[:first]), words[first:]
    if not days or not times:
        raise BadHours(place, "must be days and then times, e.g. 'sun-thu 09:00-22:00' or 'fri closed'")
    spans = () if times == [_CLOSED] else tuple(sorted(_span(place, word) for word in times))
    return (None if days == _DAILY else frozenset(_days(place, days)), spans)


def _days(place: int, written: str) -> Iterator[int]:
    for part in written.split(","):
        if not part:  # a comma at the end
            continue
        first, dash, last = part.partition("-")
        begin = _day(place, first)
        end = _day(place, last) if dash else begin
        yield from ((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _day(place: int, written: str) -> int:
    for number, name in enumerate(DAYS):
        if len(written) >= 3 and name.lower().startswith(written):
            return number
    raise BadHours(place, f"must name days as mon, tue, wed, thu, fri, sat, sun or {_DAILY}")


def _span(place: int, written: str) -> OpenSpan:
    opens, dash, closes = written.partition("-")
    begin, end = _TIME.fullmatch(opens), _TIME.fullmatch(closes)
    if not (dash and begin and end):
        raise BadHours(place, "must have times like 09:00-22:00, of 24 hours, each with its minutes")
    span = OpenSpan(*(int(hour) * 60 + int(minute) for hour, minute in (begin.groups(), end.groups())))
    if span.opens >= _DAY_MINUTES or span.closes > _DAY_MINUTES:
        raise BadHours(place, "must have times from 00:00 to 24:00, and open before 24:00")
    if span.opens == span.closes:
        raise BadHours(place, "must close at another time than it opens; all day is 00:00-24:00")
    return span if span.closes > span.opens else OpenSpan(span.opens, span.closes + _DAY_MINUTES)
