"""Which conversation an operator means, and who speaks in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from actors.errors import LedgerUnavailable, MajlisError, Missing
from actors.identity import Conversation
from actors.supervisor import Supervisor
from daemon.config import Settings
from daemon.ledger.records import Records
from daemon.ledger.rows import SilenceReasons, TurnRecord
from daemon.observe.readiness import Health
from daemon.stores.postgres import LedgerError

MAX_SILENT = 10_000
"""How many conversations in which somebody else speaks are looked at, the latest first."""


class Directory:
    """What can be known of conversations now. While the daemon starts, that is little."""

    def __init__(
        self,
        settings: Settings,
        health: Health,
        supervisor: Supervisor,
        records: Records,
        label: Callable[[Conversation], str],
    ) -> None:
        self.label = label
        self._settings = settings
        self._health = health
        self._supervisor = supervisor
        self._records = records

    async def find(self, ref: Conversation | str) -> Conversation:
        """The conversation that is named, or whose label from the logs is given.

        A label is a hash and holds no name: it is looked for where an actor is, and where somebody else speaks.

        Raises:
          Missing: there is none of this label.
          Unavailable: the daemon starts, and cannot know yet.
        """
        if isinstance(ref, Conversation):
            return ref
        for view in self._supervisor.views():
            if self.label(view.conversation) == ref:
                return view.conversation
        with suppress(LedgerUnavailable, LedgerError):
            for conversation in await self.silent():
                if self.label(conversation) == ref:
                    return conversation
        raise self.unless_starting(
            Missing(f"No active conversation is labelled {ref}: name it as INSTANCE/PHONE.")
        )

    def unless_starting(self, error: MajlisError) -> MajlisError:
        """The error that something is not there; before the end of the start nobody can say so."""
        return self._health.unless_starting(error)

    async def stored(self, conversation: Conversation) -> tuple[tuple[TurnRecord, ...], SilenceReasons]:
        """What the ledger knows of it; nothing when it cannot be asked, for what is in memory is shown all the same."""
        try:
            return await self._records.turns(conversation), await self.silence(conversation)
        except (LedgerUnavailable, LedgerError):
            return (), SilenceReasons()

    async def silence(self, conversation: Conversation) -> SilenceReasons:
        """Who speaks there instead of Majlis. Raises `LedgerUnavailable`."""
        escalation = self._settings.for_instance(conversation.instance).escalation
        return await self._records.silence(conversation, escalation.hand_back_seconds)

    async def silent(self) -> dict[Conversation, SilenceReasons]:
        """Where somebody else speaks, the latest first. Raises `LedgerUnavailable`."""
        return await self._records.silent(longest_hand_back_seconds(self._settings), MAX_SILENT)


def longest_hand_back_seconds(settings: Settings) -> float:
    """An escalation older than this holds for no instance."""
    sections = [settings.escalation, *(settings.for_instance(name).escalation for name in settings.instances)]
    return max(section.hand_back_seconds for section in sections)
