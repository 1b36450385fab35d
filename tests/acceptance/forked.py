"""A command of Majlis, the daemon above all, in a process forked from one that has imported all of it.

Of what a start costs, more than half is importing the same modules again, and the tests start hundreds. Rehearsals,
the tour and the tests of the command line execute an interpreter each time, as users do; so do daemons with anything
special to their start (`DaemonProcess.start`).
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.acceptance import run_daemon

_PRELOADED = ["tests.acceptance.preloaded"]


class Forked:
    """One process, with the methods of `subprocess.Popen` that a test needs.

    Args:
      arguments: those of the command line.
      environment: all of it.
    """

    def __init__(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], stdout: Path, stderr: Path
    ) -> None:
        for path in (stdout, stderr):
            path.touch()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        self._process = context.Process(
            target=_run, args=(tuple(arguments), cwd, dict(environment), stdout, stderr), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait for the end; returns the exit status.

        Raises:
          subprocess.TimeoutExpired: it runs still.
        """
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("majlis", timeout)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(
    arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], stdout: Path, stderr: Path
) -> None:
    """In the new process: become what `subprocess.Popen` would have made of it."""
    os.setsid()
    for number, path in ((0, Path(os.devnull)), (1, stdout), (2, stderr)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND | os.O_CREAT
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    sys.argv = ["majlis", *arguments]
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    try:
        run_daemon.run(arguments)
    finally:
        atexit._run_exitfuncs()  # the interpreter does not end as others do
