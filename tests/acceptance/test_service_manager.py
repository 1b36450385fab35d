"""Under a service manager: notifications, sockets passed in, reloads, and restarts that lose nothing."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.run import lifecycle as life
from daemon.web.client import unix_get
from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution
from tests.acceptance.process import START_SECONDS
from tests.acceptance.senders import assert_answered_once_in_order, traffic
from tests.support.gateway_server import FakeEvolution
from tests.support.patience import PATIENCE_SECONDS
from tests.support.service_manager import FakeManager, listening, listening_at, passing

WATCHDOG_SECONDS = 2.0
RESTARTS = 2
HELD_DOOR = f"{life.__name__}.HELD_DOOR_SECONDS"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[FakeManager]:
    with FakeManager(str(tmp_path / "notify")).running() as running:
        yield running


@contextmanager
def managed(
    manager: FakeManager, *settings: dict[str, object], start: bool = True
) -> Iterator[DaemonUnderTest]:
    """A daemon started by `manager`."""
    with daemon_under_test(*settings, start=False) as daemon:
        daemon.environment = {
            "NOTIFY_SOCKET": manager.address,
            "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000)),
        }
        if start:
            daemon.start()
        yield daemon


def test_ready_is_notified_after_recovery_and_stopping_before_the_stop(manager: FakeManager) -> None:
    """Not ready while recovery runs, with requests for more time. Then READY once, pings, and STOPPING at the end."""
    with managed(manager, start=False) as daemon:
        daemon.crash_at("recovering", action="stop")
        daemon.start(until_ready=False)
        daemon.wait_for(lambda: daemon.events("store.ready"), "the stores are up")
        daemon.wait_for(
            lambda: any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in manager.said),
            "more time is asked for",
        )
        daemon.wait_for(lambda: _state(daemon.pid) == "T", "it is stopped where recovery begins")
        assert "READY=1" not in manager.said
        assert manager.statuses()[0].startswith("Starting.")
        daemon.signal(signal.SIGCONT)
        daemon.wait_for(lambda: "READY=1" in manager.said, "it says that it is ready")
        assert daemon.request("GET", "/health/ready").status == 200
        daemon.wait_for(lambda: manager.statuses()[-1].startswith("Ready: 0 conv"), "the status line says so")
        before = manager.count("WATCHDOG=1")
        daemon.wait_for(lambda: manager.count("WATCHDOG=1") > before + 1, "the watchdog is fed")
        assert daemon.terminate() == 0
        asked = manager.said.index("STOPPING=1")
        assert manager.count("READY=1") == 1 and manager.said.index("READY=1") < asked
        assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in manager.said[asked:])
        assert manager.statuses()[-1].startswith("Stopping (SIGTERM): ")


def test_a_blocked_loop_stops_the_watchdog_pings(manager: FakeManager) -> None:
    """The pings stop with the event loop, and the manager ends the daemon."""
    with managed(manager) as daemon:
        daemon.wait_for(lambda: manager.count("WATCHDOG=1") > 1, "the watchdog is fed")
        daemon.crash_at("request_read", action="block")
        with socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_SECONDS) as customer:
            customer.sendall(_webhook("5511900100001"))
            daemon.wait_for(lambda: not daemon.ordered_crashes(), "the loop is blocked")
            manager.hear_all()
            before = manager.count("WATCHDOG=1")
            time.sleep(2 * WATCHDOG_SECONDS)  # several pings would have come
            assert manager.count("WATCHDOG=1") == before
        daemon.kill()


def test_without_a_store_the_watchdog_pings_go_on(manager: FakeManager) -> None:
    """A restart would not help: the status line says what is missing, and the pings go on."""
    with managed(manager) as daemon:
        os.kill(daemon.redis_pid, signal.SIGSTOP)
        try:
            daemon.wait_for(
                lambda: manager.statuses()[-1].startswith("Not ready:"), "the status line says so"
            )
            before = manager.count("WATCHDOG=1")
            daemon.wait_for(
                lambda: manager.count("WATCHDOG=1") > before + 3, "the watchdog is fed all the same"
            )
        finally:
            os.kill(daemon.redis_pid, signal.SIGCONT)
        daemon.wait_for(lambda: manager.statuses()[-1].startswith("Ready:"), "it is well again")


def test_a_hangup_without_a_terminal_reloads(manager: FakeManager) -> None:
    """SIGHUP: RELOADING with its time, the same as `majlis reload`, READY again; nothing stops."""
    with managed(manager) as daemon:
        daemon.signal(signal.SIGHUP)
        daemon.wait_for(lambda: manager.count("READY=1") == 2, "it is done")
        assert daemon.events("settings.reloaded")
        begun = manager.said.index("RELOADING=1")
        name, _, value = manager.said[begun + 1].partition("=")
        assert name == "MONOTONIC_USEC" and 0 < int(value) <= time.monotonic_ns() // 1000
        daemon.burst(Said("demo", "5511900200001", "still here", "HUP-1"))
        assert daemon.terminate() == 0


def test_a_terminal_that_closes_ends_it() -> None:
    """SIGHUP from a terminal is a normal stop with a drain: exit 0."""
    keyboard, screen = pty.openpty()
    with daemon_under_test(start=False) as daemon:
        # Opened by the leader of a session without a terminal, it becomes that session's.
        daemon.wrapper = ("sh", "-c", f'exec "$@" <{os.ttyname(screen)}', "sh")
        daemon.start()
        os.close(screen)
        os.close(keyboard)
        assert daemon.wait_exit() == 0
        assert daemon.events("daemon.draining")


def test_an_abstract_notify_socket() -> None:
    """`@name` is a socket without a file, as systemd may use."""
    with FakeManager(f"@majlis-test-{os.getpid()}").running() as manager, managed(manager) as daemon:
        daemon.wait_for(lambda: "READY=1" in manager.said, "it says that it is ready")
        assert daemon.terminate() == 0


class HeldDoor:
    """A listening socket that survives the daemons behind it."""

    def __init__(self, daemon: DaemonUnderTest, held: socket.socket) -> None:
        self.port: int = held.getsockname()[1]
        daemon.wrapper, daemon.passed, daemon.environment = passing({"ingress": held})


def test_a_restart_through_a_held_socket_refuses_no_webhook(
    gateway: FakeEvolution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under traffic: in two restarts every post gets 200 at the first attempt, and each is answered once, in order."""
    with listening() as held, daemon_under_test(evolution(gateway), start=False) as daemon:
        door = HeldDoor(daemon, held)
        monkeypatch.setattr(type(daemon), "port", property(lambda _: door.port))
        daemon.constants[HELD_DOOR] = START_SECONDS
        daemon.start()
        with traffic(daemon, "held") as seen:
            for _ in range(RESTARTS):
                before = len(seen.answers)
                daemon.wait_for(lambda before=before: len(seen.answers) > before + 20, "there is traffic")  # type: ignore[misc]
                assert daemon.terminate() == 0
                daemon.start()
            before = len(seen.answers)
            daemon.wait_for(lambda: len(seen.answers) > before + 20, "there is traffic after it as well")
        daemon.wait_settled()
        assert {answer.status for answer in seen.answers} == {200}
        assert_answered_once_in_order(gateway, seen)


