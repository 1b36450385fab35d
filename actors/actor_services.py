"""What every actor shares: the ports it works through, and what it asks of its surroundings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from actors.identity import Conversation
from actors.messages import Batch
from actors.permits import TurnPermits
from actors.ports import Feed, Mirror, NewAttempt, Ownership, Policies


class TurnPolicy(msgspec.Struct, frozen=True):
    max_attempts: int = 3
    backoff_seconds: tuple[float, ...] = (1.0, 2.0, 4.0)
    max_hold_seconds: float = 21600.0


class Services(msgspec.Struct, frozen=True):
    """What every actor shares."""

    mirror: Mirror
    ownership: Ownership
    attempt: NewAttempt
    policies: Policies
    feed: Feed
    permits: TurnPermits
    policy: TurnPolicy
    draw: Callable[[], float]
    """A uniform random number in [0, 1)."""
    wall_ms: Callable[[], int]
    """Unix time, milliseconds."""
    open_turns: Callable[[Conversation], Awaitable[tuple[Batch, ...]]]
    """`Ledger.open_turns`."""
    is_sending: Callable[[Conversation], bool]
    """Whether a send of this conversation is under way: its outcome is a fact, and is waited for."""
    goes_first: Callable[[Conversation], bool] = lambda _conversation: False
    """Whether it goes before the others of its instance."""
