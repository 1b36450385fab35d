"""What is said while an answer is made, and whether it ends that: the decision, and then the whole of it in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.errors import LedgerUnavailable, MirrorUnavailable, StaleEpoch, TurnFailed
from actors.instance import OptOutTerms, Terms
from actors.lookups import Span
from actors.messages import Answer, Batch, Message, Spent, Waiting, WindowPolicy
from actors.ports import Reply, Turn
from actors.superseding import is_superseded, joining
from actors.window import awaits_album
from tests.support.memory import clock_ms
from tests.support.world import DEMO, World

POLICY = WindowPolicy(max_supersedes=2)
CALL_SECONDS = 3.0


# The decision


def waiting(seq: int, **said: object) -> Waiting:
    message = Message(*DEMO, f"M{seq}", f"text {seq}", 1_000)
    return Waiting(seq, 1_000 + seq, msgspec.structs.replace(message, **said))


def batch(size: int = 2, supersedes: int = 0, shadow: bool = False) -> Batch:
    entries = tuple(waiting(seq, shadow=shadow) for seq in range(1, size + 1))
    return Batch(DEMO, 1, 1, size, "timeout", 0, 0, 500, entries, supersedes=supersedes)


SPEECH = waiting(10)
REACTION = waiting(11, aside="reaction")
EDIT = waiting(12, amends="M1", kind="edit")
OLD = waiting(13, swept="too_old")
UNHEARD = waiting(14, shadow=True)
HEADER = waiting(15, album="A", album_size=2)
PART = waiting(16, album="A")
LAST_PART = waiting(17, album="A")


@pytest.mark.parametrize(
    ("behind", "ends"),
    [
        ((), False),
        ((SPEECH,), True),
        ((REACTION,), False),
        ((REACTION, SPEECH), True),
        ((EDIT,), False),
        ((SPEECH, EDIT), True),
        ((EDIT, SPEECH), False),
        ((OLD,), False),
        ((OLD, SPEECH), True),
        ((UNHEARD,), False),
        ((HEADER,), False),
        ((HEADER, PART), False),
        ((HEADER, PART, LAST_PART), True),
        ((SPEECH, HEADER), False),
    ],
)
def test_only_what_asks_for_an_answer_ends_a_call(behind: tuple[Waiting, ...], ends: bool) -> None:
    assert is_superseded(batch(), behind, POLICY) == ends


def test_a_batch_of_what_was_heard_in_shadow_is_widened_by_such_alone() -> None:
    assert is_superseded(batch(shadow=True), (UNHEARD,), POLICY)
    assert not is_superseded(batch(shadow=True), (SPEECH,), POLICY)


ENTRIES = st.lists(
    st.sampled_from([SPEECH, REACTION, EDIT, OLD, UNHEARD, HEADER, PART, LAST_PART]), max_size=8
)


@pytest.mark.hypothesis
@given(ENTRIES, st.integers(1, 6), st.integers(0, 3), st.integers(0, 3), st.integers(1, 8))
def test_what_ends_a_call_is_bounded_and_joins(
    behind: list[Waiting], size: int, supersedes: int, most: int, room: int
) -> None:
    """I3, I8: a batch is widened so often and so far at most, by the oldest of what waits, and never past an edit."""
    frozen = batch(size, supersedes)
    policy = WindowPolicy(max_supersedes=most, max_batch_messages=room)
    joined = joining(frozen, behind, policy)
    assert joined == tuple(behind[: len(joined)])
    assert len(joined) <= max(0, room - size)
    assert not any(entry.message.amends for entry in joined)
    if is_superseded(frozen, behind, policy):
        assert supersedes < most
        assert any(entry.message.speaks for entry in joined)
        assert not awaits_album(joined, policy)
    assert not is_superseded(frozen, [entry for entry in behind if entry.message.aside], policy)


# The whole of it


def slow(seconds: float = CALL_SECONDS, policy: WindowPolicy = POLICY) -> World:
    world = World(policy=policy)
    world.responder.delay_seconds = seconds
    return world


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(600):
        while not condition():  # noqa: ASYNC110  the clock is a mock one
            await trio.sleep(0.05)


async def asked(world: World, times: int) -> None:
    await until(lambda: len(world.responder.prompts) == times)


async def quiet(world: World) -> None:
    """Everything has ended."""
    await until(lambda: not any(one.batch or one.waiting for one in world.mirror.buffers.values()))


def prompts(world: World) -> list[tuple[str, ...]]:
    return [prompt.messages for prompt in world.responder.prompts]


async def test_what_is_written_during_the_call_is_answered_with_the_rest_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2, I3, I6: the call ends, and one reply has everything in view."""
    world = slow()
    await world.start(nursery)
    for text in ("a", "b"):
        await world.say(text)
    await asked(world, 1)
    began = trio.current_time()
    await trio.sleep(1)
    await world.say("c")
    await quiet(world)
    assert prompts(world) == [("a", "b"), ("a", "b", "c")]
    assert world.replies == ["Heard 3: a\nb\nc"]
    assert trio.current_time() - began == pytest.approx(1 + CALL_SECONDS, abs=0.2), "no window of its own"
    assert world.ledger.states() == ["superseded", "done"]
    assert world.mirror.outcomes == [("answered", ("a", "b", "c"))]
    [told] = [fields for event, _, fields in world.feed.events if event == "turn.superseded"]
    assert (told["messages"], told["estimated"], told["input_tokens"]) == (2, True, 3)
    assert world.ledger.spent.cost_micros == told["cost_micros"] == 3
    assert world.feed.names().count("window.closed") == 1


