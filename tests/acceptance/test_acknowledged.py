"""I1, I2 (test 14): every message acknowledged before a SIGKILL is answered after it.

Every client writes down an id at the moment it reads the 200, as a gateway that then forgets the message would.
`MAJLIS_CRASH_ROUNDS` repeats both kills with other moments.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test
from tests.acceptance.oracle import Contact, check_books, ids_in_turns
from tests.support.patience import PATIENCE_SECONDS

CLIENTS = 16
ROUNDS = range(int(os.environ.get("MAJLIS_CRASH_ROUNDS", "1")))
"""The number of acknowledgements before the kill is drawn by the number of the round."""

FEWEST_ACKS, MOST_ACKS = 400, 700


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonUnderTest]:
    settings = {"turn": {"duplicate_seconds": 0}, "ingress": {"max_connections_per_address": CLIENTS + 8}}
    with daemon_under_test(settings) as daemon:
        yield daemon


class _Clients:
    """Post without pause, each with its own contacts, until stopped; record what was acknowledged."""

    def __init__(self, daemon: DaemonUnderTest) -> None:
        self._daemon = daemon
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(CLIENTS)]
        self.acknowledged: list[str] = []
        self.not_acknowledged: list[int] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_SECONDS)
            assert not thread.is_alive()

    def _write(self) -> None:
        contacts = [Contact() for _ in range(3)]
        while not self._stop.is_set():
            for contact in contacts:
                said = contact.says()
                answer = self._daemon.post(said)
                if answer.status == 200:
                    self.acknowledged.append(said.id)
                else:
                    self.not_acknowledged.append(answer.status)
                    self._stop.wait(0.05)  # no busy loop while the daemon is down


def _kill_daemon(daemon: DaemonUnderTest) -> None:
    daemon.signal(signal.SIGKILL)


def _kill_redis(daemon: DaemonUnderTest) -> None:
    os.kill(daemon.redis_pid, signal.SIGKILL)


@pytest.mark.parametrize("seed", ROUNDS)
@pytest.mark.parametrize("kill", [_kill_daemon, _kill_redis])
def test_every_acknowledged_message_is_answered(
    daemon: DaemonUnderTest, kill: Callable[[DaemonUnderTest], None], seed: int
) -> None:
    """I1: every acknowledged id is in a turn after the restart. I2: in one turn, and answered."""
    wanted = random.Random(seed).randint(FEWEST_ACKS, MOST_ACKS)
    clients = _Clients(daemon)
    clients.start()
    daemon.wait_for(
        lambda: len(clients.acknowledged) >= wanted, "enough is acknowledged", 3 * PATIENCE_SECONDS
    )
    kill(daemon)
    daemon.wait_for(lambda: clients.not_acknowledged, "the clients noticed")
    if kill is _kill_redis:
        seen = len(clients.acknowledged)
        daemon.wait_for(
            lambda: len(clients.acknowledged) > seen + CLIENTS, "it takes messages again by itself"
        )
        clients.stop()
    else:
        clients.stop()
        daemon.wait_exit()
        daemon.start()
    daemon.wait_settled(3 * PATIENCE_SECONDS)
    found = ids_in_turns(daemon)
    assert set(clients.acknowledged) <= set(found)
    assert len(found) == len(set(found)), "a message is part of two turns"
    assert daemon.count("dead") == daemon.count("suppressed") == 0
    check_books(daemon)
