"""The names of the stored instances, read again and again, so that the webhook door knows them without asking; and
their phone numbers, stored as the door hears them.

While Postgres is away, the names read last stay known.
"""

from __future__ import annotations

import trio

from actors.errors import LedgerUnavailable
from actors.ports import Feed
from daemon.ingress.known_instances import MAX_STORED, KnownInstances
from daemon.ledger.records import Records
from daemon.stores.postgres import LedgerError, LedgerMisconfigured

REFRESH_SECONDS = 30.0
STORE_NUMBER_SECONDS = 86_400.0
"""How often the same number of an instance is stored again; see majlis_is_own_number."""


class InstanceNames:
    """Teaches `known` what is in the database."""

    def __init__(self, records: Records, known: KnownInstances, feed: Feed) -> None:
        self._records = records
        self._known = known
        self._feed = feed
        self._stored: dict[str, tuple[str, float]] = {}
        """The number of each instance, and when it was stored."""

    async def refresh(self) -> None:
        """Read the names now, and store the numbers that are news. Raises `LedgerUnavailable`."""
        self._known.learn(await self._records.instance_names(MAX_STORED))
        now = trio.current_time()
        news = {
            instance: number
            for instance, number in self._known.numbers_seen().items()
            if (known := self._stored.get(instance)) is None
            or known[0] != number
            or now - known[1] > STORE_NUMBER_SECONDS
        }
        if news:  # should it fail, the next webhook brings them again
            await self._records.store_numbers(news)
            self._stored |= {instance: (number, now) for instance, number in news.items()}

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the database until cancelled; started after the first reading, even if that failed."""
        await self._try_refresh()
        task_status.started()
        while True:
            await trio.sleep(REFRESH_SECONDS)
            await self._try_refresh()

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except (LedgerError, LedgerMisconfigured) as error:
            self._feed.emit("daemon.problem", part="instance names", error=type(error).__name__)
        except LedgerUnavailable:
            pass  # the store watch reports it
