"""Reads JSON of any origin, however odd. Pure.

Laws of this file:

1. `decode` either returns a JSON value or raises `NotJson`; no other exception leaves it.
2. All other functions are total: a wrong type reads as absent, never as an error.
3. What `clean` lets through can be stored in Postgres and encoded as UTF-8: no NUL, no lone surrogate.
"""

from __future__ import annotations

import json
import math
from typing import Literal

import msgspec

from actors.errors import MajlisError

JsonObject = dict[str, object]
NotJsonReason = Literal["not_utf8", "not_json", "too_deep"]

_UTF8_BOM = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder(float_hook=float)
"""Floats are read by Python: msgspec's own way takes 10 µs for a `9e300`, and a body has room for 170,000 of them."""


class NotJson(MajlisError):
    """These bytes are not JSON text in UTF-8. `reason` is a stable word."""

    def __init__(self, reason: NotJsonReason) -> None:
        super().__init__(reason)
        self.reason: NotJsonReason = reason


def decode(body: bytes) -> object:
    """The JSON value in `body`; a UTF-8 byte order mark may precede it. Of duplicate keys the last counts.

    msgspec reads what gateways really send. What it refuses is read again by the standard library, because
    JavaScript writes a lone surrogate (an emoji cut in two) as an escape that only the latter accepts.

    Raises:
      NotJson: not UTF-8, nested too deep, or not JSON.
    """
    body = body.removeprefix(_UTF8_BOM)
    reason: NotJsonReason
    # The errors of both decoders hold the document itself, so nothing is raised while one of them is handled: it would
    # become the context of ours.
    try:
        return _DECODER.decode(body)
    except UnicodeDecodeError:
        reason = "not_utf8"
    except RecursionError:
        reason = "too_deep"
    except msgspec.DecodeError:
        reason = "not_json"
    if reason == "not_json":
        return decode_again(body)
    raise NotJson(reason)


def decode_again(body: bytes) -> object:
    """As `decode`, for what msgspec has refused already.

    Raises:
      NotJson: as `decode`.
    """
    reason: NotJsonReason
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        reason = "not_utf8"
    except RecursionError:
        reason = "too_deep"
    except ValueError:  # not JSON, or an integer of more digits than Python converts
        reason = "not_json"
    raise NotJson(reason)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def mapping(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def integer(value: object) -> int | None:
    """A whole number as protobuf's JavaScript may write it: 123, "123", 123.0, {low, high, unsigned}."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return _integer_in(value)
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return _integer_of_halves(value)
    return None


def _integer_in(value: str) -> int | None:
    if (
        len(value) > 32
    ):  # longer than any number worth reading; conversion grows with the square of the length
        return None
    try:
        number = float(value)
        return int(value) if value.strip().isdecimal() else int(number)
    except (ValueError, OverflowError):  # no number; not finite
        return None


def _integer_of_halves(value: JsonObject) -> int | None:
    low, high = value.get("low"), value.get("high", 0)
    if not isinstance(low, int) or not isinstance(high, int):
        return None
    bits = (high & 0xFFFF_FFFF) << 32 | (low & 0xFFFF_FFFF)
    signed = not value.get("unsigned") and bits >= 1 << 63
    return bits - (1 << 64) if signed else bits


def clean(value: str, max_chars: int) -> str:
    """At most `max_chars` characters, without NUL; a lone surrogate becomes U+FFFD."""
    value = value[:max_chars].replace("\x00", "")
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def line(value: object, max_chars: int = 256) -> str:
    """A name or title on one line: whitespace runs, line breaks among them, become one space."""
    return " ".join(clean(text(value), max_chars).split())
