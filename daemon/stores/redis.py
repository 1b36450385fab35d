"""The only module that uses the Redis driver: how to connect, and what its words and Redis' mean.

Rules of this file:

1. The driver makes a connection, in a thread, and hands its socket over; from then on Trio drives it (`RedisLine`).
2. Nothing is retried here. An error reply to one command is returned as a value; a failure of the connection is raised.
3. Errors are raised as `MirrorUnavailable` with a reason of one word. The messages of the driver may quote arguments,
   so they are dropped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from actors.errors import MirrorUnavailable
from daemon.stores.redis_line import Dial, ErrorReply, OpenSocket, RedisLine

RedisReply = Any
"""A reply of Redis: bytes, int, None or a list of these; the scripts define which."""

Argument = str | bytes | int

CROSS_SLOT = "cross_slot"
"""One script had keys of several slots: this is a cluster, or a proxy before one."""
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
    "CROSSSLOT": CROSS_SLOT,
}
FORBIDDEN = "forbidden"
UNKNOWN_COMMAND = "unknown_command"
CONNECTION_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((TimeoutError, redis.TimeoutError), "timeout"),
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


class ScriptCall(msgspec.Struct, frozen=True):
    """One run of a script."""

    script: LuaScript
    keys: Sequence[str]
    arguments: Sequence[Argument]

    def command(self) -> tuple[Argument, ...]:
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments)


class _Known:
    """What the stores of one Redis have in common."""

    def __init__(self) -> None:
        self.installation = ""
        self.is_split = False


class RedisStore:
    """One Redis, over one connection that all callers share. Every method is bounded by `timeout_seconds`.

    Nothing that blocks in Redis may be asked here: all that comes after it would wait.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 5.0,
        purpose: str = "",
        known: _Known | None = None,
    ) -> None:
        """Connects at first use.

        Args:
          url: begins with `redis://`, `rediss://` or `unix://`.
          purpose: a word that tells the connection from others in Redis' list of clients.
          known: what is known of this Redis already.

        Raises:
          ValueError: the URL has another scheme.
        """
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._known = known or _Known()
        self._apart: list[RedisStore] = []
        name = f"majlis-{purpose}" if purpose else "majlis"
        self._line = RedisLine(_dial(url, name, timeout_seconds), _reason, purpose, timeout_seconds)

    def apart(self, purpose: str) -> RedisStore:
        """The same Redis over a connection of its own: what is asked there waits for nothing that is asked here."""
        other = RedisStore(
            self._url, timeout_seconds=self._timeout_seconds, purpose=purpose, known=self._known
        )
        self._apart.append(other)
        return other

    @property
    def installation(self) -> str:
        """Whose data this Redis must hold."""
        return self._known.installation

    @property
    def is_split(self) -> bool:
        """Whether one script may only touch keys of one hash tag."""
        return self._known.is_split

    def split(self) -> None:
        """A script with keys of several hash tags was refused (`CROSS_SLOT`)."""
        self._known.is_split = True

    def expect(self, installation: str) -> None:
        """Have each script check that this Redis holds the data of this installation: it is their last argument."""
        self._known.installation = installation

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
        missing = [index for index, reply in enumerate(replies) if _is_missing(reply)]
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
        """Close the connections, also those apart. Call it only after the last use."""
        for other in self._apart:
            await other.close()
        await self._line.close()

    async def _round_trip(self, commands: Sequence[Sequence[Argument]]) -> list[RedisReply]:
        if not commands:
            return []
        packed = b"".join(map(_pack, commands))
        return await self._line.exchange(packed, len(commands))


def _dial(url: str, name: str, timeout_seconds: float) -> Dial:
    """The driver connects, encrypts, authenticates and chooses the database; then the socket is ours."""
    pool = redis.ConnectionPool.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        client_name=name,
        driver_info=DriverInfo(),  # else each new connection reads the version of the installed package
    )

    def dial() -> OpenSocket:
        # Not by the pool: it makes a hundred in its life, and knows of none that ended.
        connection: Any = pool.connection_class(**pool.connection_kwargs)
        connection.connect()
        return OpenSocket(connection._sock, connection)

    return dial


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
    return MirrorUnavailable(reason_of_reply(str(reply))) if isinstance(reply, ErrorReply) else reply


def _is_missing(reply: RedisReply) -> bool:
    return isinstance(reply, ErrorReply) and str(reply).startswith("NOSCRIPT")


def _reason(error: Exception) -> str:
    """The reason in one stable word. Of the driver's message only the leading error code is used."""
    if isinstance(
        error.__cause__, RedisError
    ):  # the driver wraps error replies to its own commands on connect
        return _reason(error.__cause__)
    if isinstance(error, ResponseError):
        return reason_of_reply(f"{getattr(error, 'status_code', None) or ''} {error}".strip())
    for kinds, reason in CONNECTION_REASONS:
        if isinstance(error, kinds):
            return reason
    return "connection" if isinstance(error, RedisError | OSError | EOFError) else type(error).__name__


def reason_of_reply(text: str) -> str:
    """The reason in one word, of an error reply, or of one inside of a script."""
    word = text.partition(" ")[0]
    inside = _WORD_INSIDE_SCRIPT_ERROR.search(text)
    if word not in REASONS and inside is not None:
        word = inside[1]
    if word not in REASONS and "unknown command" in text.lower():
        return UNKNOWN_COMMAND
    return REASONS.get(word, "refused")
