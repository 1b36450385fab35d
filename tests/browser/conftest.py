"""Fixtures of the tests in a browser: one Chromium per file, one visitor per test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.acceptance.conftest import gateway, model, pytest_runtest_makereport
from tests.acceptance.harness import DaemonUnderTest
from tests.browser.chromium import launch
from tests.browser.visitor import WAIT_MS, Visitor

__all__ = ["gateway", "model", "pytest_runtest_makereport"]

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with plain_asyncio():
        playwright = sync_playwright()
        browser = launch(playwright.__enter__())
    try:
        yield browser
        browser.close()
    finally:
        playwright.__exit__()


@contextmanager
def plain_asyncio() -> Iterator[None]:
    """Start Playwright with asyncio's own loop.

    Other tests in this process import trio-asyncio, which replaces both names.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", asyncio.SelectorEventLoop)
        patch.setattr(asyncio.events, "get_child_watcher", asyncio.ThreadedChildWatcher)
        yield


@pytest.fixture
def visitor(browser: Browser, daemon: DaemonUnderTest) -> Iterator[Visitor]:
    """Fails the test when the browser reported an error that the test did not expect."""
    visitor = Visitor(browser, daemon)
    yield visitor
    visitor.leaves()
