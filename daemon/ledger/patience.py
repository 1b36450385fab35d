"""Changes of a table that is in use: tried again and again, each time with a short wait for its lock.

A waiting ALTER TABLE blocks all readers behind it, so that one long wait would stop a running daemon.
"""

from __future__ import annotations

import trio

from actors.errors import LedgerUnavailable
from daemon.stores.postgres import LedgerMisconfigured, PostgresSession

POLL_SECONDS = 0.25
_LOCK_ATTEMPTS = 20


async def run_with_retries(session: PostgresSession, script: str) -> None:
    """Run the script as one transaction, again while a table is locked.

    Raises:
      LedgerUnavailable: the table stays locked, or the server cannot do it.
    """
    for left in reversed(range(_LOCK_ATTEMPTS)):
        error = await _try_run(session, script)
        if error is None:
            return
        if (
            not left
            or isinstance(error, LedgerMisconfigured)
            or await _try_run(session, "SELECT 1") is not None
        ):
            raise error
        await trio.sleep(POLL_SECONDS)


async def _try_run(session: PostgresSession, script: str) -> LedgerUnavailable | None:
    try:
        await session.run(script)
    except LedgerUnavailable as error:
        return error
    return None
