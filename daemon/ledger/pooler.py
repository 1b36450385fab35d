"""Whether something between Majlis and Postgres changes the session between two transactions.

Such a pool (PgBouncer, Supavisor or Odyssey in transaction or statement mode) loses prepared statements and the limits
of a session, and cannot be migrated through. A pool in session mode is like Postgres itself.
"""

from __future__ import annotations

from actors.errors import LedgerUnavailable
from daemon.stores.postgres import LedgerMisconfigured, Postgres, PostgresSession

CHANGES_SESSIONS = (
    "A pooler before Postgres changes sessions between transactions, which Majlis does not support: let postgres.dsn "
    "name Postgres itself, or a pool in session mode."
)

_SIGNS = ("postgres_statement_lost", "postgres_protocol_refused")
_ASKS = "SELECT pg_backend_pid() AS pid"


async def check_pooler(db: Postgres) -> str | None:
    """What is wrong with a pooler before Postgres, and what to change; None if there is none, or it does no harm.

    While a second session is in a transaction, the first one must still be with the server process that it had before,
    and the second one with another.

    Raises:
      LedgerUnavailable: Postgres cannot be asked.
    """
    try:
        async with db.session() as first:
            return await _beside_another(db, first)
    except LedgerMisconfigured as error:
        if str(error).startswith("postgres_protocol_refused"):
            return (
                f"A pooler before Postgres refuses the settings of a session ({error}): let it pass or ignore "
                "statement_timeout, lock_timeout and idle_in_transaction_session_timeout (PgBouncer: "
                "ignore_startup_parameters), and use session mode, or let postgres.dsn name Postgres itself."
            )
        raise


async def _beside_another(db: Postgres, first: PostgresSession) -> str | None:
    try:
        async with db.session() as second:
            before = {await _process(first), await _process(first)}
            if not await _begins(second):
                await _process(first)  # fails as well if it is the server that has gone
                return CHANGES_SESSIONS
            other = await _process(second)
            after = {await _process(first), await _process(first)}
            await second.run("COMMIT")
    except LedgerUnavailable as error:
        if str(error).startswith(_SIGNS):
            return CHANGES_SESSIONS
        if str(error).startswith("postgres_too_many_connections"):
            return None  # there is no second session to compare with
        raise
    return CHANGES_SESSIONS if len(before | after) > 1 or other in before else None


async def _begins(session: PostgresSession) -> bool:
    """Whether a transaction can begin: a pool in statement mode hangs up."""
    try:
        await session.run("BEGIN")
    except LedgerUnavailable as error:
        if str(error) == "postgres_connection_lost":
            return False
        raise
    return True


async def _process(session: PostgresSession) -> int:
    return int((await session.fetch(_ASKS))[0]["pid"])
