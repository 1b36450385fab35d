"""Turns with edits, deletions, reactions, albums and old backlog. In memory, on the mock clock.

I2: each message has one visible end; who corrected himself is answered as he meant it, and nobody days too late.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from actors.actor_services import TurnPolicy
from actors.errors import LedgerUnavailable, TurnFailed
from actors.instance import InstanceRecord, Terms
from actors.messages import Message
from tests.support.memory import clock_ms
from tests.support.world import DEMO, World


def shop() -> World:
    world = World(turn_policy=TurnPolicy(max_attempts=1), term=Terms(has_alert_webhook=True))
    world.ledger.records["demo"] = InstanceRecord(fallback_message="we will be back")
    return world


async def tell(world: World, id: str, text: str = "", **fields: object) -> None:
    message = Message(*DEMO, id, text, clock_ms() // 1000, **fields)  # type: ignore[arg-type]
    await world.mirror.append(message, world.policy)


async def edit(world: World, target: str, text: str, id: str = "E") -> None:
    await tell(world, id, text, kind="edit", amends=target)


async def delete(world: World, target: str, id: str = "D") -> None:
    await tell(world, id, kind="deletion", amends=target)


async def ends(world: World, count: int) -> None:
    with trio.fail_after(600):
        while len(world.mirror.outcomes) < count:  # noqa: ASYNC110  the clock is a mock one
            await trio.sleep(0.5)


def rules(world: World) -> list[object]:
    return [fields["rule"] for event, _, fields in world.feed.events if event == "turn.suppressed"]


def asked(world: World) -> list[tuple[str, ...]]:
    return [prompt.messages for prompt in world.responder.prompts]


async def test_inside_the_window_the_model_sees_the_new_text_alone(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    await world.start(nursery)
    await tell(world, "A", "2 boxes")
    await edit(world, "A", "3 boxes")
    await ends(world, 1)
    assert asked(world) == [("3 boxes",)]
    assert world.replies == ["Heard 1: 3 boxes"]


async def test_what_was_deleted_in_time_is_not_answered(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    await world.start(nursery)
    await tell(world, "A", "my PIN is 1234")
    await delete(world, "A")
    await ends(world, 1)
    assert (rules(world), asked(world), world.replies) == (["deleted"], [], [])


async def test_what_is_buried_before_it_began_is_kept_as_it_was_left(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The ledger was away for too long: what it stores then has nothing that was taken back."""
    world = shop()
    world.turn_policy = TurnPolicy(max_hold_seconds=1)
    away = [LedgerUnavailable("away")]

    async def refuse_once(operation: str) -> None:
        if operation == "begin" and away:
            await trio.sleep(2)
            raise away.pop()

    world.ledger.fault = refuse_once
    world.restart()
    await world.start(nursery)
    await tell(world, "A", "2 boxes")
    await tell(world, "B", "my PIN is 1234")
    await edit(world, "A", "3 boxes")
    await delete(world, "B")
    await ends(world, 1)
    [row] = world.ledger.rows.values()
    assert (world.ledger.dead(), row.batch.text.split()) == (["held_too_long"], ["3", "boxes"])


async def killed_before_the_freeze(world: World, nursery: trio.Nursery) -> None:
    await trio.sleep(2)


async def killed_during_the_turn(world: World, nursery: trio.Nursery) -> None:
    await trio.sleep(9)


@pytest.mark.parametrize("when", [killed_before_the_freeze, killed_during_the_turn])
async def test_an_edit_outlives_a_kill(
    autojump_clock: MockClock, when: Callable[[World, trio.Nursery], Awaitable[None]]
) -> None:
    """I1, I2, I3: the same batch, with the same text, whatever was begun of it."""
    world = shop()
    world.responder.delay_seconds = 3.0
    async with trio.open_nursery() as process:
        await world.start(process)
        await tell(world, "A", "2 boxes")
        await edit(world, "A", "3 boxes")
        await when(world, process)
        process.cancel_scope.cancel()
    world.restart()
    async with trio.open_nursery() as process:
        await world.start(process)
        await edit(world, "A", "3 boxes")  # and the gateway says it again
        await ends(world, 1)
        await trio.sleep(30)
        process.cancel_scope.cancel()
    assert set(asked(world)) == {("3 boxes",)}
    assert world.replies == ["Heard 1: 3 boxes"]


