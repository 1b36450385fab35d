"""The small Protocols through which the pure core and the Trio shell reach the world.

Each has one production implementation named in the composition root, and where tests use a fake, fake and real
thing pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal, Protocol

import msgspec

from actors.identity import Conversation
from actors.instance import FeatureFlags, InstanceRecord, Terms
from actors.lookups import CacheHit, FailedCall, Lookup, MissReason, NotKept, Span
from actors.machines import Pace
from actors.messages import (
    Answer,
    Batch,
    CloseReason,
    Message,
    Prompt,
    Receipt,
    Snapshot,
    Spent,
    TurnOutcome,
    WindowPolicy,
)
from actors.outcome import SendEvidence, SendOutcome
from actors.send_facts import Part, Proof

TurnState = Literal["started", "answered", "done", "suppressed", "dead", "moved"]


class Turn(msgspec.Struct, frozen=True):
    """The ledger's record of one batch: what is already done of it."""

    id: int
    state: TurnState
    conversation_id: str | None
    """The row of `whatsapp_conversations`, as text: existing databases have bigint or uuid ids."""
    parts: tuple[Part, ...] = ()
    moved_to: str = ""
    """The phone number behind this conversation's LID, when the ledger knows it."""
    rule: str = ""
    """Why the turn ended without an answer, or with one that no responder gave: `unknown_instance`, `duplicate`, …"""
    origin: str = ""
    """The gateway to reply through, as it was settled with the answer; empty: the configured one."""
    dead_reason: str = ""
    """The answer is the fallback message: once it is sent, the turn becomes a dead letter for this reason."""
    dead_detail: str = ""
    repeated: tuple[str, ...] = ()
    """Ids of the batch that an earlier turn had heard, as T1 found them: this turn is about the others alone."""
    shadow: bool = False
    """Its answer is kept, and never sent (`actors/modes.py`)."""
    lately: int | None = None
    """How many turns the conversation has had within a day, counted up to 100, as T1 found it. None: nobody counted, or
    it has been taken for a machine's."""


class OpenTurn(msgspec.Struct, frozen=True):
    """An unfinished turn, by name alone."""

    id: int
    conversation: Conversation
    number: int
    """Of its batch."""
    age_seconds: float


class Notice(msgspec.Struct, frozen=True):
    """A message to the business. Stored with the step that causes it, sent soon after, at least once."""

    kind: Literal["whatsapp", "webhook"]
    instance: str
    target: str
    """A phone number, or where the address of the webhook is found: one of `actors/notices.py`."""
    body: str
    """The text, or the JSON document to post."""
    once: str = ""
    """A key under which the notice is stored only once; empty: always."""


class CacheEntry(msgspec.Struct, frozen=True):
    """The key of an answer in the response cache; `actors/response_cache.py` makes the digests of it."""

    scope: str
    question_hash: str
    question: str
    """Normalised."""
    numbers: str
    """Those in the question: without the same numbers it is another question, however alike it sounds."""
    keep_seconds: float
    max_entries: int
    """Of the instance; the oldest go first."""
    model: str = ""
    """Whose vector of the question is to be kept with it; empty: none is."""
    text_hash: str = ""
    """Under what that vector is kept."""
    features: str = ""
    """What another wording of the question must have as well; without a vector none is looked for."""


class CacheRecord(msgspec.Struct, frozen=True):
    """What became of a question in the response cache."""

    looked: CacheHit | MissReason
    """How it was answered from there, or why it was not: counted by the hour."""
    not_kept: NotKept | Literal[""] = ""
    """Why the responder's answer is not kept; empty: it is, or `looked` says it."""
    entry: CacheEntry | None = None
    """The key under which it is kept."""
    hit: int | None = None
    """The answer came from this entry: nothing is stored, the hit is counted."""


class Reply(msgspec.Struct, frozen=True):
    """Everything that T2 stores in one transaction."""

    answer: Answer
    parts: tuple[str, ...]
    rule: str = ""
    """Why no responder was asked: `escalated`, `budget`, …; empty for a responder's answer."""
    escalation: str = ""
    """The reason to escalate the conversation for, with this very answer."""
    dead_reason: str = ""
    dead_detail: str = ""
    origin: str = ""
    hand_back: str = ""
    """Why an escalation ends with this reply: `timeout`; empty: none does."""
    opt_out: Literal["", "out", "in"] = ""
    """The customer wants no more messages from now on, or wants them again; empty: neither."""
    notices: tuple[Notice, ...] = ()
    cache: CacheRecord | None = None
    spans: tuple[Span, ...] = msgspec.field(default=(), name="waterfall")
    """The turn's trace."""


