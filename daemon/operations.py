"""What operators see and do: implements `daemon.admin.Operations` over the running parts. Reads are snapshots."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.identity import Conversation
from actors.messages import Message, Receipt
from actors.ports import Feed
from actors.supervisor import Supervisor
from daemon import package_version, shown
from daemon.admin.operations import AuditEntry, Conflict, NotFound, Ref
from daemon.admin.views import (
    ActorView,
    ConversationView,
    DeadLetterPage,
    DeadLetterView,
    DoctorReport,
    Flushed,
    IngressCounts,
    Status,
)
from daemon.config import Settings
from daemon.health import Health
from daemon.ingress import IngressCounters
from daemon.ledger.records import DeadLetter, Records, TurnRecord
from daemon.mirror.survey import Pending, Survey, Totals
from daemon.ownership import FencedOwnership
from daemon.stores.postgres import LedgerError

MAX_LETTERS = 10_000
RETRY_PREFIX = "dead-"
"""Ids of replayed messages start so: a replay is never taken for a customer repeating himself."""


class DaemonOperations:
    """One per daemon, made by the composition root."""

    def __init__(
        self,
        *,
        settings: Settings,
        node_id: str,
        health: Health,
        supervisor: Supervisor,
        ownership: FencedOwnership,
        survey: Survey,
        records: Records,
        counters: IngressCounters,
        append: Callable[[Message], Awaitable[Receipt]],
        label: Callable[[Conversation], str],
        listen: str,
        feed: Feed,
        doctor: Callable[[], Awaitable[DoctorReport]],
    ) -> None:
        self._settings = settings
        self._node_id = node_id
        self._health = health
        self._supervisor = supervisor
        self._ownership = ownership
        self._survey = survey
        self._records = records
        self._counters = counters
        self._append = append
        self._label = label
        self._listen = listen
        self._feed = feed
        self._doctor = doctor
        self._started_at = time.monotonic()

    async def status(self) -> Status:
        readiness = self._health.readiness()
        phases = self._supervisor.phases()
        totals, pending = await self._counts()
        oldest = None
        if pending.oldest_at_ms is not None:
            oldest = max(0.0, (pending.now_ms - pending.oldest_at_ms) / 1000)
        return Status(
            ready=readiness.ready and not readiness.draining,
            reasons=list(readiness.reasons),
            draining=readiness.draining,
            version=package_version(),
            node_id=self._node_id,
            pid=os.getpid(),
            uptime_seconds=time.monotonic() - self._started_at,
            listen=self._listen,
            stores=dict(self._health.stores()),
            partitions_owned=len(self._ownership.fenced()),
            partitions_total=self._settings.partitions,
            active=phases.total(),
            open_windows=self._supervisor.open_windows(),
            running_turns=phases["answering"],
            queued_turns=phases["queued"],
            held_turns=phases["holding"],
            deferred_turns=phases["retrying"],
            parked=phases["parked"],
            acknowledged=totals.acknowledged,
            answered=totals.answered,
            suppressed=totals.suppressed,
            dead=totals.dead,
            waiting_messages=totals.pending,
            oldest_waiting_seconds=oldest,
            dead_letters_open=await self._open_letters(),
            ingress=self._ingress(),
        )

    async def actors(self) -> Sequence[ActorView]:
        return [shown.actor_view(view, self._label(view.conversation)) for view in self._supervisor.views()]

    async def conversation(self, ref: Ref) -> ConversationView:
        conversation = self._resolve(ref)
        view = self._supervisor.view(conversation)
        turns = await self._turns(conversation)
        if view is None and not turns:
            raise NotFound(
                f"Nothing is known of {self._label(conversation)}: check the spelling, instance/contact."
            )
        return ConversationView(
            conversation=self._label(conversation),
            instance=conversation.instance,
            contact=conversation.contact,
            partition=(partition := conversation.partition(self._settings.partitions)),
            epoch=self._ownership.fenced().get(partition),
            state=view.phase if view else "absent",
            why=view.why if view else "",
            closes_in_seconds=view.seconds_left if view else None,
            tries=view.tries if view else 0,
            batch=view.batch_number if view else None,
            waiting=[shown.waiting_view(entry) for entry in view.waiting] if view else [],
            turns=[shown.turn_view(turn) for turn in turns],
        )

    async def dead_letters(self, limit: int, include_retried: bool) -> DeadLetterPage:
        letters = await self._records.dead_letters(limit, include_retried)
        opened = await self._records.open_dead_letters()
        return DeadLetterPage(open=opened, letters=[self._letter(letter) for letter in letters])

    async def dead_letter(self, letter_id: int) -> DeadLetterView:
        return self._letter(await self._find(letter_id))

    async def retry(self, letter_id: int) -> None:
        """Append its messages again, under ids of their own: they are heard like any other burst.

        Appending is deduplicated, so dying in the middle and repeating the command doubles nothing.
        """
        letter = await self._find(letter_id)
        if letter.retried_at is not None:
            raise Conflict(f"Dead letter {letter_id} was retried at {shown.iso(letter.retried_at)}.")
        for message in letter.messages:
            again = f"{RETRY_PREFIX}{letter.id}-{message.id}"
            await self._append(msgspec.structs.replace(message, id=again))
        await self._records.mark_retried(letter.id)
        self._feed.emit("dead.retried", letter.conversation, letter=letter.id, messages=len(letter.messages))

    async def retry_all(self) -> int:
        letters = await self._records.dead_letters(MAX_LETTERS)
        for letter in reversed(letters):
            await self.retry(letter.id)
        return len(letters)

    async def flush(self, ref: Ref) -> Flushed:
        conversation = self._resolve(ref)
        label = self._label(conversation)
        view = self._supervisor.view(conversation)
        if view is None:
            raise Conflict(f"Nothing waits in {label}: there is nothing to flush.")
        if view.phase == "idle":
            raise Conflict(f"Nothing waits in {label}: its last burst is answered.")
        self._supervisor.flush(conversation)
        return Flushed(conversation=label, messages=len(view.waiting))

    async def doctor(self) -> DoctorReport:
        return await self._doctor()

    async def audit(self, entry: AuditEntry) -> None:
        uid = -1 if entry.uid is None else entry.uid
        await self._records.audit(uid, entry.pid or 0, entry.action, entry.target, {})

    async def _counts(self) -> tuple[Totals, Pending]:
        """Zeros when Redis cannot be asked: the status must be readable just then, and says why."""
        if self._health.stores()["redis"] != "ok":
            return Totals(), Pending()
        try:
            partitions = list(self._ownership.fenced())
            return await self._survey.totals(partitions), await self._survey.pending(partitions)
        except MirrorUnavailable:
            return Totals(), Pending()

    async def _open_letters(self) -> int:
        """Zero when the ledger cannot be asked, be it away or not migrated yet: the reasons say so beside it."""
        try:
            return await self._records.open_dead_letters()
        except (LedgerUnavailable, LedgerError):
            return 0

    async def _turns(self, conversation: Conversation) -> tuple[TurnRecord, ...]:
        try:
            return await self._records.turns(conversation)
        except (LedgerUnavailable, LedgerError):
            return ()

    async def _find(self, letter_id: int) -> DeadLetter:
        letter = await self._records.dead_letter(letter_id)
        if letter is None:
            raise NotFound(f"There is no dead letter {letter_id}: see `majlis dead list`.")
        return letter

    def _resolve(self, ref: Ref) -> Conversation:
        """A label is looked for among the conversations in memory; it is a hash and tells no name."""
        if isinstance(ref, Conversation):
            return ref
        for view in self._supervisor.views():
            if self._label(view.conversation) == ref:
                return view.conversation
        raise NotFound(f"No active conversation is labelled {ref}: name it as instance/contact.")

    def _ingress(self) -> IngressCounts:
        counters = self._counters
        return IngressCounts(
            accepted=counters.acked,
            duplicate=counters.duplicates,
            ignored=dict(counters.ignored),
            refused=dict(counters.refused),
            unreadable=counters.unreadable,
            unauthorized=counters.unauthorized,
        )

    def _letter(self, letter: DeadLetter) -> DeadLetterView:
        return shown.letter_view(letter, self._label(letter.conversation))
