"""Group commit without a store: grouping, outcomes, cancellation, time-outs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import trio
import trio.testing

from actors.errors import ConversationFull, MirrorUnavailable, Overloaded
from actors.messages import Message, Receipt, WindowPolicy
from daemon.mirror.group_commit import AppendRequest, GroupCommit
from tests.support.mirrors import message

POLICY = WindowPolicy()


class GatedStore:
    """Records the groups and answers each when `gate` opens; `refusal` may refuse single appends."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.gate = trio.Event()
        self.error: Exception | None = None
        self.refusal: Callable[[Message], Exception | None] = lambda one: None

    async def append_group(self, group: Sequence[AppendRequest]) -> list[Receipt | Exception]:
        self.groups.append([one.message.id for one in group])
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [self.refusal(one.message) or receipt(int(one.message.id[1:])) for one in group]


class Bench:
    """A group commit under test, and what its callers and its listener saw."""

    def __init__(self, nursery: trio.Nursery, store: GatedStore) -> None:
        self.nursery = nursery
        self.store = store
        self.delivered: list[str] = []
        self.outcomes: dict[int, object] = {}
        self.listener: Callable[[Message], None] = lambda one: None
        self.group = GroupCommit(store.append_group, self.on_appended, max_waiting=6, max_group=3, writers=1)

    def on_appended(self, one: Message, receipt: Receipt) -> None:
        self.delivered.append(one.id)
        self.listener(one)

    async def send(self, number: int) -> None:
        try:
            self.outcomes[number] = await self.group.append(message(number), POLICY)
        except Exception as error:
            self.outcomes[number] = error

    async def send_all(self, *numbers: int) -> None:
        for number in numbers:  # one after the other, so that their order is known
            self.nursery.start_soon(self.send, number)
            await trio.testing.wait_all_tasks_blocked()


def receipt(number: int) -> Receipt:
    return Receipt(duplicate=False, seq=number, at_ms=1, deadline_ms=2, now_ms=1, waiting=1, frozen=False)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        bench = Bench(nursery, GatedStore())
        await nursery.start(bench.group.run)
        yield bench
        nursery.cancel_scope.cancel()


async def test_concurrent_appends_are_stored_together(bench: Bench) -> None:
    """I1, I4: in the order of arrival, and no caller returns before its group is stored."""
    await bench.send_all(0, 1, 2, 3, 4)
    assert bench.store.groups == [["M0"]]
    assert bench.outcomes == {}
    bench.store.gate.set()
    await trio.testing.wait_all_tasks_blocked()

    assert bench.store.groups == [["M0"], ["M1", "M2", "M3"], ["M4"]]
    assert bench.outcomes == {number: receipt(number) for number in range(5)}


async def test_two_groups_may_be_in_flight() -> None:
    """I9: while one group is being stored, the next is sent."""
    store = GatedStore()
    async with trio.open_nursery() as nursery:
        group = GroupCommit(store.append_group, lambda one, got: None, writers=2)
        await nursery.start(group.run)
        for number in range(3):
            nursery.start_soon(group.append, message(number), POLICY)
            await trio.testing.wait_all_tasks_blocked()
        assert store.groups == [["M0"], ["M1"]]
        assert group.waiting == 1
        store.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert store.groups == [["M0"], ["M1"], ["M2"]]


async def test_a_failed_group_fails_each_of_its_appends(bench: Bench) -> None:
    """I1: every caller gets its own error, nothing is delivered, and the writer goes on."""
    await bench.send_all(0, 1, 2)
    bench.store.error = MirrorUnavailable("timeout")
    bench.store.gate.set()
    await trio.testing.wait_all_tasks_blocked()

    assert [str(bench.outcomes[number]) for number in range(3)] == ["timeout"] * 3
    assert all(isinstance(error, MirrorUnavailable) for error in bench.outcomes.values())
    assert bench.outcomes[1] is not bench.outcomes[2]
    assert bench.delivered == []

    bench.store.error = None
    await bench.send_all(3)
    assert bench.outcomes[3] == receipt(3)


async def test_an_unexpected_error_is_no_acknowledgement(bench: Bench) -> None:
    """I1, I14: an unexpected error reaches the callers without its message, and the writer goes on."""
    bench.store.error = RuntimeError("5511999 said hello")
    bench.store.gate.set()
    await bench.send_all(0)
    bench.store.error = None
    await bench.send_all(1)

    assert isinstance(bench.outcomes[0], MirrorUnavailable)
    assert "hello" not in str(bench.outcomes[0])
    assert bench.outcomes[1] == receipt(1)


async def test_a_refused_append_fails_alone(bench: Bench) -> None:
    """I9: a full conversation does not affect others."""
    bench.store.refusal = lambda one: ConversationFull("full") if one.id == "M2" else None
    await bench.send_all(0, 1, 2, 3)
    bench.store.gate.set()
    await trio.testing.wait_all_tasks_blocked()

    assert isinstance(bench.outcomes.pop(2), ConversationFull)
    assert bench.outcomes == {number: receipt(number) for number in (0, 1, 3)}
    assert bench.delivered == ["M0", "M1", "M3"]


async def test_a_cancelled_caller_loses_no_delivery(bench: Bench) -> None:
    """I2: its message is stored and delivered, whether it was in flight or still queued."""
    await bench.send_all(0)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as leaving:
            leaving.start_soon(bench.send, 1)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    bench.store.gate.set()
    await trio.testing.wait_all_tasks_blocked()

    assert bench.delivered == ["M0", "M1"]
    assert 1 not in bench.outcomes


