"""Redis and Postgres: started where embedded, checked before the first acknowledgement and ever after (law 9)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

from actors.errors import LedgerUnavailable, MajlisError, MirrorUnavailable
from actors.ports import Feed
from daemon.config import Settings
from daemon.ledger import Install, Records, check_schema, install, migrate
from daemon.ledger.migrate import check_server
from daemon.ledger.rows import StoredInstances
from daemon.mirror.checks import Expected, Problem, check_redis
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.observe.readiness import Health
from daemon.operate.doctor import Check
from daemon.partitions.leases import raise_epochs
from daemon.run.lifecycle import CannotStart
from daemon.stores.embedded_postgres import run_embedded_postgres
from daemon.stores.embedded_redis import run_embedded_redis
from daemon.stores.places import postgres_program, redis_server_program
from daemon.stores.postgres import LedgerError, Postgres
from daemon.stores.redis import RedisStore

CHECK_SECONDS = 2.0
"""How often the stores are looked at, and how soon a start tries again."""


async def start_embedded(settings: Settings, feed: Feed, nursery: trio.Nursery) -> tuple[str, str]:
    """Start what is embedded, side by side; gives back the Redis URL and the Postgres DSN."""
    places = {
        "redis": settings.redis.url.get_secret_value(),
        "postgres": settings.postgres.dsn.get_secret_value(),
    }

    def tell(event: str, fields: Mapping[str, object]) -> None:
        feed.emit(event.replace("_", ".", 1), None, **fields)

    async def redis() -> None:
        feed.emit("store.starting", store="redis")
        server = await nursery.start(partial(run_embedded_redis, settings.data_dir, on_event=tell))
        places["redis"] = server.url

    async def postgres() -> None:
        feed.emit("store.starting", store="postgres")
        server = await nursery.start(partial(run_embedded_postgres, settings.data_dir, on_event=tell))
        places["postgres"] = server.dsn

    async with trio.open_nursery() as starting:
        if settings.redis.is_embedded:
            starting.start_soon(redis)
        if settings.postgres.is_embedded:
            starting.start_soon(postgres)
    return places["redis"], places["postgres"]


class StoreWatch:
    """Knows whether both stores are there, fit and ours."""

    def __init__(
        self,
        settings: Settings,
        redis: RedisStore,
        survey: Survey,
        db: Postgres,
        records: Records,
        health: Health,
    ) -> None:
        self._settings = settings
        self._redis = redis
        self._survey = survey
        self._db = db
        self._records = records
        self._health = health
        self._install: Install | None = None

    async def until_fit(self) -> Install:
        """Wait until both are fit; what keeps us waiting stands in the health. Migrates an embedded Postgres.

        Raises:
          MigrationFailed: the ledger was made for another number of partitions.
        """
        found = None
        while found is None:
            problem, found = await self._prepare_ledger()
            self._health.report("postgres", (problem,) if problem else ())
            if found is None:
                await trio.sleep(CHECK_SECONDS)
        self._install = found
        while problems := await self._prepare_mirror(found):
            self._health.report("redis", tuple(problem.text for problem in problems))
            await trio.sleep(CHECK_SECONDS)
        self._health.report("redis", ())
        return found

    async def run(
        self, redis_back: Callable[[], None], postgres_back: Callable[[], None], turned: Callable[[], None]
    ) -> None:
        """Look again and again until cancelled; tell when a store is well again, and of each look by `turned`."""
        while True:
            await trio.sleep(CHECK_SECONDS)
            turned()
            problems = await self.redis_problems()
            if self._health.report("redis", tuple(problem.text for problem in problems)):
                redis_back()
            problem = await self.postgres_problem()
            if self._health.report("postgres", (problem,) if problem else ()):
                postgres_back()

    async def redis_problems(self) -> list[Problem]:
        """What is wrong with Redis; a setting that cannot be seen counts, unless it is to be trusted."""
        expected = Expected(
            self._settings.redis.durability,
            self._settings.partitions,
            self._install.install_id if self._install else None,
        )
        trust = self._settings.redis.trust_unseen_settings
        return [problem for problem in await check_redis(self._redis, expected) if problem.seen or not trust]

    async def postgres_problem(self) -> str | None:
        return await ledger_problem(self._db)

    async def _prepare_ledger(self) -> tuple[str | None, Install | None]:
        try:
            if self._settings.postgres.is_embedded:
                await migrate(self._db)
            problem = await self.postgres_problem()
            if problem is not None:
                return problem, None
            found = await install(self._db, self._settings.partitions)
            await self._records.register_instances(self._settings.instances)
        except LedgerUnavailable:
            return await self.postgres_problem() or "Postgres went away for a moment.", None
        return None, found

    async def _prepare_mirror(self, found: Install) -> list[Problem]:
        """What is wrong with Redis. A new one is stamped, but only while the ledger has never seen a turn."""
        problems = await self.redis_problems()
        if [problem.word for problem in problems] == ["install_missing"] and not await self._has_turns():
            with suppress(MirrorUnavailable):  # the next look says why
                await self._survey.install(found.partitions, found.install_id)
            problems = await self.redis_problems()
        return problems

    async def _has_turns(self) -> bool:
        try:
            return bool(await self._records.counts())
        except LedgerUnavailable:
            return True


async def migrate_stores(settings: Settings, feed: Feed, adopt_redis: bool) -> Sequence[str]:
    """`majlis migrate`: the tables and, when asked for, a stamp on a Redis whose old data is lost for good.

    Gives back the names of what was done.

    Raises:
      CannotStart: Postgres cannot be used now; the text says what to look at.
    """
    async with trio.open_nursery() as nursery:
        redis_url, dsn = await start_embedded(settings, feed, nursery)
        async with _opened(Postgres(dsn, max_connections=2, command_seconds=600)) as db:
            try:
                applied = await migrate(db)
            except LedgerUnavailable as error:
                raise CannotStart(_away(error)) from error
            found = await install(db, settings.partitions)
            if adopt_redis:
                survey = Survey(
                    redis := RedisStore.from_url(redis_url), RedisMirror(redis, settings.partitions)
                )
                if await survey.is_unstamped():
                    await Records(db).bury_unfinished()
                await survey.install(found.partitions, found.install_id)
                await raise_epochs(db, await survey.epochs(range(settings.partitions)))
                applied = [*applied, "stamp of redis"]
        nursery.cancel_scope.cancel()
    return applied


async def check_from_outside(settings: Settings) -> Iterable[Check]:
    """The stores, while no daemon runs: embedded ones are not started only to be looked at."""
    if settings.redis.is_embedded:
        checks = [_program("redis", redis_server_program)]
    else:
        redis = RedisStore.from_url(settings.redis.url.get_secret_value())
        expected = Expected(settings.redis.durability, settings.partitions, None)
        checks = redis_checks(await check_redis(redis, expected))
        await redis.close()
    if settings.postgres.is_embedded:
        return [*checks, _program("postgres", partial(postgres_program, "postgres"))]
    async with _opened(Postgres(settings.postgres.dsn.get_secret_value(), max_connections=1)) as db:
        return [*checks, *await postgres_checks(db, await ledger_problem(db), settings)]


async def stored_from_outside(settings: Settings, known: Collection[str], limit: int) -> StoredInstances:
    """What `Records.stored_instances` gives, while no daemon runs; nothing of an embedded database."""
    if settings.postgres.is_embedded:
        return StoredInstances()
    async with _opened(Postgres(settings.postgres.dsn.get_secret_value(), max_connections=1)) as db:
        return await Records(db).stored_instances(known, limit)


async def ledger_problem(db: Postgres) -> str | None:
    """What is wrong with Postgres and what to change, in a sentence; None when it is fit."""
    try:
        return await check_server(db) or await check_schema(db)
    except LedgerUnavailable as error:
        return _away(error)
    except LedgerError as error:
        return f"Postgres refuses to be looked at ({error}): check the rights of the user in postgres.dsn."


def _away(error: LedgerUnavailable) -> str:
    return f"Postgres cannot be used now ({error}): see that it runs and is reachable at postgres.dsn."


def redis_checks(problems: Sequence[Problem]) -> list[Check]:
    if not problems:
        return [Check(name="redis", state="ok", detail="as strong as configured")]
    return [
        Check(name="redis", state="problem" if problem.seen else "warning", detail=problem.text)
        for problem in problems
    ]


async def postgres_checks(db: Postgres, problem: str | None, settings: Settings) -> list[Check]:
    """What is wrong, as `ledger_problem` told it; of a fit one also whether it can compare vectors, where it has to."""
    if problem is not None:
        return [Check(name="postgres", state="problem", detail=problem)]
    fit = Check(name="postgres", state="ok", detail="reachable, its schema is this version's")
    if settings.embeddings.model is None:
        return [fit]
    return [fit, await _vectors_check(db)]


async def _vectors_check(db: Postgres) -> Check:
    try:
        found = await db.value("SELECT majlis_has_vectors()")
    except (LedgerUnavailable, LedgerError) as error:
        return Check(name="pgvector", state="problem", detail=f"Postgres could not be asked ({error}).")
    if found:
        return Check(name="pgvector", state="ok", detail="vectors are stored and compared")
    return Check(
        name="pgvector",
        state="warning",
        detail="embeddings are configured, but this database has no pgvector: words alone are compared",
        advice="Install pgvector, run `CREATE EXTENSION vector` in the database, then add the files again.",
    )


def _program(store: str, find: Callable[[], object]) -> Check:
    try:
        return Check(name=store, state="ok", detail=f"embedded, {find()}; it starts with the daemon")
    except MajlisError as error:
        return Check(name=store, state="problem", detail=str(error))


@asynccontextmanager
async def _opened(db: Postgres) -> AsyncIterator[Postgres]:
    await db.open()
    try:
        yield db
    finally:
        await db.close()  # noqa: ASYNC102  it shields and bounds itself
