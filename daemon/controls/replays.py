"""Dead letters that are answered after all: their messages are appended again.

Laws of this file:
1. A replayed message has an id of its own that depends on nothing but the dead letter and the original: whoever repeats
   a replay, after a crash or at the same time, repeats the ids, and the mirror stores each message once.
2. A dead letter is marked as retried after its messages are durable, never before.
3. What WhatsApp did not know under a LID is replayed by itself, once, when the phone number is known: there it is
   another conversation, and should that be refused too, its dead letter waits for an operator.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from actors.errors import MajlisError, Overloaded
from actors.messages import Message, Receipt
from actors.ports import Feed, Identities
from actors.triage import BACKLOG
from actors.turn_end import TOO_OLD
from daemon.ledger.records import Records
from daemon.ledger.rows import DeadLetter
from daemon.stores.postgres import is_only_away

RETRY_PREFIX = "dead-"
"""The prefix of replayed messages' ids: a replay is never mistaken for a customer who repeats a message."""
POLL_SECONDS = 60.0
"""The backstop for numbers that another daemon learned, and for dead letters made after the number was known."""
PAUSE_SECONDS = 1.0
"""Between two looks, however many numbers are learned."""
MAX_LETTERS = 1_000

AppendAgain = Callable[[Message], Awaitable[Receipt]]
"""Makes one message durable, as if it had just arrived."""


async def put_back(
    letter: DeadLetter, append: AppendAgain, records: Records, feed: Feed, phone: str = ""
) -> None:
    """Append the messages again, under new ids, and mark the dead letter as retried.

    Args:
      phone: the number behind the LID under which they came; empty: they go where they were.
    """
    for message in letter.messages:
        again = msgspec.structs.replace(message, id=f"{RETRY_PREFIX}{letter.id}-{message.id}")
        if letter.reason == TOO_OLD and again.aside == BACKLOG:  # somebody wants these answered
            again = msgspec.structs.replace(again, aside="")
        if phone:
            again = msgspec.structs.replace(again, contact=phone, lid=letter.conversation.contact)
        await append(again)
    if await records.mark_retried(letter.id):
        feed.emit("dead.retried", letter.conversation, letter=letter.id, messages=len(letter.messages))


class NumbersLearned:
    """Replays the dead letters of LIDs whose phone numbers have become known."""

    def __init__(self, records: Records, identities: Identities, append: AppendAgain, feed: Feed) -> None:
        self._records = records
        self._identities = identities
        self._append = append
        self._feed = feed
        self._wake = trio.Event()

    def nudge(self) -> None:
        """A number was learned: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            # A new event first, then the look: a number that is learned meanwhile is not missed.
            self._wake = wake = trio.Event()
            try:
                await self._look()
            except MajlisError as error:
                if not is_only_away(error):
                    self._feed.emit("daemon.problem", part="replays", error=type(error).__name__)
            await trio.sleep(PAUSE_SECONDS)
            with trio.move_on_after(POLL_SECONDS):
                await wake.wait()

    async def _look(self) -> None:
        for number, instance, lid, stored in await self._records.refused_lids(MAX_LETTERS):
            phone = self._identities.phone_of(instance, lid) or stored
            letter = await self._records.dead_letter(number) if phone else None
            if letter is None or letter.retried_at is not None or letter.dropped_at is not None:
                continue
            try:
                await put_back(letter, self._append, self._records, self._feed, phone)
            except Overloaded:
                continue  # a full conversation delays no other
