"""The phone numbers of instances, stored as the webhook door hears them."""

from __future__ import annotations

import trio

from actors.errors import MajlisError
from actors.ports import Feed
from daemon.ingress.known_instances import KnownInstances
from daemon.ledger.records import Records
from daemon.stores.postgres import is_only_away

STORE_SECONDS = 30.0
STORE_AGAIN_SECONDS = 86_400.0
"""How often the same number of an instance is stored again; see majlis_is_own_number."""


class InstanceNumbers:
    """Takes them from `known`."""

    def __init__(self, records: Records, known: KnownInstances, feed: Feed) -> None:
        self._records = records
        self._known = known
        self._feed = feed
        self._stored: dict[str, tuple[str, float]] = {}
        """The number of each instance, and when it was stored."""

    async def store(self) -> None:
        """Store the numbers that are news. Raises `LedgerUnavailable`."""
        now = trio.current_time()
        news = {
            instance: number
            for instance, number in self._known.numbers_seen().items()
            if (known := self._stored.get(instance)) is None
            or known[0] != number
            or now - known[1] > STORE_AGAIN_SECONDS
        }
        if news:  # should it fail, the next webhook brings them again
            await self._records.store_numbers(news)
            self._stored |= {instance: (number, now) for instance, number in news.items()}

    async def run(self) -> None:
        """Store them until cancelled."""
        while True:
            await trio.sleep(STORE_SECONDS)
            try:
                await self.store()
            except MajlisError as error:
                if not is_only_away(error):
                    self._feed.emit("daemon.problem", part="instance numbers", error=type(error).__name__)
