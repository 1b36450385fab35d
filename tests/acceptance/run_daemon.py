"""The `majlis` command line with crash points that a test can order. Run as `python -m tests.acceptance.run_daemon`.

The orders are lines of the file that `MAJLIS_TEST_CRASH_ORDERS` names: `<action> <point> <n>`, carried out one after
another, each the n-th time that its point is reached. An order leaves the file before it is carried out, so the
daemon's next life meets the next one. The process also dies with the test that started it.

`MAJLIS_TEST_CONSTANTS` is JSON: constants of the daemon's modules by their full names, and what they are here instead.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from actors import crash_points
from daemon.cli import main

ORDERS = "MAJLIS_TEST_CRASH_ORDERS"
CONSTANTS = "MAJLIS_TEST_CONSTANTS"
_PR_SET_PDEATHSIG = 1


class Ordered(Exception):
    """Raised by the action `raise`; stands for any bug."""


class _Orders:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = ""
        self._left = 0

    def reached(self, point: str) -> None:
        lines = self._read()
        if not lines:
            return
        action, wanted, times = lines[0].split()
        if lines[0] != self._line:
            self._line, self._left = lines[0], int(times)
        if point != wanted:
            return
        self._left -= 1
        if self._left == 0:
            self._line = ""
            self._forget_first(lines)
            _carry_out(action)

    def _read(self) -> list[str]:
        try:
            return self._path.read_text().splitlines()
        except OSError:  # there is none, or the test has left the daemon no file to open
            return []

    def _forget_first(self, lines: list[str]) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text("".join(f"{line}\n" for line in lines[1:]))
        temporary.replace(self._path)


def _carry_out(action: str) -> None:
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "block":
            threading.Event().wait()  # blocks the whole event loop, forever
        case "raise":
            raise Ordered("ordered by a test")
        case _:
            raise AssertionError(f"no action {action}")


def run(arguments: Sequence[str]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    path = os.environ.pop(ORDERS, None)
    if path is not None:
        crash_points.hook = _Orders(Path(path)).reached
    for name, value in json.loads(os.environ.pop(CONSTANTS, "{}")).items():
        module, _, constant = name.rpartition(".")
        found = importlib.import_module(module)
        assert hasattr(found, constant), f"there is no {name}"
        setattr(found, constant, value)
    main(arguments)


if __name__ == "__main__":
    run(sys.argv[1:])
