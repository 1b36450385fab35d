"""What `majlis doctor` says about the stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time as wall_seconds

from actors.errors import LedgerUnavailable, MajlisError
from daemon.ledger.doors import doors, what_is_open
from daemon.ledger.wire import storable
from daemon.mirror.checks import Problem
from daemon.operate.checks import Check
from daemon.stores.postgres import LedgerError, Postgres

CLOCK_SECONDS = 5.0
"""Further apart is a warning: ages, pauses and take-overs are counted by Postgres' clock, windows and logs by ours. No
lease depends on it. Clocks that are kept differ by less than a second."""


_OTHERS = """
    SELECT count(*) AS files, count(DISTINCT instance) AS instances FROM majlis_knowledge_files
    WHERE state = 'ready' AND model <> $1
"""


def redis_checks(problems: Sequence[Problem]) -> list[Check]:
    if not problems:
        return [Check(name="redis", state="ok", detail="as strong as configured")]
    return [
        Check(name="redis", state="problem" if problem.seen else "warning", detail=problem.text)
        for problem in problems
    ]


async def postgres_checks(db: Postgres, problem: str | None, vectors: str) -> list[Check]:
    """`problem` is what `ledger_problem` found. A fit database is also asked what of it is open to the world, and for
    vectors of the model that is configured, kept under `vectors`; empty: none are needed."""
    if problem is not None:
        return [Check(name="postgres", state="problem", detail=problem)]
    fit = Check(name="postgres", state="ok", detail="reachable, its schema fits")
    checks = [fit, *await _clock_check(db), *await _open_doors(db)]
    return [*checks, await _vectors_check(db, vectors)] if vectors else checks


def embedded_check(store: str, find_program: Callable[[], object]) -> Check:
    """Whether the program of an embedded store is installed."""
    try:
        return Check(name=store, state="ok", detail=f"embedded, {find_program()}; starts with the daemon")
    except MajlisError as error:
        return Check(name=store, state="problem", detail=str(error))


async def _clock_check(db: Postgres) -> list[Check]:
    """Nothing while the clocks agree."""
    asked_at = wall_seconds()
    try:
        shown = float(await db.value("SELECT extract(epoch FROM clock_timestamp())"))
    except (LedgerUnavailable, LedgerError):  # it was fit a moment ago, and the daemon says when it is not
        return []
    off = max(shown - wall_seconds(), asked_at - shown)
    if off <= CLOCK_SECONDS:
        return []
    detail = f"Postgres' clock is {off:.0f} s {'behind' if shown < asked_at else 'ahead of'} ours"
    advice = "Have both machines keep their clocks (chrony, systemd-timesyncd)."
    return [Check(name="postgres clock", state="warning", detail=detail, advice=advice)]


async def _open_doors(db: Postgres) -> list[Check]:
    """Nothing if all is closed."""
    name = "postgres doors"
    try:
        return [
            Check(name=name, state="warning", detail=found.text, advice=found.advice)
            for found in what_is_open(await doors(db))
        ]
    except (LedgerUnavailable, LedgerError) as error:
        return [Check(name=name, state="problem", detail=f"Postgres could not be asked ({error}).")]


async def _vectors_check(db: Postgres, key: str) -> Check:
    try:
        found = await db.value("SELECT majlis_has_vectors()")
        [others] = await db.fetch(_OTHERS, storable(key))
    except (LedgerUnavailable, LedgerError) as error:
        return Check(name="pgvector", state="problem", detail=f"Postgres could not be asked ({error}).")
    if found and others["files"]:
        return Check(
            name="pgvector",
            state="warning",
            detail=(
                f"knowledge files without vectors of this model and its prefixes: {others['files']}, "
                f"of instances: {others['instances']}; they are found by words alone"
            ),
            advice="See `majlis knowledge list INSTANCE`, and add these files again with `majlis knowledge add`.",
        )
    if found:
        return Check(name="pgvector", state="ok", detail="vectors are stored and compared")
    return Check(
        name="pgvector",
        state="warning",
        detail="embeddings are configured, but this database has no pgvector: only words are compared",
        advice="Install pgvector, run `CREATE EXTENSION vector` in the database, then add the files again.",
    )
