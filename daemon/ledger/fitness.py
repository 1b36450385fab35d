"""Whether this Postgres is fit to be the ledger, asked at the start and every few seconds after (law 9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from actors.errors import LedgerUnavailable
from daemon.ledger.migrate import Install, check_schema, check_server, install, migrate, migrations
from daemon.ledger.pooler import check_pooler
from daemon.ledger.records import Records
from daemon.ledger.rights import check_rights
from daemon.ledger.trial import try_a_turn
from daemon.stores.postgres import LedgerError, Postgres
from daemon.stores.sqlstates import ADVICE

_Check = Callable[[Postgres], Awaitable[str | None]]
_CHECKS: tuple[_Check, ...] = (check_server, check_rights, check_schema)
"""Asked while the daemon runs, now and then and as long as something is wrong."""
_BETWEEN: tuple[_Check, ...] = (check_server,)
"""Asked again and again: whether it is there, and takes writes."""
_AT_THE_START: tuple[_Check, ...] = (check_pooler, *_CHECKS, try_a_turn)
LOOKS = 20
"""Of so many looks one is at the rights and the schema too: only an operator changes them."""


async def ledger_problem(db: Postgres) -> str | None:
    """What is wrong with Postgres and what to change, in a sentence; None when it is fit."""
    return await _worded(db, _AT_THE_START)


async def _worded(db: Postgres, checks: Sequence[_Check]) -> str | None:
    try:
        for check in checks:
            if problem := await check(db):
                return problem
    except LedgerUnavailable as error:
        return unavailable(error)
    except LedgerError as error:
        return f"Postgres refuses the checks ({error}): grant the user of postgres.dsn the rights it needs."
    return None


def unavailable(error: LedgerUnavailable) -> str:
    """The sentence for a Postgres that does not answer."""
    advice = ADVICE.get(str(error).partition(":")[0], "check that it runs and can be reached at postgres.dsn")
    return f"Postgres cannot be used now ({error}): {advice}."


class LedgerFitness:
    """Prepares the ledger at the start, and checks it from then on.

    Args:
      instances: the configured ones; they get their rows in the database.
      migrates: brings the schema up to date first. For an embedded Postgres, which has no other user.
    """

    def __init__(
        self, db: Postgres, records: Records, partitions: int, instances: Collection[str], migrates: bool
    ) -> None:
        migrations()  # read now: the checks that follow must not depend on a file or a free descriptor
        self._db = db
        self._records = records
        self._partitions = partitions
        self._instances = instances
        self._migrates = migrates
        self._checks = _AT_THE_START
        self._looks = 0

    async def problem(self, thoroughly: bool = False) -> str | None:
        """What is wrong and what to change, in a sentence; None when it is fit."""
        if thoroughly and self._checks == _BETWEEN:
            self._checks = _CHECKS
        problem = await _worded(self._db, self._checks)
        if problem is None:
            # What is between us and Postgres does not change while we run, and a trial is for the start: both cost.
            self._looks += 1
            self._checks = _BETWEEN if self._looks % LOOKS else _CHECKS
        elif self._checks == _BETWEEN:
            self._checks = _CHECKS
        return problem

    async def prepare(self) -> Install | str:
        """What was fixed when the ledger was first used, or the problem that keeps it from being used.

        Raises:
          MigrationFailed: the ledger was made for another number of partitions.
        """
        try:
            if self._migrates:
                await migrate(self._db)
            problem = await self.problem()
            if problem is not None:
                return problem
            found = await install(self._db, self._partitions)
            if new := await self._records.register_instances(self._instances):
                await self._records.note_registered(new)
        except LedgerUnavailable:
            return await self.problem() or "Postgres went away for a moment."
        return found

    async def has_turns(self) -> bool:
        """Whether any turn was ever stored. True also while Postgres cannot say."""
        try:
            return await self._records.has_turns()
        except LedgerUnavailable:
            return True
