"""One conversation: what waits, what was answered, who speaks in it. And those in which Majlis is silent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from actors.counted import Phase
from actors.errors import Conflict, Missing
from actors.identity import Conversation
from actors.instance import FeatureFlags
from actors.messages import Waiting
from actors.ports import FlagSource, Policies
from actors.supervisor import Supervisor
from daemon.ledger.rows import SilenceReasons
from daemon.operate.actors import seconds_left
from daemon.operate.call import AdminCall, iso
from daemon.operate.directory import Directory
from daemon.operate.own_messages import OwnMessageView, own_view
from daemon.operate.parameters import (
    DEFAULT_LIMIT,
    ByContact,
    ByLabel,
    Instance,
    Limit,
    Parameters,
    Reveal,
)
from daemon.operate.route import Route
from daemon.operate.turns import MessageView, TurnView, bare_view, turn_view
from daemon.web.http1 import Response, json_response


class TakeoverView(msgspec.Struct, frozen=True, kw_only=True):
    """A human take-over: a person of the business writes in the chat, and Majlis is silent."""

    since: str
    until: str
    heeded: bool = True
    """False: take-over is switched off for the instance, so Majlis answers anyway."""


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """Another machine seems to speak there, and Majlis is silent."""

    since: str
    until: str
    signs: list[str] = []
    """By what it was recognized."""
    heeded: bool = True
    """False: `machines.enabled` is off for the instance, so Majlis answers anyway."""


class EscalationView(msgspec.Struct, frozen=True, kw_only=True):
    """A person was asked for."""

    since: str
    why: str = ""
    heeded: bool = True
    """False: escalation is switched off for the instance, so Majlis answers anyway."""


class OptOutView(msgspec.Struct, frozen=True, kw_only=True):
    """The customer wrote a stop word, and Majlis is silent until he writes a start word."""

    since: str
    heeded: bool = True
    """False: `opt_out.enabled` is off for the instance, so Majlis answers anyway."""


class SilentView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in which Majlis does not answer: a person speaks there, or another machine, or the customer wants
    no messages."""

    conversation: str
    instance: str
    contact: str
    taken_over: TakeoverView | None = None
    escalated: EscalationView | None = None
    opted_out: OptOutView | None = None
    machine: MachineView | None = None


class SilentPage(msgspec.Struct, frozen=True, kw_only=True):
    matching: int
    conversations: list[SilentView]
    """The latest first."""


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    instance: str
    contact: str
    partition: int
    epoch: int | None = None
    """The epoch under which this daemon acts for it; None when another daemon does."""
    state: Phase | Literal["absent"]
    """`absent`: it has no actor in this daemon's memory."""
    why: str = ""
    closes_in_seconds: float | None = None
    tries: int = 0
    batch: int | None = None
    taken_over: TakeoverView | None = None
    escalated: EscalationView | None = None
    opted_out: OptOutView | None = None
    machine: MachineView | None = None
    waiting: list[MessageView] = []
    turns: list[TurnView] = []
    """The latest first."""
    of_business: list[OwnMessageView] = []
    """What the business wrote there, by hand or by other software; the latest first."""


