"""Gateways that post for many contacts concurrently, each in order, and retry what was refused."""

from __future__ import annotations

import re
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.acceptance.harness import DaemonUnderTest, Posted, Said
from tests.support.gateway_server import FakeEvolution
from tests.support.patience import PATIENCE_SECONDS
from tests.support.payloads import NOW

PAUSE_SECONDS = 0.1
RETRY_SECONDS = 2 * PATIENCE_SECONDS


@dataclass
class Traffic:
    """What was posted, and the response to each attempt."""

    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    """Phone → texts, in the order of acknowledgement."""
    answers: list[Posted] = field(default_factory=list)
    """Every answer to every attempt."""
    began: list[float] = field(default_factory=list)
    """When the attempt of each of these answers began, by the monotonic clock."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, began: float, answer: Posted) -> None:
        with self._lock:
            self.began.append(began)
            self.answers.append(answer)

    def since(self, moment: float) -> list[Posted]:
        """The answers to what was posted after `moment`; others may have been under way then."""
        with self._lock:
            return [answer for began, answer in zip(self.began, self.answers, strict=True) if began >= moment]

    def refusals(self) -> list[Posted]:
        return [answer for answer in self.answers if answer.status == 503]


@contextmanager
def traffic(daemon: DaemonUnderTest, mark: str, contacts: int = 6) -> Iterator[Traffic]:
    """Post inside the block; at its end every sender finishes what it has begun, including retries."""
    seen, stop = Traffic(), threading.Event()
    with ThreadPoolExecutor(contacts) as pool:
        senders = [pool.submit(_send, daemon, seen, stop, mark, number) for number in range(contacts)]
        try:
            yield seen
        finally:
            stop.set()
        _results(senders)


def heard(gateway: FakeEvolution, phone: str) -> list[str]:
    """The texts that the rehearsal responder repeated to a phone, over all replies, in order."""
    replies = (re.sub(r"^Heard \d+: ", "", text) for text in gateway.texts(phone))
    return [word for reply in replies for word in reply.split()]


def assert_answered_once_in_order(gateway: FakeEvolution, seen: Traffic) -> None:
    """Assert that every acknowledged text, each one word, was answered once and in order."""
    assert {phone: heard(gateway, phone) for phone in seen.acknowledged} == seen.acknowledged


def _send(daemon: DaemonUnderTest, seen: Traffic, stop: threading.Event, mark: str, number: int) -> None:
    phone = f"55{zlib.crc32(mark.encode()) % 10**5:05d}{number:04d}"
    seen.acknowledged[phone] = []
    serial = 0
    while not stop.is_set():
        serial += 1
        text = f"{mark}-{number}-{serial}"
        _keep(daemon, seen, Said("demo", phone, text, f"ID-{text}", NOW + serial))
        seen.acknowledged[phone].append(text)
        time.sleep(PAUSE_SECONDS)


def _keep(daemon: DaemonUnderTest, seen: Traffic, said: Said) -> None:
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        began = time.monotonic()
        answer = daemon.post(said)
        seen.note(began, answer)
        if answer.status == 200:
            return
        assert answer.status in (0, 503), answer
        assert time.monotonic() < deadline, f"refused for {RETRY_SECONDS} s: {answer}"
        time.sleep(PAUSE_SECONDS)


def _results(senders: list[Future[None]]) -> None:
    for sender in senders:
        sender.result()