@pytest.mark.parametrize("after_seconds", [9.0, 60.0], ids=["while it is answered", "afterwards"])
async def test_a_later_edit_is_a_message_and_a_later_deletion_is_not(
    autojump_clock: MockClock, nursery: trio.Nursery, after_seconds: float
) -> None:
    """I3: it never changes a batch that is frozen."""
    world = shop()
    world.responder.delay_seconds = 5.0
    await world.start(nursery)
    await tell(world, "A", "2 boxes")
    await trio.sleep(after_seconds)
    await edit(world, "A", "3 boxes")
    await ends(world, 2)
    await delete(world, "A")
    await ends(world, 3)
    assert [reply.splitlines()[-1] for reply in world.replies] == ["Heard 1: 2 boxes", "corrected: 3 boxes"]
    assert rules(world) == ["deletion"]


async def test_an_edit_of_what_the_mirror_gives_once_more_is_a_message(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2, law 15: the turn that heard its target knows nothing of it, and this one leaves the target out."""
    world = shop()
    await world.start(nursery)
    await tell(world, "A", "2 boxes")
    await ends(world, 1)
    await trio.sleep(60)
    world.mirror.buffers.clear()  # Redis came back from an older copy
    await tell(world, "A", "2 boxes")
    await edit(world, "A", "3 boxes")
    await ends(world, 2)
    (said,) = asked(world)[1]
    assert said.endswith("corrected: 3 boxes")
    assert len(world.replies) == 2


async def test_a_reaction_is_no_question_and_shortens_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I7: the text after it is heard out, and the reaction alone ends by its rule."""
    world = shop()
    await world.start(nursery)
    await tell(world, "R", "[reacted]", kind="reaction", aside="reaction")
    await ends(world, 1)
    assert (rules(world), world.replies) == (["reaction"], [])
    await tell(world, "S", "[reacted again]", kind="reaction", aside="reaction")
    await trio.sleep(6)
    await tell(world, "A", "hello")
    began = trio.current_time()
    await trio.sleep(6)
    await tell(world, "B", "do you deliver?")
    await ends(world, 2)
    assert 8 <= trio.current_time() - began < 9
    assert asked(world) == [("hello", "do you deliver?")]


async def test_an_album_is_answered_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """I7: eight photos are one message; the last of them is waited for, and no longer than that takes."""
    world = shop()
    await world.start(nursery)
    await tell(world, "H", "[album]", album="H", album_size=8)
    for number in range(7):
        await tell(world, f"P{number}", f"photo {number}", album="H")
        await trio.sleep(0.2)
    await trio.sleep(10)
    assert world.replies == []
    await tell(world, "P7", "photo 7", album="H")
    await trio.sleep(1)
    (reply,) = world.replies
    assert reply.startswith("Heard 9: ")


async def test_old_backlog_is_a_dead_letter_and_nobody_is_answered(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2: listed and replayable; the business is told once an hour."""
    world = shop()
    await world.start(nursery)
    for number in range(2):
        await tell(world, f"O{number}", f"old question {number}", aside="backlog")
        await ends(world, number + 1)
    assert world.ledger.dead() == ["too_old", "too_old"]
    assert (asked(world), world.replies) == ([], [])
    (notice,) = world.ledger.notices
    assert '"event":"too_old"' in notice.body
    seen = [fields["reason"] for event, _, fields in world.feed.events if event == "message.aside"]
    assert seen == ["backlog", "backlog"]


async def test_fresh_messages_are_answered_beside_old_ones(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    await world.start(nursery)
    await tell(world, "O", "old question", aside="backlog")
    await tell(world, "A", "hello")
    await ends(world, 1)
    assert (asked(world), world.ledger.dead()) == ([("hello",)], [])
    assert len(world.ledger.notices) == 1


async def test_old_backlog_gets_no_fallback_message(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Not even where its turn cannot be had at all."""
    world = shop()

    async def fails(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == "notify":
            raise TurnFailed("internal_error")

    world.ledger.fault = fails
    await world.start(nursery)
    await tell(world, "O", "old question", aside="backlog")
    await ends(world, 1)
    assert (world.ledger.dead(), world.replies) == (["too_old"], [])
