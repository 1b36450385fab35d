"""What is known before a turn is decided: the instance's row and the turn's, then the lookups, side by side.

opening   settings ∥ conversation (T1): all or fail, the turn cannot do without them
lookups   whatever else helps: safe with defaults, and only for a turn that is to be answered
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import trio

from actors.crash_points import reach
from actors.errors import LedgerUnavailable
from actors.facts import Facts, facts
from actors.instance import Switches, Terms
from actors.lookup import Lookup, Span
from actors.messages import Answer, Batch
from actors.parallel import LookupTimedOut, Run, Stage, staged
from actors.ports import Feed, Ledger, Lookups, Question, Turn

OPENING_SECONDS = 30.0
"""Deadline of what a turn cannot do without. The ledger's own bounds are tighter; this is the last resort."""

NOT_TO_BE_GUESSED = frozenset({"standing", "usage"})
"""Lookups without which nothing is said: a guess would speak over a person, or past a limit. The ledger is asked again
in a moment, and nothing is burnt; without it the turn could not go on in any case."""


class Found(msgspec.Struct, frozen=True):
    question: Question
    facts: Facts


class Timed:
    """A step of the turn that is no lookup; its name may be known only at its end."""

    def __init__(self, name: str) -> None:
        self.name = name


class Inquiry:
    """Runs the lookups of one turn, and keeps its waterfall."""

    def __init__(
        self,
        ledger: Ledger,
        lookups: Lookups,
        feed: Feed,
        batch: Batch,
        epoch: int,
        switches: Switches,
        terms: Terms,
    ) -> None:
        self._ledger = ledger
        self._lookups = lookups
        self._feed = feed
        self._batch = batch
        self._epoch = epoch
        self._switches = switches
        self._terms = terms
        self._started_at = trio.current_time()
        self.spans: tuple[Span, ...] = ()

    async def run(self) -> Found:
        """Raises what `Ledger.begin` and `Lookups.instance` raise."""
        stages = (Stage("opening", self._opening, needed=True), Stage("lookups", self._about))
        try:
            run = await staged(stages, self._log, parallel=self._switches.parallel)
        except LookupTimedOut as error:
            raise LedgerUnavailable(f"{error} timed out") from None
        for span in run.failures:
            if span.name in NOT_TO_BE_GUESSED:
                raise LedgerUnavailable(f"{span.name} {span.outcome}")
        return Found(self._question(run.values), facts(run.values))

    @contextmanager
    def timed(self, stage: str) -> Iterator[Timed]:
        """One more line of the waterfall, when the step succeeds."""
        step, started_at = Timed(stage), trio.current_time()
        yield step
        started_ms = (started_at - self._started_at) * 1000
        took_ms = (trio.current_time() - started_at) * 1000
        self.spans = (*self.spans, Span(step.name, stage, started_ms, took_ms, "ok"))

    def took_ms(self) -> float:
        """How long this try of the turn has gone on."""
        return round((trio.current_time() - self._started_at) * 1000, 1)

    def spent(self, answer: Answer) -> dict[str, object]:
        """What is told of an answer: who gave it, in what time, at what price."""
        asked = [span.took_ms for span in self.spans if span.stage == "responder"]
        return {
            "provider": answer.provider,
            "took_ms": round(sum(asked), 1),
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "cost_micros": answer.cost_micros,
        }

    def _opening(self, _found: Mapping[str, Any]) -> Mapping[str, Lookup]:
        instance = self._batch.conversation.instance
        return {
            "settings": Lookup(lambda: self._lookups.instance(instance), None, OPENING_SECONDS),
            "conversation": Lookup(self._begin, None, OPENING_SECONDS),
        }

    def _about(self, found: Mapping[str, Any]) -> Mapping[str, Lookup]:
        turn: Turn = found["conversation"]
        ended = turn.state != "started" or turn.moved_to or turn.rule
        return {} if ended else self._lookups.about(self._question(found))

    async def _begin(self) -> Turn:
        turn = await self._ledger.begin(self._batch, self._epoch)
        reach("begun")
        messages, tries = len(self._batch.entries), self._batch.tries
        self._feed.emit(
            "turn.started", self._batch.conversation, turn=turn.id, messages=messages, tries=tries
        )
        return turn

    def _question(self, found: Mapping[str, Any]) -> Question:
        return Question(found["conversation"], self._batch, found["settings"], self._switches, self._terms)

    def _log(self, run: Run) -> None:
        """One line for the whole run, and a warning for each lookup whose default has to do."""
        self.spans = run.spans
        conversation = self._batch.conversation
        for span in run.failures:
            self._feed.emit(
                "lookup.failed",
                conversation,
                lookup=span.name,
                outcome=span.outcome,
                error=span.error,
                took_ms=round(span.took_ms, 1),
            )
        self._feed.emit(
            "turn.lookups",
            conversation,
            batch=self._batch.number,
            count=len(run.spans),
            total_ms=round(run.total_ms, 1),
            failures=[span.name for span in run.failures],
            parallel=self._switches.parallel,
            waterfall={span.name: _line(span) for span in run.spans},
        )


def _line(span: Span) -> list[float | str]:
    return [round(span.started_ms, 1), round(span.took_ms, 1), span.outcome]
