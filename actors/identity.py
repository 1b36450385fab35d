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


class Conversation(NamedTuple):
    """One instance and one contact; the unit of order, of the window and of ownership."""

    instance: str
    contact: str

    @property
    def key(self) -> str:
        """`instance/contact`, percent-encoded, so that no user text can break a Redis key or inject a hash tag."""
        return f"{quote(self.instance, safe='')}/{quote(self.contact, safe='')}"

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


def is_playground(contact: str) -> bool:
    """A customer that the dashboard's playground made up: no country has the code 999.

    What is for such a customer never leaves the daemon, and no person is called for one.
    """
    return _PLAYGROUND.fullmatch(contact) is not None


def is_lid(contact: str) -> bool:
    return contact.endswith("@lid")
