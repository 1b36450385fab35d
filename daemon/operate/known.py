"""Which conversation an operator means, and what the ledger knows of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from actors.errors import LedgerUnavailable
from actors.identity import Conversation
from actors.supervisor import Supervisor
from daemon.config import Settings
from daemon.ledger.records import Records
from daemon.ledger.rows import SilenceReasons, TurnRecord
from daemon.observe.readiness import Health
from daemon.operate import NotFound, Ref
from daemon.operate.status import longest_hand_back_seconds
from daemon.stores.postgres import LedgerError

MAX_SILENT = 10_000
"""How many conversations in which somebody else speaks are looked at, the latest first."""


class Known:
    """What can be known of conversations now. While the daemon starts, that is little."""

    def __init__(
        self,
        settings: Settings,
        health: Health,
        supervisor: Supervisor,
        records: Records,
        label: Callable[[Conversation], str],
    ) -> None:
        self._settings = settings
        self._health = health
        self._supervisor = supervisor
        self._records = records
        self._label = label

    async def conversation(self, ref: Ref) -> Conversation:
        """A label is a hash and tells no name: it is looked for where somebody acts, or somebody else speaks.

        Raises `NotFound`, or `Unavailable` while the daemon starts.
        """
        if isinstance(ref, Conversation):
            return ref
        for view in self._supervisor.views():
            if self._label(view.conversation) == ref:
                return view.conversation
        with suppress(LedgerUnavailable, LedgerError):
            for conversation in await self.silent():
                if self._label(conversation) == ref:
                    return conversation
        raise self._health.unless_starting(
            NotFound(f"No active conversation is labelled {ref}: name it as INSTANCE/PHONE.")
        )

    async def stored(self, conversation: Conversation) -> tuple[tuple[TurnRecord, ...], SilenceReasons]:
        """What the ledger knows of it; nothing when it cannot be asked: what is in memory is shown all the same."""
        try:
            return await self._records.turns(conversation), await self.silence(conversation)
        except (LedgerUnavailable, LedgerError):
            return (), SilenceReasons()

    async def silence(self, conversation: Conversation) -> SilenceReasons:
        """Who speaks there instead of Majlis. Raises `LedgerUnavailable`."""
        escalation = self._settings.for_instance(conversation.instance).escalation
        return await self._records.silence(conversation, escalation.hand_back_seconds)

    async def silent(self) -> dict[Conversation, SilenceReasons]:
        """Where somebody else speaks. Raises `LedgerUnavailable`."""
        return await self._records.silent(longest_hand_back_seconds(self._settings), MAX_SILENT)
