"""Modes of an instance: what is heard in each, and what becomes of it when the mode changes meanwhile."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.identity import Conversation
from actors.instance import InstanceRecord, Mode, ReplyTerms
from actors.machines import Pace
from actors.messages import Answer
from actors.outcome import NotSent, SendOutcome, Unknown
from tests.support.world import DEMO, World

Moment = Literal["waits", "asked", "stored", "under way"]
"""Where a burst is when the mode changes: in its window | with the model | answered, the gateway away | one part of two
sent, whose outcome nobody knows."""

SENDS: dict[Moment, list[tuple[bool | float, SendOutcome]]] = {
    "stored": [(False, NotSent("unreachable", "hold"))],
    "under way": [(1.0, Unknown("timed_out"))],
}


def switch(world: World, mode: Mode) -> None:
    world.term = msgspec.structs.replace(world.term, mode=mode)


def ends(world: World) -> list[tuple[str, str]]:
    return [(row.turn.state, row.turn.rule) for row in world.ledger.rows.values()]


def kept(world: World) -> list[str]:
    """The answers in the ledger, sent or not."""
    return [row.reply.answer.text for row in world.ledger.rows.values() if row.reply]


LIVE, SILENT, IN_SHADOW = ("done", ""), ("suppressed", "off"), ("suppressed", "shadow")

TABLE: list[tuple[Mode, Mode, Moment, tuple[str, str], int]] = [
    ("live", "shadow", "waits", LIVE, 2),
    ("live", "shadow", "asked", LIVE, 2),
    ("live", "shadow", "stored", LIVE, 2),
    ("live", "shadow", "under way", LIVE, 2),
    ("live", "passthrough", "waits", LIVE, 2),
    ("live", "passthrough", "asked", LIVE, 2),
    ("live", "passthrough", "stored", LIVE, 2),
    ("live", "passthrough", "under way", LIVE, 2),
    ("live", "off", "waits", SILENT, 0),
    ("live", "off", "asked", SILENT, 0),
    ("live", "off", "stored", SILENT, 0),
    ("live", "off", "under way", ("done", "off"), 1),
    ("shadow", "live", "waits", IN_SHADOW, 0),
    ("shadow", "live", "asked", IN_SHADOW, 0),
    ("shadow", "passthrough", "waits", IN_SHADOW, 0),
    ("shadow", "passthrough", "asked", IN_SHADOW, 0),
    ("shadow", "off", "waits", SILENT, 0),
    ("shadow", "off", "asked", IN_SHADOW, 0),
    ("off", "live", "waits", SILENT, 0),
    ("off", "shadow", "waits", SILENT, 0),
    ("off", "passthrough", "waits", SILENT, 0),
]
"""Before, after, moment; how the turn ends, and how many parts of its reply leave. In mode passthrough nothing is heard
at all."""


@pytest.mark.parametrize(("before", "after", "moment", "end", "parts"), TABLE)
async def test_every_change_of_mode_gives_what_it_meets_one_end(
    autojump_clock: MockClock, before: Mode, after: Mode, moment: Moment, end: tuple[str, str], parts: int
) -> None:
    """I2, I6: the table of docs/instances.md, each cell: nothing lost, nothing said twice, every turn a visible end."""
    world = World()
    world.term = msgspec.structs.replace(world.term, mode=before, reply=ReplyTerms(max_chars=20))
    world.responder.script = ["a first paragraph\n\na second paragraph"]
    world.responder.delay_seconds = 2.0
    world.gateway.script = list(SENDS.get(moment, []))
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("hello")
        await trio.sleep({"waits": 1.0, "asked": 9.0}.get(moment, 10.5))
        assert bool(ends(world)) == (moment != "waits")
        switch(world, after)
        await trio.sleep(120)
        assert ends(world) == [end]
        assert len(world.replies) == len(set(world.replies)) == parts
        asked = moment != "waits" or end in (LIVE, IN_SHADOW)
        assert len(world.responder.prompts) == len(kept(world)) == int(asked), "bought once, and kept"
        assert [texts for _, texts in world.mirror.outcomes] == [("hello",)]
        nursery.cancel_scope.cancel()


async def test_what_may_have_left_is_not_sent_again_where_the_instance_is_off(
    autojump_clock: MockClock,
) -> None:
    """I6, I13: nothing shows that it left, and `resend_once` would send it."""
    world = World()
    world.gateway.script = [(False, Unknown("timed_out"))]
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("hello")
        await trio.sleep(9)
        switch(world, "off")
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    assert (world.replies, ends(world)) == ([], [("done", "off")])


async def test_what_is_heard_in_shadow_is_answered_and_never_sent(autojump_clock: MockClock) -> None:
    world = World()
    switch(world, "shadow")
    world.responder.script = [Answer("we open at nine", "p", "m", 11, 7, 5)]
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("when do you open")
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert (world.replies, ends(world), kept(world)) == ([], [IN_SHADOW], ["we open at nine"])
    assert (world.ledger.answers, world.ledger.spent.cost_micros) == (1, 5)
    told = [event for event in world.feed.names() if event.startswith("turn.")]
    assert told[-2:] == ["turn.answered", "turn.suppressed"]


async def test_what_came_before_its_instance_was_known_is_heard_by_the_mode_in_which_it_is_added(
    autojump_clock: MockClock,
) -> None:
    """Nothing is said aloud to those who were waiting just then: the old system answers them."""
    modes: tuple[Mode, ...] = ("live", "shadow", "passthrough", "off")
    found = []
    for mode in modes:
        world = World()
        async with trio.open_nursery() as nursery:
            await world.start(nursery)
            await world.say("hello", early=True)
            switch(world, mode)
            await trio.sleep(30)
            nursery.cancel_scope.cancel()
        found.append((len(world.replies), *ends(world)))
    assert found == [(1, LIVE), (0, IN_SHADOW), (0, IN_SHADOW), (0, SILENT)]


async def test_what_begins_while_its_instance_is_being_added_is_looked_at_later(
    autojump_clock: MockClock,
) -> None:
    """The ledger knows the instance already, and this daemon not yet its mode: it is suppressed by the rule by which it
    is found when the mode is known."""
    world = World()
    world.known = False
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("hello", early=True)
        await world.say("hello", conversation=Conversation("demo", "5511999990002"))
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert sorted(ends(world)) == [LIVE, ("suppressed", "unknown_instance")] and len(world.replies) == 1


async def test_a_mixed_batch_answers_what_was_heard_aloud_alone(autojump_clock: MockClock) -> None:
    """The rest is context, with an end of its own."""
    world = World()
    switch(world, "shadow")
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("the blue one")
        switch(world, "live")
        await world.say("how much is it")
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert world.replies == ["Heard 1: how much is it"]
    [row] = world.ledger.rows.values()
    assert not row.turn.shadow
    assert [message.rule for message in row.batch.messages] == ["shadow", ""]


async def test_a_turn_whose_live_messages_were_heard_before_is_still_no_shadow_turn(
    autojump_clock: MockClock,
) -> None:
    """I6: what its first step decided holds, or its outbox could not be trusted."""
    world = World()
    switch(world, "shadow")
    world.known_phones = {}
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        switch(world, "live")
        await world.say("how much is it", id="L")
        await trio.sleep(30)
        world.mirror.buffers[DEMO].seen.clear()  # the mirror has lost its tail, and the gateway repeats
        switch(world, "shadow")
        await world.say("the blue one", id="S")
        switch(world, "live")
        await world.say("how much is it", id="L")
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert world.replies == ["Heard 1: how much is it"]
    assert ends(world)[1:] == [("suppressed", "shadow")]


ESCALATES = InstanceRecord(escalation_enabled=True, escalated_message="a person comes")


@pytest.mark.parametrize(
    ("says", "answer"), [("I want to speak to a human", "a person comes"), ("stop", None)]
)
async def test_what_a_customer_asks_for_in_shadow_changes_nothing_for_live(
    autojump_clock: MockClock, says: str, answer: str | None
) -> None:
    """The business's staff hears nothing, and once live the customer is answered: nobody told him of a silence."""
    world = World()
    world.term = msgspec.structs.replace(
        world.term,
        mode="shadow",
        notify_numbers=("5511900000009",),
        opt_out=msgspec.structs.replace(world.term.opt_out, stop_words=("stop",)),
    )
    world.ledger.records["demo"] = ESCALATES
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say(says)
        await trio.sleep(30)
        assert ends(world) == [IN_SHADOW]
        assert answer is None or kept(world) == [answer]
        assert (world.ledger.notices, world.ledger.escalated, world.ledger.opted_out) == ([], {}, set())
        switch(world, "live")
        await world.say("when do you open")
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert world.replies == ["Heard 1: when do you open"]
    if answer:
        assert "notice.withheld" in world.feed.names()


