"""The only module that uses asyncpg. Public methods are called from Trio; the private ones below them are asyncio.

asyncpg and trio-asyncio are imported where they are first used: the command line imports this file for its types and
errors, and none of its commands should wait for a driver that it never calls.

Rules of this file:

1. One call is one session, one statement, one round trip. A call that is cancelled, or takes too long, costs its
   session: the server is asked to give up the statement, and the next call opens another (`sessions.py`, `border.py`).
2. No session carries state between calls (no SET, no session locks, no LISTEN), so nothing needs a reset.
   Migrations, which need a session, open a connection of their own.
3. Every wait is bounded, by the server (`statement_timeout`, `lock_timeout`) and, a little later, by the client.
4. Errors are raised as `LedgerUnavailable` (waiting helps), its kind `LedgerMisconfigured` (once somebody changes
   something) or `LedgerError` (it does not), never with data in them: Postgres quotes values in its messages, so only
   codes and names of schema objects are kept. `daemon/stores/sqlstates.py` decides which it is.
5. A session does not outlive its trouble: after an error that may be a property of the session or of its server, it
   is closed, and the others are replaced before their next use.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import msgspec
import trio

from actors.errors import LedgerUnavailable, MajlisError, Unavailable
from daemon.stores.border import ForeignCancelled
from daemon.stores.sessions import SessionSet
from daemon.stores.sqlstates import DRIVER_FAILED, DSN_UNUSABLE, UNEXPECTED, Meaning, meaning

Row = dict[str, Any]
T = TypeVar("T")

_CLIENT_GRACE_SECONDS = 2.0
"""How much longer the client waits than the server: a timeout in the server keeps the connection usable."""

_MAX_ATTEMPTS = 3

_COLLISIONS = ("40001", "40P01", "23505")
"""Serialization failure, deadlock, and a unique key that another writer inserted first: the retry sees that row."""

_KEEPS_SESSION = Meaning("work", keeps_session=True)

_PLACE = re.compile(r"PL/pgSQL function (\w+)\(.*?\) line (\d+)")
_NAMES = re.compile(r"\b(?:majlis|whatsapp)_\w+")
_PARAMETER = re.compile(r"startup parameter\w*:? \"?(\w+)")


class LedgerError(MajlisError):
    """Postgres refused a statement of Majlis. Waiting does not help, unlike with `LedgerUnavailable`.

    `sqlstate` is Postgres' own code, or one that the ledger's functions raise (`MJ…`).
    """

    def __init__(self, sqlstate: str, words: str) -> None:
        super().__init__(f"{words} (SQLSTATE {sqlstate})" if sqlstate else words)
        self.sqlstate = sqlstate


class LedgerMisconfigured(LedgerUnavailable):
    """Postgres, or a pooler before it, has to be set up otherwise: a right, a table, a mode. Work is held until then.

    Contrast `LedgerError`: there, the values of the statement were refused.
    """

    def __init__(self, sqlstate: str, words: str) -> None:
        super().__init__(words)
        self.sqlstate = sqlstate


def is_only_away(error: Exception) -> bool:
    """Whether nothing is wrong but that a store is away. The store watch reports that; any other error is news."""
    return isinstance(error, Unavailable) and not isinstance(error, LedgerMisconfigured)


class PoolStatistics(msgspec.Struct, frozen=True):
    size: int
    idle: int
    max_connections: int
    waiting: int = 0


class Postgres:
    """A bounded set of connections to one database.

    It connects at the first call, so a daemon can start while the server is still down.

    Args:
      command_seconds: the time limit of one statement in the server.
      lock_seconds: how long a statement waits for a lock.
      acquire_seconds: how long a call waits for a free connection, or for a new one to connect.
    """

    def __init__(
        self,
        dsn: str,
        *,
        max_connections: int = 20,
        command_seconds: float = 5.0,
        lock_seconds: float = 3.0,
        acquire_seconds: float = 10.0,
        application_name: str = "majlis",
    ) -> None:
        self._dsn = dsn
        self._max_connections = max_connections
        self._command_seconds = command_seconds
        self._acquire_seconds = acquire_seconds
        self._settings = {
            "application_name": application_name,
            "timezone": "UTC",
            "statement_timeout": f"{int(command_seconds * 1000)}",
            "lock_timeout": f"{int(lock_seconds * 1000)}",
            "idle_in_transaction_session_timeout": f"{int(2 * command_seconds * 1000)}",
        }
        self._sessions: SessionSet | None = None

    def __repr__(self) -> str:
        return f"<Postgres {self.statistics()}>"

    async def open(self) -> None:
        """Get ready. Does not connect yet. The asyncio loop must run."""
        self._sessions = SessionSet(
            self._connect,
            _is_full,
            self._max_connections,
            self._acquire_seconds,
            self._command_seconds + _CLIENT_GRACE_SECONDS,
        )

    async def close(self, grace_seconds: float = 5.0) -> None:
        """Close all connections: wait up to `grace_seconds` for running calls, then cut theirs.

        Runs to its end, within that bound, even if the caller is cancelled.
        """
        if self._sessions is not None:
            with trio.move_on_after(2 * grace_seconds + 1, shield=True):
                await self._sessions.close(grace_seconds)
            self._sessions = None

    async def fetch(self, sql: str, *args: object, repeatable: bool = True) -> list[Row]:
        """Run one statement in its own transaction and return its rows.

        A collision with another transaction is retried.

        Args:
          repeatable: whether to retry once after a broken connection, when the first run may or may not have been
            committed. Pass False if running the statement twice makes a difference.

        Raises:
          LedgerUnavailable: the server is unreachable, read-only, too slow, or not set up as Majlis needs it.
          LedgerError: the values of the statement were refused.
        """
        attempt = 1
        while True:
            try:
                return await self._fetch_once(sql, args)
            except MajlisError:  # there was no session for it
                raise
            except (Exception, ForeignCancelled) as error:
                failure = error
            if not _may_help(failure, attempt, repeatable):
                raise _mapped(failure) from None
            await trio.sleep(random.uniform(0.01, 0.05) * attempt)
            attempt += 1

    async def value(self, sql: str, *args: object, repeatable: bool = True) -> Any:
        """The first column of the first row; None if there is no row."""
        rows = await self.fetch(sql, *args, repeatable=repeatable)
        return next(iter(rows[0].values())) if rows else None

    async def renew(self) -> None:
        """Replace every session before its next use: what the present ones say of the server may be long over."""
        if self._sessions is not None:
            self._sessions.renew()

    def statistics(self) -> PoolStatistics:
        if (sessions := self._sessions) is None:
            return PoolStatistics(0, 0, self._max_connections)
        return PoolStatistics(sessions.size, sessions.idle, self._max_connections, sessions.waiting)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[PostgresSession]:
        """Open a dedicated connection, not one of the set, without `statement_timeout`, for migrations."""
        connection = await _from_trio(self._connect_alone)
        try:
            yield PostgresSession(connection)
        finally:
            with trio.move_on_after(self._acquire_seconds, shield=True):
                await _from_trio(_hang_up, connection)

    async def _fetch_once(self, sql: str, args: Sequence[object]) -> list[Row]:
        if (sessions := self._sessions) is None:
            raise LedgerUnavailable("postgres_closed")
        session = await sessions.borrow()
        try:
            rows = await session.run(session.connection.fetch(sql, *args))
        except Exception as error:
            is_good = _meaning(error).keeps_session
            if not is_good and session.generation == sessions.generation:
                sessions.renew()  # else the others began after what happened to this one
            sessions.give_back(session, is_good)
            raise
        except BaseException:
            sessions.give_back(session, is_good=False)
            raise
        sessions.give_back(session)
        return [dict(row.items()) for row in rows]

    # --- asyncio from here on ---

    async def _connect(self, loop: Any) -> Any:
        import asyncpg

        return await asyncpg.connect(
            self._dsn,
            loop=loop,
            timeout=self._acquire_seconds,
            server_settings=self._settings,
            max_cached_statement_lifetime=0,  # forever, and without a timer for each
        )

    async def _connect_alone(self) -> Any:
        import asyncpg

        settings = self._settings | {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
        return await asyncpg.connect(self._dsn, timeout=self._acquire_seconds, server_settings=settings)


class PostgresSession:
    """One dedicated connection. See `Postgres.session`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, script: str) -> None:
        """Run a script of any number of statements, as one transaction unless it says BEGIN itself."""
        await _from_trio(self._connection.execute, script)

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        return [dict(row) for row in await _from_trio(self._connection.fetch, sql, *args)]

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row; None if there is no row."""
        return await _from_trio(self._connection.fetchval, sql, *args)


async def _from_trio(operation: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run one asyncio-flavoured operation from Trio and map its errors."""
    from trio_asyncio import aio_as_trio

    try:
        result: T = await aio_as_trio(operation)(*args)
    except (Exception, ForeignCancelled) as error:
        raise _mapped(error) from None
    return result


