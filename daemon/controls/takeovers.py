"""A person of the business writes in a chat: Majlis falls silent there.

Laws of this file:
1. The silence is durable when `begin` returns; each turn looks for it, and so does every claim to send a part, so it
   holds at once and for every daemon. What had been claimed a moment before still leaves.
2. What Majlis itself sent is no take-over, by whatever way it comes back. What was sent before a hand-back is none.
3. It may be told any number of times: the same message is heard once.
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
    """Begins pauses. They end by themselves, or by `majlis_hand_back`."""

    def __init__(
        self, db: Postgres, flags: FlagSource, pause_seconds: Callable[[str], float], feed: Feed
    ) -> None:
        """`pause_seconds` tells each instance's `takeover.pause_seconds`."""
        self._db = db
        self._flags = flags
        self._pause_seconds = pause_seconds
        self._feed = feed
        self._places = trio.CapacityLimiter(MAX_CONCURRENT)

    async def begin(self, own: OwnMessage) -> bool:
        """Fall silent where a person of the business wrote, from its time on; says whether that was news.

        Not news: the switch is off, the message was heard before or is a send of ours, it is older than its pause, or
        nobody knows the instance.

        Raises:
          LedgerUnavailable: it is not durable; let the gateway post it again.
        """
        seconds = min(self._pause_seconds(own.instance), MAX_PAUSE_SECONDS)
        if seconds <= 0 or not self._flags.of(own.instance).takeover:
            return False
        if own.sent_at and own.sent_at + seconds + CLOCK_TOLERANCE_SECONDS < time.time():
            return False  # a backlog is not worth a question each
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
        return self._tell(Conversation(own.instance, own.contact), left, "person")

    async def take_over(self, conversation: Conversation, seconds: float) -> bool:
        """Fall silent for so long at the least, because an operator says so; False for an unknown instance.

        Raises:
          LedgerUnavailable: it is not durable.
        """
        instance, contact = map(storable, conversation)
        left = await self._db.value(
            "SELECT majlis_pause_for($1, $2, $3)", instance, contact, min(seconds, MAX_PAUSE_SECONDS)
        )
        return self._tell(conversation, left, "operator")

    def _tell(self, conversation: Conversation, left: float | None, by: str) -> bool:
        if left is None:
            return False
        self._feed.emit("conversation.taken_over", conversation, seconds=round(left), by=by)
        return True
