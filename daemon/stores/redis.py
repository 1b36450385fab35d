"""The one place that speaks to the Redis driver.

Laws of this file:
  1. Public methods are Trio-flavoured; `_exchange` is wholly asyncio-flavoured. A connection is taken, used and
     given back inside that one function, so no cancellation can leave it half read or lost.
  2. A connection whose use did not end well is closed, never reused: a late reply meets nobody.
  3. Nothing is retried here. What Redis says of one command is a value; what befalls the connection is raised.
  4. Errors leave as `MirrorUnavailable` with one reason word. Driver messages may quote arguments, so they stay here.
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
"""What Redis answers: bytes, int, None or a list of these; the scripts define which."""

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
    """A few connections to one Redis; every method is Trio-flavoured and bounded by `timeout_seconds`."""

    def __init__(self, pool: ConnectionPool, *, connections: int = 4, timeout_seconds: float = 5.0) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[AbstractConnection] = []

    @classmethod
    def from_url(cls, url: str, *, connections: int = 4, timeout_seconds: float = 5.0) -> RedisStore:
        """`redis://`, `rediss://` or `unix://`. Connects at first use.

        Raises:
          ValueError: the URL has another scheme.
        """
        pool = redis.asyncio.ConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,  # one deadline round the whole exchange instead of one timer per reply
            socket_connect_timeout=timeout_seconds,
            client_name="majlis",
        )
        return cls(pool, connections=connections, timeout_seconds=timeout_seconds)

    async def command(self, *arguments: Argument) -> RedisReply:
        """Run one command.

        Raises:
          MirrorUnavailable: Redis is away, or answered with an error.
        """
        return _value((await self.pipeline([arguments]))[0])

    async def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[RedisReply | MirrorUnavailable]:
        """Run commands in one round trip, not in a transaction; an error of one stands in its place.

        Raises:
          MirrorUnavailable: the round trip failed; any of the commands may have run.
        """
        return [_mapped(reply) for reply in await self._round_trip(commands)]

    async def call(self, call: ScriptCall) -> RedisReply:
        """Run one script.

        Raises:
          MirrorUnavailable: Redis is away, or refused the script.
        """
        return _value((await self.call_many([call]))[0])

    async def call_many(self, calls: Sequence[ScriptCall]) -> list[RedisReply | MirrorUnavailable]:
        """Run scripts in one round trip (two when Redis does not know them yet); an error stands in its place.

        Raises:
          MirrorUnavailable: a round trip failed; any of the scripts may have run.
        """
        replies = await self._round_trip([call.command() for call in calls])
        missing = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missing:
            scripts = {calls[index].script for index in missing}
            again: list[Sequence[Argument]] = [("SCRIPT", "LOAD", script.text) for script in scripts]
            again += [calls[index].command() for index in missing]
            repeated = (await self._round_trip(again))[len(scripts) :]
            for index, reply in zip(missing, repeated, strict=True):
                replies[index] = reply
        return [_mapped(reply) for reply in replies]

    async def close(self) -> None:
        """Close the connections. Call it when nobody uses the store any more."""
        await trio_asyncio.aio_as_trio(self._close)()

    async def _round_trip(self, commands: Sequence[Sequence[Argument]]) -> list[RedisReply]:
        if not commands:
            return []
        packed = b"".join(_pack(command) for command in commands)
        try:
            replies: list[RedisReply] = await trio_asyncio.aio_as_trio(self._exchange)(packed, len(commands))
        except (RedisError, OSError, EOFError) as error:
            raise MirrorUnavailable(_reason(error)) from None
        return replies

    async def _exchange(self, packed: bytes, count: int) -> list[RedisReply]:
        """Asyncio-flavoured. Giving the connection back is synchronous, so that it cannot be cancelled."""
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
    """One reply; an error reply is a value, for the replies behind it must still be read."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _pack(command: Sequence[Argument]) -> bytes:
    """In C; the driver's own packer would cost as much as the rest of an append."""
    packed: bytes = pack_command(tuple(command))  # type: ignore[arg-type]  # its stub means tuple[X, ...]
    return packed


def _value(reply: RedisReply | MirrorUnavailable) -> RedisReply:
    if isinstance(reply, MirrorUnavailable):
        raise reply
    return reply


def _mapped(reply: RedisReply) -> RedisReply | MirrorUnavailable:
    return MirrorUnavailable(_reason(reply)) if isinstance(reply, ResponseError) else reply


def _reason(error: Exception) -> str:
    """One stable word; of the driver's message only the leading error code is looked at."""
    if isinstance(error.__cause__, RedisError):  # the driver wraps what Redis says during a connect
        return _reason(error.__cause__)
    if isinstance(error, ResponseError):
        return _reason_of_reply(error)
    for kinds, reason in CONNECTION_REASONS:
        if isinstance(error, kinds):
            return reason
    return "connection"


def _reason_of_reply(error: ResponseError) -> str:
    text = str(error)
    word = getattr(error, "status_code", None) or text.partition(" ")[0]
    inside = _WORD_INSIDE_SCRIPT_ERROR.search(text)
    if word not in REASONS and inside is not None:
        word = inside[1]
    if word not in REASONS and "unknown command" in text.lower():
        return UNKNOWN_COMMAND
    return REASONS.get(word, "refused")
