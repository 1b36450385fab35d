"""A seed plays the same storm each time: Trio decides by it, too, which of the tasks that are ready goes first."""

from __future__ import annotations

import pytest
import trio._core._run as scheduler


@pytest.fixture(autouse=True)
def scheduled_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Storm` seeds it."""
    monkeypatch.setattr(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
