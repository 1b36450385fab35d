"""A daemon without file descriptors accepts nothing for a while, and nothing else; its files may be gone by then."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution
from tests.support.gateway_server import FakeEvolution
from tests.support.patience import PATIENCE_SECONDS

SHORT_SECONDS = 4.0
"""Longer than a renewal of the leases, a sweep of the monitor and a watch over the stores take to come round."""


@pytest.fixture
def daemon(gateway: FakeEvolution) -> Iterator[DaemonUnderTest]:
    quick = {"monitor": {"every_seconds": 0.5}, "batching": {"window_seconds": 1.0}}
    realtime = {
        "listen": "127.0.0.1:0",
        "clients": [{"name": "w", "token": "watcher-token-1", "instances": "all", "may_watch": True}],
    }
    with daemon_under_test(evolution(gateway), quick, {"realtime": realtime}) as started:
        yield started


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_without_descriptors_accepting_pauses_and_nothing_else(
    daemon: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    """I14: the process lives, what was acknowledged is answered, and the doors open again."""
    before, after = (Said("demo", f"551140000770{n}", f"said {n}", f"EMFILE-{n}") for n in range(2))
    pid, ports = daemon.pid, (daemon.port, port_of(daemon))
    daemon.burst(before)
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_descriptors(pid), most))
    with ExitStack() as crowd:
        for port in ports * 8:
            crowd.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))
        time.sleep(SHORT_SECONDS)
        assert daemon.is_alive and daemon.pid == pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
    assert daemon.post_until_kept(after).status == 200
    daemon.wait_for(
        lambda: all(gateway.texts(said.phone) == [f"Heard 1: {said.text}"] for said in (before, after)),
        "both are answered, once",
    )
    assert {event["part"] for event in daemon.events("daemon.problem")} >= {"ingress", "realtime"}
    assert daemon.pid == pid and not daemon.events("actor.crashed")


def port_of(daemon: DaemonUnderTest) -> int:
    realtime = daemon.status()["realtime"]
    assert isinstance(realtime, dict)
    return int(str(realtime["listen"]).rpartition(":")[2])
