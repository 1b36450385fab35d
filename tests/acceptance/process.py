"""The daemon as a process: started, killed, restarted on the same data, observed from outside.

Everything here is synchronous and every wait is bounded. What fails shows the end of the daemon's log.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Literal, NoReturn, TypeVar

import yaml

from tests.acceptance import run_daemon
from tests.acceptance.forked import Forked
from tests.acceptance.procfs import command_of, exists, listening_port
from tests.acceptance.run_daemon import CONSTANTS, ORDERS
from tests.acceptance.settings import ROOT, Tree
from tests.support.patience import PATIENCE_SECONDS, WaitedInVain, wait_until

START_SECONDS = 2 * PATIENCE_SECONDS
"""Making a new Postgres cluster on a busy machine takes its time."""

STOP_SECONDS = PATIENCE_SECONDS
REQUEST_SECONDS = PATIENCE_SECONDS
SHOWN_LOG_LINES = 60

T = TypeVar("T")


@dataclass(frozen=True)
class Posted:
    """The response to a webhook. Status 0: no response."""

    status: int
    body: bytes = b""
    retry_after: str | None = None

    @property
    def document(self) -> Tree:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class DaemonProcess:
    """One daemon on one data directory, across any number of restarts.

    Args:
      root: receives the config file, the logs and `data/`.
      settings: what is written into the config file at each start; may be changed between lives.
    """

    def __init__(self, root: Path, settings: Tree) -> None:
        self.root = root
        self.data_dir = root / "data"
        self.config = root / "config.yaml"
        self.settings = settings
        self.environment: dict[str, str] = {}
        self.constants: dict[str, object] = {}
        """Those of its modules that have another value here, by their full names."""
        self.module = run_daemon.__name__
        self.wrapper: tuple[str, ...] = ()
        """A command prefix: a program that executes the daemon."""
        self.passed: tuple[int, ...] = ()
        """File descriptors that it inherits."""
        self._stores: list[int] = []
        self._orders = root / "crash.orders"
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._port = (0, 0)
        self._life = 0

    # --- starting and stopping ---

    def start(self, until_ready: bool = True, options: Sequence[str] = ()) -> None:
        """Start it, from the main thread: the process dies with the thread that started it."""
        assert threading.current_thread() is threading.main_thread()
        assert not self.is_alive, "it runs already"
        self.config.write_text(yaml.safe_dump(self.settings, allow_unicode=True))
        self._life += 1
        arguments = ["run", "-c", str(self.config), *options]
        self._process = self._executed(arguments) if self._is_special else self._forked(arguments)
        if until_ready:
            self.wait_ready()

    @property
    def _is_special(self) -> bool:
        """Whether its modules must be imported anew, or its process made as no fork can be."""
        own_module = self.module != run_daemon.__name__
        return bool(own_module or self.wrapper or self.passed or self.constants)

    def _forked(self, arguments: Sequence[str]) -> Forked:
        environment = clean_environment() | {ORDERS: str(self._orders)} | self.environment
        return Forked(arguments, self.root, environment, self.stdout_path, self.log_path)

    def _executed(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        environment = clean_environment() | {ORDERS: str(self._orders), "PYTHONUNBUFFERED": "1"}
        environment |= {CONSTANTS: json.dumps(self.constants)} | self.environment
        with self.stdout_path.open("ab") as stdout, self.log_path.open("ab") as log:
            return subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", self.module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=log,
                cwd=self.root,
                env=environment,
                start_new_session=True,
                pass_fds=self.passed,
            )

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until `/health/ready` is 200. Fails at once if the daemon ends."""

        def ready() -> bool:
            if not self.is_alive:
                self.fail("the daemon ended instead of becoming ready")
            return self.request("GET", "/health/ready").status == 200

        self.wait_for(ready, "the daemon is ready", seconds)
        self._stores = self.children()

    def kill(self) -> None:
        """Send SIGKILL and wait until it and its stores are gone."""
        stores = self.children()
        self.signal(signal.SIGKILL)
        self.wait_exit()
        self.wait_for(lambda: not any(map(exists, stores)), "its stores died with it")

    def terminate(self) -> int:
        """Send SIGTERM and wait for the end; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def restart(self) -> None:
        """Start again on the same data; a running daemon gets SIGKILL."""
        if self.is_alive:
            self.kill()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait_exit(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until the process has ended; returns its status, negative for a signal."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.fail(f"the daemon did not end within {seconds} s")

    def crash_at(
        self, point: str, nth: int = 1, action: Literal["kill", "stop", "raise", "block"] = "kill"
    ) -> None:
        """Order a crash at the n-th pass of a crash point from now on; orders apply in sequence."""
        with self._orders.open("a") as orders:
            orders.write(f"{action} {point} {nth}\n")

    def ordered_crashes(self) -> str:
        """Those that did not happen yet."""
        return self._orders.read_text() if self._orders.exists() else ""

    def wait_crashed(self, seconds: float = STOP_SECONDS) -> None:
        """Wait until an ordered kill happened."""
        status = self.wait_exit(seconds)
        assert status == -signal.SIGKILL, f"ended with {status}, not by the ordered kill"

    def clean_up(self) -> None:
        """Make sure that nothing of it keeps running."""
        stores = self._stores
        if self._process is not None and self.is_alive:
            stores = self.children()
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        with suppress(WaitedInVain):
            wait_until(lambda: not any(map(exists, stores)), "its stores died with it", STOP_SECONDS)

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it listens since the last start; known before it is ready."""
        pid, port = self._port
        if pid != self.pid:
            pid, port = self.wait_for(self._listens, "the daemon listens")
            self._port = pid, port
        return port

    def _listens(self) -> tuple[int, int] | None:
        pid = self.pid
        port = listening_port(pid)
        return (pid, port) if port else None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Posted:
        """One request on a new connection; status 0 if there was no response."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        try:
            connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
            response = connection.getresponse()
            return Posted(response.status, response.read(), response.getheader("retry-after"))
        except (OSError, HTTPException):
            return Posted(0)
        finally:
            connection.close()

    # --- observing ---

    def children(self) -> list[int]:
        """Process ids of its embedded stores."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        with suppress(OSError):
            return [int(pid) for pid in path.read_text().split()]
        return []

    @property
    def redis_pid(self) -> int:
        return self._child("redis-server")

    @property
    def postgres_pid(self) -> int:
        return self._child("postgres")

    def _child(self, program: str) -> int:
        def found() -> int | None:
            return next((pid for pid in self.children() if program in command_of(pid)), None)

        return self.wait_for(found, f"{program} runs")

    @property
    def stdout_path(self) -> Path:
        return self.root / f"stdout.{self._life}"

    @property
    def log_path(self) -> Path:
        return self.root / f"log.{self._life}"

    @property
    def stdout(self) -> str:
        """Its output since the last start."""
        return self.stdout_path.read_text()

    @property
    def log(self) -> str:
        """Its log since the last start."""
        return self.log_path.read_text()

    def events(self, name: str) -> list[Tree]:
        """The log lines of one event since the last start; the settings log at level debug."""
        lines = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    # --- waiting and failing ---

    def wait_for(self, condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
        """Poll until `condition` gives something true, and give it back; bounded."""
        try:
            return wait_until(condition, what, seconds)
        except WaitedInVain as error:
            self.fail(str(error))

    def fail(self, why: str) -> NoReturn:
        raise AssertionError(f"{why}\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its log, for the report of a failure."""
        words = ""
        with suppress(OSError):
            words = "\n".join(self.log.splitlines()[-SHOWN_LOG_LINES:])
        return f"--- life {self._life}, process {self._process.pid if self._process else '-'} ---\n{words}"


def clean_environment() -> dict[str, str]:
    """The environment without settings of Majlis, for a child that imports this checkout."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAJLIS_")}
    return kept | {"PYTHONPATH": str(ROOT)}
