"""Checks that this Redis is as durable as configured, and ours. If not, nothing is acknowledged (fail closed).

They run before the first acknowledgement and every few seconds from then on, because settings change at run time,
replicas are promoted, and data gets flushed or restored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from actors.errors import MirrorUnavailable
from daemon.mirror import scripts
from daemon.mirror.keys import INSTALL
from daemon.stores.redis import (
    FORBIDDEN,
    UNKNOWN_COMMAND,
    RedisReply,
    RedisStore,
    ScriptCall,
    reason_of_reply,
    reply_or_raise,
)

Durability = Literal["always", "everysec"]
MINIMUM_VERSION = (6, 2)
BEGUN = "appendonly_begun"
SETTINGS = ("appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy")


UNAVAILABLE = {
    FORBIDDEN: "check the user and the password in redis.url, and what this user may do (ACL)",
    "loading": "it still loads its data; wait until it has finished",
}
"""What to do, where the reason says more than that it is away."""
REFUSALS = {
    "cannot_persist": "its disk is full or cannot be written: free space where Redis keeps its data",
    "too_few_replicas": "fewer replicas are connected than `min-replicas-to-write` asks for: bring them back",
    FORBIDDEN: "this user may not write: allow it all commands on the keys `majlis:*` (ACL)",
}


class Expected(msgspec.Struct, frozen=True):
    """What the configuration and the ledger require of Redis. `install_id` is None before the first stamp."""

    durability: Durability
    partitions: int
    install_id: str | None
    may_begin_file: bool = False
    """It wrote no append-only file when it was looked at last, or nobody had looked."""


class Problem(msgspec.Struct, frozen=True):
    """`word` is stable, for metrics and tests; `text` says in one sentence what is wrong and what to change.

    `seen` is False if the setting could not be read, so that it may or may not be wrong.
    """

    word: str
    text: str
    seen: bool = True


class _Facts(msgspec.Struct, frozen=True):
    info: Mapping[str, str]
    settings: Mapping[str, str] | None = None
    """None: this user may not run CONFIG."""
    stamp: tuple[str, int] | None = None
    refusal: str | None = None
    """Why Redis takes no writes; None if it does."""


class KnownSettings:
    """What CONFIG GET said. Each setting is a command, and only an operator changes it: asked for now and then."""

    LOOKS = 10

    def __init__(self) -> None:
        self._found: Mapping[str, str] | None = None
        self._left = 0

    async def read(self, redis: RedisStore) -> Mapping[str, str] | None:
        """None: this user may not run CONFIG."""
        if self._left <= 0:
            self._found = _settings(await redis.pipeline([("CONFIG", "GET", name) for name in SETTINGS]))
            self._left = self.LOOKS
        self._left -= 1
        return self._found

    def forget(self) -> None:
        """Have it asked for with the next look."""
        self._left = 0


async def check_redis(
    redis: RedisStore, expected: Expected, settings: KnownSettings | None = None
) -> tuple[Problem, ...]:
    """Find every problem; empty if there is none. Errors of Redis are returned, not raised.

    Args:
      settings: of earlier looks; None: all is asked for now.
    """
    try:
        facts = await _facts(redis, settings or KnownSettings())
    except MirrorUnavailable as error:
        what = UNAVAILABLE.get(
            str(error), "check that it runs, is reachable at redis.url and is not overloaded"
        )
        return (Problem("unavailable", f"Redis cannot be used now ({error}): {what}."),)
    if (mode := _mode(facts)) is not None:
        return (mode,)
    found = (check(facts, expected) for check in CHECKS)
    return tuple(problem for problem in found if problem is not None)


async def _facts(redis: RedisStore, settings: KnownSettings) -> _Facts:
    facts = await _seen_by_script(redis) or await _seen_one_by_one(redis)
    if _mode(facts) is not None:
        return facts  # it answers nothing else that counts
    return _Facts(facts.info, await settings.read(redis), facts.stamp, facts.refusal)


async def _seen_by_script(redis: RedisStore) -> _Facts | None:
    """None: it runs no such script, for one of many reasons."""
    (reply,) = await redis.call_many([ScriptCall(scripts.LOOK, (INSTALL,), ())])
    if isinstance(reply, MirrorUnavailable):
        return None
    info, install_id, partitions, refusal = reply
    return _Facts(
        info=_info(info),
        stamp=_stamp([install_id, partitions]),
        refusal=reason_of_reply(refusal.decode()) if refusal else None,
    )


async def _seen_one_by_one(redis: RedisStore) -> _Facts:
    info, stamp, write = await redis.pipeline(
        [
            ("INFO",),
            ("HMGET", INSTALL, "install_id", "partitions"),
            ("HDEL", INSTALL, "nothing"),  # removes nothing, and is refused whenever Redis takes no writes
        ]
    )
    facts = _Facts(info=_info(reply_or_raise(info)))
    if _mode(facts) is not None:
        return facts
    refusal = str(write) if isinstance(write, MirrorUnavailable) else None
    return _Facts(facts.info, None, _stamp(reply_or_raise(stamp)), refusal)


def _info(reply: RedisReply) -> dict[str, str]:
    pairs = (line.partition(":") for line in reply.decode().splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def _settings(replies: list[RedisReply]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for reply in replies:
        if isinstance(reply, MirrorUnavailable):
            if str(reply) in (FORBIDDEN, UNKNOWN_COMMAND):
                return None
            raise reply
        if reply:
            found[reply[0].decode()] = reply[1].decode()
    return found


def _stamp(reply: RedisReply) -> tuple[str, int] | None:
    install_id, partitions = reply
    return None if install_id is None else (install_id.decode(), int(partitions or 0))


def _mode(facts: _Facts) -> Problem | None:
    if facts.info.get("redis_mode") == "sentinel":
        text = (
            "redis.url points at a Sentinel, which holds no data, and Majlis does not ask it for the master: set "
            "redis.url to the master itself."
        )
        return Problem("sentinel", text)
    if facts.info.get("redis_mode") == "cluster" or facts.info.get("cluster_enabled") == "1":
        text = (
            "redis.url points at a node of a Redis Cluster, which Majlis does not support yet: set it to one Redis "
            "with `cluster-enabled no`."
        )
        return Problem("cluster", text)
    return None


def _version(facts: _Facts, expected: Expected) -> Problem | None:
    version = facts.info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) >= MINIMUM_VERSION:
        return None
    return Problem("version", f"Redis {version} is too old: use version 6.2 or newer.")


def _loading(facts: _Facts, expected: Expected) -> Problem | None:
    if facts.info.get("loading", "0") == "0":
        return None
    return Problem("loading", "Redis is still loading its data: wait until it has finished.")


def _role(facts: _Facts, expected: Expected) -> Problem | None:
    role = facts.info.get("role", "unknown")
    if role == "master":
        return None
    return Problem("role", f"Redis has the role {role}: point redis.url at the master.")


def _appendonly(facts: _Facts, expected: Expected) -> Problem | None:
    if facts.info.get("aof_enabled") != "1":
        return Problem("appendonly", "Redis writes no append-only file: set `appendonly yes`.")
    names = ("aof_rewrite_in_progress", "aof_rewrite_scheduled")
    if not expected.may_begin_file or all(facts.info.get(name, "0") == "0" for name in names):
        return None
    # Until then a Redis that dies comes back with the file that was left when writing was switched off.
    text = "Redis has only begun its append-only file: wait until it has written it once (`aof_rewrite_in_progress:0`)."
    return Problem(BEGUN, text)


def _appendfsync(facts: _Facts, expected: Expected) -> Problem | None:
    if facts.settings is None:
        text = (
            f"cannot read whether Redis has `appendfsync {expected.durability}`, because CONFIG GET is not allowed: "
            "allow it (ACL `+config|get`), or check the setting yourself and set redis.trust_unseen_settings."
        )
        return Problem("appendfsync", text, seen=False)
    value = facts.settings.get("appendfsync", "unknown")
    if value in ("always", expected.durability):
        return None
    text = (
        f"Redis has `appendfsync {value}`, weaker than redis.durability: set `appendfsync {expected.durability}`"
        " in Redis, or lower redis.durability."
    )
    return Problem("appendfsync", text)


def _rewrite(facts: _Facts, expected: Expected) -> Problem | None:
    value = (facts.settings or {}).get("no-appendfsync-on-rewrite", "no")
    if value == "no" or expected.durability != "always":
        return None
    text = "Redis does not fsync while it rewrites its append-only file: set `no-appendfsync-on-rewrite no`."
    return Problem("no_appendfsync_on_rewrite", text)


def _eviction(facts: _Facts, expected: Expected) -> Problem | None:
    value = (facts.settings or {}).get("maxmemory-policy") or facts.info.get("maxmemory_policy", "unknown")
    if value == "noeviction":
        return None
    text = (
        f"Redis may evict pending messages (`maxmemory-policy {value}`): set `maxmemory-policy noeviction`."
    )
    return Problem("eviction", text)


def _memory(facts: _Facts, expected: Expected) -> Problem | None:
    limit, used = _bytes(facts, "maxmemory"), _bytes(facts, "used_memory")
    if not limit or used - _bytes(facts, "mem_not_counted_for_evict") <= limit:
        return None
    text = (
        f"Redis is full ({used:,} of {limit:,} bytes): raise `maxmemory`, or remove other data stored there."
    )
    return Problem("memory", text)


def _bytes(facts: _Facts, name: str) -> int:
    value = facts.info.get(name, "")
    return int(value) if value.isdecimal() else 0


def _aof_writes(facts: _Facts, expected: Expected) -> Problem | None:
    status = facts.info.get("aof_last_write_status", "ok")
    if status == "ok":
        return None
    text = (
        f"Redis failed to write its append-only file (status {status}): its disk is full or cannot be written; free "
        "space where Redis keeps its data, or correct the permissions there."
    )
    return Problem("aof_write", text)


def _writes(facts: _Facts, expected: Expected) -> Problem | None:
    what = REFUSALS.get(facts.refusal or "")
    if what is None or _aof_writes(facts, expected) is not None:
        return None
    return Problem("writes", f"Redis refuses to store anything ({facts.refusal}): {what}.")


def _installation(facts: _Facts, expected: Expected) -> Problem | None:
    if expected.install_id is None:
        return None
    if facts.stamp is None:
        text = (
            "Redis does not hold the data of this installation (flushed, or another database): restore it or correct"
            " redis.url; only if the data is lost for good, run `majlis migrate --adopt-redis`."
        )
        return Problem("install_missing", text)
    if facts.stamp[0] != expected.install_id:
        text = "Redis holds the data of another installation: correct redis.url, or postgres.dsn, so that they match."
        return Problem("install_differs", text)
    return None


def _partitions(facts: _Facts, expected: Expected) -> Problem | None:
    if facts.stamp is None or facts.stamp[1] == expected.partitions:
        return None
    text = (
        f"Redis was laid out for {facts.stamp[1]} partitions and {expected.partitions} are configured: "
        f"set partitions to {facts.stamp[1]}; the number is fixed at installation."
    )
    return Problem("partitions", text)


CHECKS: tuple[Callable[[_Facts, Expected], Problem | None], ...] = (
    _version,
    _loading,
    _role,
    _appendonly,
    _appendfsync,
    _rewrite,
    _eviction,
    _memory,
    _aof_writes,
    _writes,
    _installation,
    _partitions,
)
