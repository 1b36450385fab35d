"""In-memory mirror, ledger and friends for tests on the mock clock.

They pass the same contract tests as Redis and Postgres. Time is Trio's clock, in milliseconds, from an origin far
enough from zero to look like a Unix time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import trio

from actors.errors import (
    ConversationFull,
    EarlierTurnUnfinished,
    LeaseUncertain,
    MajlisError,
    MirrorUnavailable,
    StaleEpoch,
    TakenOver,
    TurnFailed,
)
from actors.escalation import Interaction
from actors.identity import Conversation, is_lid
from actors.instance import InstanceRecord
from actors.lookups import Facts, FailedCall, Lookup, Span, TakeoverState, Usage
from actors.machines import Pace
from actors.messages import (
    Answer,
    Batch,
    CloseReason,
    HistoryEntry,
    Message,
    Prompt,
    Receipt,
    Snapshot,
    Spent,
    TurnOutcome,
    Waiting,
    WindowPolicy,
)
from actors.outcome import NoRecord, NotSent, RecordFound, SendEvidence, SendOutcome, Sent, Unknown
from actors.ports import MaySend, Notice, OpenTurn, Question, Reply, Turn, at_any_time
from actors.repeats import comparable, once_text, sent_by, signature, waited_seconds
from actors.send_facts import Part, Proof
from actors.triage import MACHINE
from actors.window import counted, stored_end

ORIGIN_MS = 1_785_100_000_000
EPOCH = 1
PARTITIONS = 8


def clock_ms() -> int:
    return ORIGIN_MS + round(trio.current_time() * 1000)


@dataclass
class Buffer:
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
        self.buffers: dict[Conversation, Buffer] = {}
        self.on_appended: Callable[[Message, Receipt], None] | None = None
        self.fault: Callable[[str], Awaitable[None]] | None = None
        self.outcomes: list[tuple[TurnOutcome, tuple[str, ...]]] = []

    async def append(self, message: Message, policy: WindowPolicy, at_ms: int | None = None) -> Receipt:
        await self._enter("append")
        buffer = self.buffers.setdefault(message.conversation, Buffer())
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
        armed = not buffer.waiting or (message.speaks and not counted(buffer.waiting, policy, 1))
        buffer.entries.append(Waiting(buffer.seq, arrived, message))
        buffer.seen[message.id] = buffer.seq
        deadline = arrived + round(policy.lasts_seconds * 1000)
        if armed or buffer.deadline_ms is None:
            buffer.deadline_ms, buffer.first_ms = deadline, arrived
        elif policy.kind == "quiet" and message.speaks:
            buffer.first_ms = min(buffer.first_ms, arrived)
            later = deadline if at_ms is None else max(deadline, buffer.deadline_ms)
            buffer.deadline_ms = min(later, buffer.first_ms + round(policy.max_seconds * 1000))
        elif at_ms is not None:
            buffer.deadline_ms = min(buffer.deadline_ms, deadline)
            buffer.first_ms = min(buffer.first_ms, arrived)
        if counted(buffer.waiting, policy) >= policy.max_messages:
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
        buffer = self.buffers.setdefault(conversation, Buffer())
        buffer.retry_at_ms = None
        if buffer.batch is not None:
            return buffer.batch
        taken, now = tuple(buffer.waiting[: policy.max_batch_messages]), clock_ms()
        if not taken or (why == "quiet" and (buffer.deadline_ms or 0) > now):
            return None
        buffer.number = max(buffer.number + 1, now)
        buffer.batch = Batch(
            conversation, buffer.number, taken[0].seq, taken[-1].seq, why, 0, buffer.first_ms, now, taken
        )
        rest = buffer.waiting
        buffer.deadline_ms = None
        if rest:
            buffer.first_ms = next((one.at_ms for one in rest if one.message.speaks), rest[0].at_ms)
            last_ms = max((one.at_ms for one in rest if one.message.speaks), default=buffer.first_ms)
            buffer.deadline_ms = round(stored_end(policy, buffer.first_ms / 1000, last_ms / 1000) * 1000)
        if counted(rest, policy) >= policy.max_messages:
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

    def _receipt(self, buffer: Buffer, seq: int, now: int, duplicate: bool) -> Receipt:
        return Receipt(
            duplicate, seq, now, buffer.deadline_ms or now, now, len(buffer.waiting), buffer.batch is not None
        )

    def _snapshot(self, conversation: Conversation) -> Snapshot:
        buffer = self.buffers.setdefault(conversation, Buffer())
        waiting = tuple(buffer.waiting)
        deadline_ms = buffer.deadline_ms if waiting else None
        number = buffer.batch.number if buffer.batch is not None else None
        return Snapshot(conversation, clock_ms(), waiting, deadline_ms, number, buffer.retry_at_ms)

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
    begun_at_ms: int
    repeated: tuple[str, ...] = ()
    heard: bool = True
    """Its messages are its own, not those of an earlier turn."""
    dead_reason: str = ""
    reply: Reply | None = None
    spent: Spent = field(default_factory=Spent)
    spent_by: str = ""
    """The attempt whose spending was added last."""
    failures: tuple[FailedCall, ...] = ()
    answered_at_ms: int = 0
    claims: dict[int, str] = field(default_factory=dict)
    """The tokens of open claims by part."""
    open_since_ms: dict[int, int] = field(default_factory=dict)
    gateway_ids: dict[int, str] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        return {message.id for message in self.batch.messages}

    @property
    def is_open(self) -> bool:
        return self.turn.state in ("started", "answered")

    @property
    def only_moves(self) -> bool:
        return bool(self.turn.moved_to) and self.turn.state in ("started", "moved")


def _left_ms(row: _Row) -> float:
    """When the first part of its reply left; long ago for one without."""
    claimed = row.turn.parts[0].claimed_at_ms if row.turn.parts else None
    return 0.0 if claimed is None else claimed


class MemoryLedger:
    """The ledger's rules without Postgres, and the lookups over it."""

    def __init__(self, instances: Sequence[str] = ("demo",)) -> None:
        self.epoch = EPOCH
        self.instances = set(instances)
        self.rows: dict[int, _Row] = {}
        """By the turn's id."""
        self.links: dict[tuple[str, str], str] = {}
        self.records: dict[str, InstanceRecord] = {}
        self.taken_over: set[Conversation] = set()
        self.opted_out: set[Conversation] = set()
        self.own_numbers: set[str] = set()
        self.escalated: dict[Conversation, tuple[int, str]] = {}
        self.handed_back: dict[Conversation, int] = {}
        self.notices: list[Notice] = []
        self.usage = Usage()
        """What the lookup finds besides what this ledger has counted itself."""
        self.spent, self.answers = Spent(), 0
        self.pace = Pace()
        """What the lookup finds where no silence is in force."""
        self.machines: dict[Conversation, tuple[int, Pace]] = {}
        """Silences to machines: when they end, and why they began."""
        self.history: tuple[HistoryEntry, ...] = ()
        self.fault: Callable[[str], Awaitable[None]] | None = None

    async def begin(self, batch: Batch, epoch: int) -> Turn:
        await self._enter("begin", epoch)
        row = self._known(batch) or self._open(batch)
        row.batch = msgspec.structs.replace(row.batch, attempts=batch.attempts)
        return msgspec.structs.replace(self._view(row), repeated=row.repeated)

    def _known(self, batch: Batch) -> _Row | None:
        ids = {message.id for message in batch.messages}
        same = [
            row
            for row in self.rows.values()
            if (row.batch.conversation, row.batch.number) == (batch.conversation, batch.number)
            and ids <= row.ids.union(row.repeated)
        ]
        return max(same, key=lambda row: (row.ids == ids, row.turn.id), default=None)

    def _open(self, batch: Batch) -> _Row:
        instance, contact = batch.conversation
        rule = "" if instance in self.instances else "unknown_instance"
        phone = self.links.get((instance, contact), "") if is_lid(contact) else ""
        moved_to, repeated = phone, tuple[str, ...]()
        if not rule:
            heard = self._heard(batch, phone or contact)
            if len(heard) == len(batch.entries):
                rule, moved_to = "duplicate", ""
            else:
                repeated = tuple(sorted(heard))
        conversation_id = None if rule == "unknown_instance" or phone else "1"
        shadow = batch.is_shadow
        turn = Turn(
            len(self.rows) + 1, "started", conversation_id, (), moved_to=moved_to, rule=rule, shadow=shadow
        )
        own = batch.without(repeated)
        row = _Row(turn, own, hashlib.sha256(once_text(own.asked).encode()).hexdigest(), clock_ms(), repeated)
        row.heard = rule != "duplicate"
        self.rows[turn.id] = row
        return row

    def _heard(self, batch: Batch, contact: str) -> set[str]:
        """The ids of the batch that earlier turns of this person had heard."""
        instance = batch.conversation.instance
        lids = {lid for (where, lid), phone in self.links.items() if (where, phone) == (instance, contact)}
        names = {contact, batch.conversation.contact} | lids | {one.lid for one in batch.messages if one.lid}
        ids, heard = {message.id for message in batch.messages}, set[str]()
        for row in self.rows.values():
            known = ids & row.ids
            if row.batch.conversation not in {Conversation(instance, name) for name in names}:
                continue
            if not known or row.only_moves or not row.heard:
                continue
            same_batch = (row.batch.conversation, row.batch.number) == (batch.conversation, batch.number)
            if row.is_open and not same_batch:
                raise EarlierTurnUnfinished("an earlier turn of these messages has not ended")
            heard |= known
        return heard

    async def open_turns(self, conversation: Conversation) -> tuple[Batch, ...]:
        await self._enter("open_turns", self.epoch)
        return tuple(
            msgspec.structs.replace(row.batch, frozen_at_ms=row.begun_at_ms)
            for row in self.rows.values()
            if row.batch.conversation == conversation and row.is_open
        )

    async def unfinished(self, partitions: Collection[int], after: int, limit: int) -> tuple[OpenTurn, ...]:
        await self._enter("unfinished", self.epoch)
        found = [
            OpenTurn(number, row.batch.conversation, row.batch.number, (clock_ms() - row.begun_at_ms) / 1000)
            for number, row in self.rows.items()
            if row.is_open and number > after and row.batch.conversation.partition(PARTITIONS) in partitions
        ]
        return tuple(found[:limit])

    async def answer(
        self, turn: Turn, epoch: int, reply: Reply, claim: str = "", heed_takeover: bool = True
    ) -> Turn:
        await self._enter("answer", epoch)
        row = self._row(turn)
        if row.turn.state == "started":
            taken_over = bool(claim) and heed_takeover and row.batch.conversation in self.taken_over
            if taken_over:
                reply = msgspec.structs.replace(reply, notices=(), escalation="")
            outbox = tuple(Part(number, text, "pending") for number, text in enumerate(reply.parts))
            row.reply, row.answered_at_ms = reply, clock_ms()
            if row.turn.shadow:
                reply = msgspec.structs.replace(reply, hand_back="", escalation="", opt_out="")
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
            if reply.opt_out == "out":
                self.opted_out.add(row.batch.conversation)
            elif reply.opt_out == "in":
                self.opted_out.discard(row.batch.conversation)
            says_itself = reply.answer.provider in ("escalation", "fallback", "opt_out")
            if reply.rule in ("", "model_silence") or (reply.rule == "shadow" and not says_itself):
                self.answers += 1
                answer = reply.answer
                self._pay(row, Spent(answer.input_tokens, answer.output_tokens, answer.cost_micros))
            if reply.rule in ("model_silence", "shadow"):
                self._end(row, "suppressed")
            elif taken_over:
                self._drop(row, "taken_over")
            elif claim and reply.parts and not row.turn.shadow:
                self._claimed(row, 0, claim, resends=0)
                await self._committed("claim")
        return self._view(row)

    async def spend(
        self, turn: Turn, epoch: int, token: str, spent: Spent, failures: tuple[FailedCall, ...]
    ) -> None:
        row = await self._find("spend", turn, epoch)
        if row.turn.state == "started" and row.spent_by != token:
            row.spent_by = token
            row.failures += failures
            self._pay(row, spent)

    def _pay(self, row: _Row, spent: Spent) -> None:
        row.spent += spent
        self.spent += spent

    async def claim(
        self, turn: Turn, epoch: int, part: int, resend: bool, token: str, heed_takeover: bool = True
    ) -> None:
        await self._enter("claim", epoch)
        row = self._row(turn)
        if heed_takeover and row.batch.conversation in self.taken_over:
            raise TakenOver("a person writes in the chat")
        if row.turn.shadow:
            raise TurnFailed("claim_conflict")
        current = row.turn.parts[part]
        if current.state == "sending" and row.claims.get(part) == token:
            return
        repeats = current.state in ("sending", "unknown")
        allowed = current.state == "pending" or (
            repeats and resend and current.may_resend and not current.resends
        )
        earlier = row.turn.parts[:part]
        if row.turn.state != "answered" or not allowed or any(each.state != "sent" for each in earlier):
            raise TurnFailed("claim_conflict")
        self._claimed(row, part, token, current.resends or int(repeats))

    def _claimed(self, row: _Row, part: int, token: str, resends: int) -> None:
        current = row.turn.parts[part]
        keeps_first = resends and current.claimed_at_ms is not None
        row.claims[part] = token
        self._set(
            row,
            part,
            state="sending",
            token=token,
            first_token=current.first_token if keeps_first else token,
            claimed_at_ms=current.claimed_at_ms if keeps_first else clock_ms(),
            resends=resends,
        )

    async def settle(self, turn: Turn, epoch: int, part: int, outcome: SendOutcome) -> None:
        await self._enter("settle", epoch)
        row = self._row(turn)
        current = row.turn.parts[part]
        if current.state == "pending" and isinstance(outcome, Unknown):
            raise MajlisError("a part that was never claimed cannot be settled")
        if current.state == "sent":
            return
        match outcome:
            case Sent(message_id):
                self._sent(row, part, message_id)
            case NotSent():
                self._not_sent(row, part)
            case Unknown():
                row.claims.pop(part, None)
                self._set(row, part, state="unknown", may_resend=current.may_resend and outcome.may_resend)

    async def prove(self, proof: Proof) -> bool:
        await self._enter("prove", self.epoch)
        return self._prove(proof)

    def _prove(self, proof: Proof) -> bool:
        row = next((row for row in self.rows.values() if row.turn.id == proof.turn_id), None)
        if row is None or proof.part >= len(row.turn.parts):
            return False
        current = row.turn.parts[proof.part]
        if not proof.token or proof.token not in (current.token, current.first_token):
            return False
        if isinstance(proof.outcome, Sent):
            if current.state != "sent" or proof.part not in row.gateway_ids:
                self._sent(row, proof.part, proof.outcome.message_id)
            return True
        if current.state == "sending" and row.claims.get(proof.part) == proof.token:
            self._not_sent(row, proof.part)
            return True
        return current.state == "pending"

    def _sent(self, row: _Row, part: int, message_id: str) -> None:
        row.claims.pop(part, None)
        if message_id:
            row.gateway_ids[part] = message_id
        self._set(row, part, state="sent")

    def _not_sent(self, row: _Row, part: int) -> None:
        row.claims.pop(part, None)
        current = row.turn.parts[part]
        self._set(
            row, part, state="pending", claimed_at_ms=current.claimed_at_ms if current.resends else None
        )

    async def settle_last(self, turn: Turn, epoch: int, proof: Proof) -> bool:
        await self._enter("settle", self.epoch)
        is_known = self._prove(proof)
        if epoch < self.epoch:
            raise StaleEpoch("a higher epoch owns the partition")
        row = self._row(turn)
        if not is_known:
            assert isinstance(proof.outcome, Sent)
            self._sent(row, proof.part, proof.outcome.message_id)
            return False
        sent = all(part.state == "sent" for part in row.turn.parts)
        if row.turn.dead_reason or row.turn.state not in ("answered", "done") or not sent:
            return False
        self._end(row, "done")
        await self._committed("finish")
        return True

    async def finish(self, turn: Turn, epoch: int) -> None:
        row = await self._find("finish", turn, epoch)
        if row.turn.state == "done":
            return
        if row.turn.state == "answered" and row.turn.dead_reason:
            self._end(row, "dead")
            row.dead_reason = row.turn.dead_reason
            return
        if row.turn.state != "answered" or any(part.state != "sent" for part in row.turn.parts):
            raise MajlisError(f"a {row.turn.state} turn cannot be finished")
        self._end(row, "done")

    async def suppress(self, turn: Turn, epoch: int, rule: str, spans: tuple[Span, ...] = ()) -> None:
        row = await self._find("suppress", turn, epoch)
        if row.turn.state in ("suppressed", "moved"):
            return
        if row.turn.state not in ("started", "answered") or any(
            part.state != "pending" for part in row.turn.parts
        ):
            raise MajlisError(f"a {row.turn.state} turn cannot be suppressed")
        self._end(row, "moved" if rule == "moved" else "suppressed", rule=rule)

    async def silence_machine(
        self, turn: Turn, epoch: int, pace: Pace, notices: tuple[Notice, ...], spans: tuple[Span, ...] = ()
    ) -> None:
        row = self._row(turn)
        if row.turn.state == "started":
            until_ms = clock_ms() + round(pace.silence_seconds * 1000)
            self.machines[row.batch.conversation] = (until_ms, pace)
            self._store(notices)
        await self.suppress(turn, epoch, MACHINE, spans)

    async def drop_rest(self, turn: Turn, epoch: int, rule: str) -> Turn:
        row = await self._find("drop_rest", turn, epoch)
        if row.turn.state in ("started", "answered"):
            self._drop(row, rule)
        return self._view(row)

    def _drop(self, row: _Row, rule: str) -> None:
        left = any(part.state not in ("pending", "dropped") for part in row.turn.parts)
        for part in row.turn.parts:
            if part.state in ("pending", "sending", "unknown"):
                self._set(row, part.number, state="dropped" if part.state == "pending" else "unknown")
        self._end(row, "done" if left else "suppressed", rule=rule)

    def hand_back(self, conversation: Conversation) -> None:
        """An operator, or the time, ends the escalation."""
        self.escalated.pop(conversation, None)
        self.handed_back[conversation] = clock_ms()

    async def may_start(self, conversation: Conversation) -> bool:
        return conversation not in self.opted_out

    async def notify(self, notices: tuple[Notice, ...]) -> None:
        self._store(notices)

    def _store(self, notices: tuple[Notice, ...]) -> None:
        known = {notice.once for notice in self.notices if notice.once}
        self.notices += [notice for notice in notices if notice.once not in known]

    async def bury(self, turn: Turn, epoch: int, reason: str, detail: str) -> None:
        row = await self._find("bury", turn, epoch)
        if row.turn.state == "dead":
            return
        if row.turn.state not in ("started", "answered"):
            raise MajlisError(f"a {row.turn.state} turn cannot be buried")
        self._end(row, "dead")
        row.dead_reason = reason

    async def link(self, instance: str, lid: str, phone: str, shadow: bool = False) -> None:
        self.links[instance, lid] = phone

    async def gateway_ids(self, turn: Turn) -> frozenset[str]:
        await self._enter("gateway_ids", self.epoch)
        mine = self._row(turn).batch.conversation
        rows = [row for row in self.rows.values() if row.batch.conversation == mine]
        return frozenset(id for row in rows for id in row.gateway_ids.values())

    async def instance(self, name: str) -> InstanceRecord:
        await self._enter("instance", self.epoch)
        return self.records.get(name, InstanceRecord())

    def about(self, question: Question) -> Mapping[str, Lookup]:
        async def found(name: str) -> object:
            await self._enter(name, self.epoch)
            return getattr(self._facts(question), name)

        messages, seconds = question.batch.messages, question.terms.duplicate_seconds
        other = seconds <= 0 or not comparable(messages) or any(message.swept for message in messages)
        return {
            name: Lookup(partial(found, name), getattr(Facts(), name), skip=other and name == "duplicate")
            for name in (
                "duplicate",
                "history",
                "takeover",
                "escalated_reply",
                "interactions",
                "usage",
                "pace",
            )
        }

    def _facts(self, question: Question) -> Facts:
        conversation, terms, now = question.batch.conversation, question.terms, clock_ms()
        mine, asked = self._row(question.turn), question.batch
        waited, sent = waited_seconds(asked), sent_by(asked)
        arrived = [mine.begun_at_ms - 1000 * seconds for seconds in waited]
        written = max(
            arrived if by is None else min(arrived, 1000 * by)
            for arrived, by in zip(arrived, sent, strict=True)
        )
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
                and signature(row.batch.asked) == signature(question.batch)
                and row.turn.state == "done"
                and not row.turn.rule
                and written < _left_ms(row)
                and mine.begun_at_ms - _left_ms(row) < terms.duplicate_seconds * 1000
                for row in others
            ),
            takeover=TakeoverState(
                taken_over=conversation in self.taken_over,
                escalated=escalated_at is not None,
                escalation_expired=escalated_at is not None
                and now - escalated_at > terms.hand_back_seconds * 1000,
                handed_back=handed_back_at is not None and (last_answer or 0) < handed_back_at,
                opted_out=conversation in self.opted_out,
                own_instance=conversation.contact in self.own_numbers,
            ),
            escalated_reply=any(
                row.reply is not None
                and row.reply.answer.provider == "escalation"
                and now - row.answered_at_ms < terms.escalated_repeat_seconds * 1000
                for row in others
            ),
            interactions=tuple(
                Interaction(row.batch.text, row.reply.answer.confidence, row.reply.answer.text)
                for row in sorted(others, key=lambda row: -row.answered_at_ms)[:5]
                if row.reply
            ),
            usage=msgspec.structs.replace(
                self.usage,
                tokens_today=self.usage.tokens_today + self.spent.input_tokens + self.spent.output_tokens,
                cost_micros_today=self.usage.cost_micros_today + self.spent.cost_micros,
                answers_today=self.usage.answers_today + self.answers,
            ),
            pace=Pace(silent=True) if self.machines.get(conversation, (0, None))[0] > now else self.pace,
            history=self.history,
        )

    def dead(self) -> list[str]:
        return [row.dead_reason for row in self.rows.values() if row.turn.state == "dead"]

    def states(self) -> list[str]:
        return [row.turn.state for row in self.rows.values()]

    async def _find(self, operation: str, turn: Turn, epoch: int) -> _Row:
        await self._enter(operation, epoch)
        return self._row(turn)

    def _end(self, row: _Row, state: str, **changes: object) -> None:
        row.turn = msgspec.structs.replace(row.turn, state=state, **changes)

    def _row(self, turn: Turn) -> _Row:
        return self.rows[turn.id]

    def _set(self, row: _Row, part: int, **changes: object) -> None:
        parts = list(row.turn.parts)
        parts[part] = msgspec.structs.replace(parts[part], **changes)
        row.turn = msgspec.structs.replace(row.turn, parts=tuple(parts))
        row.open_since_ms[part] = clock_ms()

    def _view(self, row: _Row) -> Turn:
        """The turn as it is now, with the ages of its parts."""
        now = clock_ms()
        parts = tuple(
            msgspec.structs.replace(
                part,
                first_claim_ago_ms=None
                if part.claimed_at_ms is None or part.state == "sent"
                else max(0, now - part.claimed_at_ms),
                open_ago_ms=max(0, now - row.open_since_ms[part.number])
                if part.state in ("sending", "unknown")
                else None,
            )
            for part in row.turn.parts
        )
        return msgspec.structs.replace(row.turn, parts=parts)

    async def _committed(self, operation: str) -> None:
        """The second half of a joined step: it is done, and its answer may be lost."""
        if self.fault is not None:
            await self.fault(operation)

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
        self.script: list[Exception | Answer | str] = []
        self.delay_seconds = 0.0

    async def answer(self, prompt: Prompt) -> Answer:
        self.prompts.append(prompt)
        await trio.sleep(self.delay_seconds)
        step = self.script.pop(0) if self.script else f"Heard {len(prompt.messages)}: {prompt.text}"
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Answer) else Answer(step, "memory")


