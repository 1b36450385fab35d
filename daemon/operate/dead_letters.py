"""Dead letters as operators see and retry them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from actors.errors import ConversationFull
from actors.identity import Conversation
from actors.messages import Message, Receipt
from actors.ports import Feed
from daemon.ledger.records import Records
from daemon.ledger.rows import DeadLetter
from daemon.operate import Conflict, DeadLetterPage, DeadLetterView, NotFound, shown

MAX_LETTERS = 10_000
RETRY_PREFIX = "dead-"
"""Ids of replayed messages start so: a replay is never taken for a customer repeating himself."""


class DeadLetters:
    """Part of `DaemonOperations`; its methods do what `daemon.operate.Operations` says of dead letters."""

    def __init__(
        self,
        records: Records,
        append: Callable[[Message], Awaitable[Receipt]],
        label: Callable[[Conversation], str],
        feed: Feed,
    ) -> None:
        self._records = records
        self._append = append
        self._label = label
        self._feed = feed

    async def page(self, limit: int, include_retried: bool) -> DeadLetterPage:
        letters = await self._records.dead_letters(limit, include_retried)
        opened = await self._records.open_dead_letters()
        return DeadLetterPage(open=opened, letters=[self._letter(letter) for letter in letters])

    async def view(self, dead_letter_id: int) -> DeadLetterView:
        return self._letter(await self._find(dead_letter_id))

    async def retry(self, dead_letter_id: int) -> None:
        """Append its messages again, under ids of their own: they are heard like any other burst.

        Appending is deduplicated, so dying in the middle and repeating the command doubles nothing.
        """
        letter = await self._find(dead_letter_id)
        if letter.retried_at is not None:
            raise Conflict(f"Dead letter {dead_letter_id} was retried at {shown.iso(letter.retried_at)}.")
        await self._put_back(letter)

    async def retry_all(self) -> int:
        """What others retry or drop meanwhile is left to them; who has no room keeps the letter and holds up nobody."""
        listed, put_back = await self._records.dead_letters(MAX_LETTERS), 0
        for number in reversed([letter.id for letter in listed]):
            letter = await self._find(number)
            if letter.retried_at is None and letter.dropped_at is None:
                with suppress(ConversationFull):
                    await self._put_back(letter)
                    put_back += 1
        return put_back

    async def _put_back(self, letter: DeadLetter) -> None:
        for message in letter.messages:
            again = f"{RETRY_PREFIX}{letter.id}-{message.id}"
            await self._append(msgspec.structs.replace(message, id=again))
        await self._records.mark_retried(letter.id)
        self._feed.emit("dead.retried", letter.conversation, letter=letter.id, messages=len(letter.messages))

    async def drop(self, dead_letter_id: int) -> None:
        """Keep it, and count it as open no more."""
        letter = await self._find(dead_letter_id)
        if letter.retried_at is not None:
            raise Conflict(f"Dead letter {dead_letter_id} was retried at {shown.iso(letter.retried_at)}.")
        if letter.dropped_at is not None or not await self._records.mark_dropped(letter.id):
            raise Conflict(f"Dead letter {dead_letter_id} was dropped already.")
        self._feed.emit("dead.dropped", letter.conversation, letter=letter.id, messages=len(letter.messages))

    async def _find(self, dead_letter_id: int) -> DeadLetter:
        letter = await self._records.dead_letter(dead_letter_id)
        if letter is None:
            raise NotFound(f"There is no dead letter {dead_letter_id}: see `majlis dead list`.")
        return letter

    def _letter(self, letter: DeadLetter) -> DeadLetterView:
        return shown.dead_letter_view(letter, self._label(letter.conversation))
