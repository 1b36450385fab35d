"""All lookups of a turn together against a real Postgres: cancelled anywhere, sequential, and one more."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from importlib import import_module
from itertools import pairwise
from pkgutil import iter_modules
from typing import Any

import pytest
import trio

import daemon.lookups as lookups_package
from actors.instance import FeatureFlags, InstanceRecord, Terms
from actors.lookups import Facts, Lookup, facts
from actors.messages import Context, HistoryEntry, Passage
from actors.parallel import LookupRun, Stage, all_or_fail, safe_with_defaults, staged
from actors.ports import Question
from daemon.lookups import LOOKUPS, PostgresLookups
from daemon.lookups.spec import LookupSpec, Means
from tests.support import patience
from tests.support.ledgers import DEMO, LedgerWorld, batch, open_world, until

CUTS = 100
RECORD = InstanceRecord(escalation_enabled=True)
TERMS = Terms(allowed_origins=("https://gateway.example",), turns_per_minute=1)


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn, max_connections=5) as world:
        yield world


def stages(world: LedgerWorld, number: int) -> tuple[Stage, ...]:
    """Run the lookups of a turn."""
    asked = batch("hello", number=number, context=(Context("quote", id="G1"),))
    lookups = PostgresLookups(world.db)  # remembers nothing yet

    def opening(_found: Mapping[str, Any]) -> Mapping[str, Lookup]:
        return {
            "settings": Lookup(lambda: lookups.instance(DEMO.instance)),
            "conversation": Lookup(lambda: world.ledger.begin(asked, world.epoch)),
        }

    def about(found: Mapping[str, Any]) -> Mapping[str, Lookup]:
        return lookups.about(Question(found["conversation"], asked, RECORD, FeatureFlags(), TERMS))

    return Stage("opening", opening, all_or_fail), Stage("lookups", about, safe_with_defaults)


class Cut(trio.abc.Instrument):
    """Cancels a scope before the `at`-th step of any task, the driver's loop included."""

    def __init__(self, scope: trio.CancelScope, at: int) -> None:
        self._scope = scope
        self.steps = 0
        self._at = at

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1
        if self.steps == self._at:
            self._scope.cancel()


async def cut_run(world: LedgerWorld, number: int, at: int) -> tuple[bool, int]:
    """Whether the run was cancelled, and after how many steps."""
    logs: list[LookupRun] = []
    with trio.CancelScope() as scope:
        cut = Cut(scope, at)
        trio.lowlevel.add_instrument(cut)
        try:
            run = await staged(stages(world, number), logs.append)
            assert not run.failures
        finally:
            trio.lowlevel.remove_instrument(cut)
    assert len(logs) == 1
    return scope.cancelled_caught, cut.steps


async def test_cancelled_anywhere_every_connection_is_returned(world: LedgerWorld) -> None:
    """I8: after many runs, each cancelled at a random step of any task, the pool is intact and a run works."""
    chance = random.Random(8)
    _, steps = await cut_run(world, 1, at=-1)
    living = trio.lowlevel.current_statistics().tasks_living
    short = 0
    for number in range(2, CUTS + 2):
        was_cut, _ = await cut_run(world, number, at=chance.randint(1, steps))
        short += was_cut
        # A connection that was left in the middle says farewell by itself.
        await patience.until(lambda: trio.lowlevel.current_statistics().tasks_living == living)
    assert short > CUTS / 2
    busy = "FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
    await until(world.db, f"SELECT count(*) = 1 {busy}")  # the one that asks
    statistics = world.db.statistics()
    assert statistics.idle == statistics.size
    run = await staged(stages(world, CUTS + 2), lambda _: None)
    assert {span.outcome for span in run.spans} == {"ok"}


async def test_one_after_another_finds_the_same(world: LedgerWorld) -> None:
    """The emergency switch `turn.parallel: false`."""
    first = await staged(stages(world, 1), lambda _: None)
    side_by_side = await staged(stages(world, 2), lambda _: None)
    in_a_row = await staged(stages(world, 2), lambda _: None, parallel=False)
    found = facts({k: v for k, v in side_by_side.values.items() if k != "usage"})
    assert found == facts({k: v for k, v in in_a_row.values.items() if k != "usage"})
    unknown = "[answers an earlier message that is not known here]"
    assert found.history == (HistoryEntry("user", f"{unknown}\nhello"),)
    assert {span.name for span in first.spans} == {"settings", "conversation"} | {
        spec.name for spec in LOOKUPS
    }
    ends = [(span.started_ms, span.started_ms + span.took_ms) for span in in_a_row.spans]
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))


def test_no_file_is_left_out_of_the_list() -> None:
    modules = [
        import_module(f"daemon.lookups.{found.name}") for found in iter_modules(lookups_package.__path__)
    ]
    written = [module.LOOKUP for module in modules if hasattr(module, "LOOKUP")]
    assert sorted(spec.name for spec in written) == sorted(spec.name for spec in LOOKUPS)


async def test_one_more_lookup_is_one_more_line(world: LedgerWorld) -> None:
    """Passages of an unknown lookup join the knowledge in the prompt."""

    async def opening_hours(means: Means, question: Question) -> tuple[Passage, ...]:
        day = await means.db.value("SELECT 'Friday'")
        return (Passage("hours", f"{question.batch.conversation.instance} is closed on {day}", 1.0),)

    lookups = PostgresLookups(world.db, sources=[LookupSpec("opening_hours", opening_hours)])
    asked = batch("hello")
    turn = await world.ledger.begin(asked, 1)
    question = Question(turn, asked, InstanceRecord(), FeatureFlags(), Terms())
    run = await safe_with_defaults(lookups.about(question), lambda _: None)
    assert facts(run.values).knowledge == (Passage("hours", "demo is closed on Friday", 1.0),)


async def test_a_lookup_that_fails_leaves_its_default(world: LedgerWorld) -> None:
    async def broken(means: Means, _question: Question) -> object:
        return await means.db.value("SELECT 1 / 0")

    sources = [LookupSpec(name, broken) for name in ("knowledge", "cached_answer", "unheard_of")]
    lookups = PostgresLookups(world.db, sources=sources)
    asked = batch("hello")
    question = Question(await world.ledger.begin(asked, 1), asked, InstanceRecord(), FeatureFlags(), Terms())
    run = await safe_with_defaults(lookups.about(question), lambda _: None)
    assert {span.name for span in run.failures} == {"knowledge", "cached_answer", "unheard_of"}
    assert facts(run.values) == Facts()


def test_an_unknown_value_is_dropped_unless_it_is_knowledge() -> None:
    one, two = Passage("a", "x", 0.5), Passage("b", "y", 0.4)
    found = facts({"duplicate": True, "knowledge": (one,), "more": (two, "no passage"), "settings": object()})
    assert found == Facts(duplicate=True, knowledge=(one, two))
