"""The provider under test and its server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from daemon.web.client import HttpClient


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient(keepalive_seconds=5) as client:
        yield client
