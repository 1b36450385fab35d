"""Reading what a peer answered. Pure and total: no body and no header makes any of this raise."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

MAX_RETRY_AFTER_SECONDS = 3600.0

_DECODER = msgspec.json.Decoder(float_hook=float)
"""Floats are read by Python: msgspec's own way is slow where a number has a great exponent."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer, whatever its status. Header names are lower case; its repr shows the status alone."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> object:
        return readable_json(self.body)

    @property
    def retry_after_seconds(self) -> float | None:
        wish = self.headers.get("retry-after")
        if wish is None:
            return None
        # A date in it is by the peer's clock, which may not be ours.
        return retry_after_seconds(wish, self._date or datetime.now(UTC))

    @property
    def date_seconds(self) -> float | None:
        """What the peer's clock showed as it answered, Unix seconds without a fraction; None: it does not say."""
        return self._date.timestamp() if self._date else None

    @property
    def _date(self) -> datetime | None:
        return _moment(self.headers.get("date", ""))


def fields(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case names. What comes several times is one, with commas."""
    found: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def readable_json(body: bytes) -> object:
    """What `body` says as JSON; None when it says nothing readable, or nests too deeply.

    What msgspec refuses, the standard library may still read: half an emoji as an escape, NaN, UTF-16.
    """
    try:
        return _DECODER.decode(body)
    except RecursionError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def dig(value: object, *path: str | int) -> object:
    """What stands at `path` inside decoded JSON; None when a step is missing or of another type."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and 0 <= step < len(value) else None
    return value


def retry_after_seconds(value: str, now: datetime) -> float | None:
    """A `Retry-After` header, seconds or HTTP date, as seconds from `now`; None when absent or unreadable.

    At most `MAX_RETRY_AFTER_SECONDS`: a peer's wish must not park a conversation for a day.
    """
    try:
        seconds = float(value)
    except ValueError:
        moment = _moment(value)
        if moment is None:
            return None
        seconds = (moment - now).total_seconds()
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _moment(value: str) -> datetime | None:
    """An HTTP date; None when it is none."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
