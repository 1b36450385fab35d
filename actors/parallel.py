"""Lookups side by side: the three ways to run them, each with its deadlines, its times and exact outcomes.

    all_or_fail          every value is needed: the first failure cancels the rest and is raised
    safe_with_defaults   every value can be done without: a failure or a late answer gives the default
    staged               several of these one after another, each stage made from what the ones before it found

Laws of this file:
1. Every lookup that comes to its end has one outcome, `ok | failed | timed_out | skipped`, and a span in the waterfall.
   One that the end of the run cuts short has neither.
2. A skipped lookup costs nothing: no task, no time.
3. `StaleEpoch` and cancellation end a run at once, whatever way it is run: the work is somebody else's.
4. `parallel=False` runs the same lookups one after another, with the same outcomes.
5. A run leaves one end behind and no task: what ended it is raised, and a log that fails on the way does not hide it.
   Only what is no `Exception` (an interrupt) comes in a group, as it does from any nursery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import trio

from actors.errors import MajlisError, StaleEpoch
from actors.lookup import Lookup, LookupOutcome, Span


class LookupTimedOut(MajlisError):
    """A lookup that the turn cannot do without was late. Contrast a failed one: that raises its own error."""


class Run(msgspec.Struct, frozen=True):
    """What one or several stages found."""

    values: Mapping[str, Any] = {}
    spans: tuple[Span, ...] = ()
    total_ms: float = 0.0

    @property
    def failures(self) -> tuple[Span, ...]:
        return tuple(span for span in self.spans if span.outcome in ("failed", "timed_out"))


class Stage(msgspec.Struct, frozen=True):
    name: str
    lookups: Callable[[Mapping[str, Any]], Mapping[str, Lookup]]
    """From the values found so far; an empty mapping ends nothing and costs nothing."""
    needed: bool = False
    """All or fail; else safe with defaults."""


RunLog = Callable[[Run], None]
"""Told once per run, also of one that fails."""


async def all_or_fail(
    lookups: Mapping[str, Lookup], log: RunLog, *, stage: str = "needed", parallel: bool = True
) -> Run:
    """Run all; the first that fails cancels the others, and its own error is raised (`LookupTimedOut` if late)."""
    return await staged((Stage(stage, lambda _: lookups, needed=True),), log, parallel=parallel)


async def safe_with_defaults(
    lookups: Mapping[str, Lookup], log: RunLog, *, stage: str = "optional", parallel: bool = True
) -> Run:
    """Run all; every name has a value, and only `StaleEpoch` or cancellation ends the run early."""
    return await staged((Stage(stage, lambda _: lookups),), log, parallel=parallel)


async def staged(stages: Sequence[Stage], log: RunLog, *, parallel: bool = True) -> Run:
    """Run the stages in order; gives back all values and one waterfall. Raises what a needed stage raises."""
    running = _Running(parallel)
    try:
        for stage in stages:
            await running.stage(stage)
    except BaseException as end:
        _tell_of_the_end(log, running.outcome(), end)
        raise
    run = running.outcome()
    log(run)
    return run


def _tell_of_the_end(log: RunLog, run: Run, end: BaseException) -> None:
    try:
        log(run)
    except Exception as trouble:  # `end` is what the caller must hear of
        end.add_note(f"The log of this run failed as well: {type(trouble).__name__}.")


class _Running:
    """One run under way."""

    def __init__(self, parallel: bool) -> None:
        self._parallel = parallel
        self._origin = trio.current_time()
        self._values: dict[str, Any] = {}
        self._spans: list[Span] = []
        self._fatal: Exception | None = None

    def outcome(self) -> Run:
        return Run(dict(self._values), tuple(self._spans), self._now_ms())

    async def stage(self, stage: Stage) -> None:
        lookups = stage.lookups(self._values)
        for name, lookup in lookups.items():
            if lookup.skip:
                self._values[name] = lookup.default
                self._spans.append(Span(name, stage.name, self._now_ms(), 0.0, "skipped"))
        wanted = {name: lookup for name, lookup in lookups.items() if not lookup.skip}
        if not wanted:
            return
        async with trio.open_nursery() as nursery:
            for name, lookup in wanted.items():
                run = partial(self._one, stage, name, lookup, nursery.cancel_scope)
                if self._parallel:
                    nursery.start_soon(run, name=f"lookup/{name}")
                else:
                    await run()
        if self._fatal is not None:
            raise self._fatal

    async def _one(self, stage: Stage, name: str, lookup: Lookup, others: trio.CancelScope) -> None:
        """Bring one lookup to its outcome; an error that ends the run cancels the others."""
        if self._fatal is not None:
            return
        started_ms = self._now_ms()
        value: Any = lookup.default
        failure: Exception | None = LookupTimedOut(name)
        with trio.move_on_after(lookup.deadline_seconds) as scope:
            try:
                value, failure = await lookup.call(), None
            except Exception as error:  # what a failure means is the stage's to say, not the lookup's
                if not scope.cancel_called or isinstance(error, StaleEpoch):
                    failure = error
        self._spans.append(_span(name, stage.name, started_ms, self._now_ms(), failure))
        if failure is not None and (stage.needed or isinstance(failure, StaleEpoch)):
            self._fatal = self._fatal or failure
            others.cancel()
        else:
            self._values[name] = value

    def _now_ms(self) -> float:
        return (trio.current_time() - self._origin) * 1000


def _span(name: str, stage: str, started_ms: float, ended_ms: float, failure: Exception | None) -> Span:
    outcome: LookupOutcome = "ok"
    if failure is not None:
        outcome = "timed_out" if isinstance(failure, LookupTimedOut) else "failed"
    word = type(failure).__name__ if outcome == "failed" else ""
    return Span(name, stage, started_ms, ended_ms - started_ms, outcome, word)