def _may_help(error: BaseException, attempt: int, repeatable: bool) -> bool:
    """Whether a statement is to be run again after this error."""
    collided = getattr(error, "sqlstate", None) in _COLLISIONS and attempt < _MAX_ATTEMPTS
    broke = repeatable and attempt == 1 and _is_broken_connection(error)
    stale = attempt == 1 and _meaning(error).again
    return collided or broke or stale


def _mapped(error: BaseException) -> Exception:
    """What to raise for an error out of the driver. Only what the statement's values cause is blamed on the work.

    asyncpg turns every failure to encode an argument into a `DataError` of its own, so that no other error speaks of
    our values: whatever else fails in there, a `KeyError` or an assertion, is trouble of the driver or the connection.
    """
    import asyncpg

    if isinstance(error, asyncpg.PostgresError):
        return _as_said(error, error.sqlstate or "")
    name = type(error).__name__
    if _is_about_arguments(error):
        return LedgerError("", f"Postgres driver: {name}")
    if isinstance(
        error, asyncpg.ClientConfigurationError
    ):  # also a certificate file that is not there any more
        return LedgerMisconfigured("", f"{DSN_UNUSABLE}: {name}")
    away: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        (TimeoutError, "postgres_timeout"),  # an OSError too, so it comes first
        ((OSError, EOFError), "postgres_unreachable"),
        ((asyncpg.InternalClientError, ForeignCancelled), "postgres_connection_lost"),
        (asyncpg.InterfaceError, "postgres_closed"),
    )
    for kinds, reason in away:
        if isinstance(error, kinds):
            return LedgerUnavailable(reason)
    return LedgerUnavailable(f"{DRIVER_FAILED}: {name}")


