"""Fixtures for tests that run embedded servers."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scratch import scratch_dir


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="majlis-", dir=scratch_dir()) as directory:
        yield Path(directory)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A running process that has nothing to do with the stores."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()
