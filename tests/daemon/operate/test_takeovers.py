"""An operator takes over one conversation and hands it back."""

from __future__ import annotations

import pytest

from actors.counted import ActorView, Phase
from actors.errors import Conflict, Holder, Missing
from actors.identity import Conversation
from daemon.operate.takeovers import TAKEOVER_SECONDS
from tests.support.ledgers import DEMO
from tests.support.operators import Operators


def resting(phase: Phase, held_by: Holder = "") -> ActorView:
    return ActorView(DEMO, phase, (), None, 0, 0, None, "for people", held_by)


async def test_a_takeover_is_shown_and_ended_by_name_and_by_label(operators: Operators) -> None:
    begun = await operators.takeovers.begin(DEMO, None)
    label = operators.feed.label(DEMO)
    shown = await operators.conversations.show(label)
    assert shown.state == "absent" and shown.taken_over is not None
    assert shown.taken_over.until == begun.until and begun.conversation == label
    (silent,) = (await operators.conversations.silent(None, 10)).conversations
    assert (silent.conversation, silent.taken_over) == (label, shown.taken_over)
    seconds = await operators.db.value(
        "SELECT extract(epoch FROM until - started_at)::int FROM majlis_takeovers"
    )
    assert seconds == 600, "as long as the instance's settings say"
    ended = await operators.takeovers.end(await operators.takeovers.find(label))
    assert (ended.escalated, ended.taken_over, ended.state) == (False, True, "")
    assert operators.feed.counters["conversation.handed_back"] == 1
    with pytest.raises(Conflict, match="nothing to resume"):
        await operators.takeovers.end(DEMO)


async def test_a_takeover_lasts_as_long_as_asked_and_a_longer_one_stays(operators: Operators) -> None:
    first = await operators.takeovers.begin(DEMO, 5_000)
    assert await operators.db.value("SELECT until > now() + interval '4900 s' FROM majlis_takeovers")
    shorter = await operators.takeovers.begin(DEMO, 60)
    assert (first.stood, shorter.stood, shorter.until) == (False, True, first.until)
    assert (await operators.takeovers.begin(DEMO, 6_000)).stood is False


async def test_a_takeover_without_effect_is_refused(operators: Operators) -> None:
    """The flag is off where `takeover.pause_seconds` is 0; with it on, one lasts four hours."""
    silent = Conversation("silent", DEMO.contact)
    with pytest.raises(Conflict, match="majlis flags set takeover on --instance silent"):
        await operators.takeovers.begin(silent, None)
    await operators.flags.set("takeover", True, "silent", "uid 7")
    await operators.takeovers.begin(silent, None)
    left = await operators.db.value("SELECT extract(epoch FROM until - now())::int FROM majlis_takeovers")
    assert TAKEOVER_SECONDS - 60 < left <= TAKEOVER_SECONDS
    with pytest.raises(Missing):
        await operators.takeovers.begin(Conversation("nobody", DEMO.contact), 60)


async def test_an_opt_out_is_shown_and_ends_only_when_it_is_named(operators: Operators) -> None:
    await operators.takeovers.begin(DEMO, None)
    await operators.db.fetch("SELECT majlis_opt_out('demo', $1)", DEMO.contact)
    shown = await operators.conversations.show(DEMO)
    assert shown.opted_out is not None and shown.opted_out.heeded
    (silent,) = (await operators.conversations.silent(None, 10)).conversations
    assert silent.opted_out == shown.opted_out and silent.taken_over is not None
    ended = await operators.takeovers.end(DEMO)
    assert (ended.taken_over, ended.opted_out, ended.still_opted_out) == (True, False, True)
    with pytest.raises(Conflict, match="--opt-out"):
        await operators.takeovers.end(DEMO)
    ended = await operators.takeovers.end(DEMO, opt_out=True)
    assert (ended.opted_out, ended.still_opted_out) == (True, False)
    assert operators.feed.counters["contact.opted_in"] == 1
    with pytest.raises(Conflict, match="nothing to resume"):
        await operators.takeovers.end(DEMO, opt_out=True)


@pytest.mark.parametrize("phase", ["parked", "holding"])
async def test_a_hand_back_wakes_a_parked_or_held_conversation(operators: Operators, phase: Phase) -> None:
    operators.actors.show(resting(phase))
    assert (await operators.takeovers.end(DEMO)).state == phase
    assert operators.actors.flushed == [DEMO]
    assert operators.feed.counters["conversation.handed_back"] == 0


async def test_a_hand_back_ends_no_pause_of_the_instance(operators: Operators) -> None:
    """It would seem to go on, and would not. `held_by` decides, not the sentence about it."""
    operators.actors.show(resting("holding", "pause"))
    await operators.instances.pause("demo", None)
    with pytest.raises(Conflict, match="`majlis resume --instance demo`"):
        await operators.takeovers.end(DEMO)
    await operators.instances.resume("demo")
    await operators.instances.pause(None, None)
    with pytest.raises(Conflict, match="`majlis resume --all`"):
        await operators.takeovers.end(DEMO)
    assert operators.actors.flushed == []


@pytest.mark.parametrize("phase", ["waiting", "answering", "idle"])
async def test_a_hand_back_does_not_hurry_other_phases(operators: Operators, phase: Phase) -> None:
    operators.actors.show(resting(phase))
    with pytest.raises(Conflict):
        await operators.takeovers.end(DEMO)
    await operators.takeovers.begin(DEMO, 60)
    assert (await operators.takeovers.end(DEMO)).state == ""
    assert operators.actors.flushed == []
