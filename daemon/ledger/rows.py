"""The rows of the ledger that operators see."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

from actors.identity import Conversation
from actors.lookups import FailedCall, Span
from actors.messages import CutReason, Message


class DeadLetter(msgspec.Struct, frozen=True):
    id: int
    turn_id: int
    conversation: Conversation
    batch_number: int
    reason: str
    detail: str
    attempts: int
    created_at: datetime
    retried_at: datetime | None
    dropped_at: datetime | None
    messages: tuple[Message, ...]
    """The messages of the customer, appended again when the dead letter is retried."""
    provider: str | None = None
    """Who said its reply; None: it has none."""
    parts: tuple[str, ...] = ()
    """The states of the parts of its reply."""
    failures: tuple[FailedCall, ...] = ()
    """The providers that were asked in vain."""
    cost_micros: int = 0


class SentPart(msgspec.Struct, frozen=True):
    number: int
    state: str
    text: str
    resends: int
    gateway_message_id: str | None
    reason: str | None
    claimed_at: datetime | None = None
    settled_at: datetime | None = None


class TurnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. `text` and `answer` must only be shown to operators who may see messages."""

    id: int
    conversation_key: str
    batch_number: int
    lo: int
    hi: int
    why: str
    state: str
    rule: str
    failed_attempts: int = msgspec.field(name="tries")
    messages: tuple[Message, ...]
    provider: str | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_micros: int
    estimated: bool = False
    """What it cost is a guess."""
    confidence: float | None
    needs_data_collection: bool
    requested_fields: tuple[str, ...]
    waterfall: tuple[Span, ...]
    failures: tuple[FailedCall, ...] = ()
    cut: CutReason = ""
    text: str
    answer: str | None
    opened_at: datetime
    created_at: datetime
    answered_at: datetime | None
    finished_at: datetime | None
    parts: tuple[SentPart, ...]

    @property
    def conversation(self) -> Conversation:
        return Conversation.from_key(self.conversation_key)


class TakeoverPeriod(msgspec.Struct, frozen=True):
    """A person of the business writes in the conversation."""

    since: datetime
    until: datetime


class MachineSilence(msgspec.Struct, frozen=True):
    """Another machine seems to speak in the conversation."""

    since: datetime
    until: datetime
    signs: tuple[str, ...] = ()


class Escalated(msgspec.Struct, frozen=True):
    """A person was asked to take the conversation."""

    since: datetime
    why: str


class SilenceReasons(msgspec.Struct, frozen=True):
    """Why Majlis does not answer in a conversation now, if so."""

    taken_over: TakeoverPeriod | None = None
    escalated: Escalated | None = None
    opted_out: datetime | None = None
    """Since when the customer wants no messages."""
    machine: MachineSilence | None = None


class OwnMessageRow(msgspec.Struct, frozen=True):
    """What was made of a message of the business; migration 031 says what the words mean."""

    id: str
    instance: str
    contact: str
    sender: str
    verdict: str
    sent_at: datetime
    arrived_at: datetime
    chats: int = 1
    """How many chats got the same text, of an announcement."""

    @property
    def conversation(self) -> Conversation:
        return Conversation(self.instance, self.contact)


class AuditRow(msgspec.Struct, frozen=True):
    """What an operator did; migration 042 says what the outcomes mean."""

    id: int
    at: datetime
    uid: int
    action: str
    target: str
    origin: str
    session: str
    outcome: Literal["done", "refused", "failed", ""]
    why: str


class Attention(msgspec.Struct, frozen=True):
    """Counts of what may need a person now."""

    taken_over: int = 0
    opted_out: int = 0
    machines: int = 0
    escalated: int = 0
    notices_waiting: int = 0
    notices_given_up: int = 0
    dead_letters: int = 0
    forwards_waiting: int = 0
    forwards_bytes: int = 0
    forwards_dead: int = 0
    forwards_oldest_seconds: float | None = None


class HandedBack(msgspec.Struct, frozen=True):
    """How many escalations, take-overs and silences to machines were ended."""

    escalations: int
    takeovers: int
    machines: int = 0


class DailyUsage(msgspec.Struct, frozen=True):
    """What one instance used on one day (UTC)."""

    instance: str
    day: date
    answers: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost_micros: int
    superseded: int = 0
    """Answers that were given up for what the customer wrote meanwhile."""
    estimated_micros: int = 0
    """How much of the cost is estimated: what those have cost."""


class StoredInstances(msgspec.Struct, frozen=True):
    """Instances that are in the database and not in the configuration."""

    names: tuple[str, ...] = ()
    """The first of them, by name."""
    total: int = 0


class LastSends(msgspec.Struct, frozen=True):
    """What became of the latest parts of replies of an instance, of those that were sent within a day."""

    ids: tuple[str, ...] = ()
    """The gateway's ids of those that it accepted, the newest first, without those of the last seconds."""
    sent: int = 0
    """Accepted, and not reported as failed since."""
    failed: int = 0
    """Refused, or reported as failed later."""
    reason: str = ""
    """Of the latest failure."""


class FlagRow(msgspec.Struct, frozen=True):
    """`scope` is `daemon:<node>` or `instance:<name>`."""

    scope: str
    flag: str
    value: bool


class SettingRow(msgspec.Struct, frozen=True):
    """`scope` as for a flag."""

    scope: str
    key: str
    value: str
    """JSON."""
    set_at: datetime
    set_by: str
    """Empty: nobody said."""


class ScopeRows(msgspec.Struct, frozen=True):
    """What was set at run time for one scope."""

    flags: tuple[FlagRow, ...] = ()
    settings: tuple[SettingRow, ...] = ()
    """The earlier set first."""
    bucket: int = 0
    """In which its changes are noticed."""


class SecretRow(msgspec.Struct, frozen=True):
    """A sealed key or token of an instance."""

    instance: str
    key: str
    """Of the setting."""
    sealed: bytes
    key_id: str
    """Names the key that opens it."""
    set_at: datetime
    bucket: int = 0
    """As that of its instance's `ScopeRows`."""


class Pause(msgspec.Struct, frozen=True):
    """An operator's pause, or that an instance is held: no turn of it begins while it lasts."""

    instance: str
    """Empty: every instance."""
    since: datetime
    until: datetime | None
    """None: until it is resumed."""
    held: str = ""
    """Why Majlis itself holds the instance, and what ends that; empty: an operator paused it."""


class TableSize(msgspec.Struct, frozen=True, kw_only=True):
    """What a table of the database takes."""

    name: str
    bytes: int
    """With its indexes."""
    rows: int
    """As Postgres estimated last."""
    bytes_a_day: int | None
    """How much it grew a day in the last week; None: not known yet, it takes six hours."""
