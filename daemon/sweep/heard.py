"""Which messages of the gateway's records the ledger knows already."""

from __future__ import annotations

from collections.abc import Collection

from daemon.stores.postgres import Postgres

MAX_IDS = 1_000
"""So many are asked for at once."""


class Heard:
    """What was heard, and what we said, by id."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def heard(self, instance: str, ids: Collection[str]) -> frozenset[str]:
        """Those of these customers' messages that a turn of the instance has heard.

        What still waits in the mirror is not among them: the mirror knows it by itself.

        Raises:
          LedgerUnavailable: it cannot be asked now.
        """
        raise NotImplementedError

    async def ours(self, instance: str, ids: Collection[str]) -> frozenset[str]:
        """Those of these messages that Majlis itself sent: parts of replies, and notices.

        Raises:
          LedgerUnavailable: it cannot be asked now.
        """
        raise NotImplementedError
