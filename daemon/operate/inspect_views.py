"""What the admin door shows of the daemon's inside: tasks, settings, leases, one message's life, and one page for
`majlis top`. Masked by `masking` as everything else: phone numbers stand in `contact`, what people wrote in `text`.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from actors.ports import TurnState
from daemon.operate.control_views import InstancePause
from daemon.operate.reports import AlertView, ProviderView
from daemon.operate.views import ActorView

MessageState = Literal[
    "waiting",
    "queued",
    "answering",
    "retrying",
    "holding",
    "parked",
    "elsewhere",
    "answered",
    "suppressed",
    "dead",
    "dropped",
    "moved",
]
"""The first six as an actor's; `elsewhere`: it waits, and its conversation is in no memory here."""

TopSort = Literal["urgency", "left", "messages", "tries", "instance"]


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """One Trio task with those that it waits for."""

    task: str
    """Its name; a conversation's by its label."""
    at: str = ""
    """Where in the code it waits."""
    children: list[TaskView] = []
    more: int = 0
    """Further children, not listed."""


class TreePage(msgspec.Struct, frozen=True, kw_only=True):
    tasks: int
    """How many there are, the ones not listed included."""
    tree: TaskView


class ConfigValue(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    value: str
    """As YAML would spell it; `****` for what is secret."""
    origin: str
    """`default`, the file's path, `environment MAJLIS_…`, `credential …` or `--set`."""


class ConfigPage(msgspec.Struct, frozen=True, kw_only=True):
    values: list[ConfigValue]


class LeaseOwner(msgspec.Struct, frozen=True, kw_only=True):
    owner: str
    ours: bool
    partitions: int
    seconds_left: float
    """Of the lease that ends first."""


class LeaseView(msgspec.Struct, frozen=True, kw_only=True):
    partition: int
    epoch: int
    owner: str = ""
    """Empty: nobody."""
    seconds_left: float = 0.0
    fenced: bool = False
    """This daemon acts for it, and the mirror knows."""


class LeasePage(msgspec.Struct, frozen=True, kw_only=True):
    node_id: str
    partitions: int
    held: int
    """By any daemon."""
    fenced: int
    """For how many this daemon acts."""
    owners: list[LeaseOwner]
    leases: list[LeaseView]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a message's life."""

    at: str
    """Empty: the moment is not recorded."""
    what: str
    detail: str = ""
    text: str | None = None
    """What was said, by whomever; None: nothing was."""
    gateway_id: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole life of one message."""

    message: str
    conversation: str
    instance: str
    contact: str
    partition: int
    kind: str = ""
    text: str | None = None
    """None: it is kept no more."""
    state: MessageState
    why: str
    """Where it is, or how it ended, as a sentence."""
    seconds_left: float | None = None
    """Until something happens by itself."""
    turns: list[int] = []
    letters: list[int] = []
    """Its dead letters, whatever became of them."""
    steps: list[Step]


class TurnHeadView(msgspec.Struct, frozen=True, kw_only=True):
    """One turn in a list of them."""

    id: int
    conversation: str
    instance: str
    contact: str
    state: TurnState
    messages: int
    rule: str = ""
    provider: str = ""
    started_at: str
    ended_at: str = ""
    took_ms: float | None = None
    """Until it ended."""


class TurnPage(msgspec.Struct, frozen=True):
    turns: list[TurnHeadView]
    """The newest first."""


class LatencyView(msgspec.Struct, frozen=True, kw_only=True):
    """How long one thing took, of the latest ones."""

    what: str
    count: int
    p50_ms: float
    p95_ms: float
    max_ms: float


class TopRow(ActorView, frozen=True, kw_only=True):
    window_seconds: float
    """The whole length of its window."""


class TopPage(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    node_id: str
    version: str
    ready: bool
    draining: bool
    reasons: list[str] = []
    uptime_seconds: float
    active: int
    open_windows: int
    waiting_messages: int
    """In this daemon's memory."""
    phases: dict[str, int]
    slots_held: int
    slots: int
    """Turns that may run at once."""
    counters: dict[str, int]
    """Since the start: two pages tell the rates between them."""
    latencies: list[LatencyView]
    providers: list[ProviderView]
    alerts: list[AlertView]
    pauses: list[InstancePause]
    matching: int
    rows: list[TopRow]


class Insight(Protocol):
    """Implemented by `daemon.operate.inspect`. Any may raise `Unavailable`."""

    async def tree(self, limit: int) -> TreePage:
        """Every task that runs, of equals under one parent at most `limit`."""

    async def config(self, reveal: bool) -> ConfigPage:
        """Every setting in force; numbers of staff are masked unless `reveal`."""

    async def leases(self) -> LeasePage: ...

    async def explain(self, message_id: str, instance: str | None) -> Explanation:
        """Raises `NotFound`, or `Conflict` when several instances know the message."""

    async def turns(self, instance: str | None, limit: int) -> TurnPage:
        """The latest ones, of every daemon on this database; of one instance among the newest 10,000 of all."""

    async def top(self, sort: TopSort, instance: str | None, offset: int, limit: int) -> TopPage:
        """What there is to watch, with one page of the conversations that are not idle."""
