"""Supervisor, actors, turns and outbox together, over in-memory ports and a mock clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.actor_services import TurnPolicy
from actors.errors import (
    GatewayHeld,
    LeaseUncertain,
    LedgerUnavailable,
    MirrorUnavailable,
    Paused,
    ResponderHeld,
    StaleEpoch,
    TurnFailed,
    TurnHeld,
    TurnRefused,
    Unavailable,
)
from actors.identity import Conversation
from actors.messages import WindowPolicy
from actors.outcome import NoRecord, NotSent, RecordFound, Sent, Unknown
from tests.support.world import DEMO, World


async def _until(condition: Callable[[], bool], seconds: float = 600) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  the clock is a mock one
            await trio.sleep(0.05)


async def test_a_burst_is_collected_and_answered_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    await world.start(nursery)
    for text in ("one", "two", "three"):
        await world.say(text)
        await trio.sleep(1)
    await trio.sleep(4.9)
    assert world.replies == []
    await trio.sleep(0.2)
    assert world.replies == ["Heard 3: one\ntwo\nthree"]
    assert world.ledger.states() == ["done"]


async def test_the_lost_message_story(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """I2, I3, I4: five messages over 11 seconds; the fourth and fifth come as the first window closes."""
    world = World()
    world.responder.delay_seconds = 5
    await world.start(nursery)
    for text, pause in (("1", 3), ("2", 3), ("3", 1.999), ("4", 0.002), ("5", 0)):
        await world.say(text)
        await trio.sleep(pause)
    await _until(lambda: len(world.replies) == 2)
    seen = [text for prompt in world.responder.prompts for text in prompt.messages]
    assert seen == ["1", "2", "3", "4", "5"]


async def test_five_messages_are_answered_at_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = World()
    await world.start(nursery)
    for number in range(5):
        await world.say(str(number))
    await trio.sleep(0.1)
    assert len(world.replies) == 1


async def test_the_same_message_twenty_times_is_one(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = World()
    await world.start(nursery)
    for _ in range(20):
        await world.say("hello", id="same")
    await trio.sleep(9)
    assert world.replies == ["Heard 1: hello"]


async def test_a_message_during_the_turn_has_its_own_window(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I3, I7: the next window runs while the turn runs; its batch starts when the turn ends."""
    world = World()
    world.responder.delay_seconds = 10
    await world.start(nursery)
    await world.say("first")
    await trio.sleep(9)
    await world.say("second")
    await _until(lambda: len(world.responder.prompts) == 2)
    assert trio.current_time() == pytest.approx(18, abs=0.1)


