"""The tests of the server run for both ways of reading: a task for each connection, and rounds."""

from __future__ import annotations

import pytest

from tests.daemon.web.http1 import support


@pytest.fixture(params=["tasks", "rounds"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that `serving` serves is read so."""
    monkeypatch.setattr(support, "READS_IN_ROUNDS", request.param == "rounds")
