"""Instances, or all of them, flushed, paused and resumed."""

from __future__ import annotations

from typing import cast

import pytest

from actors.counted import ActorView, Phase
from actors.errors import Conflict, Missing
from actors.identity import Conversation
from tests.support.operators import Operators


def resting(conversation: Conversation, phase: str) -> ActorView:
    return ActorView(conversation, cast(Phase, phase), (), None, 0, 0, None, "")


async def test_a_flush_wakes_only_conversations_of_the_instance(operators: Operators) -> None:
    demo = [Conversation("demo", f"55119999900{place:02}") for place in range(4)]
    views = [
        resting(conversation, phase)
        for conversation, phase in zip(demo, ("holding", "parked", "idle", "answering"), strict=True)
    ]
    operators.actors.show(*views, resting(Conversation("silent", "5511999990099"), "retrying"))
    flushed = await operators.instances.flush("demo")
    assert (flushed.instance, flushed.conversations, flushed.messages) == ("demo", 2, 0)
    assert operators.actors.flushed == demo[:2]
    assert (await operators.instances.flush(None)).conversations == 3
    with pytest.raises(Missing, match="no instance called nobody"):
        await operators.instances.flush("nobody")


async def test_a_new_pause_replaces_the_old_one_and_reports_when_that_ended(operators: Operators) -> None:
    endless = await operators.instances.pause("demo", None)
    assert (endless.until, endless.stood_until) == ("", None)
    assert (timed := await operators.instances.pause("demo", 60)).stood_until == ""
    assert (await operators.instances.pause("demo", 30)).stood_until == timed.until
    assert (await operators.instances.pause(None, 30)).stood_until is None
    assert [pause.stood_until for pause in (await operators.status.now()).pauses] == [None, None]


async def test_only_what_was_paused_can_be_resumed(operators: Operators) -> None:
    with pytest.raises(Missing, match="no instance called nobody"):
        await operators.instances.pause("nobody", None)
    with pytest.raises(Conflict, match="demo is not paused: there is nothing to resume"):
        await operators.instances.resume("demo")
    await operators.instances.pause(None, None)
    with pytest.raises(Conflict, match="end that with `majlis resume --all`"):
        await operators.instances.resume("demo")
    assert (await operators.instances.resume(None)).instance == ""
    with pytest.raises(Conflict, match="All instances are not paused together"):
        await operators.instances.resume(None)
