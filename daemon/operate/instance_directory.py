"""Which instances exist: those with settings of their own, and those that only the database knows."""

from __future__ import annotations

from collections.abc import Callable, Collection

from actors.errors import LedgerUnavailable
from daemon.ledger.records import Records
from daemon.stores.postgres import LedgerError

MAX_STORED = 1_000
"""How many names are read from the database for a list to choose from."""


class InstanceDirectory:
    """Args:
    own: those with settings of their own, of the configuration or made since.
    records: None until the stores run; until then only those are known.
    """

    def __init__(self, own: Callable[[], Collection[str]], records: Callable[[], Records | None]) -> None:
        self._own = own
        self._records = records

    async def names(self) -> list[str]:
        """All of them, sorted; only those with settings of their own while the database cannot be asked."""
        return sorted({*self._own(), *await self._stored()})

    async def knows(self, instance: str) -> bool:
        """Raises `LedgerUnavailable`."""
        if instance in self._own():
            return True
        records = self._records()
        return records is not None and await records.knows_instance(instance)

    async def _stored(self) -> Collection[str]:
        records = self._records()
        if records is None:
            return ()
        try:
            return (await records.stored_instances(self._own(), MAX_STORED)).names
        except (LedgerUnavailable, LedgerError):
            return ()
