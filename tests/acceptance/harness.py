"""A real daemon process under test: started with a config file of its own, posted to, killed, started again.

Everything here is synchronous and every wait is bounded. What fails shows the end of the daemon's log.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Literal, NoReturn, TypeVar

import asyncpg
import yaml

from daemon.http_client import HttpFailed, unix_get, unix_post
from daemon.stores.places import Places
from tests.acceptance.run_daemon import ORDERS
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert

START_SECONDS = 60.0
"""Making a new Postgres cluster on a busy machine takes its time."""
STOP_SECONDS = 40.0
REQUEST_SECONDS = 20.0
SHOWN_LOG_LINES = 60
POLL_SECONDS = 0.05

ROOT = Path(__file__).parents[2]
_LISTENING = "0A"
T = TypeVar("T")
Tree = dict[str, object]

running: list[DaemonUnderTest] = []
"""Those of the test that runs now; what fails shows their logs."""


@dataclass(frozen=True)
class Posted:
    """What a webhook was answered. Status 0: no answer came."""

    status: int
    body: bytes = b""
    retry_after: str | None = None

    @property
    def document(self) -> Tree:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Said:
    """One message of a contact."""

    instance: str
    phone: str
    text: str
    id: str
    timestamp: int = 1785100386

    @property
    def payload(self) -> Tree:
        return upsert(self.instance, self.phone, self.text, self.id, self.timestamp)


class DaemonUnderTest:
    """One daemon on one data directory, over any number of lives.

    Args:
      settings: merged over `quick_settings()`, section by section.
      root: receives the config file, the logs and `data/`; made and removed by `daemon_under_test`.
    """

    def __init__(self, root: Path, settings: Mapping[str, object] | None = None) -> None:
        self.root = root
        self.data_dir = root / "data"
        self.config = root / "config.yaml"
        self.settings = merged(quick_settings(self.data_dir), settings or {})
        self._orders = root / "crash.orders"
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None
        self._life = 0

    # Its lives.

    def start(self, until_ready: bool = True, options: Sequence[str] = ()) -> None:
        """Start it. Call it from the main thread: the process dies with the thread that started it."""
        assert threading.current_thread() is threading.main_thread()
        assert not self.is_alive, "it runs already"
        self.config.write_text(yaml.safe_dump(self.settings, allow_unicode=True))
        self._port = None
        self._life += 1
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MAJLIS_")}
        environment |= {ORDERS: str(self._orders), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        command = [
            sys.executable,
            "-m",
            "tests.acceptance.run_daemon",
            "run",
            "-c",
            str(self.config),
            *options,
        ]
        with self.stdout_path.open("ab") as stdout, self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=log,
                cwd=self.root,
                env=environment,
                start_new_session=True,
            )
        if until_ready:
            self.wait_ready()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until `/health/ready` says 200. A daemon that ends instead fails at once."""

        def ready() -> bool:
            if not self.is_alive:
                self.fail("the daemon ended instead of becoming ready")
            return self.request("GET", "/health/ready").status == 200

        self.wait_for(ready, "the daemon is ready", seconds)

    def kill(self) -> None:
        """SIGKILL, and wait until it and its stores are gone."""
        stores = self.children()
        self.signal(signal.SIGKILL)
        self.wait_exit()
        self.wait_for(lambda: not any(map(_exists, stores)), "its stores died with it")

    def terminate(self) -> int:
        """SIGTERM, and wait for the end; gives back the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def restart(self) -> None:
        """A new life on the same data; ends a running one by SIGKILL."""
        if self.is_alive:
            self.kill()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait_exit(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until the process has ended; gives back its status, negative for a signal."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.fail(f"the daemon did not end within {seconds} s")

    def crash_at(self, point: str, nth: int = 1, action: Literal["kill", "stop", "raise"] = "kill") -> None:
        """Order a crash at the n-th passing of a crash point from now on; orders are carried out one after another."""
        with self._orders.open("a") as orders:
            orders.write(f"{action} {point} {nth}\n")

    def wait_crashed(self, seconds: float = STOP_SECONDS) -> None:
        """Wait until an ordered kill happened."""
        status = self.wait_exit(seconds)
        assert status == -signal.SIGKILL, f"ended with {status}, not by the ordered kill"

    def clean_up(self) -> None:
        """Nothing of it is left running, whatever happened."""
        stores = self.children() if self._process is not None else []
        if self._process is not None and self.is_alive:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while any(map(_exists, stores)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it listens in this life; known before it is ready."""
        if self._port is None:
            self._port = self.wait_for(lambda: _listening_port(self.pid), "the daemon listens")
        return self._port

    # Its doors.

    def post(self, said: Said | Mapping[str, object], *, instance: str | None = None) -> Posted:
        """Post one webhook to `/webhook/{instance}`; a raw payload names its instance itself unless told otherwise."""
        payload = said.payload if isinstance(said, Said) else said
        name = instance or payload["instance"]
        return self.request("POST", f"/webhook/{name}", json.dumps(payload).encode())

    def post_all(self, all_said: Iterable[Said | Mapping[str, object]], at_once: int = 32) -> list[Posted]:
        """Post concurrently, `at_once` under way at any time; answers in the order of the messages."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.post, all_said))

    def burst(self, *all_said: Said) -> None:
        """Post one after another and insist on each being accepted."""
        for said in all_said:
            answer = self.post(said)
            assert (answer.status, answer.document.get("status")) == (200, "accepted"), answer

    def post_until_kept(self, said: Said | Mapping[str, object], seconds: float = 60.0) -> Posted:
        """As the gateway does: again and again until the answer is neither 503 nor silence."""
        deadline = time.monotonic() + seconds
        while (answer := self.post(said)).status in (0, 503):
            assert time.monotonic() < deadline, f"refused for {seconds} s: {answer}"
            time.sleep(4 * POLL_SECONDS)
        return answer

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Posted:
        """One request on a connection of its own; status 0 when no answer came."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        try:
            connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
            response = connection.getresponse()
            return Posted(response.status, response.read(), response.getheader("retry-after"))
        except (OSError, HTTPException):
            return Posted(0)
        finally:
            connection.close()

    def status(self) -> Tree:
        """`majlis status --json`."""
        return self.admin("/v1/status")

    def count(self, name: str) -> int:
        """One number of the status."""
        value = self.status()[name]
        assert isinstance(value, int)
        return value

    def show(self, instance: str, phone: str) -> Tree:
        """`majlis show <instance>/<phone> --reveal --json`."""
        return self.admin(f"/v1/conversations/{instance}/{phone}?reveal=true")

    def admin(self, path: str, post: bool = False) -> Tree:
        """Ask the admin socket, in the very way of the command line."""
        ask = unix_post if post else unix_get
        status, document = ask(str(self.data_dir / "run" / "admin.sock"), path)
        assert status == 200, (status, document)
        assert isinstance(document, dict)
        return document

    def majlis(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the command line against this daemon."""
        command = [sys.executable, "-m", "daemon", *arguments, "-c", str(self.config)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MAJLIS_")}
        environment |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=self.root, timeout=60, check=False
        )

    def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Ask its embedded Postgres."""
        dsn = f"postgresql://majlis@/majlis?host={Places.below(self.data_dir).sockets}"
        return asyncio.run(_rows(dsn, sql, arguments))

    # Its inside, from outside.

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
            return next((pid for pid in self.children() if program in _command(pid)), None)

        return self.wait_for(found, f"{program} runs")

    @property
    def stdout_path(self) -> Path:
        return self.root / f"stdout.{self._life}"

    @property
    def log_path(self) -> Path:
        return self.root / f"log.{self._life}"

    @property
    def stdout(self) -> str:
        """What it printed in this life."""
        return self.stdout_path.read_text()

    @property
    def log(self) -> str:
        """What it logged in this life."""
        return self.log_path.read_text()

    def events(self, name: str) -> list[Tree]:
        """The log lines of one event in this life; settings log at level debug."""
        lines = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    # Waiting and failing.

    def wait_for(self, condition: Callable[[], T | None], what: str, seconds: float = 20.0) -> T:
        """Poll until `condition` gives something true, and give it back; bounded."""
        deadline = time.monotonic() + seconds
        while True:
            if found := condition():
                return found
            if time.monotonic() > deadline:
                self.fail(f"waited {seconds} s in vain until {what}")
            time.sleep(POLL_SECONDS)

    def wait_settled(self, seconds: float = 30.0) -> Tree:
        """Wait until no acknowledged message waits any more; gives back the status of then."""

        def settled() -> Tree | None:
            with suppress(HttpFailed):
                status = self.status()
                return status if status["waiting_messages"] == 0 and not status["running_turns"] else None
            return None

        return self.wait_for(settled, "nothing waits", seconds)

    def fail(self, why: str) -> NoReturn:
        raise AssertionError(f"{why}\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its log, for a person who looks into a failure."""
        words = ""
        with suppress(OSError):
            words = "\n".join(self.log.splitlines()[-SHOWN_LOG_LINES:])
        return f"--- life {self._life}, process {self._process.pid if self._process else '-'} ---\n{words}"


def quick_settings(data_dir: Path) -> Tree:
    """Short windows and waits; everything else as shipped. Replies go to the console."""
    return {
        "data_dir": str(data_dir),
        "ingress": {"listen": "127.0.0.1:0"},
        "batching": {"window_seconds": 0.6},
        "turn": {"backoff_seconds": [0.2, 0.4, 0.8]},
        "drain_seconds": 10,
        "log": {"level": "debug", "format": "json"},
    }


def evolution(gateway: FakeEvolution, **more: object) -> Tree:
    """Settings: replies leave through this gateway."""
    known = {"kind": "evolution", "base_url": gateway.url, "api_key": gateway.api_key}
    return {"gateway": {**known, "timeout_seconds": 2, "settle_seconds": 0.3, **more}}


def openai(model: FakeOpenAI, **more: object) -> Tree:
    """Settings: this model answers."""
    known = {"name": "main", "kind": "openai", "base_url": model.base_url, "api_key": model.api_key}
    return {"responder": {"providers": [{**known, "model": "test", "timeout_seconds": 5, **more}]}}


def merged(*trees: Mapping[str, object]) -> Tree:
    """Settings over settings, mapping by mapping; the last one wins."""
    result: Tree = {}
    for tree in trees:
        for key, value in tree.items():
            before = result.get(key)
            both = isinstance(before, Mapping) and isinstance(value, Mapping)
            result[key] = merged(before, value) if both else value  # type: ignore[arg-type]
    return result


@contextmanager
def daemon_under_test(
    *settings: Mapping[str, object], start: bool = True, keep_defaults: bool = False
) -> Iterator[DaemonUnderTest]:
    """A daemon with embedded stores of its own, ready when `start`; nothing of it is left at the end.

    `keep_defaults` takes the shipped settings instead of the quick ones, but for the place, port and log.
    """
    root = Path(tempfile.mkdtemp(prefix="majlis-", dir="/tmp"))
    daemon = DaemonUnderTest(root, merged(*settings))
    if keep_defaults:
        for section in ("batching", "turn", "drain_seconds"):
            daemon.settings.pop(section)
        daemon.settings = merged(daemon.settings, *settings)
    running.append(daemon)
    try:
        if start:
            daemon.start()
        yield daemon
    finally:
        daemon.clean_up()
        running.remove(daemon)
        shutil.rmtree(root, ignore_errors=True)


async def _rows(dsn: str, sql: str, arguments: Sequence[object]) -> list[asyncpg.Record]:
    """asyncio-flavoured."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        found: list[asyncpg.Record] = await connection.fetch(sql, *arguments, timeout=10)
        return found
    finally:
        connection.terminate()


def _listening_port(pid: int) -> int | None:
    """The TCP port on which a process listens, by the kernel's own tables."""
    inodes = set()
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                inodes.add(os.readlink(descriptor))
    with suppress(OSError):
        for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in inodes:
                return int(fields[1].rpartition(":")[2], 16)
    return None


def _exists(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].decode()
    except OSError:
        return ""
