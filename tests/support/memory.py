"""In-memory mirror, ledger and friends for tests on the mock clock.

They pass the same contract tests as Redis and Postgres. Time is Trio's clock, in milliseconds, from an origin far
enough from zero to look like a Unix time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import trio

from actors.errors import ConversationFull, LeaseUncertain, StaleEpoch, TakenOver, TurnFailed
from actors.escalation import Interaction
from actors.identity import Conversation, is_lid
from actors.instance import InstanceRecord
from actors.lookups import Facts, Lookup, Span, TakeoverState, Usage
from actors.messages import (
    Answer,
    Batch,
    CloseReason,
    HistoryEntry,
    Message,
    Prompt,
    Receipt,
    Snapshot,
    TurnOutcome,
    Waiting,
    WindowPolicy,
)
from actors.outcome import NoRecord, NotSent, RecordFound, SendEvidence, SendOutcome, Sent, Unknown
from actors.ports import MaySend, Notice, Part, Question, Reply, Turn, at_any_time

ORIGIN_MS = 1_785_100_000_000
EPOCH = 1
DUPLICATE_SECONDS = 300


def clock_ms() -> int:
    return ORIGIN_MS + round(trio.current_time() * 1000)


@dataclass
class _Buffer:
    seq: int = 0
    done: int = 0
    number: int = 0
    deadline_ms: int | None = None
    entries: list[Waiting] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    batch: Batch | None = None
    retry_at_ms: int | None = None
    first_ms: int = 0
    """Arrival of the first waiting message."""

    @property
    def waiting(self) -> list[Waiting]:
        hi = self.batch.hi if self.batch else self.done
        return [entry for entry in self.entries if entry.seq > hi]


class MemoryMirror:
    """The mirror's rules without Redis. `fault` is called with each operation's name first; it may raise or wait."""

    def __init__(self) -> None:
        self.epoch = EPOCH
        self.buffers: dict[Conversation, _Buffer] = {}
        self.on_appended: Callable[[Message, Receipt], None] | None = None
        self.fault: Callable[[str], Awaitable[None]] | None = None
        self.outcomes: list[tuple[TurnOutcome, tuple[str, ...]]] = []

    async def append(self, message: Message, policy: WindowPolicy, at_ms: int | None = None) -> Receipt:
        await self._enter("append")
        buffer = self.buffers.setdefault(message.conversation, _Buffer())
        now = clock_ms()
        known = buffer.seen.get(message.id)
        if known is not None:
            arrived = next((entry.at_ms for entry in buffer.entries if entry.seq == known), known)
            repeated = msgspec.structs.replace(self._receipt(buffer, known, now, True), at_ms=arrived)
            return repeated if buffer.waiting else msgspec.structs.replace(repeated, deadline_ms=now)
        if len(buffer.waiting) >= policy.max_waiting_messages:
            raise ConversationFull("too many messages wait")
        buffer.seq = max(buffer.seq + 1, now)
        arrived = min(at_ms or now, now)
        armed = not buffer.waiting
        buffer.entries.append(Waiting(buffer.seq, arrived, message))
        buffer.seen[message.id] = buffer.seq
        deadline = arrived + round(policy.window_seconds * 1000)
        if armed or buffer.deadline_ms is None:
            buffer.deadline_ms, buffer.first_ms = deadline, arrived
        elif at_ms is not None:
            buffer.deadline_ms = min(buffer.deadline_ms, deadline)
            buffer.first_ms = min(buffer.first_ms, arrived)
        if len(buffer.waiting) >= policy.max_messages:
            buffer.deadline_ms = min(buffer.deadline_ms, now)
        receipt = self._receipt(buffer, buffer.seq, now, duplicate=False)
        receipt = msgspec.structs.replace(receipt, at_ms=arrived)
        if self.on_appended is not None:
            self.on_appended(message, receipt)
        return receipt

    async def load(self, conversation: Conversation) -> Snapshot:
        await self._enter("load")
        return self._snapshot(conversation)

    async def freeze(
        self, conversation: Conversation, epoch: int, why: CloseReason, policy: WindowPolicy
    ) -> Batch | None:
        await self._enter("freeze")
        self._fence(epoch)
        buffer = self.buffers.setdefault(conversation, _Buffer())
        buffer.retry_at_ms = None
        if buffer.batch is not None:
            return buffer.batch
        taken = tuple(buffer.waiting[: policy.max_batch_messages])
        if not taken:
            return None
        now = clock_ms()
        buffer.number = max(buffer.number + 1, now)
        buffer.batch = Batch(
            conversation, buffer.number, taken[0].seq, taken[-1].seq, why, 0, buffer.first_ms, now, taken
        )
        rest = buffer.waiting
        buffer.deadline_ms = None
        if rest:
            buffer.first_ms = rest[0].at_ms
            buffer.deadline_ms = buffer.first_ms + round(policy.window_seconds * 1000)
        if len(rest) >= policy.max_messages:
            buffer.deadline_ms = now
        return buffer.batch

    async def defer(
        self, conversation: Conversation, epoch: int, number: int, delay_seconds: float, counts: bool
    ) -> None:
        await self._enter("defer")
        self._fence(epoch)
        buffer = self.buffers.get(conversation)
        if buffer is not None and buffer.batch is not None and buffer.batch.number == number:
            buffer.batch = msgspec.structs.replace(buffer.batch, attempts=buffer.batch.attempts + counts)
            buffer.retry_at_ms = clock_ms() + round(delay_seconds * 1000)

    async def commit(
        self, conversation: Conversation, epoch: int, batch: Batch, outcome: TurnOutcome
    ) -> Snapshot:
        await self._enter("commit")
        self._fence(epoch)
        buffer = self.buffers.get(conversation)
        if buffer is not None and buffer.batch is not None and buffer.batch.number == batch.number:
            buffer.done, buffer.batch, buffer.retry_at_ms = batch.hi, None, None
            self.outcomes.append((outcome, tuple(message.text for message in batch.messages)))
        return self._snapshot(conversation)

    def _receipt(self, buffer: _Buffer, seq: int, now: int, duplicate: bool) -> Receipt:
        return Receipt(
            duplicate, seq, now, buffer.deadline_ms or now, now, len(buffer.waiting), buffer.batch is not None
        )

    def _snapshot(self, conversation: Conversation) -> Snapshot:
        buffer = self.buffers.setdefault(conversation, _Buffer())
        waiting = tuple(buffer.waiting)
        deadline_ms = buffer.deadline_ms if waiting else None
        frozen = buffer.batch is not None
        return Snapshot(conversation, clock_ms(), waiting, deadline_ms, frozen, buffer.retry_at_ms)

    def _fence(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise StaleEpoch("a higher epoch owns the partition")

    async def _enter(self, operation: str) -> None:
        if self.fault is not None:
            await self.fault(operation)
        await trio.lowlevel.checkpoint()


@dataclass
class _Row:
    turn: Turn
    batch: Batch
    text_hash: str
    dead_reason: str = ""
    reply: Reply | None = None
    answered_at_ms: int = 0
    last_claims: dict[int, int] = field(default_factory=dict)


class MemoryLedger:
    """The ledger's rules without Postgres, and the lookups over it."""

    def __init__(self, instances: Sequence[str] = ("demo",)) -> None:
        self.epoch = EPOCH
        self.instances = set(instances)
        self.rows: dict[tuple[Conversation, int], _Row] = {}
        self.links: dict[tuple[str, str], str] = {}
        self.records: dict[str, InstanceRecord] = {}
        self.taken_over: set[Conversation] = set()
        self.escalated: dict[Conversation, tuple[int, str]] = {}
        self.handed_back: dict[Conversation, int] = {}
        self.notices: list[Notice] = []
        self.usage = Usage()
        self.history: tuple[HistoryEntry, ...] = ()
        self.fault: Callable[[str], Awaitable[None]] | None = None

    async def begin(self, batch: Batch, epoch: int) -> Turn:
        await self._enter("begin", epoch)
        key = (batch.conversation, batch.number)
        if key not in self.rows:
            instance, contact = batch.conversation
            rule = "" if instance in self.instances else "unknown_instance"
            moved_to = self.links.get((instance, contact), "") if is_lid(contact) else ""
            turn = Turn(
                len(self.rows) + 1, "started", None if rule else "1", (), moved_to=moved_to, rule=rule
            )
            self.rows[key] = _Row(turn, batch, hashlib.sha256(batch.text.encode()).hexdigest())
        row = self.rows[key]
        for part, claimed_at_ms in row.last_claims.items():
            open_claim = row.turn.parts[part].state in ("sending", "unknown")
            self._set(row, part, claimed_ago_ms=clock_ms() - claimed_at_ms if open_claim else None)
        return row.turn

    async def answer(self, turn: Turn, epoch: int, reply: Reply) -> Turn:
        await self._enter("answer", epoch)
        row = self._row(turn)
        if row.turn.state == "started":
            outbox = tuple(Part(number, text, "pending") for number, text in enumerate(reply.parts))
            row.reply, row.answered_at_ms = reply, clock_ms()
            row.turn = msgspec.structs.replace(
                row.turn,
                state="answered",
                parts=outbox,
                rule=reply.rule,
                origin=reply.origin,
                dead_reason=reply.dead_reason,
                dead_detail=reply.dead_detail,
            )
            if reply.hand_back:
                self.hand_back(row.batch.conversation)
            if reply.escalation:
                self.escalated.setdefault(row.batch.conversation, (clock_ms(), reply.escalation))
            self._store(reply.notices)
        return row.turn

    async def claim(
        self, turn: Turn, epoch: int, part: int, resend: bool, heed_takeover: bool = True
    ) -> None:
        await self._enter("claim", epoch)
        row = self._row(turn)
        if heed_takeover and row.batch.conversation in self.taken_over:
            raise TakenOver("a person writes in the chat")
        current = row.turn.parts[part]
        allowed = (
            current.state in ("sending", "unknown") and not current.resends and current.may_resend
            if resend
            else current.state == "pending"
        )
        if not allowed or any(earlier.state != "sent" for earlier in row.turn.parts[:part]):
            raise TurnFailed("claim_conflict")
        row.last_claims[part] = clock_ms()
        self._set(row, part, state="sending", claimed_at_ms=clock_ms(), resends=current.resends + int(resend))

    async def settle(self, turn: Turn, epoch: int, part: int, outcome: SendOutcome) -> None:
        await self._enter("settle", epoch)
        row = self._row(turn)
        match outcome:
            case Sent():
                self._set(row, part, state="sent")
            case NotSent():
                self._set(row, part, state="pending")
            case Unknown():
                self._set(row, part, state="unknown", may_resend=outcome.may_resend)

    async def finish(self, turn: Turn, epoch: int) -> None:
        await self._end("finish", turn, epoch, "done")

    async def suppress(self, turn: Turn, epoch: int, rule: str, spans: tuple[Span, ...] = ()) -> None:
        await self._enter("suppress", epoch)
        row = self._row(turn)
        state = "moved" if rule == "moved" else "suppressed"
        row.turn = msgspec.structs.replace(row.turn, state=state, rule=rule)

    async def drop_rest(self, turn: Turn, epoch: int, rule: str) -> Turn:
        await self._enter("drop_rest", epoch)
        row = self._row(turn)
        left = any(part.state not in ("pending", "dropped") for part in row.turn.parts)
        parts = tuple(
            part if part.state == "sent" else msgspec.structs.replace(part, state="dropped")
            for part in row.turn.parts
        )
        state = "done" if left else "suppressed"
        row.turn = msgspec.structs.replace(row.turn, state=state, rule=rule, parts=parts)
        return row.turn

    def hand_back(self, conversation: Conversation) -> None:
        """An operator, or the time, ends the escalation."""
        self.escalated.pop(conversation, None)
        self.handed_back[conversation] = clock_ms()

    async def notify(self, notices: tuple[Notice, ...]) -> None:
        self._store(notices)

    def _store(self, notices: tuple[Notice, ...]) -> None:
        known = {notice.once for notice in self.notices if notice.once}
        self.notices += [notice for notice in notices if notice.once not in known]

    async def bury(self, turn: Turn, epoch: int, reason: str, detail: str) -> None:
        await self._end("bury", turn, epoch, "dead")
        self._row(turn).dead_reason = reason

    async def link(self, instance: str, lid: str, phone: str) -> None:
        self.links[instance, lid] = phone

    async def gateway_ids(self, turn: Turn) -> frozenset[str]:
        return frozenset()

    async def instance(self, name: str) -> InstanceRecord:
        await self._enter("instance", self.epoch)
        return self.records.get(name, InstanceRecord())

    def about(self, question: Question) -> Mapping[str, Lookup]:
        async def found(name: str) -> object:
            await self._enter(name, self.epoch)
            return getattr(self._facts(question), name)

        return {
            name: Lookup(partial(found, name), getattr(Facts(), name))
            for name in ("duplicate", "history", "takeover", "escalated_reply", "interactions", "usage")
        }

    def _facts(self, question: Question) -> Facts:
        conversation, terms, now = question.batch.conversation, question.terms, clock_ms()
        mine = self._row(question.turn)
        others = [
            row
            for row in self.rows.values()
            if row.batch.conversation == conversation and row.turn.id != question.turn.id and row.reply
        ]
        escalated_at, _ = self.escalated.get(conversation, (None, ""))
        last_answer = max((row.answered_at_ms for row in others if row.turn.rule == ""), default=None)
        handed_back_at = self.handed_back.get(conversation)
        return Facts(
            duplicate=any(
                row.text_hash == mine.text_hash
                and row.turn.state == "done"
                and now - row.answered_at_ms < DUPLICATE_SECONDS * 1000
                for row in others
            ),
            takeover=TakeoverState(
                taken_over=conversation in self.taken_over,
                escalated=escalated_at is not None,
                escalation_expired=escalated_at is not None
                and now - escalated_at > terms.hand_back_seconds * 1000,
                handed_back=handed_back_at is not None and (last_answer or 0) < handed_back_at,
            ),
            escalated_reply=any(
                row.reply is not None
                and row.reply.answer.provider == "escalation"
                and now - row.answered_at_ms < terms.escalated_repeat_seconds * 1000
                for row in others
            ),
            interactions=tuple(
                Interaction(row.batch.text, row.reply.answer.confidence if row.reply else None)
                for row in sorted(others, key=lambda row: -row.answered_at_ms)[:5]
            ),
            usage=self.usage,
            history=self.history,
        )

    def dead(self) -> list[str]:
        return [row.dead_reason for row in self.rows.values() if row.turn.state == "dead"]

    def states(self) -> list[str]:
        return [row.turn.state for row in self.rows.values()]

    async def _end(self, operation: str, turn: Turn, epoch: int, state: str) -> None:
        await self._enter(operation, epoch)
        row = self._row(turn)
        row.turn = msgspec.structs.replace(row.turn, state=state)

    def _row(self, turn: Turn) -> _Row:
        return next(row for row in self.rows.values() if row.turn.id == turn.id)

    def _set(self, row: _Row, part: int, **changes: object) -> None:
        parts = list(row.turn.parts)
        parts[part] = msgspec.structs.replace(parts[part], **changes)
        row.turn = msgspec.structs.replace(row.turn, parts=tuple(parts))

    async def _enter(self, operation: str, epoch: int) -> None:
        if self.fault is not None:
            await self.fault(operation)
        await trio.lowlevel.checkpoint()
        if epoch < self.epoch:
            raise StaleEpoch("a higher epoch owns the partition")