def _is_about_arguments(error: BaseException) -> bool:
    import asyncpg

    return (
        isinstance(error, asyncpg.InterfaceError)
        and isinstance(error, ValueError)
        and not isinstance(error, asyncpg.ClientConfigurationError)
    )


def _as_said(error: Any, code: str) -> MajlisError:
    """The error for what the server said."""
    found = meaning(code)
    if found.cause == "work":
        return LedgerError(code, f"Postgres refused: {_details(error)}")
    words = found.word
    if found.cause == "setup" or found is UNEXPECTED:
        words += f": {_details(error)} (SQLSTATE {code})"
    return LedgerMisconfigured(code, words) if found.cause == "setup" else LedgerUnavailable(words)


def _details(error: Any) -> str:
    """The kind of an error, and the names of schema objects and parameters in it: never a value."""
    places = _PLACE.search(getattr(error, "context", None) or "")
    message = getattr(error, "message", None) or ""
    names = [getattr(error, name, None) for name in ("table_name", "column_name", "constraint_name")]
    if _is_about_setup(error):
        names += dict.fromkeys([*_NAMES.findall(message), *_PARAMETER.findall(message)])
    words = [type(error).__name__, *(name for name in names if name)]
    if places:
        words.append(f"at {places[1]} line {places[2]}")
    return " ".join(words)


def _is_about_setup(error: Any) -> bool:
    return meaning(getattr(error, "sqlstate", None) or "").cause == "setup"


def _meaning(error: BaseException) -> Meaning:
    """What an error of a call says about the session, where no server says it as well."""
    import asyncpg

    if isinstance(error, asyncpg.PostgresError):
        return meaning(error.sqlstate or "")
    return _KEEPS_SESSION if isinstance(error, TimeoutError) or _is_about_arguments(error) else UNEXPECTED


def _is_broken_connection(error: BaseException) -> bool:
    """Whether the connection broke, so that the statement may or may not have been committed."""
    import asyncpg

    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(("08", "57P")) and error.sqlstate != "08P01"
    if isinstance(error, asyncpg.InternalClientError):
        # The server said goodbye on an idle connection, and the driver fails on that message at the next use.
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    return isinstance(error, OSError | EOFError) and not isinstance(error, TimeoutError)


def _is_full(error: Exception) -> bool:
    """Whether the server has no room for another session."""
    return getattr(error, "sqlstate", None) == "53300"


async def _hang_up(connection: Any) -> None:
    try:
        with suppress(Exception):
            await connection.close(timeout=2)
    finally:
        connection.terminate()
