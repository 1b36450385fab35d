"""What `auto` means for the thresholds: measured once for each model that makes vectors, by texts of our own.

Laws of this file:
1. A number in the settings is never changed. Only `auto` asks for a measurement, and only when a turn meets it.
2. A turn waits for nothing: until the measurement is there, `auto` is the default number.
3. One daemon measures, once for all that share the ledger; nothing of a customer is in it.

How: `similarity`, for cached answers, is above all questions that sound alike and have another answer. For passages,
the similarity that parts those which answer from others is found; `floor` is what makes it count as `RELEVANT` once it
is stretched to `(similarity - floor) / (1 - floor)`, since many models find nothing less alike than 0.7.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import trio

from actors.errors import LedgerUnavailable
from actors.instance import RELEVANT, SIMILAR, Threshold
from actors.ports import Feed
from daemon.knowledge.calibration_texts import CHARACTERS, LANGUAGES, PASSAGES, QUESTIONS, VERSION
from daemon.knowledge.embeddings import EmbeddingsClient, EmbeddingsUnavailable, Vector
from daemon.ledger.wire import encoded, storable
from daemon.stores.postgres import LedgerError, Postgres

_MARGIN = 0.01
_LEAST_SIMILARITY = 0.8
_LEAST_FLOOR, _MOST_FLOOR = -0.3, 0.95
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 600.0

_BEGIN = "SELECT majlis_calibration_begin($1, $2)"
_KEEP = "SELECT majlis_calibration_keep($1, $2, $3)"
_GIVE_UP = """
    WITH gone AS (DELETE FROM majlis_calibrations WHERE model = $1 AND texts = $2 AND measured_at IS NULL RETURNING 1)
    SELECT count(*) FROM gone
"""
_PORTION = 10
"""Texts per request: servers that take few at once take these, and a slow one is in time for them."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured for one model."""

    similarity: float
    """From which on two questions mean the same."""
    floor: float
    """Similarity of a question and a passage that have nothing to do with each other, roughly."""
    same_found: float
    """Share of the questions that mean the same and would be recognised, 0 to 1."""
    passages_found: float
    """Share of the passages that answer and would be found, 0 to 1."""
    across_languages_found: float
    """The same for passages in another language than the question."""
    texts: int = len(QUESTIONS) + len(PASSAGES)
    """How many texts were turned into vectors for it."""
    characters: int = CHARACTERS


class Calibrator:
    """The thresholds of one model. `run` is one task per daemon."""

    def __init__(self, db: Postgres, embeddings: EmbeddingsClient, feed: Feed) -> None:
        self._db = db
        self._embeddings = embeddings
        self._feed = feed
        self._wanted = trio.Event()
        self.measured: Calibration | None = None
        """None: not yet."""

    def similarity(self, wanted: Threshold) -> float:
        """From which on two questions mean the same."""
        if wanted != "auto":
            return wanted
        self._wanted.set()
        return SIMILAR if self.measured is None else self.measured.similarity

    def relevance(self, wanted: Threshold) -> tuple[float, float]:
        """How relevant a passage must be, and the floor of its similarity."""
        if wanted != "auto":
            return wanted, 0.0
        self._wanted.set()
        return RELEVANT, 0.0 if self.measured is None else self.measured.floor

    async def run(self) -> None:
        """Measure when a turn first meets `auto`, as often as it takes; then end."""
        await self._wanted.wait()
        pause_seconds = _FIRST_PAUSE_SECONDS
        while self.measured is None:
            try:
                self.measured = await self._once()
            except EmbeddingsUnavailable as error:
                self._feed.emit("calibration.failed", reason=error.reason)
            except (LedgerUnavailable, LedgerError) as error:
                self._feed.emit("calibration.failed", reason=type(error).__name__)
            if self.measured is None:
                await trio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    async def _once(self) -> Calibration | None:
        """As it is kept, or measured now; None while another daemon is at it."""
        key = (storable(self._embeddings.key), VERSION)
        begun: dict[str, Any] = json.loads(await self._db.value(_BEGIN, *key))
        if begun["state"] == "measured":
            with suppress(msgspec.ValidationError):  # of a version that keeps something else: measured anew
                return msgspec.convert(begun["measured"], Calibration)
        if begun["state"] == "busy":
            return None
        failure: EmbeddingsUnavailable | None = None
        try:
            questions = await self._vectors(QUESTIONS, as_passages=False)
            passages = await self._vectors(PASSAGES, as_passages=True)
        except EmbeddingsUnavailable as error:
            failure = error
        if failure is not None:  # or the next round, and other daemons, would wait for this one
            await self._db.value(_GIVE_UP, *key)
            raise failure
        found = await trio.to_thread.run_sync(partial(measured, questions, passages))
        await self._db.value(_KEEP, *key, encoded(msgspec.to_builtins(found)))
        self._feed.emit(
            "calibration.measured",
            model=self._embeddings.model,
            similarity=found.similarity,
            floor=found.floor,
            texts=found.texts,
            characters=found.characters,
        )
        return found

    async def _vectors(self, texts: Sequence[str], *, as_passages: bool) -> list[Vector]:
        found: list[Vector] = []
        for start in range(0, len(texts), _PORTION):
            portion = texts[start : start + _PORTION]
            found += await self._embeddings.vectors(portion, as_passages=as_passages)
        return found


def measured(questions: Sequence[Vector], passages: Sequence[Vector]) -> Calibration:
    """Pure. From the vectors of `QUESTIONS` and `PASSAGES`, in their order."""
    asked = list(map(_unit, questions))
    told = list(map(_unit, passages))
    size = len(LANGUAGES[0])
    first = [asked[3 * place] for place in range(len(told))]
    same = [_cosine(asked[3 * place], asked[3 * place + 1]) for place in range(len(told))]
    other = [
        _cosine(asked[3 * place + way], asked[3 * place + 2]) for place in range(len(told)) for way in (0, 1)
    ]
    nearest = min(1.0, max(other))
    similarity = max(_LEAST_SIMILARITY, nearest + min(_MARGIN, (1 - nearest) / 2))
    answering = [_cosine(question, passage) for question, passage in zip(first, told, strict=True)]
    foreign = list(_within_languages(first, told, size))
    parting = _parting(answering, foreign)
    floor = min(_MOST_FLOOR, max(_LEAST_FLOOR, (parting - RELEVANT) / (1 - RELEVANT)))
    across = [
        _cosine(first[place], told[(place + size) % len(told)]) for place in range(len(told))
    ]  # the same topic in the next language
    return Calibration(
        similarity=round(similarity, 6),
        floor=round(floor, 4),
        same_found=_share(same, similarity),
        passages_found=_share(answering, parting),
        across_languages_found=_share(across, parting),
    )


def _within_languages(
    questions: Sequence[list[float]], passages: Sequence[list[float]], size: int
) -> Iterator[float]:
    """The similarity of each question to the passages of its language that answer other ones."""
    for place, question in enumerate(questions):
        begins = place - place % size
        yield from (
            _cosine(question, passages[other]) for other in range(begins, begins + size) if other != place
        )


def _parting(answering: Sequence[float], foreign: Sequence[float]) -> float:
    """The similarity that best separates passages that answer from others: where the shares of both that it gets right
    have the greatest sum, in the middle between the two similarities next to it.
    """
    found = sorted({*answering, *foreign})
    best = max(found, key=lambda value: _share(answering, value) - _share(foreign, value))
    return (best + found[max(0, found.index(best) - 1)]) / 2


def _share(similarities: Sequence[float], least: float) -> float:
    return round(sum(1 for value in similarities if value >= least) / len(similarities), 3)


def _unit(vector: Vector) -> list[float]:
    values = [float(value) for value in json.loads(vector)]
    length = math.hypot(*values)
    return [value / length for value in values]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