class MemoryResponder:
    """Answers at once, or as `script` says. `prompts` is the oracle of what the model saw."""

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []
        self.script: list[Exception | str] = []
        self.delay_seconds = 0.0

    async def answer(self, prompt: Prompt) -> Answer:
        self.prompts.append(prompt)
        await trio.sleep(self.delay_seconds)
        step = self.script.pop(0) if self.script else f"Heard {len(prompt.messages)}: {prompt.text}"
        if isinstance(step, Exception):
            raise step
        return Answer(step, "memory")


class MemoryGateway:
    """A WhatsApp world: what was really delivered, whatever the outcome said."""

    def __init__(self) -> None:
        self.delivered: list[tuple[Conversation, str]] = []
        self.script: list[tuple[bool, SendOutcome]] = []
        """(delivered, outcome said) for the next sends."""
        self.evidence: list[SendEvidence] = []
        """Answers for the next look-ups; when used up, the truth."""
        self.fault: Callable[[str], Awaitable[None]] | None = None

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        if self.fault is not None:
            await self.fault("send")
        await trio.lowlevel.checkpoint()
        try:
            may_send()
        except (LeaseUncertain, StaleEpoch):
            return NotSent("lease_ended", "hold")
        arrives, outcome = self.script.pop(0) if self.script else (True, Sent(f"id{len(self.delivered)}"))
        if arrives:
            self.delivered.append((conversation, text))
        return outcome

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        await trio.lowlevel.checkpoint()
        if self.evidence:
            return self.evidence.pop(0)
        return RecordFound("id") if (conversation, text) in self.delivered else NoRecord()


class MemoryFeed:
    def __init__(self) -> None:
        self.events: list[tuple[str, Conversation | None, dict[str, object]]] = []

    def emit(self, event: str, conversation: Conversation | None = None, **fields: object) -> None:
        self.events.append((event, conversation, fields))

    def names(self) -> list[str]:
        return [event for event, _, _ in self.events]


class FixedOwnership:
    """Owns everything under one epoch, until a test says otherwise."""

    def __init__(self) -> None:
        self.current = EPOCH
        self.failure: Exception | None = None
        self.uncertain = False

    def epoch(self, conversation: Conversation) -> int:
        if self.uncertain:
            raise LeaseUncertain("lease_uncertain")
        if self.failure is not None:
            raise self.failure
        return self.current

    def owns(self, conversation: Conversation) -> bool:
        return self.failure is None