class Flushed(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    messages: int
    """How many waiting messages go into the batch that closes now."""


class SilentQuery(Parameters, frozen=True, kw_only=True):
    instance: Instance | None = None
    limit: Limit = DEFAULT_LIMIT
    reveal: Reveal = False


class ShowByLabel(ByLabel, frozen=True, kw_only=True):
    reveal: Reveal = False


class ShowByContact(ByContact, frozen=True, kw_only=True):
    reveal: Reveal = False


class Conversations:
    """Reads memory and ledger. `fenced` returns the partitions that this daemon acts for, with their epochs."""

    def __init__(
        self,
        directory: Directory,
        supervisor: Supervisor,
        flags: FlagSource,
        policies: Policies,
        fenced: Callable[[], Mapping[int, int]],
        partitions: int,
    ) -> None:
        self._directory = directory
        self._supervisor = supervisor
        self._flags = flags
        self._policies = policies
        self._fenced = fenced
        self._partitions = partitions

    async def silent(self, instance: str | None, limit: int) -> SilentPage:
        """Raises `LedgerUnavailable`."""
        found = [
            (conversation, silence)
            for conversation, silence in (await self._directory.silent()).items()
            if instance in (None, conversation.instance)
        ]
        return SilentPage(matching=len(found), conversations=[self._silent(*one) for one in found[:limit]])

    async def show(self, ref: Conversation | str) -> ConversationView:
        """Raises: Missing."""
        conversation = await self._directory.find(ref)
        view, flags = self._supervisor.view(conversation), self._flags.of(conversation.instance)
        turns, silence = await self._directory.stored(conversation)
        own = await self._directory.own_messages(conversation)
        label = self._directory.label(conversation)
        if view is None and not turns and not own and silence == SilenceReasons():
            raise self._directory.unless_starting(
                Missing(f"There is no conversation {label}: check the spelling, INSTANCE/PHONE.")
            )
        return ConversationView(
            conversation=label,
            instance=conversation.instance,
            contact=conversation.contact,
            partition=(partition := conversation.partition(self._partitions)),
            epoch=self._fenced().get(partition),
            state=view.phase if view else "absent",
            why=view.why if view else "",
            closes_in_seconds=seconds_left(view) if view else None,
            tries=view.attempts if view else 0,
            batch=view.batch_number if view else None,
            taken_over=_takeover(silence, flags),
            escalated=_escalation(silence, flags),
            opted_out=self._opt_out(conversation, silence),
            machine=self._machine(conversation, silence),
            waiting=[_waiting(entry) for entry in view.waiting] if view else [],
            turns=[turn_view(turn) for turn in turns],
            of_business=[own_view(one) for one in own],
        )

    async def find(self, ref: Conversation | str) -> Conversation:
        """The conversation that is meant. Raises: Missing."""
        return await self._directory.find(ref)

    async def flush(self, conversation: Conversation) -> Flushed:
        """Close the window now. Raises: Conflict when nothing waits."""
        label, view = self._directory.label(conversation), self._supervisor.view(conversation)
        if view is None:
            raise self._directory.unless_starting(
                Conflict(f"Nothing waits in {label}: there is nothing to flush.")
            )
        if view.phase == "idle" and not view.waiting:
            raise Conflict(f"Nothing waits in {label}: its last burst is already answered.")
        self._supervisor.flush(conversation)
        return Flushed(conversation=label, messages=len(view.waiting))

    def _silent(self, conversation: Conversation, silence: SilenceReasons) -> SilentView:
        flags = self._flags.of(conversation.instance)
        return SilentView(
            conversation=self._directory.label(conversation),
            instance=conversation.instance,
            contact=conversation.contact,
            taken_over=_takeover(silence, flags),
            escalated=_escalation(silence, flags),
            opted_out=self._opt_out(conversation, silence),
            machine=self._machine(conversation, silence),
        )

    def _machine(self, conversation: Conversation, silence: SilenceReasons) -> MachineView | None:
        found = silence.machine
        if found is None:
            return None
        heeded = self._policies.terms(conversation.instance).machines.enabled
        return MachineView(
            since=iso(found.since), until=iso(found.until), signs=list(found.signs), heeded=heeded
        )

    def _opt_out(self, conversation: Conversation, silence: SilenceReasons) -> OptOutView | None:
        if silence.opted_out is None:
            return None
        heeded = self._policies.terms(conversation.instance).opt_out.enabled
        return OptOutView(since=iso(silence.opted_out), heeded=heeded)


def _takeover(silence: SilenceReasons, flags: FeatureFlags) -> TakeoverView | None:
    found = silence.taken_over
    return (
        TakeoverView(since=iso(found.since), until=iso(found.until), heeded=flags.takeover) if found else None
    )


def _escalation(silence: SilenceReasons, flags: FeatureFlags) -> EscalationView | None:
    found = silence.escalated
    return EscalationView(since=iso(found.since), why=found.why, heeded=flags.escalation) if found else None


def _waiting(entry: Waiting) -> MessageView:
    arrived_at = iso(datetime.fromtimestamp(entry.at_ms / 1000, UTC))
    return msgspec.structs.replace(bare_view(entry.message), seq=entry.seq, arrived_at=arrived_at)


async def _list_silent(conversations: Conversations, call: AdminCall, asked: SilentQuery) -> Response:
    """Conversations in which Majlis is silent: taken over, escalated, silent to a machine, or opted out."""
    page = await conversations.silent(asked.instance or None, asked.limit)
    return await call.answer(page, "silent conversations")


async def _show(
    conversations: Conversations, call: AdminCall, asked: ShowByLabel | ShowByContact
) -> Response:
    """One conversation: what waits, what was answered, who speaks in it."""
    view = await conversations.show(asked.ref)
    return await call.answer(view, view.conversation)


async def _flush(conversations: Conversations, call: AdminCall, asked: ByLabel | ByContact) -> Response:
    """Close the conversation's window now."""
    conversation = await conversations.find(asked.ref)
    await call.audit("flush", call.target(conversation))
    return json_response(200, await conversations.flush(conversation))


_LABEL, _CONTACT = "/v1/conversations/{label}", "/v1/conversations/{instance}/{contact}"
ROUTES = (
    Route("GET", "/v1/silent", Conversations, _list_silent, "read", SilentPage, SilentQuery),
    Route("GET", _LABEL, Conversations, _show, "read", ConversationView, ShowByLabel),
    Route("GET", _CONTACT, Conversations, _show, "read", ConversationView, ShowByContact),
    Route("POST", f"{_LABEL}/flush", Conversations, _flush, "operate", Flushed, ByLabel),
    Route("POST", f"{_CONTACT}/flush", Conversations, _flush, "operate", Flushed, ByContact),
)
