"""A turn is frozen when its work begins: what happens to those who wait for that. I3, I7, I8, I9, I10, I13."""

from __future__ import annotations

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from actors.contacts import has_priority
from actors.errors import Paused, StaleEpoch
from actors.identity import Conversation
from actors.instance import ContactTerms, Terms, TurnShare
from tests.support.world import DEMO, World

OTHER = Conversation("demo", "5511900000002")
STEP_SECONDS = 0.02


async def _slow_ledger(operation: str) -> None:
    await trio.sleep(STEP_SECONDS)


async def _busy(nursery: trio.Nursery, seconds: float = 30) -> World:
    """Another conversation takes the only place in flight from 8 s on, for so long."""
    world = World(concurrency=1)
    world.responder.delay_seconds = seconds
    await world.start(nursery)
    await world.say("long", conversation=OTHER)
    await trio.sleep(0.5)
    return world


async def _frozen(world: World) -> bool:
    return (await world.mirror.load(DEMO)).frozen


async def _seconds_for(count: int, model_seconds: float) -> float:
    """How long so many turns take whose windows close at once, the last answer's own time left out."""
    world, began = World(concurrency=2_000, work=2), trio.current_time()
    world.ledger.fault = _slow_ledger
    world.responder.delay_seconds = model_seconds
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        for number in range(count):
            await world.say("x", conversation=Conversation("demo", f"55119{number:08}"))
        while len(world.replies) < count:  # noqa: ASYNC110  the clock is a mock one
            await trio.sleep(0.02)
        nursery.cancel_scope.cancel()
    return trio.current_time() - began - 8 - model_seconds


async def test_a_slow_model_costs_no_turns(autojump_clock: MockClock) -> None:
    """The ledger is the bound; however long the model takes, as many turns end per second."""
    at_once = await _seconds_for(100, 0)
    assert at_once > 3
    assert await _seconds_for(100, 3) < 1.1 * at_once


