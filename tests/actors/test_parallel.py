"""Lookups side by side: outcomes, times, the one log of a run, and that nothing is left behind wherever it is cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import StaleEpoch
from actors.lookups import Lookup, LookupOutcome, Span
from actors.parallel import LookupRun, LookupTimedOut, Stage, all_or_fail, safe_with_defaults, staged


async def said(value: object, seconds: float = 0.0) -> object:
    """A lookup that takes `seconds` and says `value`, or fails with it."""
    await trio.sleep(seconds)
    if isinstance(value, Exception):
        raise value
    return value


def looking(
    value: object, seconds: float = 0.0, default: object = None, deadline_seconds: float = 3.0
) -> Lookup:
    return Lookup(partial(said, value, seconds), default, deadline_seconds)


def outcomes(run: LookupRun) -> dict[str, LookupOutcome]:
    return {span.name: span.outcome for span in run.spans}


class Log:
    def __init__(self) -> None:
        self.runs: list[LookupRun] = []

    def __call__(self, run: LookupRun) -> None:
        self.runs.append(run)

    @property
    def only(self) -> LookupRun:
        [run] = self.runs
        return run


@pytest.fixture
def log() -> Log:
    return Log()


async def test_all_run_at_once_and_each_has_its_outcome(autojump_clock: trio.abc.Clock, log: Log) -> None:
    run = await safe_with_defaults(
        {
            "good": looking("x", 1),
            "slow": looking("never", 60, default="default", deadline_seconds=2),
            "broken": looking(ValueError("a secret"), default=0),
            "needless": Lookup(partial(pytest.fail, "a skipped lookup was called"), "none", skip=True),
        },
        log,
    )
    assert trio.current_time() == pytest.approx(2)
    assert run.values == {"good": "x", "slow": "default", "broken": 0, "needless": "none"}
    assert outcomes(run) == {"good": "ok", "slow": "timed_out", "broken": "failed", "needless": "skipped"}
    spans = {span.name: span for span in run.spans}
    assert spans["broken"].error == "ValueError"
    assert spans["good"].took_ms == pytest.approx(1000)
    assert spans["slow"].took_ms == run.total_ms == pytest.approx(2000)
    assert {span.name for span in run.failures} == {"slow", "broken"}
    assert log.only == run


async def test_lookups_one_after_another_find_the_same(autojump_clock: trio.abc.Clock, log: Log) -> None:
    lookups = {
        "one": looking("x", 1),
        "two": looking("y", 60, deadline_seconds=2),
        "three": looking(ValueError("a secret"), 1, default=0),
    }
    side_by_side = await safe_with_defaults(lookups, log)
    in_a_row = await safe_with_defaults(lookups, log, parallel=False)
    assert in_a_row.values == side_by_side.values
    assert outcomes(in_a_row) == outcomes(side_by_side)
    assert [(span.name, round(span.started_ms)) for span in in_a_row.spans] == [
        ("one", 0),
        ("two", 1000),
        ("three", 3000),
    ]
    assert (round(side_by_side.total_ms), round(in_a_row.total_ms)) == (2000, 4000)


@pytest.mark.parametrize("parallel", [True, False])
async def test_the_first_failure_ends_a_run_that_needs_all(
    autojump_clock: trio.abc.Clock, log: Log, parallel: bool
) -> None:
    calls: list[str] = []

    async def at_once(name: str) -> str:
        calls.append(name)
        return name

    lookups = {
        "good": looking("x", 1),
        "broken": looking(ValueError("mine"), 2),
        "late": Lookup(partial(at_once, "late")),
        "endless": looking("never", 600, deadline_seconds=900),
    }
    with pytest.raises(ValueError, match="mine"):
        await all_or_fail(lookups, log, parallel=parallel)
    assert trio.current_time() < 600
    assert outcomes(log.only) | {"late": "ok"} == {"good": "ok", "broken": "failed", "late": "ok"}
    assert calls == (["late"] if parallel else [])


async def test_a_needed_lookup_that_is_late_says_so(autojump_clock: trio.abc.Clock, log: Log) -> None:
    with pytest.raises(LookupTimedOut, match="slow"):
        await all_or_fail({"slow": looking("x", 9, deadline_seconds=1)}, log)
    assert outcomes(log.only) == {"slow": "timed_out"}


async def test_an_error_caused_by_the_deadline_counts_as_late(
    autojump_clock: trio.abc.Clock, log: Log
) -> None:
    async def driver() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ConnectionError("cancelled on the way")

    run = await safe_with_defaults({"one": Lookup(driver, "default", 1)}, log)
    assert (outcomes(run), run.values) == ({"one": "timed_out"}, {"one": "default"})


async def test_a_stale_epoch_is_never_too_late(autojump_clock: trio.abc.Clock, log: Log) -> None:
    async def driver() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise StaleEpoch("seen on the way out")

    with pytest.raises(StaleEpoch):
        await safe_with_defaults({"one": Lookup(driver, "default", 1)}, log)


async def test_the_first_failure_is_the_one_that_is_raised(autojump_clock: trio.abc.Clock, log: Log) -> None:
    async def falling_over() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("only because of the other one")

    lookups = {"after": Lookup(falling_over), "before": looking(ValueError("mine"), 1)}
    with pytest.raises(ValueError, match="mine"):
        await all_or_fail(lookups, log)


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("way", [safe_with_defaults, all_or_fail])
async def test_losing_ownership_is_not_a_default(
    autojump_clock: trio.abc.Clock, log: Log, way: Callable[..., Awaitable[LookupRun]], parallel: bool
) -> None:
    """I5: work under an old epoch stops, whatever way it is run."""
    lookups = {"one": looking(StaleEpoch("x"), 1), "two": looking("never", 600, deadline_seconds=900)}
    with pytest.raises(StaleEpoch):
        await way(lookups, log, parallel=parallel)
    assert trio.current_time() == pytest.approx(1)
    assert outcomes(log.only) == {"one": "failed"}


async def test_stages_see_what_was_found_and_make_one_trace(autojump_clock: trio.abc.Clock, log: Log) -> None:
    run = await staged(
        (
            Stage("first", lambda _: {"a": looking(2, 1), "b": looking(3, 2)}, all_or_fail),
            Stage("second", lambda found: {"c": looking(found["a"] * found["b"], 1)}),
            Stage("third", lambda _: {}),
            Stage("fourth", lambda found: {"d": Lookup(partial(said, 0), found["c"], skip=found["c"] == 6)}),
        ),
        log,
    )
    assert run.values == {"a": 2, "b": 3, "c": 6, "d": 6}
    assert [(span.stage, span.name, round(span.started_ms), round(span.took_ms)) for span in run.spans] == [
        ("first", "a", 0, 1000),
        ("first", "b", 0, 2000),
        ("second", "c", 2000, 1000),
        ("fourth", "d", 3000, 0),
    ]
    assert log.only == run


async def test_a_failed_stage_is_the_last(autojump_clock: trio.abc.Clock, log: Log) -> None:
    with pytest.raises(ValueError, match="mine"):
        await staged(
            (
                Stage("first", lambda _: {"a": looking(ValueError("mine"))}, all_or_fail),
                Stage("second", lambda _: pytest.fail("the second stage was made")),
            ),
            log,
        )
    assert outcomes(log.only) == {"a": "failed"}


async def test_a_skipped_lookup_starts_no_task(log: Log) -> None:
    tasks: list[str] = []

    class Watch(trio.abc.Instrument):
        def task_spawned(self, task: trio.lowlevel.Task) -> None:
            tasks.append(task.name)

    watch = Watch()
    trio.lowlevel.add_instrument(watch)
    needless = {"a": Lookup(partial(said, 1), 0, skip=True), "b": Lookup(partial(said, 2), known=3)}
    with trio.testing.assert_no_checkpoints():
        run = await safe_with_defaults(needless, log)
    assert (run.values, outcomes(run)) == ({"a": 0, "b": 3}, {"a": "skipped", "b": "ok"})
    assert (await safe_with_defaults({**needless, "c": looking(4)}, log)).values["c"] == 4
    assert tasks == []
    await safe_with_defaults({**needless, "c": looking(4), "d": looking(5)}, log)
    trio.lowlevel.remove_instrument(watch)
    assert tasks == ["lookup/c"]


async def test_who_shares_a_deadline_is_late_with_the_others(
    autojump_clock: trio.abc.Clock, log: Log
) -> None:
    slow = {"a": looking(1, 9), "b": looking(2, 9, deadline_seconds=1), "c": looking(3, 9, "default")}
    run = await safe_with_defaults({**slow, "d": looking(4, 2)}, log)
    assert outcomes(run) == {"a": "timed_out", "b": "timed_out", "c": "timed_out", "d": "ok"}
    assert {span.name: round(span.took_ms) for span in run.spans} == {
        "a": 3000,
        "b": 1000,
        "c": 3000,
        "d": 2000,
    }
    assert run.values == {"a": None, "b": None, "c": "default", "d": 4}
    with pytest.raises(LookupTimedOut, match="a"):
        await all_or_fail({"a": looking(1, 9), "c": looking(3, 9)}, log)


async def test_a_log_that_fails_hides_nothing() -> None:
    def broken(_run: LookupRun) -> None:
        raise KeyError("of the log")

    with pytest.raises(StaleEpoch) as caught:
        await safe_with_defaults({"one": looking(StaleEpoch("x"))}, broken)
    assert any("KeyError" in note for note in caught.value.__notes__)
    with trio.CancelScope() as scope:
        scope.cancel()
        await safe_with_defaults({"one": looking(1)}, broken)
    assert scope.cancelled_caught
    with pytest.raises(KeyError):
        await safe_with_defaults({"one": looking(1)}, broken)


class Interrupt(BaseException):
    """What no lookup may handle."""


@pytest.mark.parametrize("parallel", [True, False])
async def test_an_interrupt_ends_everything(autojump_clock: trio.abc.Clock, log: Log, parallel: bool) -> None:
    async def interrupted() -> None:
        await trio.sleep(1)
        raise Interrupt

    lookups = {
        "one": looking("x"),
        "two": Lookup(interrupted),
        "three": looking("never", 600, deadline_seconds=900),
    }
    with pytest.RaisesGroup(Interrupt) if parallel else pytest.raises(Interrupt):
        await safe_with_defaults(lookups, log, parallel=parallel)
    assert trio.current_time() == pytest.approx(1)
    assert outcomes(log.only) == {"one": "ok"}


class Cut(trio.abc.Instrument):
    """Cancels a scope before the `at`-th step of any task."""

    def __init__(self, scope: trio.CancelScope, at: int) -> None:
        self._scope = scope
        self._left = at

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


class Connections:
    """What a lookup holds while it asks, and must give back."""

    def __init__(self) -> None:
        self.held = 0
        self.taken = 0

    async def ask(self, steps: int, value: object) -> object:
        self.held += 1
        self.taken += 1
        try:
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            return await said(value)
        finally:
            self.held -= 1


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("ending", ["well", "failing", "stale"])
async def test_cut_at_any_step_nothing_is_left(ending: str, parallel: bool) -> None:
    """Every step of every task in turn: no task, no connection, one log, and the cut or the run's own end is heard."""
    ends: dict[str, object] = {"well": "y", "failing": ValueError("mine"), "stale": StaleEpoch("x")}
    cut_short = 0
    for at in range(1, 1000):
        connections, log = Connections(), Log()
        stages = (
            Stage(
                "first",
                lambda _, db=connections: {
                    n: Lookup(partial(db.ask, k, n)) for k, n in enumerate("ab", start=1)
                },  # type: ignore[misc]
                all_or_fail,
            ),
            Stage(
                "second",
                lambda _, db=connections: {  # type: ignore[misc]
                    "c": Lookup(partial(db.ask, 3, "c")),
                    "d": Lookup(partial(db.ask, 2, ends[ending])),
                    "e": Lookup(partial(db.ask, 4, "e")),
                },
                all_or_fail if ending == "failing" else safe_with_defaults,
            ),
        )
        living = trio.lowlevel.current_statistics().tasks_living
        finished: list[LookupRun] = []
        raised: Exception | None = None
        with trio.CancelScope() as scope:
            cut = Cut(scope, at)
            trio.lowlevel.add_instrument(cut)
            try:
                finished.append(await staged(stages, log, parallel=parallel))
            except (ValueError, StaleEpoch) as error:
                raised = error
            finally:
                trio.lowlevel.remove_instrument(cut)
        assert trio.lowlevel.current_statistics().tasks_living == living
        assert connections.held == 0
        run = log.only
        names = [span.name for span in run.spans]
        assert len(names) == len(set(names))
        assert scope.cancelled_caught + len(finished) + (raised is not None) == 1
        cut_short += scope.cancelled_caught
        if not scope.cancel_called:
            assert raised is ends[ending] if ending != "well" else finished == [run]
            break
    else:
        pytest.fail("the run never came to its end")
    assert cut_short > 10


