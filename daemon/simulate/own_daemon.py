"""A temporary daemon for one rehearsal: a child process with its own stores in a temporary directory.

Rules of this file:
1. A Majlis installed on this machine is not touched: no settings are read from files or the environment, and only the
   listener for webhooks is open.
2. The daemon and its stores die with the simulator, even if that is killed.
3. The daemon listens on the same address after a restart, so that a restart looks to the gateway as in production.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import trio
from pydantic import BaseModel

from actors.errors import MajlisError
from daemon.config import Settings
from daemon.simulate.webhooks import Target, Unanswered, WebhookClient
from daemon.stores import child_guard
from daemon.stores.child import exit_of, last_log_line, why_ended

START_SECONDS = 90.0
STOP_SECONDS = 15.0
_POLL_SECONDS = 0.05
_PASSED_ON = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
)
_OWN_KEYS = (
    "data_dir",
    "redis.",
    "postgres.",
    "ingress.listen",
    "ingress.auth",
    "gateway.",
    "admin.",
    "instances",
)


class CannotRehearse(MajlisError):
    """The rehearsal cannot start or go on; the message says what to change."""

    def __init__(self, sentence: str, *, is_running: bool = True) -> None:
        super().__init__(sentence)
        self.is_running = is_running


class OwnDaemon:
    """Use with `async with`; on exit the daemon is stopped and its directory removed, unless `keeps_directory` is set.

    Args:
      gateway_url: where it sends its replies.
      assignments: `key=value` settings that override those of the rehearsal.

    Raises:
      CannotRehearse: an assignment changes a setting that the rehearsal needs, or the daemon does not start.
    """

    def __init__(self, gateway_url: str, instance: str, assignments: Sequence[str]) -> None:
        for assignment in assignments:
            if assignment.startswith(_OWN_KEYS):
                name = assignment.partition("=")[0]
                raise CannotRehearse(f"the rehearsal sets {name} itself: leave it out, or use --url")
        self.keeps_directory = False
        self.directory = Path(tempfile.mkdtemp(prefix="majlis-simulate-"))
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._assignments = assignments
        self._log_path = self.directory / "log"
        self._config_path = self.directory / "config.yaml"
        settings = _settings(self.directory, self.url, gateway_url, instance)
        self._config_path.write_bytes(msgspec.json.format(msgspec.json.encode(settings)))  # JSON is YAML
        self._process: subprocess.Popen[bytes] | None = None
        self._is_killed = False

    async def __aenter__(self) -> OwnDaemon:
        try:
            await self._start()
        except BaseException:
            with trio.CancelScope(shield=True):  # bounded by `_stop` itself
                await self._stop()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        with trio.CancelScope(shield=True):  # bounded by `_stop` itself
            await self._stop()

    async def kill_and_restart(self) -> float:
        """Send SIGKILL and start again on the same data; returns the seconds until it was ready."""
        assert self._process is not None
        self._is_killed = True
        self._process.kill()
        await exit_of(self._process)
        began = trio.current_time()
        await self._start()
        self._is_killed = False
        return trio.current_time() - began

    async def watch(self) -> None:
        """Watch the process. Raises `CannotRehearse` if it ends by itself."""
        while True:
            await trio.sleep(_POLL_SECONDS)
            if not self._is_killed:
                self._check()

    def keep_directory(self) -> None:
        """Leave the directory, with the log in it, where it is."""
        self.keeps_directory = True

    def _check(self) -> None:
        assert self._process is not None
        status = self._process.poll()
        if status is not None:
            self.keeps_directory = True
            message = f"the daemon under rehearsal {why_ended(status)}{last_log_line(self._log_path)}"
            raise CannotRehearse(message)

    async def _start(self) -> None:
        self._process = self._spawn()
        with trio.move_on_after(START_SECONDS):
            async with WebhookClient(Target(self.url)) as client:
                while not await _is_ready(client):
                    self._check()
                    await trio.sleep(_POLL_SECONDS)
                return
        self.keeps_directory = True
        raise CannotRehearse(
            f"the daemon under rehearsal was not ready in {START_SECONDS:.0f} s: see {self._log_path}"
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the process, in the thread that runs Trio: the child dies with the thread that forked it."""
        guard = [sys.executable, "-I", "-S", child_guard.__file__]
        tie = [str(os.getpid()), str(int(signal.SIGKILL)), "-"]
        options = [word for assignment in self._assignments for word in ("--set", assignment)]
        command = [sys.executable, "-m", "daemon", "run", "-c", str(self._config_path), *options]
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                [*guard, *tie, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.directory,
                env={key: os.environ[key] for key in _PASSED_ON if key in os.environ},
                start_new_session=True,  # Ctrl-C in a terminal must reach only the simulator
            )

    async def _stop(self) -> None:
        """Stop it, gently first, so that its stores end before their directory is removed."""
        process = self._process
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process is None or process.poll() is not None:
                break
            process.send_signal(number)
            with trio.move_on_after(STOP_SECONDS):
                await exit_of(process)
        if not self.keeps_directory:
            shutil.rmtree(self.directory, ignore_errors=True)


async def _is_ready(client: WebhookClient) -> bool:
    try:
        return (await client.get("/health/ready")).status == 200
    except Unanswered:
        return False


def _settings(directory: Path, url: str, gateway_url: str, instance: str) -> dict[str, object]:
    closed = {
        name: {"listen": None}
        for name, field in Settings.model_fields.items()
        if name != "ingress" and _has_listener(field.annotation)
    }
    return {
        **closed,
        "data_dir": str(directory / "data"),
        "ingress": {"listen": url.removeprefix("http://")},
        "gateway": {
            "kind": "evolution",
            "base_url": gateway_url,
            "api_key": "rehearsal",
            # Short, because they bound how long the outcome of a send interrupted by SIGKILL stays unknown.
            "timeout_seconds": 3,
            "settle_seconds": 0.5,
        },
        "responder": {"providers": [{"name": "rehearsal", "kind": "rehearsal"}]},
        "drain_seconds": 1,
        "log": {"level": "info", "format": "json"},
        "instances": {instance: {}},
    }


def _has_listener(section: object) -> bool:
    return isinstance(section, type) and issubclass(section, BaseModel) and "listen" in section.model_fields


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
