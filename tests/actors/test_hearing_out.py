"""How long a window stays open: by both policies, and while somebody types. I7."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors import conversation as core
from actors.actor import HELD_OPEN
from actors.errors import Paused
from actors.identity import Conversation
from actors.messages import Message, Receipt, Snapshot, Waiting, WindowPolicy
from actors.window import STALE_SECONDS, stored_end, types
from tests.support.world import DEMO, World

RULE = WindowPolicy(max_messages=50)
QUIET = msgspec.structs.replace(RULE, kind="quiet", quiet_seconds=10.0, max_seconds=60.0)


async def heard(world: World, nursery: trio.Nursery, script: Sequence[tuple[float, str]]) -> None:
    """Play it: what is written when, `…` who types, `.` who stops."""
    await world.start(nursery)
    for at, what in script:
        await trio.sleep_until(at)
        if what in "….":
            world.supervisor.typing(DEMO, what == "…")
        else:
            await world.say(what)
    await trio.sleep_until(200)


def windows(world: World) -> list[tuple[object, ...]]:
    """Each that closed: why, how many messages, how late, and how long typing held it open."""
    closed = [fields for name, _, fields in world.feed.events if name == "window.closed"]
    return [tuple(one.get(key) for key in ("why", "messages", "late_ms", "typed_ms")) for one in closed]


@pytest.mark.parametrize(
    ("policy", "script", "expected"),
    [
        pytest.param(RULE, [(0, "a"), (6, "b"), (7.9, "c")], [(8, "timeout", 3, None)], id="rule"),
        pytest.param(
            QUIET, [(0, "a"), (6, "b"), (15.9, "c")], [(25.9, "quiet", 3, None)], id="quiet: the last message"
        ),
        pytest.param(
            QUIET,
            [(9 * number, str(number)) for number in range(8)],
            [(60, "quiet", 7, None), (73, "quiet", 1, None)],
            id="quiet: not for ever",
        ),
        pytest.param(
            RULE,
            [(0, "a"), (7, "…"), (17, "…"), (20, "b")],
            [(20, "timeout", 2, 12_000)],
            id="typing: until its message",
        ),
        pytest.param(
            QUIET,
            [(0, "a"), (9, "…"), (25, "b")],
            [(35, "quiet", 2, 15_000)],
            id="typing: quiet begins anew with its message",
        ),
        pytest.param(RULE, [(0, "a"), (7, "…")], [(32, "timeout", 1, 24_000)], id="typing: got stuck"),
        pytest.param(
            RULE,
            [(0, "a"), (5, "…"), (12, ".")],
            [(13, "timeout", 1, 5_000)],
            id="typing: stopped, and the message may come",
        ),
        pytest.param(
            RULE, [(0, "a"), (3, "…"), (5, ".")], [(8, "timeout", 1, 0)], id="typing: cuts nothing short"
        ),
        pytest.param(RULE, [(0, "a"), (9, "…")], [(8, "timeout", 1, None)], id="typing: too late"),
        pytest.param(
            RULE,
            [(0, "a"), *((5 + 10 * number, "…") for number in range(9))],
            [(60, "timeout", 1, 52_000)],
            id="typing: not for ever",
        ),
        pytest.param(
            msgspec.structs.replace(RULE, typing_seconds=0.0),
            [(0, "a"), (7, "…")],
            [(8, "timeout", 1, 0)],
            id="typing: not looked at",
        ),
        pytest.param(
            WindowPolicy(max_messages=2), [(0, "a"), (1, "…"), (2, "b")], [(2, "count", 2, 0)], id="count"
        ),
    ],
)
async def test_how_long_a_window_stays_open(
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    policy: WindowPolicy,
    script: Sequence[tuple[float, str]],
    expected: Sequence[tuple[float, str, int, int | None]],
) -> None:
    """It closes in the moment that it must, and is not late for having been held open."""
    world = World(policy=policy)
    await heard(world, nursery, script)
    assert windows(world) == [(why, messages, 0, typed) for _, why, messages, typed in expected]
    ends = [round(row.batch.frozen_at_ms - row.batch.opened_at_ms) for row in world.ledger.rows.values()]
    assert ends[0] == pytest.approx((expected[0][0] - script[0][0]) * 1000, abs=2)


async def test_an_open_window_asks_the_mirror_nothing_for_being_due(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The due poll names it each second while somebody types; and typing alone makes no actor."""
    world, asked = World(policy=RULE), list[str]()

    async def count(operation: str) -> None:
        asked.append(operation)
        await trio.lowlevel.checkpoint()

    world.mirror.fault = count
    await world.start(nursery)
    world.supervisor.typing(Conversation("demo", "5511900000002"), True)
    assert world.supervisor.views() == []
    await world.say("a")
    await trio.sleep_until(7)
    world.supervisor.typing(DEMO, True)
    for second in range(8, 30):
        await trio.sleep_until(second + 0.5)
        world.supervisor.nudge(DEMO)
    view = world.supervisor.view(DEMO)
    assert view is not None and view.seconds_left == pytest.approx(7 + STALE_SECONDS - 29.5)
    assert view.why == HELD_OPEN
    assert asked == ["append"]
    assert world.supervisor.flush(DEMO), "an operator waits for nobody"
    await trio.sleep_until(31)
    assert windows(world) == [("flush", 1, None, 24_000)]


