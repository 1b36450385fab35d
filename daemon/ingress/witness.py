"""What came through this daemon's door, by instance: the last event of each, and questions of our own. In memory.

Whether an address leads to Majlis is found out by asking it: a webhook with a random number, which the door answers
with a proof that only daemons of this installation can make. So a proxy that answers "ok" by itself proves nothing, and
neither does another Majlis. It is a webhook like any other, and needs the token as any other; nothing of it is stored,
and the proof is of no use to anybody: it says that the number was read here.

Before any token leaves, the address is asked without one: where the token would stand, in the header `apikey`, stands
the number, and a door that reads it there answers, whoever asks and whatever the body. So a mistyped address gets no
token. What passes on to us all that it gets, as a proxy does, is on the way, and gets it.

A proxy that posts the webhook on and answers by itself hands no proof back: then the number itself has arrived here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import trio

MAX_INSTANCES = 10_000
"""Names beyond these are not noted: who posts without a name of ours may make them up."""
_QUESTION, _NONCE_CHARS = "majlis-question-", 32
Prove = Callable[[str, str], str]
"""The proof that a daemon of this installation read this number for this instance; empty: none can be made yet."""


def question(nonce: str) -> str:
    """What stands in the place of a token, to ask without one."""
    return f"{_QUESTION}{nonce}"


def asked_by(shown: str) -> str:
    """The number, if this is such a question; else nothing."""
    nonce = shown[len(_QUESTION) :] if shown.startswith(_QUESTION) else ""
    return nonce if len(nonce) == _NONCE_CHARS and nonce.isascii() and nonce.isalnum() else ""


class LastEvent(NamedTuple):
    event: str
    """The gateway's name for it."""
    number: int
    """How many came since the start, this one included."""
    age_seconds: float


class Witness:
    """`saw` is called for each webhook and does next to nothing."""

    def __init__(self, prove: Prove = lambda _instance, _nonce: "") -> None:
        self.prove = prove
        self._seen: dict[str, tuple[str, int, float]] = {}
        self._fresh: set[str] = set()
        self._questions: dict[str, trio.Event] = {}

    def saw(self, instance: str, event: str) -> None:
        """An event of `instance` came, whatever became of it."""
        before = self._seen.get(instance)
        if before is not None or len(self._seen) < MAX_INSTANCES:
            self._seen[instance] = (event, (before[1] if before else 0) + 1, time.monotonic())
            self._fresh.add(instance)

    def take(self) -> set[str]:
        """The instances of which events came since it was called last."""
        fresh, self._fresh = self._fresh, set()
        return fresh

    @contextmanager
    def expecting(self, nonce: str) -> Iterator[trio.Event]:
        """Set when this question of our own arrives here. Those that nobody here expects are not noted."""
        self._questions[nonce] = arrived = trio.Event()
        try:
            yield arrived
        finally:
            del self._questions[nonce]

    def asked(self, instance: str, nonce: str) -> str:
        """A question arrived here; returns the proof."""
        if (arrived := self._questions.get(nonce)) is not None:
            arrived.set()
        return self.prove(instance, nonce)

    def last(self, instance: str) -> LastEvent | None:
        """None: nothing came since the start."""
        seen = self._seen.get(instance)
        return None if seen is None else LastEvent(seen[0], seen[1], time.monotonic() - seen[2])