class Mirror(Protocol):
    """Redis: the durable copy of buffers and timers. Every method may raise `MirrorUnavailable`."""

    async def append(self, message: Message, policy: WindowPolicy, at_ms: int | None = None) -> Receipt:
        """Store one message durably, once. `at_ms`: an earlier arrival to honour (a moved message).

        Raises:
          ConversationFull: `max_waiting_messages` already wait.
        """

    async def load(self, conversation: Conversation) -> Snapshot: ...

    async def freeze(
        self, conversation: Conversation, epoch: int, why: CloseReason, policy: WindowPolicy
    ) -> Batch | None:
        """Freeze what waits, or return the unfinished batch unchanged; None: neither is there, or `quiet` is too early.

        Raises:
          StaleEpoch: the partition has a higher epoch.
        """

    async def defer(
        self, conversation: Conversation, epoch: int, number: int, delay_seconds: float, counts: bool
    ) -> None:
        """Try batch `number` again in `delay_seconds`; `counts` it as a failed attempt. Raises `StaleEpoch`."""

    async def commit(
        self, conversation: Conversation, epoch: int, batch: Batch, outcome: TurnOutcome
    ) -> Snapshot:
        """End the batch; returns what waits now. Idempotent. Works when Redis is full. Raises `StaleEpoch`."""


class Ledger(Protocol):
    """Postgres: the authority on what was answered. Every method may raise `LedgerUnavailable` or `StaleEpoch`."""

    async def begin(self, batch: Batch, epoch: int) -> Turn:
        """T1: find or create the conversation, store the user's messages, open the turn; or find it as it was.

        Messages that an earlier turn of the contact had heard are left out; a batch of nothing else is a `duplicate`.
        One that `is_shadow` begins a shadow turn: no step of it writes anything but tables of ours.

        Raises:
          EarlierTurnUnfinished: one of those turns has not ended yet.
        """

    async def open_turns(self, conversation: Conversation) -> tuple[Batch, ...]:
        """The unfinished turns of this very conversation as batches, oldest first; some, where there are many.

        What they lack is what the mirror alone knew. `frozen_at_ms` is by the daemon's own clock.
        """

    async def unfinished(self, partitions: Collection[int], after: int, limit: int) -> tuple[OpenTurn, ...]:
        """Unfinished turns of these partitions that come after turn `after`, in order."""

    async def answer(
        self, turn: Turn, epoch: int, reply: Reply, claim: str = "", heed_takeover: bool = True
    ) -> Turn:
        """T2: the reply and its outbox rows. If the turn has an answer already, that one is kept.

        A reply by rule `model_silence` or `shadow` ends the turn `suppressed`; its answer's tokens and cost are kept
        and counted. `claim`: T3 of the first part in the same step, under this token; empty: nothing is claimed. Where
        a person of the business writes in the chat (unless `heed_takeover` is off) it ends the turn likewise, by rule
        `taken_over`: nothing is claimed, nobody is told. Called again with the same `claim`, it finds that claim.
        """

    async def spend(
        self, turn: Turn, epoch: int, token: str, spent: Spent, failures: tuple[FailedCall, ...]
    ) -> None:
        """An attempt failed after it had asked: count what that cost, for the turn and for the day.

        Once for each `token`, which names the attempt. Nothing happens when the turn has its answer already.
        """

    async def claim(
        self, turn: Turn, epoch: int, part: int, resend: bool, token: str, heed_takeover: bool = True
    ) -> None:
        """T3: the durable `sending` claim that precedes the send. `token` names it and is used for no other.

        Raises:
          TakenOver: a person of the business has written in the chat (unless `heed_takeover` is off).
        """

    async def settle(self, turn: Turn, epoch: int, part: int, outcome: SendOutcome) -> None:
        """T4: what became of the send."""

    async def prove(self, proof: Proof) -> bool:
        """Record a fact about a send. No epoch: never `StaleEpoch`. Changes the part alone, also in an ended turn.

        `Sent` stands against everything; `NotSent` ends only the very claim it names. Returns whether the part is now
        as the proof says; False: it is about a claim that the ledger does not know (any more). Idempotent.
        """

    async def settle_last(self, turn: Turn, epoch: int, proof: Proof) -> bool:
        """T4 of the last part, which was sent, as a fact, and T5; returns whether the turn has ended.

        The fact is recorded whatever becomes of T5, also where this raises `StaleEpoch`. False: `finish` says why.
        """

    async def finish(self, turn: Turn, epoch: int) -> None:
        """T5: turn done, interaction recorded."""

    async def suppress(self, turn: Turn, epoch: int, rule: str, spans: tuple[Span, ...] = ()) -> None:
        """End the turn without an answer, by a named rule (`moved` for a LID conversation that found its phone)."""

    async def silence_machine(
        self, turn: Turn, epoch: int, pace: Pace, notices: tuple[Notice, ...], spans: tuple[Span, ...] = ()
    ) -> None:
        """End the turn without an answer, by rule `machine`, and begin the silence of `pace`, in one step."""

    async def drop_rest(self, turn: Turn, epoch: int, rule: str) -> Turn:
        """End the turn as it is: what has not left never will. `done` when a part did, else `suppressed`."""

    async def may_start(self, conversation: Conversation) -> bool:
        """Whether Majlis may write there by itself, with no message that asks for it: not if the customer opted out."""

    async def notify(self, notices: tuple[Notice, ...]) -> None:
        """Store notices to be sent."""

    async def bury(self, turn: Turn, epoch: int, reason: str, detail: str) -> None:
        """End the turn as a dead letter: kept, listed, replayable."""

    async def link(self, instance: str, lid: str, phone: str, shadow: bool = False) -> None:
        """Remember that a LID belongs to a phone number; the two conversations become one. Idempotent.

        `shadow`: only tables of ours may be written: others follow with the next link that is told aloud.
        """

    async def gateway_ids(self, turn: Turn) -> frozenset[str]:
        """Gateway message ids already bound to replies of this conversation: no evidence for another one."""


