"""Lookups side by side: the three ways to run them, each with its deadlines, its times and exact outcomes.

    all_or_fail          every value is needed: the first failure cancels the rest and is raised
    safe_with_defaults   every value can be done without: a failure or a late answer gives the default
    staged               several of these one after another, each stage made from what the stages before it found

A turn runs `staged`: its opening by `all_or_fail`, then its lookups by `safe_with_defaults` (`actors/inquiry.py`).

Laws of this file:
1. Every lookup that comes to its end has one outcome, `ok | failed | timed_out | skipped`, and a span in the trace.
   One that the end of the run cuts short has neither.
2. A lookup that is skipped, or whose value is known, costs nothing: no task, no time. Of the others the last runs in
   the task that asks, and those with the longest deadline share one: both cost as much as a quarter of a query.
3. `StaleEpoch` and cancellation end a run at once, however it is run: the work belongs to another daemon.
4. `parallel=False` runs the same lookups one after another, with the same outcomes.
5. A run leaves no task behind and ends once: what ended it is raised, and a log that fails on the way does not hide
   it. Only what is no `Exception` (an interrupt) may come in a group, as it does from any nursery.
6. Each run logs once, also when it fails: how many lookups ran, how long they took, which failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import trio

from actors.errors import MajlisError, StaleEpoch
from actors.lookups import Lookup, LookupOutcome, Span


class LookupTimedOut(MajlisError):
    """A lookup that the turn cannot do without was late. Contrast a failed one: that raises its own error."""


class LookupRun(msgspec.Struct, frozen=True):
    """What one or several stages found."""

    values: Mapping[str, Any] = {}
    spans: tuple[Span, ...] = ()
    total_ms: float = 0.0

    @property
    def failures(self) -> tuple[Span, ...]:
        return tuple(span for span in self.spans if span.outcome in ("failed", "timed_out"))


RunLog = Callable[[LookupRun], None]


async def all_or_fail(
    lookups: Mapping[str, Lookup], log: RunLog, *, stage: str = "needed", parallel: bool = True
) -> LookupRun:
    """Run all; the first that fails cancels the others, and its own error is raised (`LookupTimedOut` if late)."""
    return await _SideBySide(stage, parallel, needed=True).run(lookups, log)


async def safe_with_defaults(
    lookups: Mapping[str, Lookup], log: RunLog, *, stage: str = "optional", parallel: bool = True
) -> LookupRun:
    """Run all; every name has a value, and only `StaleEpoch` or cancellation ends the run early."""
    return await _SideBySide(stage, parallel, needed=False).run(lookups, log)


class Way(Protocol):
    """`all_or_fail` or `safe_with_defaults`."""

    async def __call__(
        self, lookups: Mapping[str, Lookup], log: RunLog, *, stage: str, parallel: bool
    ) -> LookupRun: ...


class Stage(msgspec.Struct, frozen=True):
    name: str
    lookups: Callable[[Mapping[str, Any]], Mapping[str, Lookup]]
    """From the values found so far; an empty mapping ends nothing and costs nothing."""
    way: Way = safe_with_defaults


async def staged(stages: Sequence[Stage], log: RunLog, *, parallel: bool = True) -> LookupRun:
    """Run the stages in order; returns all values and one trace. Raises what a stage raises."""
    combined = _Combined()
    try:
        for stage in stages:
            lookups = stage.lookups(combined.values)
            await stage.way(lookups, combined.add, stage=stage.name, parallel=parallel)
    except BaseException as end:
        _log_end(log, combined.result(), end)
        raise
    run = combined.result()
    log(run)
    return run


class _Combined:
    """The runs of several stages as one."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._started_at = trio.current_time()
        self._spans: list[Span] = []

    def add(self, run: LookupRun) -> None:
        """Take in a stage that has just ended, well or not; it counted its times from its own start."""
        stage_started_ms = _ms_since(self._started_at) - run.total_ms
        self.values.update(run.values)
        self._spans += (
            msgspec.structs.replace(span, started_ms=stage_started_ms + span.started_ms) for span in run.spans
        )

    def result(self) -> LookupRun:
        return LookupRun(dict(self.values), tuple(self._spans), _ms_since(self._started_at))


