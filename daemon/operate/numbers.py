"""Whose conversation an operator means: a number as people write it, or the gateway's own id for a contact.

Laws of this file:
1. Nothing that is refused here reaches the ledger: a command for nobody would do nothing and look as if it had.
2. A number with its country code stands by itself. One as it is dialled at home needs the country of its instance
   (`country`), and without it is refused: it may be anybody's.
"""

from __future__ import annotations

import unicodedata

from actors.errors import Missing
from actors.identity import canonical_contact, is_playground, phone_number

MAX_CHARS = 128
_ADVICE = "write it with its country code, e.g. +966 55 111 0007"


def contact_of(written: str, country: str = "") -> str:
    """The canonical contact that is written: digits with country code, or the gateway's id.

    Args:
      written: as people write it: `+966 55 111 0007`, `00966…`, `055-111-0007` where `country` is SA, in any digits; or
        what a gateway calls a contact: `…@s.whatsapp.net`, `…@lid`.
      country: two letters (ISO 3166-1), for numbers without a country code; empty: none.

    Raises:
      Missing: it is nobody; the text says what to write.
    """
    text = "".join(_plain(char) for char in written[:MAX_CHARS]).strip()
    if "@" in text:
        contact = canonical_contact(text)
        if not contact.partition("@")[0].isdigit():
            raise Missing(f"{_shown(written)} is no contact: write its digits before the @")
        return contact
    if any(char.isalpha() for char in text):
        raise Missing(f"{_shown(written)} is no phone number: {_ADVICE}")
    digits = phone_number(text) or ""
    if is_playground(digits):
        return digits
    if text.startswith("+"):
        found = _international(text) or digits
    elif text.lstrip("(").startswith("0"):
        found = _international("+" + text.lstrip("(0")) if text.lstrip("(").startswith("00") else ""
        found = found or _national(text, country)
    else:
        found = _international(f"+{text}") or _national(text, country) or digits
    if found:
        return found
    if text.lstrip("(").startswith("0") and not country:
        raise Missing(
            f"{_shown(written)} has no country code: {_ADVICE}, or set the country of the instance (country)"
        )
    raise Missing(f"{_shown(written)} is no phone number: {_ADVICE}")


def _plain(char: str) -> str:
    """Any digit as one of 0 to 9; no marks of direction, which come along when a number is copied out of a chat."""
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if unicodedata.category(char) == "Cf":
        return ""
    return " " if char.isspace() else char


def _international(text: str) -> str:
    return _parsed(text, None)


def _national(text: str, country: str) -> str:
    return _parsed(text, country) if country else ""


def _parsed(text: str, country: str | None) -> str:
    """Its digits, if there is such a number; else nothing."""
    import phonenumbers  # its tables take a moment to load, and few commands name a number

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)).removeprefix("+")


def _shown(written: str) -> str:
    """What was typed, short: the person who typed it reads it, and nobody else."""
    return repr(written if len(written) <= 40 else f"{written[:40]}…")