spans = st.tuples(
    st.sampled_from(["ok", "failed", "late", "skip", "known", "stale"]),
    st.floats(0.1, 5, allow_nan=False),
    st.sampled_from([6.0, 10.0]),
)


@given(st.lists(spans, max_size=6), st.booleans(), st.booleans())
def test_every_run_reports_exactly_what_happened(
    plan: list[tuple[str, float, float]], needed: bool, parallel: bool
) -> None:
    """Whatever is asked: each lookup that ended has one span, each value or default is there, and the first that is
    fatal is what is raised.
    """

    def lookup(kind: str, seconds: float, deadline_seconds: float) -> Lookup:
        value = {"failed": ValueError(), "stale": StaleEpoch()}.get(kind, seconds)
        takes = deadline_seconds + seconds if kind == "late" else seconds
        known = seconds if kind == "known" else None
        return Lookup(partial(said, value, takes), "default", deadline_seconds, kind == "skip", known)

    log = Log()

    async def main() -> LookupRun:
        lookups = {str(place): lookup(*kind) for place, kind in enumerate(plan)}
        return await staged(
            (Stage("only", lambda _: lookups, all_or_fail if needed else safe_with_defaults),),
            log,
            parallel=parallel,
        )

    fatal = {"failed", "late", "stale"} if needed else {"stale"}
    try:
        run = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    except (ValueError, StaleEpoch, LookupTimedOut):
        assert any(kind in fatal for kind, *_ in plan)
    else:
        assert not any(kind in fatal for kind, *_ in plan)
        assert run == log.only
        words: dict[str, str] = {"late": "timed_out", "skip": "skipped", "known": "ok"}
        assert outcomes(run) == {str(n): words.get(kind, kind) for n, (kind, *_) in enumerate(plan)}
        values = {str(n): s if kind in ("ok", "known") else "default" for n, (kind, s, _) in enumerate(plan)}
        assert run.values == values
    said_names = [span.name for span in log.only.spans]
    assert len(said_names) == len(set(said_names))


def test_failures_are_what_failed_or_was_late() -> None:
    words: tuple[LookupOutcome, ...] = ("ok", "failed", "timed_out", "skipped")
    run = LookupRun({}, tuple(Span(word, "s", 0, 0, word) for word in words))
    assert [span.name for span in run.failures] == ["failed", "timed_out"]
