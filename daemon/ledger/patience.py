"""Changes of a table that is in use: tried again and again, each time with a short wait for its lock.

A waiting ALTER TABLE blocks all readers and writers behind it, so that one long wait would stop a running daemon. What
turns do with a table takes milliseconds: the first tries wait little longer than that. An autovacuum gives way only to
who has waited for a second (`deadlock_timeout`), so later tries wait longer. After each the daemon has several times as
long.
"""

from __future__ import annotations

import trio

from actors.errors import LedgerUnavailable
from daemon.stores.postgres import LedgerMisconfigured, PostgresSession

POLL_SECONDS = 0.25
_LOCK_SECONDS = (0.2,) * 8 + (1.5,) * 8
_REST = 4
"""So many times as long as a try waited, the others go on before the next one."""


async def run_with_retries(session: PostgresSession, script: str) -> None:
    """Run the script as one transaction, again while a table is locked.

    Raises:
      LedgerUnavailable: the table stays locked, or the server cannot do it.
    """
    for nth, seconds in enumerate(_LOCK_SECONDS, 1):
        error = await _try_run(session, f"SET LOCAL lock_timeout = '{seconds * 1000:.0f}ms'; {script}")
        if error is None:
            return
        if (
            nth == len(_LOCK_SECONDS)
            or isinstance(error, LedgerMisconfigured)
            or await _try_run(session, "SELECT 1") is not None
        ):
            raise error
        await trio.sleep(_REST * seconds)


async def _try_run(session: PostgresSession, script: str) -> LedgerUnavailable | None:
    try:
        await session.run(script)
    except LedgerUnavailable as error:
        return error
    return None