async def test_at_most_fifty_messages_a_batch_and_the_rest_follows(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World(policy=WindowPolicy(max_messages=5, max_batch_messages=7))
    world.responder.delay_seconds = 3
    await world.start(nursery)
    for number in range(20):
        await world.say(str(number))
    await _until(lambda: sum(len(prompt.messages) for prompt in world.responder.prompts) == 20)
    seen = [int(text) for prompt in world.responder.prompts for text in prompt.messages]
    assert seen == list(range(20))
    assert max(len(prompt.messages) for prompt in world.responder.prompts) == 7


async def test_a_failed_turn_has_three_attempts_and_becomes_a_dead_letter(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2: a dead letter, and the conversation goes on."""
    world = World()
    world.responder.script = [TurnFailed("overloaded")] * 3
    await world.start(nursery)
    await world.say("doomed")
    await _until(lambda: bool(world.ledger.dead()))
    assert trio.current_time() == pytest.approx(8 + 1 + 2, abs=0.3)
    assert world.ledger.dead() == ["overloaded"]
    assert world.mirror.outcomes == [("dead", ("doomed",))]
    await world.say("later")
    await _until(lambda: world.replies == ["Heard 1: later"])


async def test_a_refused_turn_becomes_a_dead_letter_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    world.responder.script = [TurnRefused("bad_request")]
    await world.start(nursery)
    await world.say("x")
    await trio.sleep(8.2)
    assert world.ledger.dead() == ["bad_request"]
    assert len(world.responder.prompts) == 1


async def test_the_second_attempt_succeeds_and_honours_retry_after(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    world.responder.script = [TurnFailed("rate_limited", retry_after_seconds=20)]
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: bool(world.replies))
    assert trio.current_time() == pytest.approx(28, abs=0.1)


async def test_a_ledger_away_for_ten_minutes_does_not_count_as_an_attempt(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2, I10: replies are held, nothing is lost, and it goes on by itself."""
    world = World()

    async def away(operation: str) -> None:
        if trio.current_time() < 600:
            raise LedgerUnavailable("connection refused")

    world.ledger.fault = away
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: bool(world.replies), 700)
    assert world.ledger.dead() == []
    assert trio.current_time() < 640


async def test_resume_ends_a_hold_at_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """I10."""
    world = World()

    async def away(operation: str) -> None:
        if trio.current_time() < 100:
            raise MirrorUnavailable("connection refused")

    await world.start(nursery)
    await world.say("x")
    world.mirror.fault = away
    await trio.sleep_until(100.5)
    assert world.replies == []
    world.supervisor.resume_held()
    await trio.sleep(0.1)
    assert world.replies == ["Heard 1: x"]


async def test_a_flush_while_the_store_is_away_does_not_spin(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    calls = 0

    async def away(operation: str) -> None:
        nonlocal calls
        calls += 1
        raise MirrorUnavailable("connection refused")

    await world.start(nursery)
    await world.say("x")
    world.mirror.fault = away
    assert world.supervisor.flush(DEMO)
    await trio.sleep(5)
    assert calls <= 5


@pytest.mark.parametrize(
    ("away", "holder"),
    [
        (MirrorUnavailable("redis_unreachable"), "mirror"),
        (LedgerUnavailable("postgres_unreachable"), "ledger"),
        (GatewayHeld("not connected"), "gateway"),
        (ResponderHeld("bad_key"), "responder"),
        (LeaseUncertain("lease_uncertain"), "lease"),
        (TurnHeld("turns_per_minute", 60), "limit"),
        (Paused("paused by an operator", 60), "pause"),
        (Unavailable("something else"), ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_held_by_names_what_holds_a_conversation(
    autojump_clock: MockClock, nursery: trio.Nursery, away: Unavailable, holder: str
) -> None:
    world = World()

    async def fault(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == "freeze":
            raise away

    world.mirror.fault = fault
    await world.start(nursery)
    await world.say("hello")
    assert world.supervisor.views()[0].held_by == ""
    await trio.sleep(8.5)
    (view,) = world.supervisor.views()
    assert (view.phase, view.held_by, view.why) == ("holding", holder, str(away))
    world.mirror.fault = None
    world.supervisor.resume_held()
    await _until(lambda: len(world.replies) == 1)


async def test_gateway_down_holds_the_stored_reply_and_pays_for_no_second_answer(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: 49, a disconnected instance counts as no attempt; the reply that leaves is the stored one."""
    world = World()
    world.gateway.script = [(False, NotSent("connection_closed", "hold"))] * 30
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: bool(world.replies), 2000)
    assert len(world.responder.prompts) == 1
    assert world.ledger.states() == ["done"]


async def test_a_batch_held_for_too_long_becomes_a_dead_letter(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World(turn_policy=TurnPolicy(max_hold_seconds=3600))
    world.gateway.script = [(False, NotSent("connection_closed", "hold"))] * 1000
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: bool(world.ledger.dead()), 4000)
    assert world.ledger.dead() == ["held_too_long"]


async def test_unknown_send_with_evidence_is_not_sent_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: 47."""
    world = World()
    world.gateway.script = [(True, Unknown("timed_out"))]
    world.gateway.evidence = [NoRecord(), RecordFound("3EB0")]
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: world.ledger.states() == ["done"])
    assert len(world.replies) == 1
    assert "part.reconciled" in world.feed.names()


async def test_unknown_send_without_evidence_is_sent_once_more_and_never_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: at most one blind resend, then a dead letter."""
    world = World()
    world.gateway.script = [(False, Unknown("timed_out")), (True, Unknown("timed_out")), (True, Sent("z"))]
    world.gateway.evidence = [NoRecord()] * 20
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: bool(world.ledger.dead()))
    assert world.ledger.dead() == ["send_unresolved"]
    assert len(world.replies) == 1


async def test_a_part_that_the_gateway_reports_as_sent_is_never_resent(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: its database failed after the send."""
    world = World()
    world.gateway.script = [(True, Unknown("sent_but_unrecorded", may_resend=False))]
    world.gateway.evidence = [NoRecord()] * 20
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: world.ledger.states() == ["done"])
    assert len(world.replies) == 1


async def test_parts_are_sent_in_order_and_settled_ones_not_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I4, I6: 11."""
    world = World()
    world.responder.script = ["\n\n".join(letter * 3000 for letter in "abc")]
    world.gateway.script = [(True, Sent("1")), (False, NotSent("overloaded", "retry"))]
    await world.start(nursery)
    await world.say("x")
    await _until(lambda: world.ledger.states() == ["done"])
    assert [text[0] for text in world.replies] == ["a", "b", "c"]


async def test_unknown_instance_and_duplicates_end_by_rule(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2: suppressed by a named rule, visible."""
    world = World()
    await world.start(nursery)
    await world.say("hi", conversation=Conversation("nobody", "1"))
    world.responder.delay_seconds = 5
    await world.say("hi", id="a")
    await trio.sleep(9)
    await world.say("hi", id="b")
    await world.say("hi", id="c")
    await trio.sleep(20)
    rules = {fields["rule"] for event, _, fields in world.feed.events if event == "turn.suppressed"}
    assert rules == {"unknown_instance", "duplicate"}
    assert world.replies == ["Heard 1: hi"]
    await world.say("hi", id="d")
    await trio.sleep(20)
    assert world.replies == ["Heard 1: hi"] * 2, "after the answer it is a new question"


async def test_a_lid_conversation_moves_to_its_phone(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """39: one person, one conversation, one answer with everything in view."""
    world = World()
    await world.start(nursery)
    lid = Conversation("demo", "777@lid")
    await world.say("from lid", conversation=lid)
    await trio.sleep(5)
    world.known_phones["demo", "777@lid"] = DEMO.contact
    await world.say("from phone")
    assert world.supervisor.flush(lid)
    await trio.sleep(9)
    assert world.replies == ["Heard 2: from lid\nfrom phone"]
    assert sorted(world.ledger.states()) == ["done", "moved"]


async def test_one_crashing_conversation_is_restarted_then_parked_and_others_live(
    autojump_clock: MockClock,
    nursery: trio.Nursery,
) -> None:
    """I14: poison is parked, visible and resumable; no other conversation notices."""
    world = World()
    poison = Conversation("demo", "666")
    crashes = 0

    async def crash(operation: str) -> None:
        nonlocal crashes
        answering = {view.conversation for view in world.supervisor.views() if view.phase == "answering"}
        if operation == "begin" and trio.current_time() < 100 and poison in answering:
            crashes += 1
            raise RuntimeError("a bug")

    world.ledger.fault = crash
    await world.start(nursery)
    await world.say("boom", conversation=poison)
    await trio.sleep(60)
    view = world.supervisor.view(poison)
    assert view is not None
    assert view.phase == "parked"
    assert world.feed.names().count("actor.crashed") == 6
    await world.say("fine")
    await trio.sleep(9)
    assert world.replies == ["Heard 1: fine"]
    await trio.sleep_until(101)
    assert world.supervisor.flush(poison)
    await trio.sleep(0.1)
    assert world.replies[-1] == "Heard 1: boom"


async def test_a_parked_conversation_wakes_once_when_a_store_is_back(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I10: it goes on from the mirror with its restarts unspent; poison is parked again, once a recovery."""
    world = World()
    crashing = True

    async def crash(operation: str) -> None:
        if crashing and operation == "freeze":
            raise RuntimeError("what an ill store makes of it")

    world.mirror.fault = crash
    await world.start(nursery)
    await world.say("hello")
    for recoveries in (1, 2):
        await trio.sleep(60)
        assert world.supervisor.phases() == {"parked": 1}
        assert world.feed.names().count("actor.crashed") == 6 * recoveries
        world.supervisor.resume_held()
    await trio.sleep(60)
    assert world.feed.names().count("actor.crashed") == 18
    crashing = False
    world.supervisor.resume_held()
    await trio.sleep(1)
    assert world.replies == ["Heard 1: hello"]


async def test_a_stale_epoch_stops_the_work_until_it_is_ours_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I5, I10: nothing is done under the old epoch, and under the new one it goes on within a second or two."""
    world = World()
    await world.start(nursery)
    await world.say("x")
    world.mirror.epoch = 2
    await trio.sleep(20)
    assert world.replies == []
    world.ownership.current = world.ledger.epoch = 2
    await trio.sleep(2)
    assert world.replies == ["Heard 1: x"]


async def test_lost_lease_cancels_its_actors(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """I5."""
    world = World()
    await world.start(nursery)
    await world.say("x")
    world.ownership.failure = StaleEpoch("lost")
    world.supervisor.drop_lost()
    await trio.testing.wait_all_tasks_blocked()
    assert world.supervisor.views() == []


async def test_after_a_restart_only_the_rest_of_the_window_is_waited(autojump_clock: MockClock) -> None:
    """I7: 3."""
    world = World()
    async with trio.open_nursery() as first:
        await world.start(first)
        await world.say("x")
        await trio.sleep(5)
        first.cancel_scope.cancel()
    world.restart()
    async with trio.open_nursery() as second:
        await world.start(second)
        await trio.sleep(2.9)
        assert world.replies == []
        await trio.sleep(0.2)
        assert world.replies == ["Heard 1: x"]
        second.cancel_scope.cancel()


@pytest.mark.parametrize("step", ["freeze", "begin", "answer", "claim", "send", "settle", "finish", "commit"])
@pytest.mark.parametrize("side", ["before", "after"])
async def test_killed_at_any_step_one_reply_and_no_second_answer(
    autojump_clock: MockClock, step: str, side: str
) -> None:
    """I2, I3, I6: 4–12, on the protocol in memory; the real processes are killed in the acceptance tests."""
    world = World()
    dying = trio.Event()
    count = 0

    async def die(operation: str) -> None:
        nonlocal count
        if dying.is_set():
            return
        order = ["freeze", "begin", "answer", "claim", "send", "settle", "finish", "commit", "never"]
        wanted = step if side == "before" else order[order.index(step) + 1]
        if operation == wanted:
            dying.set()
            await trio.sleep_forever()

    world.mirror.fault = world.ledger.fault = world.gateway.fault = die
    async with trio.open_nursery() as first:
        await world.start(first)
        await world.say("x")
        with trio.move_on_after(20):
            await dying.wait()
        first.cancel_scope.cancel()
    world.restart()
    async with trio.open_nursery() as second:
        await world.start(second)
        await _until(lambda: world.mirror.outcomes == [("answered", ("x",))])
        second.cancel_scope.cancel()
    assert world.replies == ["Heard 1: x"]
    bought_twice = (step, side) in {("answer", "before"), ("begin", "after")}
    assert len(world.responder.prompts) == (2 if bought_twice else 1)


async def test_drain_answers_open_windows_and_ends(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """I13: nothing new will be heard, so nothing is waited for."""
    world = World()
    await world.start(nursery)
    for number in range(20):
        await world.say("x", conversation=Conversation("demo", str(number)))
    with trio.fail_after(2):
        await world.supervisor.drain()
    assert len(world.replies) == 20
    assert world.supervisor.views() == []


async def test_idle_actors_leave_and_come_back(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = World()
    await world.start(nursery)
    await world.say("a")
    await trio.sleep(60)
    assert world.supervisor.views() == []
    await world.say("b")
    await trio.sleep(9)
    assert world.replies == ["Heard 1: a", "Heard 1: b"]


async def test_two_hundred_conversations_at_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """I8: turns stay within the limit; all are answered."""
    world = World(concurrency=10)
    world.responder.delay_seconds = 1
    await world.start(nursery)
    for number in range(200):
        await world.say("x", conversation=Conversation(f"i{number % 7}", str(number)))
        world.ledger.instances.add(f"i{number % 7}")
    await _until(lambda: len(world.replies) == 200)
    assert trio.current_time() == pytest.approx(8 + 20, abs=1)


async def test_a_send_that_must_settle_holds_no_turn_slot(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I9: while one reply's outcome is being found out, the only slot serves another conversation."""
    world = World(concurrency=1)
    world.gateway.script = [(False, Unknown("timed_out"))]
    await world.start(nursery)
    await world.say("first")
    await trio.sleep(0.5)
    await world.say("second", conversation=Conversation("demo", "2"))
    await trio.sleep_until(8.6)
    assert world.replies == ["Heard 1: second"]
    await _until(lambda: len(world.replies) == 2)
    assert trio.current_time() == pytest.approx(13, abs=0.5)


async def test_evidence_of_the_first_send_counts_after_a_resend_that_was_not_sent(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: the records showed the first send late; by then the resend was proven not sent."""
    world = World()
    world.gateway.script = [(True, Unknown("timed_out")), (False, NotSent("connection_closed", "hold"))]
    world.gateway.evidence = [NoRecord(), NoRecord()]
    await world.start(nursery)
    await world.say("x")
    await trio.sleep(120)
    assert world.replies == ["Heard 1: x"]
    assert world.ledger.states() == ["done"]


async def test_a_lease_that_ends_between_claim_and_send_is_not_an_unknown_send(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I5, I6: nothing left, and the outbox knows it."""
    world = World()
    await world.start(nursery)
    asked = 0

    async def lease_ends_with_the_claim(operation: str) -> None:
        nonlocal asked
        if operation == "answer" and not asked:
            asked += 1
            world.ownership.uncertain = True

    world.ledger.fault = lease_ends_with_the_claim
    await world.say("x")
    await trio.sleep(8.5)
    assert [part.state for part in next(iter(world.ledger.rows.values())).turn.parts] == ["pending"]
    world.ownership.uncertain = False
    await trio.sleep(5)
    assert world.replies == ["Heard 1: x"]
    assert "part.resent" not in world.feed.names()


async def test_a_batch_that_always_crashes_its_turn_ends_as_a_dead_letter(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I14: a slow poison neither buys answers for ever nor blocks what comes after it."""
    world = World()
    world.responder.delay_seconds = 8

    async def poison(operation: str) -> None:
        if operation == "answer" and trio.current_time() < 60:
            raise RuntimeError("a bug")

    world.ledger.fault = poison
    await world.start(nursery)
    await world.say("poison")
    await trio.sleep_until(61)
    assert world.ledger.dead() == ["internal_error"]
    assert len(world.responder.prompts) == 3
    await world.say("after")
    await trio.sleep(20)
    assert world.replies == ["Heard 1: after"]


async def test_one_instances_slow_responder_leaves_slots_for_others(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I9."""
    world = World(concurrency=8)
    world.ledger.instances.add("calm")
    world.responder.delay_seconds = 30
    await world.start(nursery)
    for number in range(20):
        await world.say("x", conversation=Conversation("demo", str(number)))
    await trio.sleep_until(9)
    world.responder.delay_seconds = 0
    await world.say("y", conversation=Conversation("calm", "1"))
    await trio.sleep_until(17.5)
    assert world.replies == ["Heard 1: y"]


async def test_a_lost_answer_to_the_commit_cuts_no_window_short(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I7: the mirror committed, we saw a timeout; what came meanwhile keeps its own window."""
    world = World()
    world.responder.delay_seconds = 4
    await world.start(nursery)
    commit, lost = world.mirror.commit, 0

    async def commit_without_answer(*args: Any) -> Any:
        nonlocal lost
        snapshot = await commit(*args)
        if not lost:
            lost += 1
            raise MirrorUnavailable("timeout")
        return snapshot

    world.mirror.commit = commit_without_answer  # type: ignore[assignment, method-assign]
    await world.say("first")
    await trio.sleep(11)
    await world.say("second")
    await trio.sleep(4)
    await world.say("third")
    await trio.sleep(20)
    assert [prompt.messages for prompt in world.responder.prompts] == [("first",), ("second", "third")]


async def test_a_parked_conversation_does_not_delay_the_drain(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I13."""
    world = World()

    async def poison(operation: str) -> None:
        if operation == "begin":
            raise RuntimeError("a bug")

    world.ledger.fault = poison
    await world.start(nursery)
    await world.say("x")
    await trio.sleep(60)
    assert world.supervisor.phases() == {"parked": 1}
    with trio.fail_after(20):
        await world.supervisor.drain()


async def test_a_slow_connect_does_not_outlive_the_lease(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I5, I6: the lease is lost while the gateway connects, another owner takes over; one message arrives."""
    world = World()
    slow = trio.Event()

    async def connect_slowly(operation: str) -> None:
        if not slow.is_set():
            slow.set()
            await trio.sleep(60)

    world.gateway.fault = connect_slowly
    await world.start(nursery)
    await world.say("x")
    await slow.wait()
    world.mirror.epoch = world.ledger.epoch = 2
    world.ownership.failure = StaleEpoch("lost")
    other = World(mirror=world.mirror, ledger=world.ledger, gateway=world.gateway)
    other.ownership.current = 2
    await other.start(nursery)
    await trio.sleep(120)
    assert other.replies == ["Heard 1: x"]
