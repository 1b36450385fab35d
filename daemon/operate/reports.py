"""What the admin door tells of switches, cost and changes, as data. Nothing here names a contact or a text."""

from __future__ import annotations

import msgspec

from actors.instance import FeatureFlags
from daemon.responders.breaker import Condition

FLAGS: tuple[str, ...] = FeatureFlags.__struct_fields__
"""The switches that can be turned while the daemon runs."""


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    instance: str = ""
    """Whose own provider it is; empty: the default's."""
    state: Condition
    failures: int = 0
    """In a row, up to now."""
    calls: int = 0
    last_reason: str = ""
    """Of the last failure, be it long ago."""
    wait_seconds: float = 0.0
    """Until it is asked again."""
    succeeded: int = 0
    """Of the calls, those that were answered, if only by a refusal of the prompt."""


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's own feed of one instance."""

    instance: str
    connected: bool
    received: int = 0
    lost: int = 0
    """Came, or would have come, and could not be stored: too many waited, too large, refused to the end."""
    connections: int = 0
    """Since the start."""
    note: str = ""
    """What it cannot do."""


class RealtimeView(msgspec.Struct, frozen=True, kw_only=True):
    """The realtime door."""

    listen: str
    connected: dict[str, int] = {}
    """Connections now, by the client's name."""
    latest_event: int
    """The number of the newest event in this life of the daemon."""


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know of, for as long as it lasts."""

    flag: str
    meaning: str
    value: float | None = None
    """As it is now; None when it cannot be told."""
    threshold: float
    """Above which it went up."""
    detail: str = ""
    """Providers or instances that it is about."""
    seconds: float
    """Since it went up."""


class InstanceFlag(msgspec.Struct, frozen=True, kw_only=True):
    """One instance for which a switch was set, or for which something else holds than for the others."""

    instance: str
    value: bool
    """What holds for it."""
    set: bool
    """By `majlis flags`; else its configuration says so."""


class FlagView(msgspec.Struct, frozen=True, kw_only=True):
    flag: str
    configured: bool
    daemon: bool | None = None
    """As set for this daemon; None when it was not."""
    effective: bool
    """What holds for every instance that is not among `instances`."""
    instances: list[InstanceFlag] = []


class FlagPage(msgspec.Struct, frozen=True, kw_only=True):
    node_id: str
    """The daemon that these hold for. Those of instances hold for every daemon on this database."""
    flags: list[FlagView]


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one instance used on one day."""

    instance: str
    day: str
    """UTC, `2026-01-31`."""
    answers: int
    """Given by a responder or from the cache."""
    cached: int
    """Of these, from the cache."""
    input_tokens: int
    output_tokens: int
    cost: float
    """In the currency of the providers' prices."""


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    days: int
    """Today and the days before it, UTC."""
    answers: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost: float
    rows: list[CostRow]
    """The latest day first."""


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    until: str
    stood: bool = False
    """A pause that ends no sooner than the one asked for stood already, and stays."""


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """What was ended; at least one of them."""

    conversation: str
    escalated: bool
    taken_over: bool
    state: str = ""
    """`parked` or `holding`, when that is what it was woken from."""


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    flags: int
    """Flags that stand in the database for this daemon and for instances."""