@dataclass(frozen=True)
class _Record:
    """One message as the gateway's own database has it, from the moment it arrives."""

    conversation: Conversation
    text: str
    id: str
    at_ms: int


class MemoryGateway:
    """A WhatsApp world: what was really delivered, whatever the outcome said, and from when on its records show it."""

    def __init__(self) -> None:
        self.records: list[_Record] = []
        self.script: list[tuple[bool | float, SendOutcome]] = []
        """For the next sends, (delivered, outcome said); seconds instead of True: so long after the outcome."""
        self.evidence: list[SendEvidence] = []
        """Answers for the next look-ups; when used up, the truth."""
        self.fault: Callable[[str], Awaitable[None]] | None = None
        """Called with `send` before a send may leave, and with `answer` before its outcome is said."""

    @property
    def delivered(self) -> list[tuple[Conversation, str]]:
        """In the order of arrival."""
        return [(record.conversation, record.text) for record in self._arrived()]

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
        id = f"id{len(self.records)}"
        arrives, outcome = self.script.pop(0) if self.script else (True, Sent(id))
        late_ms = 0 if isinstance(arrives, bool) else round(arrives * 1000)
        if arrives:
            known = outcome.message_id if isinstance(outcome, Sent) else id
            self.records.append(_Record(conversation, text, known, clock_ms() + late_ms))
        if self.fault is not None:
            await self.fault("answer")
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
        for record in self._arrived():
            mine = (record.conversation, record.text) == (conversation, text)
            if mine and record.at_ms >= since_ms and record.id not in known_ids:
                return RecordFound(record.id)
        return NoRecord()

    def _arrived(self) -> list[_Record]:
        now = clock_ms()
        return sorted((each for each in self.records if each.at_ms <= now), key=lambda each: each.at_ms)


