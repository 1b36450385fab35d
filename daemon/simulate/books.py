"""The books of a rehearsal: which messages were sent, acknowledged and answered, by which reply, and how fast. Pure.

Rules of this file:
1. Only what is certainly a fault is counted as one. Messages race each other on their way: one certainly came before
   another only if it was acknowledged before the other was posted, and only then can their order be wrong.
2. A message ends at most once: answered or lost. A reply that mentions an answered message is a duplicate reply.
3. Memory is bounded by the messages that wait: of an answered message only one bit is kept.

With an echoing responder, replies are matched by the tokens in them. With any other one it is unknown what a reply
answers. It then counts as an answer to everything its customer wrote before it: only a message without any later reply
is lost, and only a text repeated more often in a row than there were messages for it is a duplicate reply.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from daemon.simulate.latencies import LatencyHistogram
from daemon.simulate.tokens import Token, tokens_in

MAX_KINDS = 20
OTHER = "other"
_REPLY_BEGINS = "Heard "


@dataclass(slots=True)
class _Posted:
    """A message that is not answered yet."""

    said_at: int
    begun: float
    acknowledged: float | None = None
    given_up: bool = False


@dataclass(slots=True)
class _Person:
    waiting: dict[int, _Posted] = field(default_factory=dict)
    acknowledged: int = 0
    """One bit per serial number; the same in `answered`."""
    answered: int = 0
    answered_begun: float = -math.inf
    """When the newest message answered by earlier replies was posted; `reply_begun`: by the current reply."""
    reply_begun: float = -math.inf
    last_text: int | None = None
    may_repeat: int = 0
    """How many more replies may repeat the last text: it may have been counted for messages answered only later."""


class Books:
    """All times are seconds of one monotonic clock.

    Args:
      echo: whether replies repeat the texts, tokens included.
      patience_seconds: an acknowledged message that is not answered for this long is lost.
    """

    def __init__(self, mark: str, *, echo: bool = True, patience_seconds: float = 60.0) -> None:
        self.sent = self.repeated = self.acknowledged = self.answered = self.waiting = 0
        self.replies = self.doubled = self.out_of_order = self.unmatched = 0
        self.troubles: Counter[str] = Counter()
        """Deliveries that were not acknowledged, by response."""
        self.ack, self.answer = LatencyHistogram(), LatencyHistogram()
        self.last_acknowledged = -math.inf
        self.first_post, self.last_post = math.inf, -math.inf
        self._mark = mark
        self._echo = echo
        self._patience_seconds = patience_seconds
        self._people: dict[int, _Person] = {}

    def post(self, customer: int, serial: int, said_at: int, now: float) -> None:
        """Record the start of a delivery. Only the first delivery of a message counts."""
        person = self._people.setdefault(customer, _Person())
        known = serial in person.waiting or (person.answered | person.acknowledged) >> serial & 1
        if not known:
            person.waiting[serial] = _Posted(said_at, now)
            self.sent += 1
            self.first_post, self.last_post = min(self.first_post, now), now

    def acknowledge(self, customer: int, serial: int, now: float, seconds: float) -> None:
        """Record that a delivery was answered with 2xx after `seconds`."""
        self.ack.add(seconds)
        person = self._people[customer]
        if person.acknowledged >> serial & 1:
            return
        person.acknowledged |= 1 << serial
        self.acknowledged += 1
        self.last_acknowledged = now
        posted = person.waiting.get(serial)
        if posted is not None:
            posted.acknowledged = now
            self.waiting += 1

    def trouble(self, what: str) -> None:
        """Record a delivery that was not acknowledged."""
        known = what in self.troubles or len(self.troubles) < MAX_KINDS
        self.troubles[what if known else OTHER] += 1

    def give_up(self, customer: int, serial: int) -> None:
        """Record that the gateway stops delivering this message."""
        posted = self._people[customer].waiting.get(serial)
        if posted is not None:
            posted.given_up = True

    def reply(self, customer: int, text: str, now: float) -> None:
        """Record a message of the business to a customer."""
        self.replies += 1
        person = self._people.setdefault(customer, _Person())
        if self._echo:
            self._match_echo(person, customer, text, now)
        else:
            self._match_any(person, text, now)

    @property
    def sending_seconds(self) -> float:
        """The time from the first message to the last one."""
        return max(0.0, self.last_post - self.first_post)

    def is_out_of_patience(self, now: float) -> bool:
        """Whether every message that still waits counts as lost by now."""
        return now - self.last_acknowledged >= self._patience_seconds

    def lost(self, now: float) -> Iterator[tuple[int, int]]:
        """Customer and serial of each acknowledged message that was not answered in time."""
        for customer, serial, posted in self._unanswered():
            acknowledged = posted.acknowledged
            if acknowledged is not None and now - acknowledged >= self._patience_seconds:
                yield customer, serial

    def given_up(self) -> Iterator[tuple[int, int]]:
        """Customer and serial of each message that the gateway gave up: neither acknowledged nor answered."""
        for customer, serial, posted in self._unanswered():
            if posted.given_up and posted.acknowledged is None:
                yield customer, serial

    def _unanswered(self) -> Iterator[tuple[int, int, _Posted]]:
        for customer, person in self._people.items():
            for serial, posted in person.waiting.items():
                yield customer, serial, posted

    def _match_echo(self, person: _Person, customer: int, text: str, now: float) -> None:
        if text.startswith(_REPLY_BEGINS):  # otherwise it is the next part of a long reply
            person.answered_begun = max(person.answered_begun, person.reply_begun)
            person.reply_begun = -math.inf
        mentioned = [token for token in tokens_in(text) if token.mark == self._mark]
        settled = [self._settle(person, token) for token in mentioned if token.customer == customer]
        fresh = [posted for posted in settled if posted is not None]
        self.unmatched += not settled
        self.doubled += len(fresh) < len(settled)
        if fresh:
            self.out_of_order += not _in_order(fresh) or _too_late(fresh, person.answered_begun)
            person.reply_begun = max(person.reply_begun, *(posted.begun for posted in fresh))
            self.answer.add(now - min(posted.begun for posted in fresh))

    def _match_any(self, person: _Person, text: str, now: float) -> None:
        serials = [serial for serial, posted in person.waiting.items() if posted.begun < now]
        fresh = [self._end(person, serial) for serial in serials]
        if fresh:
            self.answer.add(now - min(posted.begun for posted in fresh))
            person.may_repeat = len(fresh) - 1
        elif person.last_text == hash(text):
            self.doubled += not person.may_repeat
            person.may_repeat = max(0, person.may_repeat - 1)
        person.last_text = hash(text)

    def _settle(self, person: _Person, token: Token) -> _Posted | None:
        """End the message that a reply mentions; None if it was answered before, or never sent."""
        return self._end(person, token.serial) if token.serial in person.waiting else None

    def _end(self, person: _Person, serial: int) -> _Posted:
        posted = person.waiting.pop(serial)
        person.answered |= 1 << serial
        self.answered += 1
        self.waiting -= posted.acknowledged is not None
        return posted


def _in_order(answered: list[_Posted]) -> bool:
    """Whether messages come in the order of their timestamps; those of one second in order of arrival."""
    newest, begun = -math.inf, -math.inf
    for posted in answered:
        if posted.said_at > newest:
            newest, begun = posted.said_at, posted.begun
        elif posted.said_at < newest or (posted.acknowledged or math.inf) < begun:
            return False
        else:
            begun = max(begun, posted.begun)
    return True


def _too_late(answered: list[_Posted], answered_begun: float) -> bool:
    """Whether a message was acknowledged before another one was posted that an earlier reply answered."""
    return any((posted.acknowledged or math.inf) < answered_begun for posted in answered)
