"""Whose message an edit or a deletion is about. Gateways name it by its id; its chat they tell from varying sides.

In this order: what this daemon stored lately, what the ledger heard, what the business sent, what the gateway says.
Then the event is to come again, for a while: its message may be on its way, or wait at another daemon, which has not
frozen it yet. After that it is searched for once more in all that waits.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import trio

from actors.errors import AmendedMessageUnknown, LedgerUnavailable
from actors.identity import Conversation
from actors.messages import Message
from daemon.ingress.inbound import Amendment
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

OWN_EDIT = "own_edit"
UNKNOWN_TARGET = "unknown_target"
"""Why an amendment changes nothing."""

COMES_AGAIN_SECONDS = 60.0
"""So old an event may be, and its message still be unknown to everybody. A window is shorter, and so are most turns."""
MAX_ASKED = 1_000
MAX_RECENT = 10_000
"""Twice so many messages are remembered at the most."""

# OFFSET 0: one look into the index, also by a plan that was made when the tables were empty.
_HEARD = """
    SELECT conversation_key AS key
    FROM (SELECT conversation_key, turn_id FROM majlis_heard WHERE message_id = $2 OFFSET 0) h
    WHERE starts_with(conversation_key, $1) ORDER BY turn_id DESC LIMIT 1
"""
_OWN = """
    SELECT EXISTS (SELECT FROM (SELECT turn_id FROM majlis_outbox WHERE gateway_message_id = $2 OFFSET 0) o
                   JOIN majlis_turns t ON t.id = o.turn_id WHERE t.instance = $1)
        OR EXISTS (SELECT FROM (SELECT instance FROM majlis_notices WHERE gateway_message_id = $2 OFFSET 0) n
                   WHERE n.instance = $1)
        OR EXISTS (SELECT FROM majlis_takeovers WHERE instance = $1 AND $2 = ANY (message_ids))
"""


class RecentMessages:
    """Where the messages are that this daemon stored or recovered lately. Bounded: the older half goes at once."""

    def __init__(self) -> None:
        self._new: dict[tuple[str, str], str] = {}
        self._old: dict[tuple[str, str], str] = {}

    def note(self, message: Message) -> None:
        """Remember where it went."""
        if len(self._new) >= MAX_RECENT:
            self._old, self._new = self._new, {}
        self._new[message.instance, message.id] = message.contact

    def contact_of(self, instance: str, message_id: str) -> str | None:
        """Whose message it is; None: it is not remembered."""
        key = (instance, message_id)
        return self._new.get(key) or self._old.get(key)


class AmendedMessages:
    """Finds the conversation of an edit or a deletion."""

    def __init__(
        self,
        db: Postgres,
        recent: RecentMessages,
        waits_in: Callable[[str, str], Awaitable[Conversation | None]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`waits_in` searches all that waits in the mirror: instance, message id. `wall`: Unix seconds."""
        self._db = db
        self._recent = recent
        self._waits_in = waits_in
        self._wall = wall
        self._asked: dict[tuple[str, str], float] = {}
        """When an event without a time was first seen."""
        # One at a time: a search asks for every conversation with anything pending.
        self._searching = trio.Lock()

    async def conversation_of(self, amendment: Amendment) -> Conversation | str:
        """Where the message is, or why it is none of a customer's.

        Raises:
          AmendedMessageUnknown: nobody knows it yet; the event is to come again.
          Unavailable: a store is away.
        """
        instance, target = amendment.instance, amendment.target
        contact = self._recent.contact_of(instance, target)
        if contact is not None:
            return Conversation(instance, contact)
        told = Conversation(instance, amendment.contact) if amendment.contact else None
        try:
            found = await self._in_ledger(instance, target)
        except LedgerUnavailable:
            if told is None:
                raise
            found = None  # the gateway is sure, and a customer's word does not wait for the ledger
        if found := found or told:
            return found
        if abs(self._wall() - (amendment.sent_at or self._first_seen(amendment))) < COMES_AGAIN_SECONDS:
            raise AmendedMessageUnknown("the message that was edited or deleted is not here yet")
        async with self._searching:
            return await self._waits_in(instance, target) or UNKNOWN_TARGET

    def _first_seen(self, amendment: Amendment) -> float:
        """Forgotten with all others where there are too many: then they come again for longer."""
        key = (amendment.instance, amendment.id)
        if key not in self._asked and len(self._asked) >= MAX_ASKED:
            self._asked.clear()
        return self._asked.setdefault(key, self._wall())

    async def _in_ledger(self, instance: str, target: str) -> Conversation | str | None:
        any_contact, id = storable(Conversation(instance, "").key), storable(target)
        if key := await self._db.value(_HEARD, any_contact, id):
            return Conversation.from_key(key)
        return OWN_EDIT if await self._db.value(_OWN, storable(instance), id) else None
