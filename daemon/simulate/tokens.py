"""Matches replies to messages: every text has a short token, which an echoing responder repeats. Pure.

`#k3x9a-12-31` is message 31 of customer 12 in the run `k3x9a`. Every run has a mark of its own: late replies to an
earlier run are not mistaken for replies to this one, and the daemon does not take its messages for duplicates.
"""

from __future__ import annotations

import re

import msgspec

_TOKEN = re.compile(r"#([0-9a-z]+)-(\d{1,9})-(\d{1,9})(?!\d)")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_CONTACT = re.compile(r"999(\d{9})")


class Token(msgspec.Struct, frozen=True):
    mark: str
    customer: int
    serial: int


def mark_of(moment: int) -> str:
    """The mark of a run: its start time in base 36."""
    digits = ""
    while moment:
        moment, rest = divmod(moment, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"


def token(mark: str, customer: int, serial: int) -> str:
    return f"#{mark}-{customer}-{serial}"


def tokens_in(text: str) -> list[Token]:
    """The tokens in `text`, in order."""
    return [Token(mark, int(customer), int(serial)) for mark, customer, serial in _TOKEN.findall(text)]


def contact_of(customer: int) -> str:
    """A phone number that nobody has: country code 999 is not assigned."""
    return f"999{customer:09d}"


def customer_of(number: str) -> int | None:
    """The customer with this phone number; None if it is not one of the rehearsal."""
    found = _CONTACT.fullmatch(number.partition("@")[0])
    return int(found[1]) if found else None
