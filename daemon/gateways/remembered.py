"""What Majlis itself is sending or has just sent, in memory: gateways tell us of our own messages too.

A gateway reports each message that it sends, ours among them, and often before it has answered the request. To know
ours again from memory spares the ledger a question for every reply. What is not known here may still be ours, sent by
another daemon or before a restart: then the ledger knows.
"""

from __future__ import annotations

from actors.identity import Conversation
from actors.outcome import SendEvidence, SendOutcome, Sent
from actors.ports import Gateway, MaySend, at_any_time
from actors.text import plain_text
from daemon.ingress.inbound import OwnMessage
from daemon.ingress.lately import Lately

LEAST_IDS = 10_000
"""Of the latest sends, at the least. At 50 replies a second, those of three minutes."""


class RememberedSends:
    """A gateway that remembers what goes through it. Every send must go through it: replies and notices alike."""

    def __init__(self, gateway: Gateway, least_ids: int = LEAST_IDS) -> None:
        self._gateway = gateway
        self._under_way: dict[tuple[str, str], list[str]] = {}
        """To whom a text is being sent, by instance and text."""
        self._sent = Lately[bool](least_ids)
        """Of the latest sends, by their ids."""

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        said = (conversation.instance, _compared(text))
        self._under_way.setdefault(said, []).append(conversation.contact)
        try:
            outcome = await self._gateway.send(conversation, text, may_send, origin, key)
            if isinstance(outcome, Sent) and outcome.message_id:
                self._sent.note(conversation.instance, outcome.message_id, True)
            return outcome
        finally:
            contacts = self._under_way[said]
            contacts.remove(conversation.contact)
            if not contacts:
                del self._under_way[said]

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        return await self._gateway.find(conversation, text, since_ms, known_ids, origin)

    def is_ours(self, own: OwnMessage) -> bool:
        """Whether this daemon sends or has just sent the message. False says nothing."""
        if self._sent.get(own.instance, own.id):
            return True
        contacts = self._under_way.get((own.instance, _compared(own.text))) if self._under_way else None
        if not contacts:
            return False
        # A gateway may spell a number otherwise than it got it, or know it by its LID. A program that sends the very
        # words at the very moment to somebody else is less likely than that.
        return own.sender == "program" or not {own.contact, own.lid}.isdisjoint(contacts)


def _compared(text: str) -> str:
    return " ".join(plain_text(text).split())
