"""A daemon to which nobody writes is quiet: each command and statement costs somebody, and some stores are metered."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from daemon.mirror import scripts
from daemon.partitions.due_poll import DUE_SECONDS
from daemon.stores import embedded_postgres
from daemon.stores.places import Places
from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution
from tests.support.gateway_server import FakeEvolution
from tests.support.patience import PATIENCE_SECONDS

POLLS = 6
PER_SECOND = 2
SELDOM = 8
"""What comes once in half a minute or in one may all fall into these few seconds."""


def test_an_idle_daemon_sends_two_commands_and_two_statements_a_second(gateway: FakeEvolution) -> None:
    """Counted by its own beat, so that it holds on a slow machine too."""
    with daemon_under_test(evolution(gateway), start=False) as daemon:
        telling = {**embedded_postgres._ENFORCED_SETTINGS, "log_statement": "all"}
        daemon.constants["daemon.stores.embedded_postgres._ENFORCED_SETTINGS"] = telling
        daemon.start()
        with watched(daemon) as (client, commands):
            until_polls(commands, 2)  # the start is over
            before, settings = len(statements_of(daemon)), config_calls(client)
            heard = until_polls(commands, POLLS)
            statements, settings = statements_of(daemon)[before:], config_calls(client) - settings
    most = POLLS * DUE_SECONDS * PER_SECOND + SELDOM
    assert len(heard) + settings <= most, heard
    assert POLLS / 2 < len(statements) <= most, statements


@contextmanager
def watched(daemon: DaemonUnderTest) -> Iterator[tuple[redis.Redis, socket.socket]]:
    path = str(Places.below(daemon.data_dir).sockets / "redis.sock")
    with redis.Redis(unix_socket_path=path) as client, socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(PATIENCE_SECONDS)
        monitor.connect(path)
        monitor.sendall(b"MONITOR\r\n")
        assert monitor.recv(5) == b"+OK\r\n"
        yield client, monitor


def until_polls(monitor: socket.socket, polls: int) -> list[bytes]:
    """The commands up to so many due polls, without those inside of scripts."""
    deadline, heard, rest = time.monotonic() + PATIENCE_SECONDS, list[bytes](), b""
    poll = f'"EVALSHA" "{scripts.DUE.sha}"'.encode()
    while sum(poll in one for one in heard) < polls:
        assert time.monotonic() < deadline, f"too few polls: {heard}"
        *lines, rest = (rest + monitor.recv(1 << 20)).split(b"\r\n")
        heard += [
            line[:200] for line in lines if b" lua] " not in line and b'"INFO" "commandstats"' not in line
        ]
    return heard


def config_calls(client: redis.Redis) -> int:
    """MONITOR does not show them."""
    stats = client.info("commandstats")
    assert isinstance(stats, dict)
    return sum(one["calls"] for name, one in stats.items() if name.startswith("cmdstat_config"))


def statements_of(daemon: DaemonUnderTest) -> list[str]:
    lines = (Places.below(daemon.data_dir).logs / "postgres.log").read_text().splitlines()
    return [line for line in lines if "LOG:  execute " in line or "LOG:  statement: " in line]
