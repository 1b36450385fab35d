"""Fixtures for every test.

Integration tests ask for `fresh_redis_url`, and for `migrated_postgres_dsn` or `fresh_postgres_dsn`: real servers,
started at their first use and once per session, and nothing in them. Hypothesis is imported before Trio runs, which
makes Trio's scheduling reproducible.
"""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.scratch import scratch_dir
from tests.support.stores import (
    empty_redis_database,
    hasty_postgres_in_a_thread,
    make_migrated_template,
    new_postgres_database,
    postgres_in_a_thread,
    redis_in_a_thread,
)

# A shell starts a job in the background with SIGINT ignored, and so are all its children then. The tests send it to
# daemons and commands as a terminal would, so it must mean here what it means in the foreground.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No example has a deadline: machines are shared, and how long one took proves nothing. The same code meets the same
# examples; `make prove` draws others, for a rare one must not decide whether somebody's change passes.
hypothesis.settings.register_profile(
    "majlis",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=os.environ.get("MAJLIS_DRAW_EXAMPLES") != "1",
)
hypothesis.settings.load_profile("majlis")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are made at once, and stay: to look among them for garbage costs a second, and finds none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at the whole project comes first: a long file that begins last keeps the other workers waiting."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(scope="session")
def stores_dir() -> Iterator[Path]:
    """A data directory with a short name, for the session's servers, which need not survive a power cut."""
    with tempfile.TemporaryDirectory(prefix="majlis-", dir=scratch_dir()) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def redis_url(stores_dir: Path) -> Iterator[str]:
    """The session's Redis, as other tests left it."""
    with redis_in_a_thread(stores_dir) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_dsn(stores_dir: Path) -> Iterator[str]:
    """The session's Postgres, its database `majlis` as other tests left it. It does not survive a power cut."""
    with hasty_postgres_in_a_thread(stores_dir) as server:
        yield server.dsn


@pytest.fixture(scope="session")
def durable_postgres_dsn(stores_dir: Path) -> Iterator[str]:
    """One with the settings that Majlis gives its own and insists on: each new database there takes a second."""
    with postgres_in_a_thread(stores_dir / "d") as server:
        yield server.dsn


@pytest.fixture(scope="session")
def migrated_template(postgres_dsn: str) -> str:
    return make_migrated_template(postgres_dsn)


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


@pytest.fixture
def fresh_durable_postgres_dsn(durable_postgres_dsn: str) -> Iterator[str]:
    """The same, on a server that Majlis finds fit."""
    with new_postgres_database(durable_postgres_dsn) as dsn:
        yield dsn


@pytest.fixture
def migrated_postgres_dsn(postgres_dsn: str, migrated_template: str) -> Iterator[str]:
    """A Postgres database with the whole schema and nothing in it."""
    with new_postgres_database(postgres_dsn, migrated_template) as dsn:
        yield dsn
