"""Fixtures for every test.

Integration tests ask for `fresh_redis_url` and `fresh_postgres_dsn`: real servers, started at their first use and once
per session, and nothing in them. Hypothesis is imported before Trio runs, which makes Trio's scheduling reproducible.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import trio

from tests.support.ledgers import open_world
from tests.support.stores import (
    empty_redis_database,
    new_postgres_database,
    postgres_in_a_thread,
    redis_in_a_thread,
)

# No example has a deadline: machines are shared, and how long one took proves nothing.
hypothesis.settings.register_profile(
    "majlis", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("majlis")


@pytest.fixture(scope="session")
def stores_dir() -> Iterator[Path]:
    """A data directory with a short name, for the session's servers."""
    with tempfile.TemporaryDirectory(prefix="majlis-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def redis_url(stores_dir: Path) -> Iterator[str]:
    """The session's Redis, as other tests left it."""
    with redis_in_a_thread(stores_dir) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_dsn(stores_dir: Path) -> Iterator[str]:
    """The session's Postgres, its database `majlis` as other tests left it."""
    with postgres_in_a_thread(stores_dir) as server:
        yield server.dsn


@pytest.fixture
def fresh_redis_url(redis_url: str) -> Iterator[str]:
    """A Redis with nothing in it."""
    with empty_redis_database(redis_url) as url:
        yield url


@pytest.fixture
def fresh_postgres_dsn(postgres_dsn: str) -> Iterator[str]:
    """A Postgres database with nothing in it."""
    with new_postgres_database(postgres_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def migrated_dsn(postgres_dsn: str) -> Iterator[str]:
    """A database of this version, for tests that empty it themselves: making one anew costs more than they do."""

    async def make(dsn: str) -> None:
        async with open_world(dsn):
            pass

    with new_postgres_database(postgres_dsn) as dsn:
        trio.run(make, dsn)
        yield dsn