class Question(msgspec.Struct, frozen=True, dict=True):
    """What the lookups of one turn are about. What is made of it once is kept with it (`dict`), and goes with it."""

    turn: Turn
    batch: Batch
    record: InstanceRecord
    flags: FeatureFlags
    terms: Terms
    now_ms: int = 0
    """Unix time, milliseconds, when the attempt began: the one clock of all that it tells. 0: nothing is told of it."""


class Lookups(Protocol):
    """What a turn asks before the responder is called."""

    async def instance(self, name: str) -> InstanceRecord:
        """The instance's row, at most `turn.settings_cache_seconds` old. Raises `LedgerUnavailable`."""

    def about(self, question: Question) -> Mapping[str, Lookup]:
        """The lookups of stage two by name; `actors/lookups.py` says what each name's value is."""


class Responder(Protocol):
    async def answer(self, prompt: Prompt) -> Answer:
        """One call to the AI.

        Raises:
          TurnFailed: try again (rate limited, overloaded, timed out, garbage).
          TurnRefused: this prompt will never be answered.
        """


MaySend = Callable[[], None]
"""Asked in the last moment before the first byte of a send leaves; raises when it must not leave any more."""


def at_any_time() -> None:
    """The `MaySend` of callers without a lease."""


class Gateway(Protocol):
    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        """Send one message. Never raises for what the gateway does; says what is known instead.

        `origin` is a gateway of the allow-list to send through; empty: the configured one. `key` is the same for
        every attempt to send one message, for gateways that recognise by it what they have sent already.

        Connecting may take longer than a lease has left, hence `may_send`: when it raises, nothing was sent.
        """

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        """Look whether `text` was sent to the contact since `since_ms` (Unix ms) under an id not in `known_ids`.

        Raises:
          GatewayHeld: the gateway cannot be asked now.
        """


class Attempt(Protocol):
    """One attempt at the turn of one frozen batch. The caller commits the outcome in the mirror."""

    async def run(self) -> TurnOutcome:
        """Bring the batch to its end in the ledger.

        Raises:
          TurnFailed: this attempt failed.
          TurnRefused: no attempt can succeed.
          Unavailable: a store or the gateway is away, or a limit says to wait.
          StaleEpoch: another daemon owns the conversation.
        """

    async def bury(self, reason: str, detail: str) -> TurnOutcome:
        """End the batch as a dead letter, unless the ledger shows that it has ended already.

        A customer who got no answer gets the fallback message, where there is one. Raises as `run` does.
        """


NewAttempt = Callable[[Batch, int], Attempt]
"""Takes the batch and the epoch to act under. Nothing happens before `run` or `bury`."""


class Ownership(Protocol):
    """Which partitions this daemon may act for, by its leases."""

    def epoch(self, conversation: Conversation) -> int:
        """The epoch to act under.

        Raises:
          LeaseUncertain: the lease is too close to its end to act; it may be renewed.
          StaleEpoch: the partition is not ours.
        """


class Feed(Protocol):
    """Every event goes here once and becomes a log line, a tail event and a counter."""

    def emit(self, event: str, conversation: Conversation | None = None, **fields: object) -> None: ...


class Policies(Protocol):
    def window(self, instance: str) -> WindowPolicy: ...

    def terms(self, instance: str) -> Terms: ...


class FlagSource(Protocol):
    """What is switched on for an instance right now."""

    def of(self, instance: str) -> FeatureFlags: ...


class Identities(Protocol):
    """What this daemon has lately learned of LIDs; the ledger knows the rest."""

    def phone_of(self, instance: str, lid: str) -> str | None: ...
