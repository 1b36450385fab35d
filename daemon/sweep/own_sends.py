"""Our own replies, found in the gateway's records, settle the sends whose outcome is unknown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from actors.identity import Conversation
from actors.ports import Feed, Proof
from daemon.ingress.inbound import OwnMessage
from daemon.stores.postgres import Postgres


class OwnSends:
    def __init__(
        self,
        db: Postgres,
        prove: Callable[[Proof], Awaitable[bool]],
        nudge: Callable[[Conversation], None],
        feed: Feed,
    ) -> None:
        """`prove` gives a fact to the ledger; `nudge` wakes a conversation that may have waited for it."""
        self._db = db
        self._prove = prove
        self._nudge = nudge
        self._feed = feed

    async def settle(self, own: Sequence[OwnMessage], clock_ahead_seconds: float | None) -> frozenset[str]:
        """Settle what these messages prove; returns the ids of those that Majlis sent. The others wrote a person.

        Args:
          own: the business's messages of one instance, newest first, as the gateway gives its records.
          clock_ahead_seconds: how far the gateway's clock is ahead of ours; None: it does not say.

        Raises:
          LedgerUnavailable: ask again later; what was proven is proven.
        """
        raise NotImplementedError
