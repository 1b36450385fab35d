"""A running admin server, and a way to run commands against it."""

from __future__ import annotations

import io
import os
import re
import sys
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
def door(tmp_path: Path, migrated_postgres_dsn: str) -> Iterator[DoorInThread]:
    """An admin server in this process; its log is discarded, so that standard output is only the command's."""
    (tmp_path / "door").mkdir()
    writer = logs.configure("error", "json", io.StringIO())
    with door_in_thread(tmp_path / "door", migrated_postgres_dsn) as running:
        running.do(lambda: running.operators.records.register_instances(["acme", "shop"]))
        yield running
    writer.close()
    structlog.reset_defaults()


@pytest.fixture
def majlis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Run one command against the admin socket of `door`."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--set", f"admin.socket={tmp_path / 'door' / 'admin.sock'}"])
        out, err = capsys.readouterr()
        status = ended.value.code
        return Outcome(status if isinstance(status, int) else 0, out, err)

    return run


class FakeTerminal:
    """Standard output as an 80-column terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        return re.sub(r"\x1b\[[0-9;]*m", "", self.text).splitlines()


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """To be called inside the test: pytest replaces standard output after the fixtures have run."""
    screen = FakeTerminal()
    monkeypatch.setattr(sys, "stdout", screen)
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen
