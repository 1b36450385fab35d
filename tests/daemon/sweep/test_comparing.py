"""One instance's sweep: everything that is missing is heard once, in order, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.errors import ConversationFull, MirrorUnavailable
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
        known = WhatIsKnown(hall.heard, hall.settle, hall.answers, hall.phones, hall.reach)
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


async def test_the_first_sweep_only_sets_its_mark_by_the_clock_that_is_behind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for ahead, at in ((7_200.0, NOW), (-7_200.0, NOW - 7_200)):
        here = Swept(said("A", 900), ahead_seconds=ahead)
        assert (await here.comparison().begin()).done
        assert (here.hall.marks["demo"], here.heard) == (Mark(at, at), {})


async def test_a_gateway_whose_clock_is_ahead_hides_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """I1: customers' messages bear WhatsApp's time, whatever the gateway's clock shows."""
    here = Swept(ahead_seconds=3_600.0)
    first = await here.sweep()
    await trio.sleep(100)
    here.records.kept.append(said("A", -10))
    await here.sweep(ahead_seconds=first.ahead_seconds)
    assert here.heard == {"A": "missed"}


async def test_a_second_that_two_pages_share_is_read_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """I1: the gateway orders its records differently for each page, so one of them may be on neither."""
    shared = [said(f"T{n}", 250, f"55{n}") for n in range(3)]
    shared_answers = [wrote(f"W{n}", 150, f"55{n}") for n in range(3)]
    later = [said(f"N{n}", 200 + n) for n in range(3)]
    here = Swept(*later, *shared, said("OLD", 300), *shared_answers, size=4)
    await here.sweep()
    assert list(here.heard) == ["OLD", "T0", "T1", "T2", "N2", "N1", "N0"]
    missed = ["OLD", "N2", "N1", "N0"]
    assert [id for id, rule in here.heard.items() if rule == "missed"] == missed


def test_of_a_second_on_two_pages_the_order_is_that_of_the_whole_one() -> None:
    """I4: the first page has some of it, the second one all."""
    first, second, third = said("A", 100), said("B", 100), said("C", 100)
    assert plan.in_order([said("NEW", 90), second, third, second, first]) == [
        first,
        second,
        third,
        said("NEW", 90),
    ]
    own = [wrote("NEW", 90), wrote("B", 100), wrote("C", 100), wrote("B", 100), wrote("LATER", 10)]
    assert [item.id for item in plan.until_of(own, NOW - 20)] == ["NEW", "C", "B"]


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
    assert here.hall.wrote["P1"] == [NOW - 900, NOW - 500], "what is missing tells a greeting"


async def test_a_message_that_cannot_be_stored_keeps_the_mark(autojump_clock: trio.testing.MockClock) -> None:
    """I1: the others of the slice are stored all the same, and not again."""
    here = Swept(said("AWAY", 900), said("B", 300))
    here.hall.refuses = lambda message: MirrorUnavailable("timeout") if message.id == "AWAY" else None
    with pytest.raises(MirrorUnavailable):
        await here.sweep()
    assert (list(here.heard), here.hall.marks) == (["B"], {})
    here.hall.refuses = lambda message: None
    assert (await here.sweep()).found == 1


async def test_a_full_conversation_delays_nobody_else(autojump_clock: trio.testing.MockClock) -> None:
    """I9: what others said in later slices is heard, while the mark waits for the full one."""
    here = Swept(said("FULL", 9 * 3_600), said("LATER", 300, "552"), said("NEVER", 200, "553"))
    here.mark = Mark(NOW - 10 * 3_600, NOW - 10 * 3_600)
    refusals = {"FULL": ConversationFull("full"), "NEVER": ValueError("not valid Unicode")}
    here.hall.refuses = lambda message: refusals.get(message.id)
    with pytest.raises(ConversationFull):
        await here.sweep()
    assert (list(here.heard), here.hall.marks) == (["LATER"], {})
    del refusals["FULL"]
    assert ((await here.sweep()).done, here.heard["FULL"]) == (True, "too_old")
    assert here.hall.marks["demo"].until == NOW - 30, "what can never be stored is told, and passed over"
    assert here.feed.reasons("sweep.gap") == {"not_storable": 2}


async def test_a_reply_of_ours_answers_only_what_it_heard(autojump_clock: trio.testing.MockClock) -> None:
    """I2: lost within the window of a burst, or while the reply was written, it is still owed an answer."""
    here = Swept(
        said("HEARD", 900, "551"),
        said("LOST", 896, "551"),
        wrote("REPLY-1", 880, "551"),
        said("PASSED", 700, "552"),
        said("WENT-ON", 690, "552"),
        wrote("REPLY-2", 680, "552"),
        said("ASKED", 500, "553"),
        wrote("FALLBACK", 490, "553"),
        said("UNKNOWN", 400, "554"),
        wrote("REPLY-4", 390, "554"),
    )
    here.hall.in_ledger = {"HEARD", "WENT-ON"}
    here.hall.ours = {"REPLY-1", "REPLY-2", "FALLBACK", "REPLY-4"}
    here.hall.replies = {"REPLY-1": NOW - 900, "REPLY-2": NOW - 690, "FALLBACK": 0}
    await here.sweep()
    assert here.heard == {
        "LOST": "missed",
        "PASSED": "already_answered",
        "ASKED": "missed",
        "UNKNOWN": "already_answered",
    }


