"""Fixtures of the acceptance tests: a fake gateway, a fake model, and daemons between them."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.acceptance import harness
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI


@pytest.fixture(scope="module")
def gateway() -> Iterator[FakeEvolution]:
    """One fake WhatsApp per test file: its tests use different instances and contacts."""
    with FakeEvolution().running() as server:
        yield server


@pytest.fixture(scope="module")
def model() -> Iterator[FakeOpenAI]:
    with FakeOpenAI().running() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows the end of the log of every running daemon."""
    report = yield
    if report.failed:
        for daemon in harness.running:
            report.sections.append((f"daemon in {daemon.root}", daemon.last_words()))
    return report
