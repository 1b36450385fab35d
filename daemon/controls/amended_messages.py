"""Whose message an edit or a deletion is about. Gateways name it by its id; its chat they tell from varying sides.

In this order: what this daemon stored lately, what the ledger heard, what the business sent, what the gateway says.
Then the event is to come again, for a while: its message may be on its way, or wait at another daemon, which has not
frozen it yet. That is counted from when it was first seen here, for its own time is that of somebody's telephone. After
that it is searched for once more in all that waits, in one search for all that ask meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from math import inf

import trio

from actors.errors import AmendedMessageUnknown, LedgerUnavailable
from actors.identity import Conversation
from daemon.ingress.inbound import Amendment
from daemon.ingress.lately import Lately
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

OWN_EDIT = "own_edit"
UNKNOWN_TARGET = "unknown_target"
"""Why an amendment changes nothing."""

COMES_AGAIN_SECONDS = 60.0
"""For so long an event's message may be unknown to everybody. A window is shorter, and so are most turns."""
REST_SECONDS = 1.0
"""From one search to the next: each asks for every conversation with anything pending."""
MAX_ASKED = 1_000
MAX_RECENT = 10_000

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
        OR EXISTS (SELECT FROM majlis_own_messages WHERE instance = $1 AND message_id = $2)
        OR EXISTS (SELECT FROM majlis_takeovers WHERE instance = $1 AND $2 = ANY (message_ids))
"""


WaitsIn = Callable[[Collection[tuple[str, str]]], Awaitable[Mapping[tuple[str, str], Conversation]]]
"""Searches all that waits in the mirror for messages: instances and ids. Those that wait nowhere are left out."""


class AmendedMessages:
    """Finds the conversation of an edit or a deletion."""

    def __init__(
        self,
        db: Postgres,
        recent: Lately[str],
        waits_in: WaitsIn,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`recent`: the contacts of the messages that this daemon stored or recovered lately. `wall`: Unix seconds."""
        self._db = db
        self._recent = recent
        self._waits_in = waits_in
        self._wall = wall
        self._first_seen = Lately[float](MAX_ASKED)
        self._search = trio.Lock()
        self._wanted: set[tuple[str, str]] = set()
        """What the next search is to find."""
        self._found: Mapping[tuple[str, str], Conversation | None] = {}
        """By the last one; empty if it failed."""
        self._rests_until = -inf

    async def conversation_of(self, amendment: Amendment) -> Conversation | str:
        """Where the message is, or why it is none of a customer's.

        Raises:
          AmendedMessageUnknown: nobody knows it yet; the event is to come again.
          Unavailable: a store is away.
        """
        instance, target = amendment.instance, amendment.target
        contact = self._recent.get(instance, target)
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
        now, first_seen = self._wall(), self._first_seen.get(instance, amendment.id)
        if first_seen is None:
            self._first_seen.note(instance, amendment.id, now)
        if first_seen is None or abs(now - first_seen) < COMES_AGAIN_SECONDS:
            raise AmendedMessageUnknown("the message that was edited or deleted is not here yet")
        return await self._waiting(instance, target) or UNKNOWN_TARGET

    async def _waiting(self, instance: str, target: str) -> Conversation | None:
        """Where it waits, by a search that began after it was asked for."""
        wanted = (instance, target)
        self._wanted.add(wanted)
        async with self._search:
            if wanted in self._wanted or wanted not in self._found:
                self._found = {}
                await trio.sleep_until(self._rests_until)
                asked, self._wanted = {wanted, *self._wanted}, set()
                self._found = {**dict.fromkeys(asked), **await self._waits_in(asked)}
                self._rests_until = trio.current_time() + REST_SECONDS
            return self._found[wanted]

    async def _in_ledger(self, instance: str, target: str) -> Conversation | str | None:
        any_contact, id = storable(Conversation(instance, "").key), storable(target)
        if key := await self._db.value(_HEARD, any_contact, id):
            return Conversation.from_key(key)
        return OWN_EDIT if await self._db.value(_OWN, storable(instance), id) else None
