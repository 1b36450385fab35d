"""Who is a customer of an instance, by the numbers that its settings list. Pure, total.

A number is digits with country code, a prefix is digits and `*`. A number that WhatsApp knows under two addresses
(`number_forms`) is listed under either, unless `contacts.link_numbers` is off. A LID whose number is unknown is none of
them: it is on no list of those to be ignored, and not yet on a list of those to be answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from actors.identity import is_lid, is_playground, number_forms, phone_number
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
    forms = _forms(contact, terms)
    if _listed(forms, terms.contacts.ignore):
        return IGNORED
    if not terms.contacts.answer_staff and any(form in terms.notify_numbers for form in forms):
        return STAFF
    if terms.contacts.allow and not _listed(forms, terms.contacts.allow):
        return NOT_ALLOWED
    return ""


def has_priority(contact: str, terms: Terms) -> bool:
    """Whether the settings let `contact` go first within its instance."""
    listed = terms.contacts.priority
    return bool(listed) and _listed(_forms(contact, terms), listed)


def _forms(contact: str, terms: Terms) -> Sequence[str]:
    return number_forms(contact) if terms.contacts.link_numbers else (contact,)


def _listed(forms: Sequence[str], listed: Sequence[str]) -> bool:
    return any(_is_met(form, one) for form in forms if not is_lid(form) for one in listed)


def _is_met(contact: str, listed: str) -> bool:
    return contact.startswith(listed[:-1]) if listed.endswith("*") else contact == listed
