"""Which LID belongs to which phone number, as this daemon learned recently: hints, in memory and bounded.

The ledger keeps all links.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from actors.identity import is_lid
from actors.messages import Message

MAX_LINKS = 100_000


class KnownLinks:
    """Implements `actors.ports.Identities`: LID → phone number, the least recently learned forgotten first."""

    def __init__(self, max_links: int = MAX_LINKS) -> None:
        self._phones: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._max_links = max_links

    def learn(self, instance: str, lid: str, phone: str) -> bool:
        """Learn a link; returns whether it was new."""
        key = (instance, lid)
        news = self._phones.get(key) != phone
        self._phones[key] = phone
        self._phones.move_to_end(key)
        if len(self._phones) > self._max_links:
            self._phones.popitem(last=False)
        return news

    def phone_of(self, instance: str, lid: str) -> str | None:
        return self._phones.get((instance, lid))

    def resolved(self, message: Message) -> Message:
        """`message`, moved to the phone number's conversation if it came under a LID whose number is known."""
        if not is_lid(message.contact):
            return message
        phone = self.phone_of(message.instance, message.contact)
        if phone is None:
            return message
        return msgspec.structs.replace(message, contact=phone, lid=message.contact)
