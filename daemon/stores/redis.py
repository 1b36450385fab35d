"""The only module that uses the Redis driver.

Rules of this file:

1. Public methods are Trio-flavoured; `_exchange` is entirely asyncio-flavoured. A connection is taken, used and
   released inside that one function, so no cancellation can leave it half read or lost.
2. After an error a connection is closed, never reused: a late reply must not answer another command.
3. Nothing is retried here. An error reply to one command is returned as a value; a failure of the connection is raised.
4. Errors are raised as `MirrorUnavailable` with a reason of one word. The messages of the driver may quote arguments,
   so they are dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.asyncio
import trio_asyncio
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from actors.errors import MirrorUnavailable

RedisReply = Any
"""A reply of Redis: bytes, int, None or a list of these; the scripts define which."""

Argument = str | bytes | int

REASONS = {  # by the error code that leads Redis' reply
    "OOM": "full",
    "LOADING": "loading",
    "READONLY": "read_only",
    "MISCONF": "cannot_persist",
    "NOREPLICAS": "too_few_replicas",
    "BUSY": "busy",
    "CLUSTERDOWN": "cluster_down",
    "TRYAGAIN": "try_again",
    "MASTERDOWN": "master_down",
    "MOVED": "moved",
    "ASK": "moved",
    "NOAUTH": "forbidden",
    "NOPERM": "forbidden",
    "WRONGPASS": "forbidden",
}
FORBIDDEN = "forbidden"
UNKNOWN_COMMAND = "unknown_command"
CONNECTION_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((TimeoutError, redis.asyncio.TimeoutError), "timeout"),
    ((AuthenticationError, AuthorizationError), FORBIDDEN),
    ((BusyLoadingError,), "loading"),
)
_WORD_INSIDE_SCRIPT_ERROR = re.compile(r"\s-(" + "|".join(REASONS) + r")\b")


class LuaScript(NamedTuple):
    """One Lua script and its SHA1, by which Redis knows it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> LuaScript:
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class ScriptCall(NamedTuple):
    """One run of a script."""

    script: LuaScript
    keys: Sequence[str]
    arguments: Sequence[Argument]

    def command(self) -> tuple[Argument, ...]:
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments)


