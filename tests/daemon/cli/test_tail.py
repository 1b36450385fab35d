"""`majlis tail`: follows events until it is interrupted or the daemon stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon.cli.scene import HELD, LABEL
from tests.support.operators import DoorInThread

ROOT = Path(__file__).parents[3]


@contextmanager
def tailing(door: DoorInThread, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`majlis tail` as a process, with the first event already received."""
    command = [sys.executable, "-m", "daemon", "tail", "--set", f"admin.socket={door.socket}", *options]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            door.wait_for_tail()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_tail_streams_until_interrupted_and_ends_quietly(
    door: DoorInThread, options: tuple[str, ...]
) -> None:
    with tailing(door, *options) as process:
        door.emit("turn.lookups", HELD, batch=2, failures=[], waterfall={"history": [0.1, 2.0, "ok"]})
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == ""
    if options:
        assert json.loads(line)["event"] == "turn.lookups" and "history" in line
    else:
        assert line.split("  ", 1)[1].split() == ["turn.lookups", "acme", LABEL, "batch=2", "failures=none"]


def test_tail_fails_when_the_daemon_stops(door: DoorInThread) -> None:
    with tailing(door) as process:
        door.stop()
        assert process.wait(30) == 1
        assert process.stderr is not None and len(process.stderr.read().splitlines()) == 1
