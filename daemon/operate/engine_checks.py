"""What `majlis doctor` says of the engines: which Redis and Postgres run, how old they are, and a wasteful setting."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from actors.errors import MajlisError
from daemon.config import Settings
from daemon.operate.checks import Check
from daemon.stores.embedded_redis import STREAM_NODE_BYTES
from daemon.stores.places import Places
from daemon.stores.postgres import Postgres
from daemon.stores.redis import RedisStore
from daemon.stores.redis_engine import MODERN, Engine, engine_for, preferred, written_by

LUA_FIXES = (6, 2, 20)
"""CVE-2024-46981 was mended in 6.2.17, CVE-2025-49844 and its like in 6.2.20: who may run scripts can run code."""

POSTGRES_ENDS = {
    9: date(2021, 11, 11),
    10: date(2022, 11, 10),
    11: date(2023, 11, 9),
    12: date(2024, 11, 21),
    13: date(2025, 11, 13),
    14: date(2026, 11, 12),
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}
"""When a major version gets its last fixes (postgresql.org/support/versioning)."""


async def engine_checks(settings: Settings, redis: RedisStore, db: Postgres) -> list[Check]:
    """From inside a daemon. An embedded Postgres is the wheel's, and as new as this installation."""
    if settings.redis.is_embedded:
        checks = [await embedded_redis_check(settings.data_dir, settings.redis.program)]
    else:
        checks = await own_redis_checks(redis)
    return checks if settings.postgres.is_embedded else [*checks, *await own_postgres_checks(db)]


async def embedded_redis_check(data_dir: Path, program: Path | None) -> Check:
    """Which engine runs, or would run, on this data_dir."""
    name, directory = "redis engine", Places.redis_below(data_dir)
    try:
        engine = await engine_for(directory, program)
        is_new = written_by(directory) is None
    except MajlisError as error:
        return Check(name=name, state="problem", detail=f"{error}.")
    detail = f"{engine.name} ({engine.source}, {engine.program})"
    if is_new and engine.source == "system":
        detail += ", for new data; from PATH, which a service may have otherwise: redis.program settles it"
    if newer := await _better(engine, program):
        advice = (
            f"Data keep the engine that wrote them. To go to {newer.name} ({newer.program}), stop the daemon and "
            "run `majlis migrate --redis-engine`."
        )
    elif engine.version < MODERN:
        advice = (
            "Before serious use install the system's valkey-server or redis-server, 7 or newer, stop the daemon and "
            "run `majlis migrate --redis-engine`."
        )
    else:
        return Check(name=name, state="ok", detail=detail)
    if engine.version >= MODERN:
        return Check(name=name, state="ok", detail=detail, advice=advice)
    words = f"{detail}: works, but its line gets no fixes any more; nobody but Majlis can reach it, so this can wait"
    return Check(name=name, state="warning", detail=words, advice=advice)


async def _better(engine: Engine, program: Path | None) -> Engine | None:
    """What a new data_dir would get instead, if that is another one and not older."""
    try:
        found = await preferred(program)
    except MajlisError:
        return None
    newer = found.version[:2] > engine.version[:2] if found.make == engine.make else found.version >= MODERN
    return found if newer else None


def _lua_words(version: tuple[int, ...]) -> str:
    if version >= LUA_FIXES:
        return ""
    return (
        "; it lacks fixes of its script engine (CVE-2024-46981, CVE-2025-49844), which matter if anyone but Majlis "
        "can reach it"
    )


async def own_redis_checks(redis: RedisStore) -> list[Check]:
    try:
        info, node = await redis.pipeline([("INFO", "server"), ("CONFIG", "GET", "stream-node-max-bytes")])
    except MajlisError:  # the check of the store itself says why
        return []
    checks = [] if isinstance(info, MajlisError) else [_redis_age(info.decode("utf-8", "replace"))]
    if not isinstance(node, MajlisError) and node and node[1].isdigit() and int(node[1]) > STREAM_NODE_BYTES:
        detail = (
            f"`stream-node-max-bytes {int(node[1])}`: a waiting conversation takes about 5 KB instead of 2 KB"
        )
        advice = (
            f"To save memory, set `stream-node-max-bytes {STREAM_NODE_BYTES}` in Redis; nothing else changes."
        )
        checks.append(Check(name="redis memory", state="ok", detail=detail, advice=advice))
    return checks


def _redis_age(info: str) -> Check:
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    make = "Valkey" if "valkey_version" in facts else "Redis"
    text = facts.get("valkey_version") or facts.get("redis_version", "")
    version = tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
    if not version or version >= MODERN:
        return Check(name="redis engine", state="ok", detail=f"{make} {text[:20] or 'of an unknown version'}")
    return Check(
        name="redis engine",
        state="warning",
        detail=f"{make} {text[:20]} gets no fixes any more{_lua_words(version)}",
        advice="Update it to Valkey or Redis 7.2 or newer.",
    )


async def own_postgres_checks(db: Postgres) -> list[Check]:
    try:
        number = int(await db.value("SHOW server_version_num"))
    except MajlisError:
        return []
    return [postgres_age(number, datetime.now(UTC).date())]


def postgres_age(number: int, today: date) -> Check:
    """`number` is Postgres' `server_version_num`, such as 160004."""
    major = number // 10_000
    text = f"Postgres {major}.{number % 10_000}"
    ended = POSTGRES_ENDS.get(max(major, min(POSTGRES_ENDS)))
    if ended is None or today <= ended:
        return Check(name="postgres engine", state="ok", detail=text)
    detail = f"{text}: its last fixes came on {ended:%Y-%m-%d}"
    return Check(
        name="postgres engine", state="warning", detail=detail, advice="Update it to a supported version."
    )