class MemoryFacts:
    """The rules of kept facts without Redis and without a file. Passes the same contract tests as `KeptFacts`."""

    def __init__(self) -> None:
        self.known: dict[str, Proof] = {}
        self.claims: dict[str, bool] = {}
        """Token → whether its first byte may have left."""
        self.mirror: dict[str, Proof] = {}
        self.log: dict[str, Proof] = {}
        self.noted: set[str] = set()
        """Claims that the log has."""
        self.mirror_away = False
        self.log_full = False
        self.can_empty_log = True

    def restart(self) -> None:
        """The process was killed; what it had kept outside itself is there."""
        self.known.clear()
        self.claims = {
            token: False for token, left in self.claims.items() if not left and token in self.noted
        }

    def claiming(self, token: str) -> None:
        self.claims[token] = False
        if not self.log_full:
            self.noted.add(token)

    def starting(self, token: str) -> None:
        if token not in self.claims:
            raise LeaseUncertain("claim_is_over")
        if self.log_full and token in self.noted:
            if not self.can_empty_log:
                raise LeaseUncertain("sends_log_stuck")
            self.noted.clear()
        self.claims[token] = True

    def remember(self, proof: Proof) -> None:
        self.known[proof.token] = proof

    async def keep(self, conversation: Conversation, proof: Proof) -> None:
        await trio.lowlevel.checkpoint()
        self.remember(proof)
        if not self.mirror_away:
            self.mirror[proof.token] = proof
        elif not self.log_full:
            self.log[proof.token] = proof

    async def recall(self, conversation: Conversation, turn_id: int, part: Part) -> Proof | None:
        await trio.lowlevel.checkpoint()
        tokens = [token for token in (part.token, part.first_token) if token]
        found = [place[token] for place in (self.known, self.log) for token in tokens if token in place]
        if not any(isinstance(proof.outcome, Sent) for proof in found):
            if self.mirror_away:
                raise MirrorUnavailable("timeout")
            found += [self.mirror[token] for token in tokens if token in self.mirror]
        for proof in found:
            if isinstance(proof.outcome, Sent):
                return proof
        for proof in found:
            if proof.token == part.token:
                return proof
        if self.claims.get(part.token) is False:
            return Proof(turn_id, part.number, part.token, NotSent("never_left", "hold"))
        return None

    async def forget(self, conversation: Conversation, proof: Proof) -> None:
        await trio.lowlevel.checkpoint()
        self.claims.pop(proof.token, None)
        for place in (self.known, self.log, self.mirror):
            place.pop(proof.token, None)


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

    def fenced(self) -> dict[int, int]:
        return dict.fromkeys(range(PARTITIONS), self.current)
