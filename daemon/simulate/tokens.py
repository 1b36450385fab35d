"""How a reply is matched to messages: a short token in every text, which an echoing responder repeats. Pure.

`#k3x9a-12-31` is the message 31 of customer 12 in the run `k3x9a`. Each run has a mark of its own, so that it never
takes a late reply to an earlier one for its own, and the daemon never takes its messages for repeated ones.
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
    """A run's mark: the moment it begins in base 36."""
    digits = ""
    while moment:
        moment, rest = divmod(moment, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"


def token(mark: str, customer: int, serial: int) -> str:
    return f"#{mark}-{customer}-{serial}"


def tokens_in(text: str) -> list[Token]:
    """The tokens in `text`, as they stand one after another."""
    return [Token(mark, int(customer), int(serial)) for mark, customer, serial in _TOKEN.findall(text)]


def contact_of(customer: int) -> str:
    """A phone number that nobody has: the country code 999 is not assigned."""
    return f"999{customer:09d}"


def customer_of(number: str) -> int | None:
    """The customer behind the number of a send; None: none of ours."""
    found = _CONTACT.fullmatch(number.partition("@")[0])
    return int(found[1]) if found else None
