"""Redis and Postgres outside of a running daemon: embedded ones started, the schema brought up to date, all checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import trio

from actors.errors import LedgerUnavailable
from actors.ports import Feed
from daemon.config import Settings
from daemon.ledger import Closing, Migrated, Records, install, migrate
from daemon.ledger.fitness import ledger_problem, unavailable
from daemon.ledger.rows import LastSends, StoredInstances
from daemon.mirror.checks import Expected, check_redis
from daemon.operate.adoption import adopt_redis
from daemon.operate.checks import Check, contained
from daemon.operate.engine_checks import embedded_redis_check, own_postgres_checks, own_redis_checks
from daemon.operate.peer_checks import Known
from daemon.operate.store_checks import embedded_check, postgres_checks, redis_checks
from daemon.run.lifecycle import CannotStart
from daemon.stores.embedded_postgres import run_embedded_postgres
from daemon.stores.embedded_redis import run_embedded_redis
from daemon.stores.places import postgres_program
from daemon.stores.postgres import Postgres
from daemon.stores.redis import RedisStore
from daemon.stores.redis_move import move_redis


async def start_embedded(settings: Settings, feed: Feed, nursery: trio.Nursery) -> tuple[str, str]:
    """Start the embedded stores, side by side; returns the Redis URL and the Postgres DSN."""
    places = {
        "redis": settings.redis.url.get_secret_value(),
        "postgres": settings.postgres.dsn.get_secret_value(),
    }

    def emit(event: str, fields: Mapping[str, object]) -> None:
        feed.emit(event, None, **fields)

    async def redis() -> None:
        feed.emit("store.starting", store="redis")
        run = partial(run_embedded_redis, settings.data_dir, on_event=emit, program=settings.redis.program)
        server = await nursery.start(run)
        places["redis"] = server.url

    async def postgres() -> None:
        feed.emit("store.starting", store="postgres")
        server = await nursery.start(partial(run_embedded_postgres, settings.data_dir, on_event=emit))
        places["postgres"] = server.dsn

    async with trio.open_nursery() as starting:
        if settings.redis.is_embedded:
            starting.start_soon(redis)
        if settings.postgres.is_embedded:
            starting.start_soon(postgres)
    return places["redis"], places["postgres"]


async def migrate_stores(
    settings: Settings, feed: Feed, adopts_redis: bool, closing: Closing, moves_redis: bool = False
) -> Migrated:
    """`majlis migrate`: update and close the tables; if asked to, adopt a Redis whose old data is lost for good, or
    take the embedded Redis' data to another engine.

    Raises:
      CannotStart: Postgres cannot be used now, or Redis is not embedded; the text says what to check.
    """
    moved = await _move_redis(settings, feed) if moves_redis else []
    async with trio.open_nursery() as nursery:
        redis_url, dsn = await start_embedded(settings, feed, nursery)
        async with _opened(Postgres(dsn, max_connections=2, command_seconds=600)) as db:
            try:
                done = await migrate(db, closing=closing)
            except LedgerUnavailable as error:
                raise CannotStart(unavailable(error)) from error
            found = await install(db, settings.partitions)
            if adopts_redis:
                await adopt_redis(db, RedisStore(redis_url), found)
                done.applied.append("stamp of redis")
        nursery.cancel_scope.cancel()
    done.applied[:0] = moved
    return done


async def _move_redis(settings: Settings, feed: Feed) -> list[str]:
    if not settings.redis.is_embedded:
        raise CannotStart("redis.url names a server of your own: change its engine by its own means.")

    def emit(event: str, fields: Mapping[str, object]) -> None:
        feed.emit(event, None, **fields)

    moved = await move_redis(settings.data_dir, settings.redis.program, emit)
    if moved is None:
        return []
    how = f"{moved.keys} keys, {'compared one by one' if moved.compared else 'not compared'}"
    return [f"{moved.after} in place of {moved.before} ({how}); the old files are kept: {moved.kept}"]


async def check_from_outside(settings: Settings) -> Iterable[Check]:
    """The stores, while no daemon runs: embedded ones are not started only to be looked at."""

    async def redis() -> Iterable[Check]:
        if settings.redis.is_embedded:
            return [await embedded_redis_check(settings.data_dir, settings.redis.program)]
        store = RedisStore(settings.redis.url.get_secret_value())
        expected = Expected(settings.redis.durability, settings.partitions, None)
        checks = [*redis_checks(await check_redis(store, expected)), *await own_redis_checks(store)]
        await store.close()
        return checks

    async def postgres() -> Iterable[Check]:
        if settings.postgres.is_embedded:
            return [embedded_check("postgres", partial(postgres_program, "postgres"))]
        async with _opened(Postgres(settings.postgres.dsn.get_secret_value(), max_connections=1)) as db:
            return [
                *await postgres_checks(db, await ledger_problem(db), settings.embeddings.key),
                *await own_postgres_checks(db),
            ]

    return [*await contained("redis", redis), *await contained("postgres", postgres)]


def known_from_outside(settings: Settings) -> Known:
    """What the ledger knows, while no daemon runs; nothing for an embedded database."""
    if settings.postgres.is_embedded:
        return Known()
    dsn = settings.postgres.dsn.get_secret_value()

    async def stored(known: Collection[str], limit: int) -> StoredInstances:
        async with _opened(Postgres(dsn, max_connections=1)) as db:
            return await Records(db).stored_instances(known, limit)

    async def sends(instances: Collection[str]) -> Mapping[str, LastSends]:
        async with _opened(Postgres(dsn, max_connections=1)) as db:
            return await Records(db).last_sends(instances)

    return Known(stored, sends)


@asynccontextmanager
async def _opened(db: Postgres) -> AsyncIterator[Postgres]:
    await db.open()
    try:
        yield db
    finally:
        await db.close()  # noqa: ASYNC102  it shields and bounds itself
