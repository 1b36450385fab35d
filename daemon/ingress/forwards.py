"""What the webhook door hands on where an instance is in mode `passthrough`: the webhook as it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from daemon.web.http1 import Keeper

HOPS_HEADER = "x-majlis-forwarded"
"""Names every Majlis that has forwarded a webhook."""
MAX_HOPS = 8


class Came(msgspec.Struct, frozen=True):
    """How a webhook came, beside its body."""

    headers: Mapping[str, str] = {}
    """By lower-case name."""
    whole: Keeper | None = None
    """The body as it came, where it was large and is kept."""


class Parcel(NamedTuple):
    """One webhook, to be forwarded."""

    instance: str
    event: str
    """The gateway's name for it, in one spelling; empty: it is not known."""
    body: bytes
    """Without the media in it, where the body is kept whole; empty, where it was too much for that."""
    came: Came


class Forwards(Protocol):
    def wants(self, instance: str) -> bool:
        """Whether the instance is in mode `passthrough`: nothing of it is for anybody else."""

    async def take(self, parcel: Parcel) -> bool:
        """Make one durable, within a bounded time; False: it is not one of those that the other system has.

        Raises:
          Unavailable: the ledger is away.
          Overloaded: a limit is reached.
        """

    def comes_round(self, hops: str) -> bool:
        """Whether a webhook was forwarded by us already, or by too many; `hops`: the header's value."""
