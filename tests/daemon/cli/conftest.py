"""A running door and a way to type commands at it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from daemon.cli import main
from daemon.observe import logs
from tests.support.operators import DoorInThread, door_in_thread


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Typed = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine, no config.yaml of the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MAJLIS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def door(tmp_path: Path, migrated_dsn: str) -> Iterator[DoorInThread]:
    """A door in this process; its log goes nowhere, so that standard output is the command's alone."""
    (tmp_path / "door").mkdir()
    writer = logs.configure("error", "json", io.StringIO())
    with door_in_thread(tmp_path / "door", migrated_dsn) as running:
        running.do(lambda: running.operators.records.register_instances(["acme", "shop"]))
        yield running
    writer.close()
    structlog.reset_defaults()


@pytest.fixture
def majlis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type one command; the admin socket is the one of `door`."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--set", f"admin.socket={tmp_path / 'door' / 'admin.sock'}"])
        out, err = capsys.readouterr()
        status = ended.value.code
        return Outcome(status if isinstance(status, int) else 0, out, err)

    return run
