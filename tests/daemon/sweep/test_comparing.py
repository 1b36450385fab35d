"""One instance's sweep: everything that is missing is heard once, in order, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.errors import ConversationFull
from actors.messages import Message
from daemon.config.sections import SweepSettings
from daemon.observe.feed import EventFeed
from daemon.sweep import plan
from daemon.sweep.comparing import MAX_REQUESTS, Comparison, Result, WhatIsKnown
from daemon.sweep.plan import Mark
from tests.support.records import NOW, Died, MemoryHall, MemoryRecords, said, wall, wrote

DAY = 86_400
SETTINGS = SweepSettings(max_age_seconds=6 * 3_600, settle_seconds=30)


async def no_pace() -> None:
    await trio.lowlevel.checkpoint()


class Swept:
    """Records, what was heard, and sweeps over them."""

    def __init__(self, *kept: Any, **records: Any) -> None:
        self.records = MemoryRecords(list(kept), **records)
        self.hall = MemoryHall()
        self.feed = EventFeed(strict=True)
        self.mark = Mark(NOW - 3_600, NOW - 3_600)

    def comparison(self) -> Comparison:
        hall = self.hall
        known = WhatIsKnown(hall.heard, hall.settle, hall.phones, hall.reach)
        return Comparison("demo", self.records, hall, known, SETTINGS, self.feed, wall, no_pace)

    async def sweep(self, **how: Any) -> Result:
        return await self.comparison().run(self.hall.marks.get("demo", self.mark), **how)

    @property
    def heard(self) -> dict[str, str]:
        return {message.id: message.swept for message in self.hall.stored}


async def test_what_is_missing_is_heard_once_and_in_order(autojump_clock: trio.testing.MockClock) -> None:
    here = Swept(said("A", 900), said("B", 300), said("C", 600), said("NEW", 10), said("KNOWN", 100))
    here.hall.in_ledger = {"KNOWN"}
    assert await here.sweep() == Result(True, NOW - 30, plan.SLICE_SECONDS, 3, 1, 0.0)
    assert list(here.heard.items()) == [("A", "missed"), ("C", "missed"), ("B", "missed")]
    assert here.hall.marks == {"demo": Mark(NOW - 3_600, NOW - 30)}
    assert (await here.sweep()).found == 0
    assert here.feed.reasons("message.swept") == {"missed": 3}


@pytest.mark.parametrize(("ahead_seconds", "at"), [(-7_200.0, NOW - 7_200), (7_200.0, NOW)])
async def test_the_first_sweep_only_sets_its_mark_by_the_clock_that_is_behind(
    ahead_seconds: float, at: int, autojump_clock: trio.testing.MockClock
) -> None:
    here = Swept(said("A", 900), ahead_seconds=ahead_seconds)
    assert (await here.comparison().begin()).done
    assert (here.hall.marks["demo"], here.heard) == (Mark(at, at), {})


async def test_a_gateway_whose_clock_is_ahead_hides_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """I2: what customers write bears WhatsApp's time, whatever the gateway's clock says."""
    here = Swept(ahead_seconds=7 * 3_600.0)
    await here.comparison().begin()
    for number in range(3):
        await trio.sleep(600)
        here.records.kept += [
            said(f"NEW-{number}", 60 - round(trio.current_time())),
            wrote(f"OWN-{number}", -7 * 3_600 - round(trio.current_time()), "558"),
        ]
        await here.sweep()
    assert here.heard == {"NEW-0": "missed", "NEW-1": "missed", "NEW-2": "missed"}


async def test_what_the_business_answered_or_is_too_old_is_history(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A person's answer counts, and ours, under the number and under the LID, also long after the slice."""
    lid = "168500000001@lid"
    here = Swept(
        said("OLD", 7 * 3_600, "551"),
        said("ANSWERED", 5 * 3_600, "552"),
        wrote("PERSON", 600, "552"),
        said("LID", 5 * 3_600, "553"),
        wrote("OWN", 4 * 3_600, lid),
        said("BEFORE", 500, "554"),
        wrote("EARLIER", 501, "554"),
        wrote("SAME", 500, "554"),
        said("OPEN", 400, "555"),
        wrote("REPLY", 10, "556"),
        said("JUST", 400, "556"),
    )
    here.mark = Mark(NOW - 8 * 3_600, NOW - 8 * 3_600)
    here.hall.linked = {lid: "553"}
    here.hall.ours = {"OWN", "REPLY"}
    assert (await here.sweep()).done
    assert here.heard == {
        "OLD": "too_old",
        "ANSWERED": "already_answered",
        "LID": "already_answered",
        "BEFORE": "missed",
        "OPEN": "missed",
        "JUST": "already_answered",
    }


async def test_a_person_is_heeded_before_customers_are_heard(autojump_clock: trio.testing.MockClock) -> None:
    """What Majlis sent itself is no person; oldest first."""
    here = Swept(said("A", 900), wrote("P1", 800), wrote("OURS", 700), wrote("P2", 600), said("B", 500))
    here.hall.ours = {"OURS"}
    await here.sweep()
    assert here.hall.steps == ["P1", "P2", "A", "B"]