async def test_rules_that_silence_before_the_answer_keep_their_names_in_shadow(
    autojump_clock: MockClock,
) -> None:
    world = World()
    switch(world, "shadow")
    world.ledger.taken_over.add(DEMO)
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("hello")
        await trio.sleep(30)
        world.ledger.taken_over.clear()
        world.ledger.pace = Pace(30, True, ("instant", "same"), 3600.0, 1)
        await world.say("and now")
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert ends(world) == [("suppressed", "taken_over"), ("suppressed", "machine")]
    assert (world.ledger.machines, world.ledger.notices, world.replies) == ({}, [], [])


async def test_a_shadow_turn_that_fails_for_good_is_a_dead_letter_without_a_word(
    autojump_clock: MockClock,
) -> None:
    world = World()
    switch(world, "shadow")
    world.ledger.records["demo"] = InstanceRecord(fallback_message="we will be back")
    world.responder.script = [Answer("", "p")] * 9
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("hello")
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    assert (world.replies, world.ledger.dead()) == ([], ["garbage"])


async def test_the_playground_answers_in_mode_off(autojump_clock: MockClock) -> None:
    world, chat = World(), Conversation("demo", "999000000000001")
    switch(world, "off")
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("hello", conversation=chat)
        await world.say("hello")
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert [to for to, _ in world.gateway.delivered] == [chat]


async def test_a_shadow_conversation_of_a_lid_moves_as_it_was_heard(autojump_clock: MockClock) -> None:
    world, lid = World(), Conversation("demo", "1685@lid")
    switch(world, "shadow")
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("hello", conversation=lid)
        switch(world, "live")
        await world.ledger.link("demo", lid.contact, DEMO.contact)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert (world.replies, ends(world)) == ([], [("moved", "moved"), IN_SHADOW])


async def test_a_reply_of_two_parts_stops_between_them(autojump_clock: MockClock) -> None:
    """The operator wants silence now, and what has left is a fact."""
    world = World()
    world.term = msgspec.structs.replace(world.term, reply=ReplyTerms(max_chars=20))
    world.responder.script = ["a first paragraph\n\na second paragraph"]

    async def switch_off(moment: str) -> None:
        await trio.lowlevel.checkpoint()
        if moment == "answer":
            switch(world, "off")

    world.gateway.fault = switch_off
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("hello")
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert (world.replies, ends(world)) == (["a first paragraph"], [("done", "off")])