async def test_a_restart_costs_what_typing_added_and_no_message(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2, I7: the stored end holds."""
    world = World(policy=RULE)
    async with trio.open_nursery() as first:
        await world.start(first)
        await world.say("a")
        await trio.sleep_until(7)
        world.supervisor.typing(DEMO, True)
        await trio.sleep_until(15)
        first.cancel_scope.cancel()
    world.restart()
    await heard(world, nursery, [(18, "b")])
    assert world.replies == ["Heard 1: a", "Heard 1: b"]


async def test_a_restart_waits_for_what_is_left_of_a_quiet_window(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I7: from the last message, which came before it."""
    world = World(policy=QUIET)
    async with trio.open_nursery() as first:
        await world.start(first)
        await world.say("a")
        await trio.sleep_until(9)
        await world.say("b")
        await trio.sleep_until(12)
        first.cancel_scope.cancel()
    world.restart()
    await world.start(nursery)
    await trio.sleep_until(18.9)
    assert windows(world) == []
    await trio.sleep_until(20)
    assert world.replies == ["Heard 2: a\nb"]


async def test_what_another_daemon_stored_is_heard_out(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I7: its owner learns of it when it would close the window."""
    world = World(policy=QUIET)
    await world.start(nursery)
    await world.say("a")
    await trio.sleep_until(9)
    world.mirror.on_appended = None
    await world.say("b")
    await trio.sleep_until(18.9)
    assert windows(world) == []
    await trio.sleep_until(30)
    assert world.replies == ["Heard 2: a\nb"]


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        pytest.param(RULE, QUIET, 17.0, id="to quiet: its next message sets the end"),
        pytest.param(QUIET, RULE, 10.0, id="to the rule: the stored end stands"),
        pytest.param(
            QUIET,
            msgspec.structs.replace(QUIET, quiet_seconds=2.0),
            9.0,
            id="less quiet: from its next message",
        ),
    ],
)
async def test_other_settings_while_a_window_is_open(
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    before: WindowPolicy,
    after: WindowPolicy,
    ends: float,
) -> None:
    """Law 6 of `actors/window.py`."""
    world = World(policy=before)
    await world.start(nursery)
    await world.say("a")
    await trio.sleep_until(5)
    world.policy = after
    await trio.sleep_until(7)
    await world.say("b")
    await trio.sleep_until(100)
    (row,) = world.ledger.rows.values()
    assert (row.batch.frozen_at_ms - row.batch.opened_at_ms) / 1000 == pytest.approx(ends, abs=0.002)


@given(
    st.lists(st.integers(0, 60_000), min_size=1, max_size=6, unique=True).map(sorted),
    st.sampled_from([RULE, QUIET]),
    st.randoms(use_true_random=False),
    st.none() | st.integers(0, 60_000),
)
def test_whatever_order_it_hears_of_them_in_the_end_is_the_stored_one(
    arrived_ms: list[int], policy: WindowPolicy, order: random.Random, typed_ms: int | None
) -> None:
    """And a restart finds the same; typing moves it later alone."""
    entries = [
        Waiting(at_ms + 1, at_ms, Message("demo", DEMO.contact, f"id{at_ms}", "x", 0)) for at_ms in arrived_ms
    ]
    first, last = arrived_ms[0] / 1000, arrived_ms[-1] / 1000
    end = stored_end(policy, first, last)
    state = core.fresh(0.0)
    shuffled = list(entries)
    order.shuffle(shuffled)
    for entry in shuffled:
        deadline_ms = round(stored_end(policy, first, entry.at_ms / 1000) * 1000)
        receipt = Receipt(False, entry.seq, entry.at_ms, deadline_ms, entry.at_ms, 1, False)
        state = core.hear(state, entry, receipt, entry.at_ms / 1000, policy)
    snapshot = Snapshot(DEMO, arrived_ms[-1], tuple(entries), round(end * 1000), None, None)
    recovered = core.loaded(core.fresh(last), snapshot, last, policy)
    assert state.deadline is not None and recovered.deadline is not None
    # What remains is never more than a whole window from when it is looked at.
    assert state.deadline == pytest.approx(end) == pytest.approx(recovered.deadline)
    assert state.opened == pytest.approx(first) == pytest.approx(recovered.opened)
    if typed_ms is not None:
        typing = core.typing(recovered, True, typed_ms / 1000)
        decision = core.decide(typing, last, policy)
        if isinstance(decision, core.Sleep):
            assert end - 0.001 <= decision.until <= max(end, types(typed_ms / 1000), last) + 0.001


async def test_what_comes_during_a_pause_is_heard_out_too(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """A quiet window is not frozen while the instance is paused, and what came meanwhile has moved its end."""
    world, paused = World(policy=QUIET), {"demo"}

    def gate(instance: str) -> None:
        if instance in paused:
            raise Paused("paused by an operator", 3600)

    world.gate = gate
    world.restart()
    await world.start(nursery)
    await world.say("a")
    await trio.sleep_until(30)
    await world.say("b")
    paused.clear()
    world.supervisor.resume_held()
    await trio.sleep_until(39.9)
    assert world.replies == []
    await trio.sleep_until(41)
    assert world.replies == ["Heard 2: a\nb"]