async def test_what_a_program_may_have_sent_silences_nobody_who_was_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A shop's notices go through the same gateway, and its records do not tell them from a person's words."""
    lid = "168500000001@lid"
    here = Swept(
        said("KNOWN", 3_000, "551"),
        wrote("NOTICE", 2_900, "551"),
        said("HEARD", 2_800, "552"),
        wrote("PHONE", 2_700, "552", on_phone=True),
        wrote("PERSON", 30_000, lid),
        said("LOST", 600, "553"),
        wrote("LATER", 500, "554"),
    )
    here.hall.in_ledger = {"KNOWN", "HEARD"}
    here.hall.linked = {lid: "553"}
    here.mark = Mark(NOW - 40_000, NOW - 40_000)
    assert (await here.sweep()).done
    assert here.hall.steps == ["PERSON", "PHONE", "LOST"], "webhooks were lost in the one chat alone"


async def test_messages_of_one_second_on_two_pages_are_all_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """I1: a database sorts equal times anew for each page, and so may show a message on none of them."""
    kept = [said(f"M{n}", 900 + n // 7, f"55119{n}") for n in range(40)]
    here = Swept(*kept, *(wrote(f"O{n}", 800 + n // 7, f"55119{n}") for n in range(40)), size=9)
    await here.sweep()
    assert here.heard == {one.id: "already_answered" for one in kept}


async def test_a_gateway_whose_clock_is_ahead_loses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """I1: a customer's message has WhatsApp's time, while the mark goes by the gateway's."""
    here = Swept(ahead_seconds=3_600.0)
    here.mark = Mark(NOW - 7_200, NOW - 7_200)
    first = await here.sweep()
    here.records.kept.append(said("A", 60))
    assert (await here.sweep(ahead_seconds=first.ahead_seconds)).found == 1


async def test_too_many_pages_make_the_slices_shorter(autojump_clock: trio.testing.MockClock) -> None:
    here = Swept(*(said(f"M{n}", 3_500 - n) for n in range(3_000)), size=50)
    results = [await here.sweep()]
    while not results[-1].done:
        results.append(await here.sweep(before=results[-1]))
    assert len(here.heard) == 3_000
    assert here.feed.counters["sweep.gap"] == 0
    assert max(result.requests for result in results) <= MAX_REQUESTS + 2 * plan.MOST_PAGES


async def test_dense_traffic_is_read_whole_in_few_requests(autojump_clock: trio.testing.MockClock) -> None:
    """I8, I10: a full page of every second, and a gateway whose clock is ahead: what is too much for a slice is seen by
    its first page."""
    asked = [said(f"M{n}", 200 - n // 8, f"55119{n % 20}") for n in range(1_300)]
    answered = [wrote(f"R{n}", 200 - n // 4 - 150, f"55119{n % 20}") for n in range(600)]
    here = Swept(*asked, *answered, ahead_seconds=150.0)
    here.mark = Mark(NOW - 200, NOW - 200)
    here.hall.in_ledger = {one.id for one in asked[:1_200]}
    here.hall.ours = {one.id for one in answered}
    result = await here.sweep(wide=True)
    assert (result.done, result.found) == (True, 100)
    assert result.requests < MAX_REQUESTS


async def test_what_a_webhook_brought_meanwhile_is_not_heard_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """I3: a look for later answers takes many requests, and a mirror that lost its tail knows the message no more."""
    here = Swept(said("A", 7_000), said("B", 6_900))
    here.mark = Mark(NOW - 7_200, NOW - 7_200)
    own_only = 4

    def turn_begins(_: str) -> None:
        if here.records.requests[-1][own_only]:
            here.hall.in_ledger = {"A"}

    here.records.fails = turn_begins
    assert (await here.sweep()).done
    assert here.heard == {"B": "missed"}


async def test_an_answer_by_a_clock_that_is_ahead_is_one(autojump_clock: trio.testing.MockClock) -> None:
    """I6: who was answered by hand through a gateway whose clock is ahead is not answered again."""
    here = Swept(said("ASKED", 600), wrote("ANSWER", -140), ahead_seconds=150.0)
    here.mark = Mark(NOW - plan.SLICE_SECONDS + 50, NOW - plan.SLICE_SECONDS + 50)
    await here.sweep()
    assert here.heard == {"ASKED": "already_answered"}


async def test_a_second_that_fills_pages_is_read_by_their_numbers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    here = Swept(*(said(f"M{n}", 300) for n in range(7)), said("OLD", 400), size=3)
    assert (await here.sweep()).done
    assert [number for _, _, _, number, _ in here.records.requests] == [1, 1, 2, 3]
    assert "OLD" in here.heard


@pytest.mark.parametrize("how", [{"ignores_time": True}, {"ignores_pages": True}])
async def test_a_gateway_that_ignores_what_is_asked_is_read_within_bounds(
    how: dict[str, bool], autojump_clock: trio.testing.MockClock
) -> None:
    """I8. What cannot be read is told, and holds up nothing."""
    one_second = [said(f"S{n}", 200) for n in range(60)]
    here = Swept(*(said(f"M{n}", 3_500 - n) for n in range(3_000)), *one_second, **how)
    result = await here.sweep()
    while not result.done:
        result = await here.sweep(before=result)
    assert result.at == NOW - 30
    assert here.feed.counters["sweep.gap"] >= 1
    assert len(here.records.requests) < 150
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
    seconds = Counter[int]()
    for number, (ago, chat, _) in enumerate(records):
        seconds[ago] += 1
        if seconds[ago] <= size:  # a second of more than a page cannot be put together
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