def test_a_client_that_connects_before_the_start_is_served(
    gateway: FakeEvolution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first webhook waits in the socket while the daemon starts, instead of being refused."""
    with listening() as held, daemon_under_test(evolution(gateway), start=False) as daemon:
        door = HeldDoor(daemon, held)
        monkeypatch.setattr(type(daemon), "port", property(lambda _: door.port))
        daemon.constants[HELD_DOOR] = (
            START_SECONDS  # a first start may take longer than a webhook would be kept
        )
        with socket.create_connection(("127.0.0.1", door.port), PATIENCE_SECONDS) as early:
            early.sendall(_webhook("5511900300001"))
            daemon.start()
            assert early.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert daemon.status()["ready"]


def test_a_slow_start_answers_503_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a store is down, clients in the socket do not wait forever: they get 503, and the gateway retries."""
    away = {
        "redis": {"url": "redis://127.0.0.1:9/0"},
        "postgres": {"dsn": "postgresql://nobody@127.0.0.1:9/nothing"},
    }
    with listening() as held, daemon_under_test(away, start=False) as daemon:
        door = HeldDoor(daemon, held)
        monkeypatch.setattr(type(daemon), "port", property(lambda _: door.port))
        daemon.constants[HELD_DOOR] = 1.0
        with socket.create_connection(("127.0.0.1", door.port), PATIENCE_SECONDS) as early:
            early.sendall(_webhook("5511900300002"))
            daemon.start(until_ready=False)
            assert early.recv(4096).startswith(b"HTTP/1.1 503 ")


def test_the_admin_socket_can_be_passed_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passed socket named `admin` is the admin socket; its file stays when the daemon ends."""
    path = tmp_path / "admin.sock"
    with listening() as held, listening_at(path) as admin, daemon_under_test(start=False) as daemon:
        daemon.wrapper, daemon.passed, daemon.environment = passing({"ingress": held, "admin": admin})
        port: int = held.getsockname()[1]
        monkeypatch.setattr(type(daemon), "port", property(lambda _: port))
        daemon.start()
        status, _ = unix_get(str(path), "/v1/status")
        assert status == 200
        assert daemon.terminate() == 0
        assert path.is_socket()


def test_a_passed_socket_that_does_not_listen_is_reported() -> None:
    """One sentence and exit 1."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stray, daemon_under_test(start=False) as daemon:
        daemon.wrapper, daemon.passed, daemon.environment = passing({"ingress": stray})
        daemon.start(until_ready=False)
        assert daemon.wait_exit() == 1
        assert "majlis: the passed socket ingress does not listen" in daemon.log


def _webhook(phone: str) -> bytes:
    body = json.dumps(Said("demo", phone, "hello", f"ID-{phone}").payload).encode()
    head = f"POST /webhook/demo HTTP/1.1\r\nHost: majlis\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _state(pid: int) -> str:
    """The kernel's letter for the state of the process; T: stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
