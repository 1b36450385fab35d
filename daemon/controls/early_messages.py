"""Customers who wrote before their instance was set up: they are answered when it is, if that is soon.

Laws of this file:
1. Such a message has its end already: its turn was suppressed by rule `unknown_instance`. It is answered in another
   turn, under an id of its own that depends on nothing but the original: who repeats this, after a crash or on
   another daemon, repeats the ids, and each is answered once.
2. Only what came within a day, from senders who proved something, and a bounded part of it; and nothing where somebody
   of the business has written since (migration 042).
3. Only an instance that was live ever since: while it was in another mode others were to answer, whom nobody watched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from actors.errors import MajlisError, Overloaded, Unavailable
from actors.ports import Feed
from daemon.controls.modes import InMode
from daemon.controls.replays import RETRY_PREFIX, AppendAgain
from daemon.ingress.inbound import OwnMessage
from daemon.ledger.records import Records
from daemon.stores.postgres import is_only_away

MAX_NAMES = 50
MAX_MESSAGES = 100
"""Of each name."""
MAX_OWN = 5_000
"""Chats of unknown instances in which the business wrote."""
PREFIX = f"{RETRY_PREFIX}0-"
"""Of the ids: they are replayed as those of a dead letter, and no dead letter has this number."""
AGAIN_SECONDS = 15.0
"""A turn that began just before the instance was set up has ended by then."""


class EarlyMessages:
    """Finds and answers them: at the start, and when an instance was set up."""

    def __init__(
        self, records: Records, append: AppendAgain, mode: Callable[[str], Awaitable[InMode]], feed: Feed
    ) -> None:
        """`mode` is that of an instance, and since when: who does not answer now does not answer what was said before.
        It may raise `LedgerUnavailable`."""
        self._records = records
        self._append = append
        self._mode = mode
        self._feed = feed
        self._wake = trio.Event()

    def nudge(self) -> None:
        """An instance was set up: look now."""
        self._wake.set()

    async def business_wrote(self, own: OwnMessage) -> None:
        """Somebody of the business wrote in a chat of an instance that nobody knows. Raises `LedgerUnavailable`."""
        contacts = [name for name in (own.contact, own.lid) if name]
        await self._records.note_unknown_own(own.instance, contacts, own.sent_at, MAX_OWN)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            # A new event first, then the looks: what is set up in between is not missed.
            self._wake = wake = trio.Event()
            await self._try_look()
            is_done = False
            while not is_done:
                await trio.sleep(AGAIN_SECONDS)
                is_done = await self._try_look()
            await wake.wait()

    async def _try_look(self) -> bool:
        """Whether there is no more to be done, for now."""
        try:
            return await self._look()
        except MajlisError as error:
            if not is_only_away(error):
                self._feed.emit("daemon.problem", part="early messages", error=type(error).__name__)
            return not isinstance(error, Unavailable)

    async def _look(self) -> bool:
        is_all = True
        for instance, messages in (await self._records.came_too_early(MAX_NAMES, MAX_MESSAGES)).items():
            now = await self._mode(instance)
            if now.mode != "live":
                continue
            taken = 0
            for message in messages:
                if message.sent_at < now.since:
                    continue
                again = msgspec.structs.replace(
                    message, id=f"{PREFIX}{message.id}", early=False, shadow=False
                )
                try:
                    taken += not (await self._append(again)).duplicate
                except Overloaded:
                    is_all = False
                    break  # a full conversation: the rest of it would be out of order
            if taken:
                self._feed.emit("instance.early_messages", instance=instance, messages=taken)
        return is_all
