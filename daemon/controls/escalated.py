"""Conversations that are escalated now, as far as this daemon has heard: which of them go first, where that is set.

Only an order depends on it, so it may be late by a round, and what it cannot hold does without.
"""

from __future__ import annotations

from collections.abc import Mapping

import trio

from actors.errors import MajlisError
from actors.identity import Conversation
from daemon.controls.live_settings import LiveSettings
from daemon.ledger.records import Records

REFRESH_SECONDS = 30.0
MAX_KEPT = 10_000


class EscalatedConversations:
    def __init__(self, records: Records, live: LiveSettings) -> None:
        self._records = records
        self._live = live
        self._known: set[Conversation] = set()

    def __contains__(self, conversation: Conversation) -> bool:
        return conversation in self._known

    async def run(self) -> None:
        """Follow the ledger until cancelled; where no instance wants to know, it is not asked."""
        while True:
            wanted = [own.escalation for own in self._live.every() if own.escalation.priority]
            if wanted:
                await self._read(max(own.hand_back_seconds for own in wanted))
            else:
                self._known.clear()
            await trio.sleep(REFRESH_SECONDS)

    async def _read(self, hand_back_seconds: float) -> None:
        try:
            found = await self._records.silent(hand_back_seconds, MAX_KEPT)
        except MajlisError:
            return  # what was known last stands; the store watch reports it
        self._known = {one for one, reasons in found.items() if reasons.escalated is not None}

    def began(self, conversation: Conversation | None, _fields: Mapping[str, object]) -> None:
        """An event says so."""
        if conversation is not None and len(self._known) < MAX_KEPT:
            self._known.add(conversation)

    def ended(self, conversation: Conversation | None, _fields: Mapping[str, object]) -> None:
        if conversation is not None:
            self._known.discard(conversation)
