"""People who write through a gateway that repeats what was refused, to any of the daemons, now and then twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence

from tests.acceptance.harness import DaemonUnderTest, Posted, Said
from tests.support.patience import PATIENCE_SECONDS

PAUSE_SECONDS = 0.15
RETRY_SECONDS = 4 * PATIENCE_SECONDS
TWICE = 0.1
FIRST_TIMESTAMP = 1_785_100_386


class People:
    """Each contact writes from a thread of its own: the next message when the last one was acknowledged."""

    def __init__(self, daemons: Sequence[DaemonUnderTest], seed: int, contacts: int) -> None:
        self._daemons = daemons
        self._stop = threading.Event()
        self.acknowledged: dict[str, list[str]] = {
            f"5511{seed % 10_000:04d}{n:04d}": [] for n in range(contacts)
        }
        self.refused = 0
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._write, args=(phone, random.Random(f"{seed}/{phone}")), daemon=True)
            for phone in self.acknowledged
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Every message that somebody began is acknowledged when this returns."""
        self._stop.set()
        for thread in self._threads:
            thread.join(RETRY_SECONDS + PATIENCE_SECONDS)
            assert not thread.is_alive()

    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def _write(self, phone: str, dice: random.Random) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            text = f"{phone}-{number}"
            said = Said("demo", phone, text, f"ID-{text}", FIRST_TIMESTAMP + number)
            if not self._keep(said, dice):
                self.failures.append(f"{said.id} was refused for {RETRY_SECONDS} s")
                return
            self.acknowledged[phone].append(said.id)
            if dice.random() < TWICE:
                self._post(said, dice)
            self._stop.wait(PAUSE_SECONDS * 2 * dice.random())

    def _keep(self, said: Said, dice: random.Random) -> bool:
        deadline = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < deadline:
            answer = self._post(said, dice)
            if answer.status == 200:
                return True
            if answer.status not in (0, 503):
                self.failures.append(f"{said.id} was answered with {answer.status}")
            self.refused += 1
            time.sleep(PAUSE_SECONDS)
        return False

    def _post(self, said: Said, dice: random.Random) -> Posted:
        alive = [daemon for daemon in self._daemons if daemon.is_alive]
        if not alive:
            return Posted(0)
        try:
            return dice.choice(alive).post(said)
        except AssertionError:  # it died before it listened
            return Posted(0)
