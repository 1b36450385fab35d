"""Who a message is from, and where its conversation lives. Pure.

A contact is the canonical phone number (digits only), or `<digits>@lid` while the phone number behind a
WhatsApp LID is not known. A conversation is one instance and one contact.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

MAX_INSTANCE_CHARS = 128
"""The longest name of an instance, from any source."""

_BETWEEN_DIGITS = re.compile(r"[\s().-]")
_PHONE_NUMBER = re.compile(r"[1-9][0-9]{5,14}")
_PLAYGROUND = re.compile(r"999[0-9]{12}")
_TWO_FORMS = (
    (re.compile(r"(55[1-9][1-9])9([6-9][0-9]{7})"), r"\1\2"),
    (re.compile(r"(55[1-9][1-9])([6-9][0-9]{7})"), r"\g<1>9\2"),
    (re.compile(r"(52)1([2-9][0-9]{9})"), r"\1\2"),
    (re.compile(r"(52)([2-9][0-9]{9})"), r"\g<1>1\2"),
    (re.compile(r"(54)9([1-3][0-9]{9})"), r"\1\2"),
    (re.compile(r"(54)([1-3][0-9]{9})"), r"\g<1>9\2"),
)
"""What one address of a number looks like, and the other one. No number fits two of these."""


class Conversation(NamedTuple):
    """One instance and one contact; the unit of order, of the window and of ownership."""

    instance: str
    contact: str

    @property
    def key(self) -> str:
        """`instance/contact`, percent-encoded, so that no user text can break a Redis key or inject a hash tag."""
        return _key(self)

    @classmethod
    def from_key(cls, key: str) -> Conversation:
        """The inverse of `key`.

        Raises:
          ValueError: the key is not `instance/contact`.
        """
        instance, slash, contact = key.partition("/")
        if not slash or not instance or not contact:
            raise ValueError("a conversation is written instance/contact")
        return cls(unquote(instance), unquote(contact))

    def partition(self, partitions: int) -> int:
        """Stable across processes, machines and Python versions (blake2b, not `hash()`)."""
        return _digest(self) % partitions

    def label(self, install_id: str) -> str:
        """A short keyed hash for logs: the same everywhere in one install, of no use outside it."""
        return hashlib.blake2b(self.key.encode(), digest_size=5, key=install_id.encode()[:64]).hexdigest()


@lru_cache(maxsize=16_384)
def _key(conversation: Conversation) -> str:
    return f"{quote(conversation.instance, safe='')}/{quote(conversation.contact, safe='')}"


@lru_cache(maxsize=16_384)
def _digest(conversation: Conversation) -> int:
    """Cached: every message of a conversation asks for it several times."""
    return int.from_bytes(hashlib.blake2b(conversation.key.encode(), digest_size=8).digest(), "big")


def canonical_contact(jid: str) -> str:
    """The contact behind a JID: digits of a phone JID without device suffix, or `<digits>@lid`.

    Total and idempotent: `5511999@s.whatsapp.net`, `5511999:12@s.whatsapp.net`, `+5511999` and `5511999` are
    one contact. Anything that is neither comes back lower-cased and stripped.
    """
    text = jid.strip().lower()
    user, at, server = text.partition("@")
    user = user.partition(":")[0].strip().lstrip("+").strip()
    if server == "lid":
        return f"{user}@lid"
    if not at or server in ("s.whatsapp.net", "c.us"):
        return user or text
    return f"{user}@{server}"


def phone_number(written: str) -> str | None:
    """The digits of a phone number as people write it: `+966 50-000 0001` is `966500000001`; None: it is none.

    Country codes begin with no 0: with one it is a number as it is dialled at home, of no use to WhatsApp.
    """
    digits = _BETWEEN_DIGITS.sub("", written).removeprefix("+")
    return digits if _PHONE_NUMBER.fullmatch(digits) else None


def number_forms(contact: str) -> tuple[str, ...]:
    """The addresses under which WhatsApp may know the number of a contact: the given one, then the other, if any.

    One person writes from the one and is written to at the other, for gateways rewrite what they are given. In SQL
    this is `majlis_number_forms` (032).

    Brazil: between 2012 and 2016 mobile numbers got a ninth digit, a 9 in front (ANATEL, resolution 553/2010).
    Accounts from before have JIDs without it to this day (Baileys issue 1997, whatsapp-web.js issue 596, WAHA issue
    238), and Evolution API removes it from numbers that it is to send to: area codes from 31 on, digits from 7 on
    (`formatBRNumber`). Old mobile numbers begin with 6 to 9, landlines with 2 to 5; area codes have no 0.

    Mexico: `52 1` and ten digits, as mobiles were dialled from abroad until 2019. JIDs have kept the 1, address books
    and the Cloud API have dropped it, and so does Evolution API (`formatMXOrARNumber`: the third of 13 digits).

    Argentina: `54 9` and ten digits, as mobiles are dialled from abroad. JIDs have the 9; the same function of
    Evolution API drops it. The `15` of calls at home comes from no gateway. Area codes begin with 1 to 3.
    """
    for form, other in _TWO_FORMS:
        if found := form.fullmatch(contact):
            return contact, found.expand(other)
    return (contact,)


def is_playground(contact: str) -> bool:
    """A customer that the dashboard's playground made up: no country has the code 999.

    What is for such a customer never leaves the daemon, and no person is called for one.
    """
    return _PLAYGROUND.fullmatch(contact) is not None


def is_lid(contact: str) -> bool:
    return contact.endswith("@lid")
