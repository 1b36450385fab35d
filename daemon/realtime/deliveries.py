"""Requests to a proxy over one connection that it has not answered yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from actors.errors import MajlisError
from actors.outcome import (
    CannotTell,
    NoRecord,
    NotSent,
    RecordFound,
    SendEvidence,
    SendOutcome,
    Sent,
    Unknown,
)
from actors.ports import MaySend
from daemon.gateways.lenient import clean
from daemon.realtime import frames

MAX_MESSAGE_ID_CHARS = 256
_WORD = re.compile(r"[a-z][a-z_]{0,39}")


class Delivery:
    """One message on its way."""

    def __init__(self, may_send: MaySend) -> None:
        self.settled = trio.Event()
        """Set when no more will be known of it here."""
        self._may_send = may_send
        self._left = False
        self._withdrawn = False
        self._known: SendOutcome | None = None

    def may_leave(self) -> bool:
        """Called as its first byte is about to leave; after True, only the proxy knows what became of it."""
        if self._withdrawn:
            return False
        try:
            self._may_send()
        except MajlisError:
            self.settle(NotSent("lease_ended", "hold"))
            return False
        self._left = True
        return True

    def settle(self, outcome: SendOutcome) -> None:
        self._known = outcome
        self.settled.set()

    def conclude(self) -> SendOutcome:
        """The outcome as known now. A frame that has not left never will."""
        self._withdrawn = True
        if self._known is not None:
            return self._known
        if not self._left:
            return NotSent("proxy_away" if self.settled.is_set() else "proxy_slow", "hold")
        return Unknown("connection_lost" if self.settled.is_set() else "timed_out")


class PendingFind:
    """One `find` in progress."""

    def __init__(self) -> None:
        self.settled = trio.Event()
        self.evidence: SendEvidence | None = None


class Deliveries:
    def __init__(self) -> None:
        self._deliveries: dict[str, Delivery] = {}
        self._questions: dict[str, PendingFind] = {}

    @contextmanager
    def delivering(self, key: str, may_send: MaySend) -> Iterator[Delivery]:
        delivery = self._deliveries[key] = Delivery(may_send)
        try:
            yield delivery
        finally:
            delivery.conclude()
            if self._deliveries.get(key) is delivery:
                del self._deliveries[key]

    @contextmanager
    def asking(self, name: str) -> Iterator[PendingFind]:
        question = self._questions[name] = PendingFind()
        try:
            yield question
        finally:
            del self._questions[name]

    def settle(self, said: frames.OutcomeFrame) -> None:
        """Take the proxy's answer; one that no caller waits for any more is ignored."""
        delivery = self._deliveries.get(said.key)
        if delivery is not None:
            delivery.settle(outcome_of(said))

    def answer(self, said: frames.EvidenceFrame) -> None:
        question = self._questions.get(said.id)
        if question is not None:
            question.evidence = evidence_of(said)
            question.settled.set()

    def end(self) -> None:
        """The connection is gone."""
        for delivery in self._deliveries.values():
            delivery.settled.set()
        for question in self._questions.values():
            question.settled.set()


def outcome_of(said: frames.OutcomeFrame) -> SendOutcome:
    """What the proxy's answer proves."""
    if said.outcome == "sent":
        return Sent(clean(said.message_id, MAX_MESSAGE_ID_CHARS))
    # It gets into logs and metrics: only a stable word is let through.
    reason = said.reason if _WORD.fullmatch(said.reason) else "proxy_says_so"
    if said.outcome == "not_sent":
        return NotSent(reason, said.remedy, said.retry_after_seconds)
    return Unknown(reason)


def evidence_of(said: frames.EvidenceFrame) -> SendEvidence:
    """What it proves; a message that it found without an id proves nothing."""
    if said.evidence == "not_found":
        return NoRecord()
    message_id = clean(said.message_id, MAX_MESSAGE_ID_CHARS)
    return RecordFound(message_id) if said.evidence == "found" and message_id else CannotTell()
