"""The script: which customer writes what and when, at a human pace. Pure.

Rules of this file:
1. A burst depends only on the seed, the customer and its number: a run can be repeated whatever the daemon did in the
   first one, and no state is kept between bursts.
2. Times are seconds since the start of the play. Typing has a human pace; the rate is set by the pauses between bursts,
   and typing is sped up only where it would not fit otherwise.
"""

from __future__ import annotations

import random
from typing import Literal

import msgspec

from daemon.simulate import words

MessageKind = Literal["text", "image", "voice", "document"]

LENGTHS = {1: 25, 2: 25, 3: 20, 4: 15, 5: 10, 6: 5}
"""The length of a burst in messages, and its share in per cent."""
SERIALS_PER_BURST = 10
"""The serial number shows the burst: 31 is the second message of the fourth burst."""

_MEAN_LENGTH = sum(length * weight for length, weight in LENGTHS.items()) / 100
_GAP_MEDIAN_LOG, _GAP_SPREAD, _MIN_GAP_SECONDS, _MAX_GAP_SECONDS = 0.4, 0.6, 0.2, 8.0
_MEAN_GAP_SECONDS = 1.8
_MEAN_TYPING_SECONDS = (_MEAN_LENGTH - 1) * _MEAN_GAP_SECONDS
_MEDIA: tuple[MessageKind, ...] = ("image", "voice", "document")
_MAX_REPEAT_SECONDS = 3.0


class Shares(msgspec.Struct, frozen=True):
    """How often something happens, from 0 to 1."""

    duplicates: float = 0.05
    """Of messages: the gateway delivers them twice."""
    late: float = 0.03
    """Of messages: their first delivery fails on the way, so that later ones overtake them."""
    media: float = 0.1
    """Of messages: an image, a voice note or a document."""
    during_answer: float = 0.2
    """Of bursts: one more message arrives while the answer is being sent."""


class ScriptLine(msgspec.Struct, frozen=True):
    """One message of a customer."""

    customer: int
    serial: int
    after_seconds: float
    """Since the start of the burst; for an interjection, since the answer began to be sent."""
    kind: MessageKind
    text: str
    """The text, the caption, or the transcript."""
    file_name: str = ""
    repeat_after_seconds: float | None = None
    """The gateway delivers it a second time after this delay."""
    first_delivery_lost: bool = False


class Burst(msgspec.Struct, frozen=True):
    """What one customer writes in one go."""

    lines: tuple[ScriptLine, ...]
    next_after_seconds: float
    """From the start of this burst to the start of the next."""
    interjection: ScriptLine | None = None
    """Written while the answer to this burst is being sent."""


class Script:
    """The whole play.

    Args:
      rate: the average number of messages per second, of all customers together.
    """

    def __init__(self, seed: int, customers: int, rate: float, shares: Shares | None = None) -> None:
        self._seed = seed
        self._shares = shares or Shares()
        mean_length = _MEAN_LENGTH + self._shares.during_answer
        self._cycle_seconds = customers * mean_length / rate
        self._hurry = min(1.0, self._cycle_seconds / 2 / _MEAN_TYPING_SECONDS)
        self._pause_seconds = self._cycle_seconds - _MEAN_TYPING_SECONDS * self._hurry

    def begins_after_seconds(self, customer: int) -> float:
        """When this customer's first burst begins."""
        return self._chance(customer, "begin").random() * self._cycle_seconds

    def burst(self, customer: int, number: int) -> Burst:
        """The customer's burst with this number, counted from 0."""
        chance = self._chance(customer, number)
        length = chance.choices(tuple(LENGTHS), tuple(LENGTHS.values()))[0]
        serial, at_seconds = number * SERIALS_PER_BURST, 0.0
        lines = []
        for place in range(length):
            at_seconds += self._gap_seconds(chance) if place else 0.0
            lines.append(self._line(chance, customer, serial + place, at_seconds, _words(chance, place)))
        interjection = None
        if chance.random() < self._shares.during_answer:
            said = chance.choice(words.INTERJECTIONS)
            interjection = ScriptLine(customer, serial + length, 0.0, "text", said)
        pause_seconds = chance.gammavariate(2, self._pause_seconds / 2)
        return Burst(tuple(lines), at_seconds + pause_seconds, interjection)

    def _chance(self, customer: int, what: int | str) -> random.Random:
        return random.Random(f"{self._seed}/{customer}/{what}")

    def _gap_seconds(self, chance: random.Random) -> float:
        drawn = chance.lognormvariate(_GAP_MEDIAN_LOG, _GAP_SPREAD)
        return min(max(drawn, _MIN_GAP_SECONDS), _MAX_GAP_SECONDS) * self._hurry

    def _line(
        self, chance: random.Random, customer: int, serial: int, after_seconds: float, said: str
    ) -> ScriptLine:
        shares = self._shares
        kind: MessageKind = chance.choice(_MEDIA) if chance.random() < shares.media else "text"
        repeated = chance.random() < shares.duplicates
        return ScriptLine(
            customer=customer,
            serial=serial,
            after_seconds=after_seconds,
            kind=kind,
            text=said if kind in ("text", "voice") else chance.choice(words.CAPTIONS),
            file_name=chance.choice(words.FILES) if kind == "document" else "",
            repeat_after_seconds=chance.uniform(0.0, _MAX_REPEAT_SECONDS) if repeated else None,
            first_delivery_lost=chance.random() < shares.late,
        )


def _words(chance: random.Random, place: int) -> str:
    """A burst begins with a greeting or a question, and goes on with questions and remarks."""
    if place == 0:
        return chance.choice(words.GREETINGS if chance.random() < 0.5 else words.QUESTIONS)
    return chance.choice(words.QUESTIONS if chance.random() < 0.4 else words.REMARKS)
