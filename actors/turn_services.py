"""What every turn shares: the ports it works through, and what it asks of its surroundings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from actors.bought import Bought
from actors.identity import Conversation
from actors.messages import Message, WindowPolicy
from actors.outbox import Outbox
from actors.ports import Feed, FlagSource, Identities, Ledger, Lookups, Policies, Responder

Append = Callable[[Message, WindowPolicy, int], Awaitable[object]]
"""Stores a message in the mirror under its earlier arrival and hands it to its conversation."""


class TurnServices(msgspec.Struct, frozen=True, kw_only=True):
    append: Append
    ledger: Ledger
    lookups: Lookups
    responder: Responder
    outbox: Outbox
    identities: Identities
    policies: Policies
    flags: FlagSource
    feed: Feed
    wall_ms: Callable[[], int]
    """Unix time, milliseconds."""
    nudge: Callable[[], None]
    """Notices were stored: their sender need not wait for its next round."""
    label: Callable[[Conversation], str]
    """The short hash by which logs and alerts name a conversation."""
    bought: Bought = msgspec.field(default_factory=Bought)
    knows: Callable[[str], bool] = lambda _instance: True
    """Whether an instance is there, and its settings in force, as far as this daemon has heard."""