async def test_delivery_comes_before_the_receipt(bench: Bench) -> None:
    """I2: when a caller wakes, its message has reached the conversation."""
    seen: list[object] = []
    bench.listener = lambda one: seen.append(dict(bench.outcomes))
    bench.store.gate.set()
    await bench.send_all(0)

    assert seen == [{}]
    assert bench.outcomes == {0: receipt(0)}


async def test_a_failing_listener_fails_only_its_own_append(bench: Bench) -> None:
    """I14: that caller gets the error; the rest of the group and the writer are not affected."""

    def listener(one: Message) -> None:
        if one.id == "M1":
            raise LookupError(one.id)

    bench.listener = listener
    await bench.send_all(0, 1, 2)
    bench.store.gate.set()
    await trio.testing.wait_all_tasks_blocked()
    await bench.send_all(3)

    assert isinstance(bench.outcomes.pop(1), LookupError)
    assert bench.outcomes == {number: receipt(number) for number in (0, 2, 3)}


async def test_too_many_waiting_are_refused_at_once(bench: Bench) -> None:
    """I8: the queue is bounded, and has room again when it drains."""
    await bench.send_all(*range(8))
    assert isinstance(bench.outcomes.pop(7), Overloaded)
    assert bench.group.waiting == 6
    bench.store.gate.set()
    await trio.testing.wait_all_tasks_blocked()
    await bench.send_all(8)

    assert bench.outcomes.keys() == {0, 1, 2, 3, 4, 5, 6, 8}


async def test_no_caller_waits_forever(bench: Bench, autojump_clock: trio.testing.MockClock) -> None:
    """I1, I8: if the store hangs, every caller gets an error in time; a late receipt is still delivered."""
    started = trio.current_time()
    await bench.send_all(0, 1)
    await trio.sleep(5.5)
    assert [str(bench.outcomes[number]) for number in (0, 1)] == ["timeout", "timeout"]
    assert trio.current_time() - started < 6
    bench.store.gate.set()
    await trio.testing.wait_all_tasks_blocked()

    assert bench.delivered == ["M0", "M1"]


async def test_stopping_leaves_no_caller_waiting() -> None:
    """I13: callers in flight and in the queue get an error; a later call is refused at once."""
    store = GatedStore()
    async with trio.open_nursery() as callers:
        async with trio.open_nursery() as nursery:
            bench = Bench(callers, store)
            await nursery.start(bench.group.run)
            await bench.send_all(0, 1)
            nursery.cancel_scope.cancel()
        await bench.send_all(2)

    assert [str(bench.outcomes[number]) for number in range(3)] == ["stopped"] * 3


async def test_hanging_seconds(bench: Bench, autojump_clock: trio.testing.MockClock) -> None:
    """0 if nothing waits. If the store never answers: the time since the group began, even after callers timed out."""
    await trio.sleep(100)
    assert bench.group.hanging_seconds == 0
    bench.nursery.start_soon(bench.send, 1)
    await trio.sleep(30)
    assert 29 <= bench.group.hanging_seconds <= 31
    bench.store.gate.set()
    await trio.sleep(1)
    assert bench.group.hanging_seconds == 0


async def test_appends_of_one_caller_share_groups_and_each_has_its_outcome(bench: Bench) -> None:
    """Two round trips for six; what is refused, or does not fit, is refused alone."""
    bench.store.gate.set()
    bench.store.refusal = lambda one: ConversationFull("full") if one.id == "M2" else None
    outcomes = await bench.group.append_all([(message(number), POLICY) for number in range(1, 8)])
    assert [len(group) for group in bench.store.groups] == [3, 3]
    assert bench.delivered == ["M1", "M3", "M4", "M5", "M6"]
    assert [type(outcome) for outcome in outcomes] == [
        Receipt, ConversationFull, Receipt, Receipt, Receipt, Receipt, Overloaded
    ]  # fmt: skip


async def test_many_appends_of_one_caller_are_not_refused_for_their_number(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    monkeypatch.setattr("daemon.mirror.group_commit.MAX_TOGETHER", 4)
    bench.store.gate.set()
    outcomes = await bench.group.append_all([(message(number), POLICY) for number in range(1, 20)])
    assert [type(outcome) for outcome in outcomes] == [Receipt] * 19
    assert bench.delivered == [f"M{number}" for number in range(1, 20)]


async def test_what_is_posted_without_a_task_has_all_its_outcomes_together(bench: Bench) -> None:
    """I1: told once, in order, after the last of them; also where none of them is taken."""
    told: list[Sequence[Receipt | Exception]] = []
    bench.store.refusal = lambda one: ConversationFull("full") if one.id == "M1" else None
    bench.group.post([(message(number), POLICY) for number in range(3)], told.append)
    await trio.testing.wait_all_tasks_blocked()
    assert told == [] and bench.store.groups == [["M0", "M1", "M2"]]
    bench.store.gate.set()
    await trio.testing.wait_all_tasks_blocked()
    (outcomes,) = told
    assert [isinstance(one, Receipt) for one in outcomes] == [True, False, True]
    assert bench.delivered == ["M0", "M2"]
    full = GroupCommit(bench.store.append_group, bench.on_appended)  # it does not run
    full.post([(message(3), POLICY)], told.append)
    assert [type(one) for one in told[1]] == [MirrorUnavailable]