async def test_what_comes_while_it_waits_for_its_turn_joins(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Overload makes fewer turns: nothing is frozen before there is room, and the wait counts as lateness."""
    world = await _busy(nursery)
    await world.say("a")
    await trio.sleep_until(20)
    view = world.supervisor.view(DEMO)
    assert view is not None and view.phase == "queued" and not await _frozen(world)
    for text in ("b", "c", "d", "e", "f"):  # more than a window takes
        await world.say(text)
    await trio.sleep_until(90)
    assert world.responder.prompts[1].messages == ("a", "b", "c", "d", "e", "f")
    [_, late] = [fields for name, _, fields in world.feed.events if name == "window.closed"]
    assert late["late_ms"] == pytest.approx(38_000 - 8_500, abs=100)


async def test_the_window_keeps_its_time_where_there_is_room(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I7: also when a model is slow, and when the window is full."""
    world = World()
    world.responder.delay_seconds = 60
    await world.start(nursery)
    for number in range(30):
        await world.say("x", conversation=Conversation("demo", f"96650{number:08}"))
    for text in "12345":
        await world.say(text)
        await trio.sleep(0.1)
    await trio.sleep_until(9)
    closed = [fields for name, _, fields in world.feed.events if name == "window.closed"]
    assert len(closed) == 31 and {fields["late_ms"] for fields in closed} == {0}
    assert {fields["why"] for fields in closed} == {"count", "timeout"}


async def test_a_pause_that_begins_while_it_is_queued_freezes_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world, paused = World(concurrency=1), set[str]()

    def gate(instance: str) -> None:
        if instance in paused:
            raise Paused("paused by an operator", 3600)

    world.gate = gate
    world.restart()
    world.responder.delay_seconds = 10
    await world.start(nursery)
    await world.say("long", conversation=OTHER)
    await trio.sleep(0.5)
    await world.say("a")
    await trio.sleep_until(12)
    paused.add("demo")
    await trio.sleep_until(30)
    view = world.supervisor.view(DEMO)
    assert view is not None and view.held_by == "pause" and not await _frozen(world)
    await world.say("b")
    paused.clear()
    world.supervisor.resume_held()
    await trio.sleep_until(50)
    assert world.responder.prompts[1].messages == ("a", "b")


async def test_a_lost_lease_ends_the_wait_and_changes_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I5: the new owner answers it, with its own window."""
    world = await _busy(nursery)
    await world.say("a")
    await trio.sleep_until(20)
    world.ownership.failure = StaleEpoch("given away")
    world.supervisor.drop_lost()
    await trio.sleep(0.01)
    assert world.supervisor.view(DEMO) is None and not await _frozen(world)
    permits = world.services.permits
    other = World(mirror=world.mirror, ledger=world.ledger, gateway=world.gateway)
    await other.start(nursery)
    await trio.sleep(1)
    assert "Heard 1: a" in other.replies
    assert (permits.in_flight.held, permits.work.held) == (0, 0)


async def test_a_stop_leaves_what_is_queued_to_the_next_start(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I13: both phases: what does not get its turn in time is neither frozen nor lost."""
    world = await _busy(nursery, seconds=300)
    await world.say("a")
    await trio.sleep_until(20)
    with trio.move_on_after(5):
        await world.supervisor.drain()
    assert set(world.supervisor.stop()) == {DEMO, OTHER}
    await trio.sleep(1)
    assert not await _frozen(world)
    world.responder.delay_seconds = 0
    world.restart()
    await world.start(nursery)
    await trio.sleep(30)
    assert sorted(world.replies) == ["Heard 1: a", "Heard 1: long"]


async def test_an_unfinished_turn_that_is_named_meanwhile_ends_first(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Law 5 of the conversation: nothing is frozen before the ledger was asked."""
    world = await _busy(nursery)
    await world.say("a")
    await trio.sleep_until(20)
    asked: list[tuple[int, bool]] = []

    async def note(operation: str) -> None:
        if operation == "open_turns":
            asked.append((len(world.responder.prompts), await _frozen(world)))
        await trio.lowlevel.checkpoint()

    world.ledger.fault = note
    world.supervisor.nudge(DEMO, check_ledger=True)
    await trio.sleep_until(90)
    assert asked == [(1, False)] and "Heard 1: a" in world.replies


async def test_priority_contacts_go_first_within_their_instance_alone(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The last to come is the first of its instance; the other instance keeps its turns."""
    world = World(concurrency=1, term=Terms(contacts=ContactTerms(priority=("55119*",))))
    world.ledger.instances.add("shop")
    world.responder.delay_seconds = 1
    await world.start(nursery)
    await world.say("0", conversation=Conversation("demo", "5500"))
    await trio.sleep(0.5)
    for number in (1, 2, 3):
        await world.say(str(number), conversation=Conversation("demo", f"551{number}"))
    await world.say("s1", conversation=Conversation("shop", "551"))
    await world.say("s2", conversation=Conversation("shop", "552"))
    await world.say("first", conversation=Conversation("demo", "5511977"))
    await trio.sleep(0.1)
    assert not has_priority("551", world.term)
    await trio.sleep_until(8.6)
    view = world.supervisor.view(Conversation("demo", "5511977"))
    assert view is not None and "goes first" in view.why
    await trio.sleep_until(30)
    order = [reply.partition(": ")[2] for reply in world.replies]
    of_demo = [text for text in order if not text.startswith("s")]
    assert of_demo[:2] == ["0", "first"] and len(order) == 7
    assert max(order.index("s1"), order.index("s2")) <= 4, (
        "the two of the other instance had every second turn"
    )


async def test_a_weight_counts_while_turns_wait(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """It is asked for each time: changed while turns wait, it holds for the next round."""
    world = World(concurrency=1)
    weights = {"demo": 3.0, "shop": 1.0}
    world.terms = lambda instance: Terms(share=TurnShare(weights[instance]))  # type: ignore[method-assign]
    world.ledger.instances.add("shop")
    world.responder.delay_seconds = 1
    await world.start(nursery)
    for number in range(20):
        for instance in weights:
            await world.say(instance[0], conversation=Conversation(instance, f"55{number:03}"))
    await trio.sleep_until(8 + 12.5)
    first = [reply[-1] for reply in world.replies]
    assert 8 <= first.count("d") <= 10, first
    weights["shop"], weights["demo"] = 3.0, 1.0
    await trio.sleep_until(8 + 28.5)
    second = [reply[-1] for reply in world.replies][16:]  # after what was left of the round
    assert 8 <= second.count("s") <= 10, second
