"""What a Redis holds, in a form by which two of them can be compared, of whatever make and version they are.

`DUMP` and `DEBUG DIGEST` differ between versions, so everything is read as it was written. Keys with an expiry may end
at any moment, and nothing that waits for an answer has one: they are counted, the others compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from daemon.stores.places import EmbeddedStoreError
from daemon.stores.redis import Argument, RedisReply, RedisStore, reply_or_raise

BATCH_KEYS = 200

_NO_EXPIRY, _GONE = -1, -2


class RedisContent(msgspec.Struct, frozen=True):
    lasting: Mapping[bytes, bytes]
    """Of each key without an expiry, in digests: its name and what it holds."""
    passing: int
    """How many have an expiry."""

    @property
    def keys(self) -> int:
        return len(self.lasting) + self.passing


async def content_of(redis: RedisStore, on_progress: Callable[[int], None]) -> RedisContent:
    """Read everything in the database, which nobody else may change meanwhile.

    Args:
      on_progress: called with the number of keys read so far.

    Raises:
      MirrorUnavailable: Redis does not answer.
      EmbeddedStoreError: it holds something that Majlis never writes, and that cannot be compared.
    """
    lasting: dict[bytes, bytes] = {}
    passing: set[bytes] = set()  # a scan may show a key twice
    cursor = b"0"
    while True:
        cursor, keys = await redis.command("SCAN", cursor, "COUNT", BATCH_KEYS)
        asked: list[tuple[Argument, ...]] = [
            about for key in keys for about in (("PTTL", key), ("TYPE", key))
        ]
        replies = iter([reply_or_raise(reply) for reply in await redis.pipeline(asked)])
        kinds = {key: (expiry, kind) for key, expiry, kind in zip(keys, replies, replies, strict=True)}
        passing.update(
            _digest([key]) for key, (expiry, _) in kinds.items() if expiry not in (_NO_EXPIRY, _GONE)
        )
        stay = {key: kind for key, (expiry, kind) in kinds.items() if expiry == _NO_EXPIRY}
        commands = [(key, command) for key, kind in stay.items() for command in _reading(key, kind)]
        contents = await redis.pipeline([command for _, command in commands])
        held: dict[bytes, list[bytes]] = {key: [kind] for key, kind in stay.items()}
        for (key, command), reply in zip(commands, contents, strict=True):
            held[key] += _plain(str(command[0]), reply_or_raise(reply))
        lasting.update((_digest([key]), _digest(parts)) for key, parts in held.items())
        on_progress(len(lasting) + len(passing))
        if cursor == b"0":
            return RedisContent(lasting, len(passing))


def difference(before: RedisContent, after: RedisContent) -> str:
    """What `after` lacks or has otherwise, in words; empty if nothing. No key is named: it contains a phone number."""
    lost = sum(1 for key in before.lasting if key not in after.lasting)
    changed = sum(1 for key, value in before.lasting.items() if after.lasting.get(key, value) != value)
    more = sum(1 for key in after.lasting if key not in before.lasting)
    words = [
        f"{count} {what}" for count, what in ((lost, "missing"), (changed, "changed"), (more, "new")) if count
    ]
    return ", ".join(words)


def _reading(key: bytes, kind: bytes) -> Iterator[tuple[Argument, ...]]:
    match kind:
        case b"string":
            yield ("GET", key)
        case b"list":
            yield ("LRANGE", key, 0, -1)
        case b"set":
            yield ("SMEMBERS", key)
        case b"hash":
            yield ("HGETALL", key)
        case b"zset":
            yield ("ZRANGE", key, 0, -1, "WITHSCORES")
        case b"stream":
            yield ("XRANGE", key, "-", "+")
            yield ("XINFO", "STREAM", key)
        case _:
            name = kind.decode("ascii", "replace")
            raise EmbeddedStoreError(f"Redis holds a key of the type {name}, which Majlis does not use")


def _plain(command: str, reply: RedisReply) -> list[bytes]:
    """The parts of a reply, in an order and a spelling that do not depend on the server."""
    match command:
        case "SMEMBERS":
            return sorted(reply)
        case "HGETALL":
            return [part for pair in sorted(_pairs(reply)) for part in pair]
        case "ZRANGE":
            return [
                part for name, score in sorted(_pairs(reply)) for part in (name, repr(float(score)).encode())
            ]
        case "XRANGE":
            return [part for entry, fields in reply for part in (entry, *fields)]
        case "XINFO":
            return [dict(_pairs(reply))[b"last-generated-id"]]
        case _:
            return list(reply) if isinstance(reply, list) else [reply]


def _pairs(reply: RedisReply) -> list[tuple[bytes, bytes]]:
    return list(zip(reply[::2], reply[1::2], strict=True))


def _digest(parts: list[bytes]) -> bytes:
    """With each part's length, so that no two lists have one digest because their parts are cut elsewhere."""
    running = hashlib.blake2b(digest_size=16)
    for part in parts:
        running.update(b"%d:" % len(part))
        running.update(part)
    return running.digest()
