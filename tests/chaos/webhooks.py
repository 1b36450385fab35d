"""The gateway's side of a message: into its records, then a webhook, which is repeated, given up, or forgotten."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.acceptance.harness import DaemonUnderTest, Posted
from tests.chaos.checker import IN_RECORDS, Kind, SeenMessage
from tests.chaos.kinds import OLD_SECONDS, event_id, payload
from tests.support.gateway_server import FakeEvolution
from tests.support.patience import PATIENCE_SECONDS

INSTANCE = "demo"
PAUSE_SECONDS = 0.15
RETRY_SECONDS = 4 * PATIENCE_SECONDS
TWICE = 0.1
LATE = 0.3
"""Of the webhooks that were given up, so many come after all."""
LATEST_SECONDS = 8.0
BARE = 0.3


@dataclass
class Written:
    """One message of a chat, as the gateway has it."""

    id: str
    contact: str
    text: str
    at: int
    """Unix seconds: the time that the message bears."""
    from_me: bool
    recorded_at: float = 0.0
    """Unix seconds: from then on it is in the records."""
    posted: bool = False
    """Whether a webhook of it was tried at all."""
    acknowledged_at: float | None = None
    """Unix seconds: a webhook that came in time was acknowledged."""
    kind: Kind = ""
    of: str = ""
    """The id of what it changes, reacts to, or belongs to."""

    def payload(self, bare: bool) -> Mapping[str, object]:
        """`bare`: in the shape that does not tell when it was made."""
        said = (self.contact, self.text, self.id, self.at, self.from_me)
        return payload(INSTANCE, *said, self.kind, self.of, bare)


class Webhooks:
    """`gives_up` may be set from any thread: nothing is posted then, and what was refused is not repeated."""

    def __init__(self, gateway: FakeEvolution, daemons: Sequence[DaemonUnderTest]) -> None:
        self.gives_up = False
        self.written: list[Written] = []
        self.acknowledged: dict[str, list[str]] = {}
        """Contact → ids of the customer's messages whose webhooks came in time, in their order."""
        self.refused = 0
        self.failures: list[str] = []
        self._gateway = gateway
        self._daemons = daemons
        self._lock = threading.Lock()
        self._restarts = 0
        self._late: list[tuple[float, Written, random.Random]] = []
        self._stop = threading.Event()
        self._backlog = threading.Thread(target=self._post_late, name="backlog", daemon=True)

    def start(self) -> None:
        self._backlog.start()

    def stop(self) -> None:
        """When nobody writes any more. What is left of the late ones never comes."""
        self._stop.set()
        self._backlog.join(PATIENCE_SECONDS)
        assert not self._backlog.is_alive()

    def seen(self) -> list[SeenMessage]:
        return [SeenMessage(**vars(message)) for message in self.written]

    def forget(self) -> None:
        """The gateway restarts: what it was about to repeat is gone."""
        with self._lock:
            self._restarts += 1
            self._late.clear()

    def bring(
        self,
        contact: str,
        text: str,
        dice: random.Random,
        *,
        from_me: bool = False,
        kind: Kind = "",
        of: str = "",
    ) -> str:
        """Record a message and post it until it is acknowledged or given up; returns its id."""
        at = int(time.time()) - (OLD_SECONDS if kind == "old" else 0)
        named = event_id(kind, of) if kind in ("edit", "deletion") else f"ID-{text}"
        message = Written(named, contact, text, at, from_me, kind=kind, of=of)
        with self._lock:
            self.written.append(message)
            restarts = self._restarts
        if kind in IN_RECORDS:
            self._gateway.record(
                INSTANCE, contact, text, from_me=from_me, at=message.at, id=message.id, source="android"
            )
        message.recorded_at = time.time()
        if self._repeat(message, restarts, dice):
            message.acknowledged_at = time.time()
            if not from_me and kind in IN_RECORDS:
                with self._lock:
                    self.acknowledged.setdefault(contact, []).append(message.id)
            if dice.random() < TWICE:
                self._post(message, dice)
        return message.id

    def _put_off(self, message: Written, dice: random.Random) -> None:
        while dice.random() < LATE:  # once, or twice
            with self._lock:
                self._late.append((time.monotonic() + dice.uniform(0, LATEST_SECONDS), message, dice))

    def _repeat(self, message: Written, restarts: int, dice: random.Random) -> bool:
        deadline = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < deadline:
            if restarts != self._restarts:
                return False
            if self.gives_up:
                self._put_off(message, dice)
                return False
            answer = self._post(message, dice)
            if answer.status == 200:
                return True
            if answer.status not in (0, 503):
                self.failures.append(f"{message.id} was answered with {answer.status}")
            self.refused += 1
            time.sleep(PAUSE_SECONDS)
        self.failures.append(f"{message.id} was refused for {RETRY_SECONDS} s")
        return False

    def _post_late(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            now = time.monotonic()
            with self._lock:
                due = [entry for entry in self._late if entry[0] <= now]
                self._late = [entry for entry in self._late if entry[0] > now]
            for _, message, dice in due:
                self._post(message, dice)

    def _post(self, message: Written, dice: random.Random) -> Posted:
        alive = [daemon for daemon in self._daemons if daemon.is_alive]
        if not alive:
            return Posted(0)
        message.posted = True
        try:
            return dice.choice(alive).post(message.payload(bare=dice.random() < BARE))
        except AssertionError:  # it died before it listened
            return Posted(0)
