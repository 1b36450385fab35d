"""A person of the business writes in a conversation: Majlis falls silent there.

Laws of this file:
1. The take-over is durable when `begin` returns. Each turn checks for it, and so does every claim to send a part, so it
   applies at once and to every daemon. A part that was claimed a moment before is still sent.
2. A message that Majlis itself sent is no take-over, whichever way it comes back. One from before a hand-back is none.
3. The same message may come any number of times, and counts once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from actors.identity import Conversation
from actors.ports import Feed, FlagSource
from actors.text import plain_text
from daemon.ingress.inbound import OwnMessage
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

MAX_PAUSE_SECONDS = 10 * 365 * 86_400.0
MAX_CONCURRENT = 4
"""Calls to the ledger at once: a phone that posts its backlog must not take the connections of the turns."""
CLOCK_TOLERANCE_SECONDS = 600.0
"""How far our clock may differ from the database's, which decides."""


class Takeovers:
    """Begins take-overs. They end after a while, or by `majlis_hand_back`."""

    def __init__(
        self, db: Postgres, flags: FlagSource, pause_seconds: Callable[[str], float], feed: Feed
    ) -> None:
        """`pause_seconds` gives each instance's `takeover.pause_seconds`."""
        self._db = db
        self._flags = flags
        self._pause_seconds = pause_seconds
        self._feed = feed
        self._places = trio.CapacityLimiter(MAX_CONCURRENT)

    async def begin(self, own: OwnMessage) -> bool:
        """Fall silent where a person of the business wrote, from the time of the message on.

        Returns False where nothing changes: the feature is off, the message is known or was sent by us, the silence
        would be over already, or the instance is unknown.

        Raises:
          LedgerUnavailable: it is not durable; let the gateway post it again.
        """
        if own.sender == "program":
            return False  # what other software sends is no person's word
        seconds = min(self._pause_seconds(own.instance), MAX_PAUSE_SECONDS)
        if seconds <= 0 or not self._flags.of(own.instance).takeover:
            return False
        if own.sent_at and own.sent_at + seconds + CLOCK_TOLERANCE_SECONDS < time.time():
            return False  # of a phone's backlog, most is too old: spare the ledger a query for each message
        async with self._places:
            left = await self._db.value(
                "SELECT majlis_take_over($1, $2, $3, $4, $5, $6, $7)",
                storable(own.instance),
                storable(own.contact),
                storable(own.lid),
                storable(own.id),
                storable(plain_text(own.text)),
                own.sent_at,
                seconds,
            )
        return self._announce(Conversation(own.instance, own.contact), left, "person")

    async def take_over(self, conversation: Conversation, seconds: float) -> bool:
        """Fall silent for so long at the least, because an operator says so; False for an unknown instance.

        Raises:
          LedgerUnavailable: it is not durable.
        """
        instance, contact = map(storable, conversation)
        left = await self._db.value(
            "SELECT majlis_pause_for($1, $2, $3)", instance, contact, min(seconds, MAX_PAUSE_SECONDS)
        )
        return self._announce(conversation, left, "operator")

    def _announce(self, conversation: Conversation, left: float | None, by: str) -> bool:
        if left is None:
            return False
        self._feed.emit("conversation.taken_over", conversation, seconds=round(left), by=by)
        return True
