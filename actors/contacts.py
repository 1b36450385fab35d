"""Who is a customer of an instance, by the numbers that its settings list. Pure, total.

A number is digits with country code, a prefix is digits and `*`. A LID whose number is unknown is none of them: it is
on no list of those to be ignored, and not yet on a list of those to be answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from actors.identity import is_lid, is_playground, phone_number
from actors.instance import Terms

IGNORED = "ignored_contact"
NOT_ALLOWED = "not_allowed_contact"
STAFF = "staff"
OWN_INSTANCE = "own_instance"

RULES = (IGNORED, NOT_ALLOWED, STAFF, OWN_INSTANCE)
"""Of turns whose writer is no customer."""

ALLOWED = (
    "must be a phone number with its country code, e.g. '+966 50 000 0001', or how such numbers begin and *, "
    "e.g. '+966 50*'"
)

_BETWEEN_DIGITS = re.compile(r"[\s().-]")
_PREFIX = re.compile(r"[1-9][0-9]{0,14}")


def pattern(written: str) -> str | None:
    """A number, or a prefix that ends in `*`, as people write it, in one spelling; None: it is neither."""
    if not written.rstrip().endswith("*"):
        return phone_number(written.strip())
    digits = _BETWEEN_DIGITS.sub("", written.strip()[:-1]).removeprefix("+")
    return f"{digits}*" if _PREFIX.fullmatch(digits) else None


def patterns(written: Iterable[str]) -> tuple[str, ...]:
    """Those of `written` that are numbers or prefixes, in one spelling."""
    return tuple(one for one in map(pattern, written) if one is not None)


def rule(contact: str, terms: Terms) -> str:
    """By which rule of the settings `contact` is no customer; empty: it is one.

    A customer that the playground made up is one in any case: an operator wants to see what a customer would get.
    """
    if is_playground(contact):
        return ""
    if _listed(contact, terms.contacts.ignore):
        return IGNORED
    if not terms.contacts.answer_staff and contact in terms.notify_numbers:
        return STAFF
    if terms.contacts.allow and not _listed(contact, terms.contacts.allow):
        return NOT_ALLOWED
    return ""


def _listed(contact: str, listed: Sequence[str]) -> bool:
    if is_lid(contact):
        return False
    return any(contact.startswith(one[:-1]) if one.endswith("*") else contact == one for one in listed)
