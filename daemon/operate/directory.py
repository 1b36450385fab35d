"""Which conversation an operator means, and who speaks in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from actors.errors import LedgerUnavailable, MajlisError, Missing
from actors.escalation import reason_told
from actors.identity import Conversation, number_forms
from actors.supervisor import Supervisor
from daemon.controls.live_settings import LiveSettings
from daemon.ledger.records import Records
from daemon.ledger.rows import OwnMessageRow, SilenceReasons, TurnRecord
from daemon.observe.readiness import Health
from daemon.operate.numbers import contact_of
from daemon.stores.postgres import LedgerError

MAX_SILENT = 10_000
"""How many conversations in which a person speaks are searched, the latest first."""


MAX_OWN_MESSAGES = 10
"""Of the business, in one conversation: the latest are shown."""


class Directory:
    """Finds conversations, and who speaks in them. While the daemon starts, it can find few."""

    def __init__(
        self,
        settings: LiveSettings,
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
        """The conversation of this name, or with this label from the logs.

        A label is a hash: it is searched for among the conversations that have an actor, and those in which a person
        speaks.

        A contact is read as people write numbers (`numbers.py`), with the country of the instance. A number is also
        found under its other address at WhatsApp, unless it has a conversation of its own.

        Raises:
          Missing: no conversation has this label, or the contact is nobody.
          Unavailable: the daemon is starting, and cannot know yet.
        """
        if isinstance(ref, Conversation):
            country = self._settings.for_instance(ref.instance).country
            return await self._as_known(Conversation(ref.instance, contact_of(ref.contact, country)))
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

    async def _as_known(self, named: Conversation) -> Conversation:
        forms = [Conversation(named.instance, form) for form in number_forms(named.contact)]
        if len(forms) == 1 or not self._settings.terms(named.instance).contacts.link_numbers:
            return named
        known = [form for form in forms if self._supervisor.view(form) is not None]
        if named not in known:
            with suppress(LedgerUnavailable, LedgerError):
                known += await self._records.known(forms)
        return named if named in known else known[0] if known else named

    async def has_written(self, conversation: Conversation) -> bool:
        """Whether anybody there has ever written, as far as is known now."""
        if self._supervisor.view(conversation) is not None:
            return True
        try:
            return bool(await self._records.known([conversation]))
        except (LedgerUnavailable, LedgerError):
            return True

    def unless_starting(self, error: MajlisError) -> MajlisError:
        """The error for something that does not exist. Until the start is over, that cannot be known."""
        return self._health.unless_starting(error)

    async def stored(self, conversation: Conversation) -> tuple[tuple[TurnRecord, ...], SilenceReasons]:
        """What the ledger knows about it. Nothing while the ledger is away: what is in memory is still shown."""
        try:
            return await self._records.turns(conversation), await self.silence(conversation)
        except (LedgerUnavailable, LedgerError):
            return (), SilenceReasons()

    async def own_messages(self, conversation: Conversation) -> tuple[OwnMessageRow, ...]:
        """What the business wrote there last; nothing while the ledger is away."""
        try:
            return await self._records.own_messages(conversation, MAX_OWN_MESSAGES)
        except (LedgerUnavailable, LedgerError):
            return ()

    async def silence(self, conversation: Conversation) -> SilenceReasons:
        """Who speaks there instead of Majlis. Raises `LedgerUnavailable`."""
        escalation = self._settings.for_instance(conversation.instance).escalation
        found = await self._records.silence(conversation, escalation.hand_back_seconds)
        return self._in_our_words(conversation, found)

    async def silent(self) -> dict[Conversation, SilenceReasons]:
        """Conversations in which a person speaks, the latest first. Raises `LedgerUnavailable`."""
        found = await self._records.silent(longest_hand_back_seconds(self._settings), MAX_SILENT)
        return {
            conversation: self._in_our_words(conversation, silence) for conversation, silence in found.items()
        }

    def _in_our_words(self, conversation: Conversation, silence: SilenceReasons) -> SilenceReasons:
        """The row of an escalation has the name that others are told; operators read the rule's."""
        names = self._settings.for_instance(conversation.instance).escalation.reason_names
        if silence.escalated is None or not names:
            return silence
        why = reason_told(silence.escalated.why, tuple(names.items()))
        return replace(silence, escalated=replace(silence.escalated, why=why))


def longest_hand_back_seconds(settings: LiveSettings) -> float:
    """The longest time for which an escalation holds, over all instances."""
    return max(own.escalation.hand_back_seconds for own in settings.every())