class _SideBySide:
    """One run of one stage."""

    def __init__(self, stage: str, parallel: bool, *, needed: bool) -> None:
        self._stage = stage
        self._parallel = parallel
        self._needed = needed
        self._started_at = trio.current_time()
        self._values: dict[str, Any] = {}
        self._spans: list[Span] = []
        self._fatal: Exception | None = None
        self._all: trio.CancelScope | None = None
        """Around those that run side by side."""

    async def run(self, lookups: Mapping[str, Lookup], log: RunLog) -> LookupRun:
        try:
            await self._run_all(lookups)
        except BaseException as end:
            _log_end(log, self._result(), end)
            raise
        run = self._result()
        log(run)
        return run

    def _result(self) -> LookupRun:
        return LookupRun(dict(self._values), tuple(self._spans), self._ms())

    async def _run_all(self, lookups: Mapping[str, Lookup]) -> None:
        wanted: dict[str, Lookup] = {}
        now_ms = self._ms()
        for name, lookup in lookups.items():
            if not lookup.skip and lookup.known is None:
                wanted[name] = lookup
                continue
            self._values[name] = lookup.default if lookup.skip else lookup.known
            self._spans.append(Span(name, self._stage, now_ms, 0.0, "skipped" if lookup.skip else "ok"))
        if self._parallel and len(wanted) > 1:
            await self._side_by_side(wanted)
        else:
            for name, lookup in wanted.items():
                await self._bounded(name, lookup)
        # Raised here and not in a task, so that it leaves the nursery as itself and not as a group.
        if self._fatal is not None:
            raise self._fatal

    async def _side_by_side(self, wanted: Mapping[str, Lookup]) -> None:
        started_ms, longest_seconds = self._ms(), max(lookup.deadline_seconds for lookup in wanted.values())
        *others, last = wanted

        async def run(name: str) -> None:
            lookup = wanted[name]
            if lookup.deadline_seconds < longest_seconds:
                await self._bounded(name, lookup)
            else:
                await self._run_one(name, lookup, bound)

        async with trio.open_nursery() as nursery:
            self._all = bound = nursery.cancel_scope
            bound.deadline = trio.current_time() + longest_seconds
            for name in others:
                nursery.start_soon(run, name, name=f"lookup/{name}")
            await run(last)
        if self._fatal is None and bound.cancelled_caught:
            ended = {span.name for span in self._spans}
            for name in (name for name in wanted if name not in ended):
                self._end(name, wanted[name].default, started_ms, LookupTimedOut(name))

    async def _bounded(self, name: str, lookup: Lookup) -> None:
        """Run one lookup under a deadline of its own."""
        started_ms = self._ms()
        with trio.move_on_after(lookup.deadline_seconds) as bound:
            await self._run_one(name, lookup, bound)
        if bound.cancelled_caught:
            self._end(name, lookup.default, started_ms, LookupTimedOut(name))

    async def _run_one(self, name: str, lookup: Lookup, bound: trio.CancelScope) -> None:
        """Bring one lookup to its outcome, unless `bound` cuts it short."""
        if self._fatal is not None:
            return
        started_ms, value = self._ms(), lookup.default
        failure: Exception | None = None
        try:
            value = await lookup.call()
        except Exception as error:
            # A driver that is cancelled by the deadline may raise an error of its own: it is late all the same.
            is_late = bound.cancel_called and self._fatal is None and not isinstance(error, StaleEpoch)
            failure = LookupTimedOut(name) if is_late else error
        self._end(name, value, started_ms, failure)

    def _end(self, name: str, value: Any, started_ms: float, failure: Exception | None) -> None:
        """Note the outcome of one lookup; an error that ends the run cancels the others."""
        self._spans.append(_span(name, self._stage, started_ms, self._ms(), failure))
        if failure is None or not (self._needed or isinstance(failure, StaleEpoch)):
            self._values[name] = value
            return
        self._fatal = self._fatal or failure
        if self._all is not None:
            self._all.cancel()

    def _ms(self) -> float:
        return _ms_since(self._started_at)


def _log_end(log: RunLog, run: LookupRun, end: BaseException) -> None:
    """Log a run that `end` cut short. `end` is what the caller must see, also when the log fails."""
    try:
        log(run)
    except Exception as error:
        end.add_note(f"The log of this run failed as well: {type(error).__name__}.")


def _ms_since(started_at: float) -> float:
    return (trio.current_time() - started_at) * 1000


def _span(name: str, stage: str, started_ms: float, ended_ms: float, failure: Exception | None) -> Span:
    outcome: LookupOutcome = "ok"
    if failure is not None:
        outcome = "timed_out" if isinstance(failure, LookupTimedOut) else "failed"
    error = type(failure).__name__ if outcome == "failed" else ""
    return Span(name, stage, started_ms, ended_ms - started_ms, outcome, error)