class RedisStore:
    """A few connections to one Redis. Every method is called from Trio and bounded by `timeout_seconds`."""

    def __init__(self, pool: ConnectionPool, *, connections: int = 4, timeout_seconds: float = 5.0) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[AbstractConnection] = []
        self.installation = ""
        """Whose data this Redis must hold."""

    @classmethod
    def from_url(cls, url: str, *, connections: int = 4, timeout_seconds: float = 5.0) -> RedisStore:
        """Make a store for a `redis://`, `rediss://` or `unix://` URL. Connects at first use.

        Raises:
          ValueError: the URL has another scheme.
        """
        pool = redis.asyncio.ConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,  # `_exchange` has one deadline for all replies instead of a timer for each
            socket_connect_timeout=timeout_seconds,
            client_name="majlis",
            driver_info=DriverInfo(),  # else each new connection reads the version of the installed package
        )
        return cls(pool, connections=connections, timeout_seconds=timeout_seconds)

    def expect(self, installation: str) -> None:
        """Have each script check that this Redis holds the data of this installation: it is their last argument."""
        self.installation = installation

    async def command(self, *arguments: Argument) -> RedisReply:
        """Run one command.

        Raises:
          MirrorUnavailable: Redis cannot be reached, or replied with an error.
        """
        return reply_or_raise((await self.pipeline([arguments]))[0])

    async def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[RedisReply | MirrorUnavailable]:
        """Run commands in one round trip, without a transaction. An error reply is returned in its place.

        Raises:
          MirrorUnavailable: the round trip failed; any of the commands may have run.
        """
        return [_mapped(reply) for reply in await self._round_trip(commands)]

    async def call(self, call: ScriptCall) -> RedisReply:
        """Run one script.

        Raises:
          MirrorUnavailable: Redis cannot be reached, or refused the script.
        """
        return reply_or_raise((await self.call_many([call]))[0])

    async def call_many(self, calls: Sequence[ScriptCall]) -> list[RedisReply | MirrorUnavailable]:
        """Run scripts in one round trip (two if Redis does not know them yet). An error reply is returned in its place.

        Raises:
          MirrorUnavailable: a round trip failed; any of the scripts may have run.
        """
        replies = await self._round_trip([self._command(call) for call in calls])
        missing = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missing:
            scripts = {calls[index].script for index in missing}
            again: list[Sequence[Argument]] = [("SCRIPT", "LOAD", script.text) for script in scripts]
            again += [self._command(calls[index]) for index in missing]
            repeated = (await self._round_trip(again))[len(scripts) :]
            for index, reply in zip(missing, repeated, strict=True):
                replies[index] = reply
        return [_mapped(reply) for reply in replies]

    def _command(self, call: ScriptCall) -> tuple[Argument, ...]:
        return (*call.command(), self.installation)

    async def close(self) -> None:
        """Close the connections. Call it only after the last use."""
        await trio_asyncio.aio_as_trio(self._close)()

    async def _round_trip(self, commands: Sequence[Sequence[Argument]]) -> list[RedisReply]:
        if not commands:
            return []
        packed = b"".join(_pack(command) for command in commands)
        try:
            replies: list[RedisReply] = await trio_asyncio.aio_as_trio(self._exchange)(packed, len(commands))
        except (
            Exception
        ) as error:  # also what the driver does not expect itself: our arguments are packed already
            raise MirrorUnavailable(_reason(error)) from None
        return replies

    async def _exchange(self, packed: bytes, count: int) -> list[RedisReply]:
        """Asyncio-flavoured. The connection is released synchronously, so that the release cannot be cancelled."""
        async with asyncio.timeout(self._timeout_seconds), self._slots:
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                await self._pool.ensure_connection(connection)
                await connection.send_packed_command(packed, check_health=False)
                return [await _read(connection) for _ in range(count)]
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            finally:
                self._idle.append(connection)

    def _connect(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def _close(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)


async def _read(connection: AbstractConnection) -> RedisReply:
    """Read one reply. An error reply is returned, not raised: the replies after it must still be read."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _pack(command: Sequence[Argument]) -> bytes:
    """Encode a command, in C: the driver's own Python encoder costs as much as the rest of an append."""
    packed: bytes = pack_command(tuple(command))  # type: ignore[arg-type]  # its stub means tuple[X, ...]
    return packed


def reply_or_raise(reply: RedisReply | MirrorUnavailable) -> RedisReply:
    """The reply to one command of a pipeline; raises an error returned in its place."""
    if isinstance(reply, MirrorUnavailable):
        raise reply
    return reply


def _mapped(reply: RedisReply) -> RedisReply | MirrorUnavailable:
    return MirrorUnavailable(_reason(reply)) if isinstance(reply, ResponseError) else reply


def _reason(error: Exception) -> str:
    """The reason in one stable word. Of the driver's message only the leading error code is used."""
    if isinstance(
        error.__cause__, RedisError
    ):  # the driver wraps error replies to its own commands on connect
        return _reason(error.__cause__)
    if isinstance(error, ResponseError):
        return _reason_of_reply(error)
    for kinds, reason in CONNECTION_REASONS:
        if isinstance(error, kinds):
            return reason
    return "connection" if isinstance(error, RedisError | OSError | EOFError) else type(error).__name__


def _reason_of_reply(error: ResponseError) -> str:
    text = str(error)
    word = getattr(error, "status_code", None) or text.partition(" ")[0]
    inside = _WORD_INSIDE_SCRIPT_ERROR.search(text)
    if word not in REASONS and inside is not None:
        word = inside[1]
    if word not in REASONS and "unknown command" in text.lower():
        return UNKNOWN_COMMAND
    return REASONS.get(word, "refused")
