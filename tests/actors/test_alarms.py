"""Conversations that only wait: one task for all of them, and each is seen to in time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors import alarms
from actors.alarms import Alarms
from actors.errors import StaleEpoch
from actors.identity import Conversation
from actors.messages import WindowPolicy
from tests.support.world import World

ONE, TWO, THREE = (Conversation("demo", name) for name in ("1", "2", "3"))


async def test_each_alarm_rings_once_and_in_time(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I7: also one that is set while a later one is waited for, and after entries were thrown out."""
    monkeypatch.setattr(alarms, "_SPARE", 0)
    monkeypatch.setattr(alarms, "_AT_ONCE", 2)
    clock, rang, begin = Alarms(), list[tuple[str, float]](), trio.current_time()
    nursery.start_soon(clock.run, lambda who: rang.append((who.contact, trio.current_time() - begin)))
    await trio.sleep(1)
    clock.set(ONE, begin + 50)
    await trio.sleep(1)
    clock.set(TWO, begin + 10)
    clock.set(TWO, begin + 20)  # the earlier one stays
    clock.set(ONE, begin + 30)
    for number in range(9):
        clock.set(THREE, begin + 9 - number / 10)
        clock.drop(THREE)
    assert ONE in clock and TWO in clock and THREE not in clock
    await trio.sleep(28.5)
    assert rang == [("2", 10), ("1", 30)]
    everybody = [Conversation("demo", str(number)) for number in range(7)]
    for who in everybody:
        clock.set(who, begin + 60)
    await trio.sleep(100)
    assert sorted(rang[2:]) == [(who.contact, 60) for who in everybody]


def _with_a_task() -> list[str]:
    root = trio.lowlevel.current_root_task()
    tasks, found = [root] if root else [], list[str]()
    while tasks:
        task = tasks.pop()
        found += [task.name] if task.name.startswith("conversation/") else []
        tasks += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


async def test_who_only_waits_has_no_task_and_is_answered_in_time(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I7: after a delivery and after a restart; a flush, and the message that fills the window, are heard at once."""
    world = World()
    await world.start(nursery)
    for number in range(4):
        await world.say(f"{number}", conversation=Conversation("demo", f"{number}"))
    await trio.sleep(2)
    assert _with_a_task() == []
    world.supervisor.stop()
    world.restart()
    await world.start(nursery)
    await trio.sleep(1)
    assert (_with_a_task(), world.supervisor.phases(), world.replies) == ([], {"waiting": 4}, [])
    assert world.supervisor.flush(Conversation("demo", "0"))
    for number in range(4):
        await world.say(f"more {number}", conversation=Conversation("demo", "1"))
    await trio.sleep(0.1)
    assert sorted(text.partition(":")[0] for text in world.replies) == ["Heard 1", "Heard 5"]
    await trio.sleep(4.8)
    assert len(world.replies) == 2
    await trio.sleep(0.2)
    assert len(world.replies) == 4


async def test_a_bug_at_an_alarm_stays_in_its_conversation(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Law 1: its task meets the same, crashes and is restarted."""
    world = World()
    await world.start(nursery)
    await world.say("x", conversation=ONE)
    await world.say("x", conversation=Conversation("other", "2"))
    window, ill = world.window, True

    def failing(instance: str) -> WindowPolicy:
        if instance == "other" and ill:
            raise KeyError(instance)
        return window(instance)

    world.window = failing  # type: ignore[method-assign]
    await trio.sleep(8.5)
    assert len(world.replies) == 1 and "actor.crashed" in world.feed.names()
    ill = False
    await trio.sleep(60)
    assert world.feed.names().count("turn.started") == 2


async def test_who_waits_where_a_lease_is_lost_is_forgotten_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I5: only the owner acts."""
    world = World()
    await world.start(nursery)
    await world.say("x", conversation=ONE)
    world.ownership.failure = StaleEpoch("not ours")
    world.supervisor.drop_lost()
    assert world.supervisor.views() == [] and world.supervisor.waiting_messages() == 0
    await trio.sleep(60)
    assert world.replies == [] and "actor.crashed" not in world.feed.names()