async def test_what_is_written_after_the_answer_is_stored_waits_for_the_next_batch(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I3: also while the reply is being sent."""
    world = slow()
    await world.start(nursery)

    async def send(moment: str) -> None:
        await trio.sleep(5)

    world.gateway.fault = send
    await world.say("a")
    await until(lambda: "answered" in world.ledger.states())
    await world.say("b")
    await quiet(world)
    assert world.replies == ["Heard 1: a", "Heard 1: b"]
    assert world.ledger.states() == ["done", "done"]


async def test_the_third_time_it_waits(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = slow()
    await world.start(nursery)
    await world.say("a")
    for times, text in enumerate(("b", "c", "d"), 1):
        await asked(world, times)
        await trio.sleep(1)
        await world.say(text)
    await quiet(world)
    assert prompts(world) == [("a",), ("a", "b"), ("a", "b", "c"), ("d",)]
    assert world.replies == ["Heard 3: a\nb\nc", "Heard 1: d"]
    assert world.ledger.superseded == 2


@pytest.mark.parametrize("why", ["off", "shared", "full", "reaction"])
async def test_a_call_goes_on_where_it_may_not_be_given_up(
    autojump_clock: MockClock, nursery: trio.Nursery, why: str
) -> None:
    policy = msgspec.structs.replace(
        POLICY, max_supersedes=0 if why == "off" else 2, max_batch_messages=1 if why == "full" else 50
    )
    world = slow(policy=policy)
    world.responder.shares_calls = why == "shared"
    await world.start(nursery)
    await world.say("a")
    await asked(world, 1)
    if why == "reaction":
        reaction = Message(*DEMO, "R", "liked it", clock_ms() // 1000, aside="reaction")
        await world.mirror.append(reaction, world.policy)
    else:
        await world.say("b")
    await quiet(world)
    assert prompts(world) == ([("a",)] if why == "reaction" else [("a",), ("b",)])
    assert "turn.superseded" not in world.feed.names()


async def test_what_came_before_the_call_costs_none(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """During the first step and the lookups: nobody was asked, and nothing is estimated."""
    world = slow()
    await world.start(nursery)

    async def slow_history(operation: str) -> None:
        if operation == "history":
            await trio.sleep(1)

    world.ledger.fault = slow_history
    await world.say("a")
    await until(lambda: world.ledger.states() == ["started"])
    await world.say("b")
    await quiet(world)
    assert prompts(world) == [("a", "b")]
    assert (world.ledger.superseded, world.ledger.spent) == (1, Spent())
    [told] = [fields for event, _, fields in world.feed.events if event == "turn.superseded"]
    assert told["estimated"] is False


async def test_an_answer_that_comes_in_the_same_moment_is_thrown_away_with_its_true_cost(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I3, I6: as long as it is not being stored, the message wins."""
    world = World(policy=POLICY, work=1)
    answer = Answer("one", "memory", input_tokens=50, output_tokens=6, cost_micros=70)
    world.responder.script = [answer]
    world.responder.delay_seconds = CALL_SECONDS
    await world.start(nursery)
    await world.say("a")
    await asked(world, 1)
    # The only place at work is taken when the answer comes: it waits there, and is not stored yet.
    async with world.services.permits.at_work("demo"):
        await trio.sleep(CALL_SECONDS + 1)
        assert world.ledger.states() == ["started"]
        await world.say("b")
    world.responder.delay_seconds = 0
    await quiet(world)
    assert world.replies == ["Heard 2: a\nb"]
    assert world.ledger.spent == Spent(50, 6, 70)
    [told] = [fields for event, _, fields in world.feed.events if event == "turn.superseded"]
    assert told["estimated"] is False


async def test_a_message_that_comes_between_the_steps_is_neither_lost_nor_doubled(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2, I3: before the batch is widened it joins; after it, it counts as any other."""
    world = slow()
    await world.start(nursery)
    said: dict[tuple[str, str], str] = {
        ("ledger", "supersede"): "c",
        ("mirror", "widen"): "d",
        ("ledger", "begin"): "e",
    }

    def speaking(store: str) -> Callable[[str], Awaitable[None]]:
        async def speak(operation: str) -> None:
            if world.responder.prompts and (text := said.pop((store, operation), "")):
                await world.say(text)

        return speak

    world.ledger.fault, world.mirror.fault = speaking("ledger"), speaking("mirror")
    await world.say("a")
    await asked(world, 1)
    await world.say("b")
    await quiet(world)
    assert not said
    assert prompts(world)[-1] == ("a", "b", "c", "d", "e")
    assert world.replies == ["Heard 5: a\nb\nc\nd\ne"]
    assert [text for _, texts in world.mirror.outcomes for text in texts] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("step", ["supersede", "widen", "begin"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_store_that_is_away_at_any_step_holds_the_turn(
    autojump_clock: MockClock, nursery: trio.Nursery, step: str, when: str
) -> None:
    """I2, I3, I6: whether the step took effect or not, nothing is lost, doubled or answered in two pieces."""
    world = slow()
    port, error = (world.mirror, MirrorUnavailable) if step == "widen" else (world.ledger, LedgerUnavailable)
    call, left = getattr(port, step), [2 if when == "before" else 1]

    async def failing(*args: object) -> object:
        done = None
        is_away = world.responder.prompts and left[0]
        if is_away and when == "before":
            left[0] -= 1
            raise error("away")
        done = await call(*args)
        if is_away:
            left[0] -= 1
            raise error("answer lost")
        return done

    setattr(port, step, failing)
    await world.start(nursery)
    await world.say("a")
    await asked(world, 1)
    await world.say("b")
    await quiet(world)
    assert not left[0]
    assert world.replies == ["Heard 2: a\nb"]
    assert world.ledger.states()[-1] == "done" and set(world.ledger.states()[:-1]) == {"superseded"}


async def test_a_lost_lease_ends_it_and_the_new_owner_goes_on(autojump_clock: MockClock) -> None:
    """I5: between the steps too; nothing of the former owner is done."""
    world = slow()
    async with trio.open_nursery() as former:
        await world.start(former)
        await world.say("a")
        await asked(world, 1)
        await world.say("b")
        world.ledger.epoch = world.mirror.epoch = 2
        world.ownership.failure = StaleEpoch("lost")
        await until(lambda: "actor.stale" in world.feed.names())
        former.cancel_scope.cancel()
    assert world.ledger.states() == ["started"]
    world.ownership.failure, world.ownership.current = None, 2
    world.restart()
    async with trio.open_nursery() as owner:
        await world.start(owner)
        await quiet(world)
        owner.cancel_scope.cancel()
    assert world.replies == ["Heard 2: a\nb"]


async def test_an_attempt_that_failed_is_followed_by_one_with_everything_in_view(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """What came during the backoff joins before the responder is asked again."""
    world = slow(0)
    world.responder.script = [TurnFailed("overloaded")]
    await world.start(nursery)
    await world.say("a")
    await until(lambda: "turn.failed" in world.feed.names())
    await world.say("b")
    await quiet(world)
    assert prompts(world) == [("a",), ("a", "b")]
    assert world.replies == ["Heard 2: a\nb"]


async def test_an_answer_that_was_paid_for_and_could_not_be_stored_stands(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = slow(0)
    answer, away = world.ledger.answer, [1]

    async def full_disk(*args: object) -> object:
        if away:
            away.pop()
            raise LedgerUnavailable("full")
        return await answer(*args)  # type: ignore[arg-type]

    world.ledger.answer = full_disk  # type: ignore[method-assign, assignment]
    await world.start(nursery)
    await world.say("a")
    await until(lambda: "turn.held" in world.feed.names())
    await world.say("b")
    await quiet(world)
    assert world.replies == ["Heard 1: a", "Heard 1: b"]


async def test_an_answer_of_an_earlier_attempt_that_lands_late_stands(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: the ledger says so when the turn is to be superseded, and the reply is sent once."""
    world = slow()
    supersede, answer = world.ledger.supersede, world.ledger.answer

    async def landed(
        turn: Turn, epoch: int, spent: Spent, estimated: bool, spans: tuple[Span, ...] = ()
    ) -> Turn:
        await answer(turn, epoch, Reply(Answer("late", "memory"), ("late",)))
        return await supersede(turn, epoch, spent, estimated, spans)

    world.ledger.supersede = landed  # type: ignore[method-assign]
    await world.start(nursery)
    await world.say("a")
    await asked(world, 1)
    await world.say("b")
    await quiet(world)
    assert world.replies == ["late", "Heard 1: b"]


async def test_a_word_to_stop_ends_the_call_and_is_what_is_answered(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = slow()
    world.term = Terms(opt_out=OptOutTerms(stop_words=("stop",), message="no more"))
    await world.start(nursery)
    await world.say("a")
    await asked(world, 1)
    await world.say("stop")
    await quiet(world)
    assert DEMO in world.ledger.opted_out
    assert world.replies == ["no more"]
