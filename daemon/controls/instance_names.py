"""The names of the stored instances, read again and again, so that the webhook door knows them without asking.

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


class InstanceNames:
    """Teaches `known` what is in the database."""

    def __init__(self, records: Records, known: KnownInstances, feed: Feed) -> None:
        self._records = records
        self._known = known
        self._feed = feed

    async def refresh(self) -> None:
        """Read the names now. Raises `LedgerUnavailable`."""
        self._known.learn(await self._records.instance_names(MAX_STORED))

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