async def test_a_message_that_cannot_be_stored_keeps_the_mark(autojump_clock: trio.testing.MockClock) -> None:
    """I1: the others of the slice are stored all the same, and not again."""
    here = Swept(said("FULL", 900), said("B", 300))
    here.hall.refuses = lambda message: ConversationFull("full") if message.id == "FULL" else None
    with pytest.raises(ConversationFull):
        await here.sweep()
    assert (list(here.heard), here.hall.marks) == (["B"], {})
    here.hall.refuses = lambda message: None
    assert (await here.sweep()).found == 1


async def test_too_many_pages_make_the_slices_shorter(autojump_clock: trio.testing.MockClock) -> None:
    here = Swept(*(said(f"M{n}", 3_500 - n) for n in range(3_000)), size=50)
    results = [await here.sweep()]
    while not results[-1].done:
        results.append(await here.sweep(before=results[-1]))
    assert len(here.heard) == 3_000
    assert here.feed.counters["sweep.gap"] == 0
    assert max(result.requests for result in results) <= MAX_REQUESTS + 2 * plan.MOST_PAGES


@pytest.mark.parametrize("how", [{"ignores_time": True}, {"ignores_pages": True}])
async def test_a_gateway_that_ignores_what_is_asked_is_read_within_bounds(
    how: dict[str, bool], autojump_clock: trio.testing.MockClock
) -> None:
    """I8. What cannot be read is told, and holds up nothing."""
    here = Swept(*(said(f"M{n}", 3_500 - n) for n in range(3_000)), **how)
    result = await here.sweep()
    while not result.done:
        result = await here.sweep(before=result)
    assert result.at == NOW - 30
    assert here.feed.counters["sweep.gap"] >= 1
    assert len(here.records.requests) < 2_000
    few = Swept(said("A", 900), said("ANCIENT", DAY), **how)
    await few.sweep()
    assert few.heard == {"A": "missed"}


async def test_a_long_absence_reads_no_more_than_a_week(autojump_clock: trio.testing.MockClock) -> None:
    here = Swept(said("A", 6 * DAY), said("ANCIENT", 20 * DAY))
    here.mark = Mark(NOW - 30 * DAY, NOW - 30 * DAY)
    await here.sweep()
    assert here.heard == {"A": "too_old"}
    assert here.feed.reasons("sweep.gap") == {"too_long_ago": 1}
    assert len(here.records.requests) < 20, "quiet days are read in long slices"


async def test_a_wide_sweep_looks_back_but_never_before_the_floor(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A phone that was offline gives its messages late, with their old times."""
    here = Swept(said("LATE", 1_800), said("BEFORE", 2_500))
    here.mark = Mark(NOW - 2_000, NOW - 600)
    await here.sweep()
    assert here.heard == {}
    await here.sweep(wide=True)
    assert here.heard == {"LATE": "missed"}


async def test_a_mark_of_a_corrected_clock_is_taken_back(autojump_clock: trio.testing.MockClock) -> None:
    here = Swept(said("A", 900))
    here.mark = Mark(NOW + 10 * DAY, NOW + 10 * DAY)
    await here.sweep()
    assert (here.heard, here.hall.marks["demo"].until) == ({"A": "missed"}, NOW - 30)


RECORDS = st.lists(
    st.tuples(
        st.integers(31, 20_000), st.integers(0, 3), st.sampled_from(["waits", "heard", "missing", "own"])
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(records=RECORDS, size=st.integers(1, 7), dies=st.lists(st.integers(0, 4), max_size=4))
def test_whatever_the_pages_and_wherever_it_dies(
    records: Sequence[tuple[int, int, str]], size: int, dies: Sequence[int]
) -> None:
    """I1, I2, I13: everything missing is heard once, and what was heard is not heard again."""
    kept: list[Any] = []
    for number, (ago, chat, _) in enumerate(records):
        make = wrote if records[number][2] == "own" else said
        kept.append(make(f"M{number}", ago, f"55119{chat}"))
    here = Swept(*kept, size=size)
    here.mark = Mark(NOW - 18_000, NOW - 18_000)
    state = {f"M{number}": what for number, (_, _, what) in enumerate(records)}
    here.hall.in_ledger = {id for id, what in state.items() if what == "heard"}
    waiting = [one for one in kept if state[one.id] == "waits"]
    here.hall.stored = list(waiting)

    async def all_sweeps() -> None:
        for after in dies:
            here.hall.dies_after = after
            with suppress(Died):
                await here.sweep()
        here.hall.dies_after = None
        result = await here.sweep()
        while not result.done:
            result = await here.sweep(before=result)
        assert (await here.sweep(wide=True)).found == 0

    trio.run(all_sweeps, clock=trio.testing.MockClock(autojump_threshold=0))
    got: list[Message] = here.hall.stored[len(waiting) :]
    within = {one.id: one for one in kept if one.sent_at >= NOW - 18_000}
    assert sorted(message.id for message in got) == sorted(id for id in within if state[id] == "missing")
    for message in got:
        later = [one for one in kept if state[one.id] == "own" and one.contact == message.contact]
        answered = any(one.sent_at > message.sent_at for one in later)
        assert message.swept == ("already_answered" if answered else "missed"), message
