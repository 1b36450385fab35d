"""One script over many partitions, where this Redis lets one script touch them all.

Behind some proxies, and in a cluster, a script may only touch keys of one hash tag. Then each partition gets a call of
its own, all of them in one round trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from actors.errors import MirrorUnavailable
from daemon.stores.redis import (
    CROSS_SLOT,
    Argument,
    LuaScript,
    RedisReply,
    RedisStore,
    ScriptCall,
    reply_or_raise,
)

MAX_TOGETHER = 1024
"""Partitions in one call."""


class OfPartition(NamedTuple):
    """What a script needs of one partition."""

    keys: Sequence[str]
    arguments: Sequence[Argument] = ()


async def call_over(
    redis: RedisStore, script: LuaScript, arguments: Sequence[Argument], shares: Sequence[OfPartition]
) -> list[RedisReply]:
    """The replies, each to some of the partitions, in their order.

    Raises:
      MirrorUnavailable: one of them failed.
    """
    if not redis.is_split:
        together = (shares[at : at + MAX_TOGETHER] for at in range(0, len(shares), MAX_TOGETHER))
        calls = [call_of(script, arguments, part) for part in together]
        replies = await redis.call_many(calls)
        if not is_refused_together(replies):
            return [reply_or_raise(reply) for reply in replies]
        redis.split()
    calls = [call_of(script, arguments, [share]) for share in shares]
    return [reply_or_raise(reply) for reply in await redis.call_many(calls)]


def call_of(
    script: LuaScript, arguments: Sequence[Argument], shares: Sequence[OfPartition], more: Sequence[str] = ()
) -> ScriptCall:
    """One call for these partitions; `more` are keys behind theirs."""
    keys = [key for share in shares for key in share.keys]
    return ScriptCall(
        script, [*keys, *more], [*arguments, *(one for share in shares for one in share.arguments)]
    )


def is_refused_together(replies: Iterable[RedisReply]) -> bool:
    return any(isinstance(reply, MirrorUnavailable) and str(reply) == CROSS_SLOT for reply in replies)
