"""What the admin door shows, as data. Phone numbers and texts stand in them whole; `masking` hides them on the
way out unless the reader asked to see them.

Durations are seconds, moments are UTC in ISO 8601. Counts are since the daemon's start unless said otherwise.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.lookups import Span
from actors.messages import CloseReason
from actors.ports import PartState, TurnState
from daemon.operate.control_views import InstancePause
from daemon.operate.login import DashboardView
from daemon.operate.reports import AlertView, FeedView, ProviderView, RealtimeView

ActorState = Literal["waiting", "queued", "answering", "retrying", "holding", "idle", "parked"]
"""Hearing the burst out | a free turn is awaited | a turn runs | the next try is awaited | the gateway or a store
is awaited | nothing to do | crashed too often."""

CheckState = Literal["ok", "warning", "problem"]


class IngressCounts(msgspec.Struct, frozen=True, kw_only=True):
    accepted: int = 0
    duplicate: int = 0
    ignored: dict[str, int] = {}
    """By reason."""
    refused: dict[str, int] = {}
    """By reason; the gateway sends these again."""
    unreadable: int = 0
    unauthorized: int = 0
    """With a wrong token or none; the gateway does not send these again."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    ready: bool
    reasons: list[str] = []
    """Why it is not ready, each a sentence that says what to do."""
    draining: bool = False
    version: str
    node_id: str = ""
    pid: int = 0
    uptime_seconds: float
    listen: str
    stores: dict[str, str]
    """`redis` and `postgres`: `ok`, or a sentence."""
    partitions_owned: int
    partitions_total: int
    active: int = 0
    """Conversations with an actor in memory now."""
    open_windows: int
    running_turns: int
    queued_turns: int = 0
    held_turns: int = 0
    """Waiting for a gateway or store that is away."""
    deferred_turns: int = 0
    """Waiting for their next try."""
    parked: int = 0
    acknowledged: int
    answered: int
    suppressed: int
    dead: int
    waiting_messages: int
    """Now; acknowledged and not yet part of an answer that ended."""
    oldest_waiting_seconds: float | None = None
    dead_letters_open: int = 0
    """Now, in the ledger, whenever they came to be."""
    taken_over: int = 0
    """Conversations in which a person of the business writes now."""
    escalated: int = 0
    """Conversations that were given to a person and not handed back yet."""
    notices_waiting: int = 0
    """What is still to be told to the business."""
    notices_given_up: int = 0
    suppressed_by_rule: dict[str, int] = {}
    """Turns since the start, by the rule that ended them without an answer."""
    unknown_instances: dict[str, int] = {}
    """Those turns that ended because the database does not know the instance, by its name; of many names the later
    ones together."""
    cache_hits: int = 0
    limits_reached: dict[str, int] = {}
    """Limits that were reached since the start, by kind."""
    providers: list[ProviderView] = []
    feeds: list[FeedView] = []
    """Gateways that are listened to over their own feed."""
    realtime: RealtimeView | None = None
    """None: it is off."""
    dashboard: DashboardView | None = None
    """None: it is off."""
    pauses: list[InstancePause] = []
    """Instances of which no turn begins now, by an operator's word."""
    alerts: list[AlertView] = []
    """What is wrong now, the latest last: `docs/operations.md` says what to do."""
    ingress: IngressCounts = IngressCounts()


class ActorView(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    """Its label, as in the logs."""
    instance: str
    contact: str
    state: ActorState
    waiting_messages: int = 0
    closes_in_seconds: float | None = None
    """Until the window closes, or until the next try."""
    why: str = ""
    """Why it waits, as a short sentence."""
    tries: int = 0
    batch: int | None = None


class ActorPage(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    matching: int
    actors: list[ActorView]


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    text: str
    kind: str = "text"
    seq: int | None = None
    sent_at: str = ""
    arrived_at: str = ""


class PauseView(msgspec.Struct, frozen=True, kw_only=True):
    since: str
    until: str
    heeded: bool = True
    """False: take-over is switched off for the instance, so Majlis answers all the same."""


class EscalationView(msgspec.Struct, frozen=True, kw_only=True):
    since: str
    why: str = ""
    heeded: bool = True
    """False: escalation is switched off for the instance, so Majlis answers all the same."""


class SilentView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in which somebody else speaks."""

    conversation: str
    instance: str
    contact: str
    taken_over: PauseView | None = None
    escalated: EscalationView | None = None


class SilentPage(msgspec.Struct, frozen=True, kw_only=True):
    matching: int
    conversations: list[SilentView]
    """The latest first."""


class PartView(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    state: PartState
    text: str
    gateway_id: str = ""
    resends: int = 0
    claimed_at: str = ""
    """When it was first about to be sent."""
    settled_at: str = ""
    """When it was known what became of it."""


class TurnView(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    batch: int
    state: TurnState
    closed_by: CloseReason | None = None
    messages: int = 0
    tries: int = 0
    rule: str = ""
    provider: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    """In the currency of the providers' prices."""
    confidence: float | None = None
    """The model's own, 0 to 1."""
    needs_data_collection: bool = False
    requested_fields: list[str] = []
    started_at: str = ""
    ended_at: str = ""
    parts: list[PartView] = []


class TurnDetail(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    instance: str
    contact: str
    turn: TurnView
    messages: list[MessageView]
    """What the customer wrote."""
    waterfall: list[Span] = []


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    instance: str
    contact: str
    partition: int
    epoch: int | None = None
    """Under which this daemon acts for it; None when another daemon does."""
    state: ActorState | Literal["absent"]
    """`absent`: no actor in memory here."""
    why: str = ""
    closes_in_seconds: float | None = None
    tries: int = 0
    batch: int | None = None
    taken_over: PauseView | None = None
    """A person of the business writes in the chat: Majlis is silent."""
    escalated: EscalationView | None = None
    """It was given to a person."""
    waiting: list[MessageView] = []
    turns: list[TurnView] = []
    """The latest first."""


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    conversation: str
    instance: str
    contact: str
    batch: int
    reason: str
    detail: str = ""
    tries: int = 0
    buried_at: str
    retried_at: str | None = None
    dropped_at: str | None = None
    messages: list[MessageView] = []


class DeadLetterPage(msgspec.Struct, frozen=True, kw_only=True):
    open: int
    letters: list[DeadLetterView]


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    retried: int
    """How many dead letters were put back to be answered."""


class Flushed(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    messages: int
    """How many waiting messages go into the batch that closes now."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: CheckState
    detail: str
    advice: str = ""
    """What to do; empty when there is nothing to do."""


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    checks: list[Check]

    @property
    def well(self) -> bool:
        return all(check.state != "problem" for check in self.checks)
