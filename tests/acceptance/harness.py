"""A real daemon under test and its interfaces: webhooks, admin requests, the command line.

Everything here is synchronous and every wait is bounded.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg

from daemon.stores.places import Places
from daemon.web.client import HttpFailed, unix_get, unix_post
from tests.acceptance.forked import Forked
from tests.acceptance.process import START_SECONDS, DaemonProcess, Posted, clean_environment
from tests.acceptance.ready_cluster import put_cluster
from tests.acceptance.settings import ROOT, Tree, evolution, merged, openai, quick_settings, shipped_settings
from tests.support.patience import PATIENCE_SECONDS
from tests.support.payloads import NOW, upsert
from tests.support.scratch import scratch_dir

__all__ = [
    "ROOT",
    "DaemonUnderTest",
    "Posted",
    "Said",
    "Tree",
    "daemon_under_test",
    "evolution",
    "merged",
    "openai",
    "quick_settings",
    "shipped_settings",
]

running: list[DaemonUnderTest] = []
"""The daemons of the running test, whose logs are shown if it fails."""


@dataclass(frozen=True)
class Said:
    """One message of a contact."""

    instance: str
    phone: str
    text: str
    id: str
    timestamp: int = NOW

    @property
    def payload(self) -> Tree:
        return upsert(self.instance, self.phone, self.text, self.id, self.timestamp)


class DaemonUnderTest(DaemonProcess):
    """The process and its interfaces."""

    def post(self, said: Said | Mapping[str, object], *, instance: str | None = None) -> Posted:
        """Post one webhook to `/webhook/{instance}`; a raw payload names its own instance by default."""
        payload = said.payload if isinstance(said, Said) else said
        name = instance or payload["instance"]
        return self.request("POST", f"/webhook/{quote(str(name))}", json.dumps(payload).encode())

    def post_all(self, all_said: Iterable[Said | Mapping[str, object]], at_once: int = 32) -> list[Posted]:
        """Post concurrently, `at_once` at a time; responses in the order of the messages."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.post, all_said))

    def burst(self, *all_said: Said) -> None:
        """Post one after another; each must be accepted."""
        for said in all_said:
            answer = self.post(said)
            assert (answer.status, answer.document.get("status")) == (200, "accepted"), answer

    def post_until_kept(self, said: Said | Mapping[str, object], seconds: float = PATIENCE_SECONDS) -> Posted:
        """As the gateway does: again and again until the answer is neither 503 nor silence."""
        deadline = time.monotonic() + seconds
        while (answer := self.post(said)).status in (0, 503):
            assert time.monotonic() < deadline, f"refused for {seconds} s: {answer}"
            time.sleep(0.2)
        return answer

    def status(self) -> Tree:
        """`majlis status --json`."""
        return self.admin("/v1/status")

    def count(self, name: str) -> int:
        """One number from the status."""
        value = self.status()[name]
        assert isinstance(value, int)
        return value

    def show(self, instance: str, phone: str) -> Tree:
        """`majlis show <instance>/<phone> --reveal --json`."""
        return self.admin(f"/v1/conversations/{instance}/{phone}?reveal=true")

    def has_status(self) -> bool:
        """Whether the admin socket answers more than that Majlis is starting."""
        with suppress(HttpFailed):
            return unix_get(str(self.data_dir / "run" / "admin.sock"), "/v1/status")[0] == 200
        return False

    def admin(self, path: str, post: bool = False) -> Tree:
        """Query the admin socket in the same way as the command line."""
        ask = unix_post if post else unix_get
        status, document = ask(str(self.data_dir / "run" / "admin.sock"), path)
        assert status == 200, (status, document)
        assert isinstance(document, dict)
        return document

    def flush(self, instance: str, phone: str) -> None:
        """Close a window at once: all that was said so far is one batch, however slowly it was posted."""
        self.admin(f"/v1/conversations/{instance}/{phone}/flush", post=True)

    def majlis(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command against this daemon."""
        command = [*arguments, "-c", str(self.config)]
        environment = clean_environment() | {"COLUMNS": "200"}
        with tempfile.TemporaryDirectory(dir=self.root) as place:
            out, err = Path(place) / "out", Path(place) / "err"
            status = Forked(command, self.root, environment, out, err).wait(START_SECONDS)
            return subprocess.CompletedProcess(command, status, out.read_text(), err.read_text())

    def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Query its embedded Postgres."""
        dsn = f"postgresql://majlis@/majlis?host={Places.below(self.data_dir).sockets}"
        return asyncio.run(_rows(dsn, sql, arguments))

    def wait_settled(self, seconds: float = PATIENCE_SECONDS) -> Tree:
        """Wait until no acknowledged message waits any more; gives back the status of then."""

        def settled() -> Tree | None:
            with suppress(HttpFailed):
                status = self.status()
                idle = status["ready"] and not status["waiting_messages"] and not status["running_turns"]
                return status if idle else None
            return None

        return self.wait_for(settled, "nothing waits", seconds)


@contextmanager
def daemon_under_test(
    *settings: Mapping[str, object], base: Callable[[Path], Tree] = quick_settings, start: bool = True
) -> Iterator[DaemonUnderTest]:
    """A daemon with its own embedded stores, ready if `start`; everything is removed at the end.

    Args:
      settings: merged over `base`, the later over the earlier.
      base: `quick_settings`, with which it finds a cluster that is made already, or `shipped_settings`.
    """
    root = Path(tempfile.mkdtemp(prefix="majlis-", dir=scratch_dir()))
    daemon = DaemonUnderTest(root, merged(base(root / "data"), *settings))
    if base is quick_settings and "postgres" not in daemon.settings:
        put_cluster(daemon.data_dir)
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
    connection = await asyncpg.connect(dsn, timeout=PATIENCE_SECONDS)
    try:
        found: list[asyncpg.Record] = await connection.fetch(sql, *arguments, timeout=PATIENCE_SECONDS)
        return found
    finally:
        connection.terminate()
