"""What happens between a frozen batch and its end, over in-memory ports and a mock clock: escalation, take-over,
limits, the fallback message, the trace."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.actor_services import TurnPolicy
from actors.errors import LedgerUnavailable, ResponderHeld, TurnFailed, TurnRefused
from actors.instance import FeatureFlags, InstanceRecord, ReplyTerms, Terms
from actors.lookups import Lookup, Usage
from actors.machines import Pace
from actors.messages import Answer, Asked, CutReason, HistoryEntry, Prompt, Spent
from actors.notices import ALERT_WEBHOOK, ESCALATION_WEBHOOK
from actors.outcome import NotSent, Unknown
from actors.ports import Question
from tests.support.memory import MemoryResponder
from tests.support.world import DEMO, World

RECORD = InstanceRecord(
    escalation_enabled=True, escalated_message="a person comes", fallback_message="we will be back"
)
LONG = "\n\n".join(("first " * 600, "second " * 500))


async def until(condition: Callable[[], bool], seconds: float = 600) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  the clock is a mock one
            await trio.sleep(0.05)


def shop(terms: Terms | None = None, flags: FeatureFlags | None = None) -> World:
    world = World(term=terms or Terms(), feature_flags=flags or FeatureFlags())
    world.ledger.records["demo"] = RECORD
    return world


async def say(world: World, text: str, times: int = 1) -> None:
    """One burst of one message, to the end of its window."""
    for _ in range(times):
        ended = len(world.mirror.outcomes)
        await world.say(text, id=f"{text}-{trio.current_time()}")
        await until(lambda ended=ended: len(world.mirror.outcomes) > ended)  # type: ignore[misc]


def rules(world: World) -> list[object]:
    return [fields["rule"] for event, _, fields in world.feed.events if event == "turn.suppressed"]


# Settings


async def test_settings_that_change_in_the_middle_of_a_turn_hold_for_the_next_one(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Who answers, how, and what is said: all of it is old, or all of it is new."""
    world = shop(Terms(answered_by="old", cache_scope="old", reply=ReplyTerms(max_parts=1)))
    world.ledger.records["demo"] = InstanceRecord(system_prompt="old")
    about = world.ledger.about

    def change_between(question: Question) -> Mapping[str, Lookup]:
        world.term = Terms(answered_by="new", cache_scope="new", reply=ReplyTerms(model_silence=False))
        world.ledger.records["demo"] = InstanceRecord(system_prompt="new")
        return about(question)

    world.ledger.about = change_between  # type: ignore[method-assign]
    world.responder.script = [LONG, LONG]
    await world.start(nursery)
    await say(world, "hello", times=2)
    asked = [
        (prompt.answered_by, prompt.system_prompt, prompt.may_be_silent) for prompt in world.responder.prompts
    ]
    assert asked == [("old", "old", True), ("new", "new", False)]
    assert len(world.gateway.delivered) == 1 + 2, "in one part at most, then in as many as it has"


# Escalation


async def test_others_are_told_the_other_name_of_a_reason_and_we_keep_the_rules(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop(Terms(has_notify_webhook=True, reason_names=(("sensitive_topic", "complaint"),)))
    await world.start(nursery)
    await say(world, "it arrived broken")
    assert world.ledger.escalated[DEMO][1] == "complaint"
    document = msgspec.json.decode(world.ledger.notices[0].body)
    assert (document["reason"], document["rule"]) == ("complaint", "sensitive_topic")
    told = [fields for event, _, fields in world.feed.events if event == "turn.escalated"]
    assert [fields["reason"] for fields in told] == ["sensitive_topic"]


async def test_a_customer_who_asks_for_a_person_is_answered_once_in_a_while_and_the_staff_is_notified(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop(Terms(notify_numbers=("966500000001",), has_notify_webhook=True))
    await world.start(nursery)
    await say(world, "I want to talk to person please")
    assert world.replies == ["a person comes"]
    assert world.responder.prompts == []
    assert [(notice.kind, notice.target) for notice in world.ledger.notices] == [
        ("whatsapp", "966500000001"),
        ("webhook", ESCALATION_WEBHOOK),
    ]
    document = msgspec.json.decode(world.ledger.notices[1].body)
    assert (document["event"], document["reason"], document["contact"]) == (
        "escalated",
        "asks_for_human",
        DEMO.contact,
    )
    assert world.ledger.escalated[DEMO][1] == "asks_for_human"
    await say(world, "hello?")
    assert world.replies == ["a person comes"]
    assert rules(world) == ["escalated"]
    await trio.sleep(300)
    await say(world, "anybody?")
    assert world.replies == ["a person comes", "a person comes"]
    assert len(world.ledger.notices) == 2


async def test_after_a_hand_back_the_past_is_context(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    await world.start(nursery)
    await say(world, "agent")
    world.ledger.hand_back(DEMO)
    await say(world, "are you open today")
    await say(world, "and tomorrow")
    assert [prompt.handed_back for prompt in world.responder.prompts] == [True, False]


async def test_an_escalation_ends_by_its_time(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = shop(Terms(hand_back_seconds=3600))
    await world.start(nursery)
    await say(world, "agent")
    await trio.sleep(3600)
    await say(world, "are you open today")
    assert world.replies[-1] == "Heard 1: are you open today"
    assert "conversation.handed_back" in world.feed.names()
    assert world.ledger.escalated == {}


async def test_an_escalation_survives_a_crash_without_a_second_notice(autojump_clock: MockClock) -> None:
    """I6: reason, message and notices are stored together, once."""
    world = shop(Terms(notify_numbers=("966500000001",)))
    dying = trio.Event()

    async def die_at_the_claim(operation: str) -> None:
        if operation == "claim" and not dying.is_set():
            dying.set()
            await trio.sleep_forever()

    world.ledger.fault = die_at_the_claim
    async with trio.open_nursery() as first:
        await world.start(first)
        await world.say("agent")
        await dying.wait()
        first.cancel_scope.cancel()
    world.restart()
    async with trio.open_nursery() as second:
        await world.start(second)
        await until(lambda: bool(world.mirror.outcomes))
        second.cancel_scope.cancel()
    assert world.replies == ["a person comes"]
    assert len(world.ledger.notices) == 1


# Take-over


async def test_a_person_who_writes_silences_the_bot_during_a_turn(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    world.responder.delay_seconds = 5
    await world.start(nursery)
    await world.say("what is the price")
    await until(lambda: bool(world.responder.prompts))
    world.ledger.taken_over.add(DEMO)
    await until(lambda: bool(world.mirror.outcomes))
    assert world.replies == []
    assert world.ledger.states() == ["suppressed"]
    assert rules(world) == ["taken_over"]
    await say(world, "hello?")
    assert (world.replies, rules(world)) == ([], ["taken_over", "taken_over"])
    world.ledger.taken_over.clear()
    await say(world, "thanks, and the size?")
    assert world.replies == ["Heard 1: thanks, and the size?"]


async def test_another_machine_gets_no_answer_and_the_business_is_told_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The alert names the conversation by its label, never by its number."""
    world = shop(Terms(has_alert_webhook=True))
    world.ledger.pace = Pace(30, True, ("instant", "same"), 3_600, 1)
    await world.start(nursery)
    await say(world, "Thank you for contacting us", times=3)
    assert (world.replies, rules(world)) == ([], ["machine"] * 3)
    [(_, fields)] = [
        (at, fields) for event, at, fields in world.feed.events if event == "conversation.machine"
    ]
    assert (fields["signs"], fields["seconds"]) == (["instant", "same"], 3_600)
    told = [(notice.target, json.loads(notice.body)["event"]) for notice in world.ledger.notices]
    assert told == [(ALERT_WEBHOOK, "conversation_busy"), (ALERT_WEBHOOK, "conversation_machine")]
    label = DEMO.label("install")
    assert all(label in notice.body and DEMO.contact not in str(notice) for notice in world.ledger.notices)
    assert f"majlis resume {label}" in world.ledger.notices[1].body
    world.ledger.pace = Pace()
    await trio.sleep(3_600)
    await say(world, "are you there?")
    assert world.replies == ["Heard 1: are you there?"]


async def test_many_replies_are_reported_and_answered_on(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Once an hour for a conversation."""
    world = shop(Terms(has_alert_webhook=True))
    world.ledger.pace = Pace(31)
    await world.start(nursery)
    await say(world, "and the next?")
    await say(world, "and this one?")
    assert len(world.replies) == 2
    assert [json.loads(notice.body)["replies"] for notice in world.ledger.notices] == [31]
    world.ledger.taken_over.add(DEMO)
    await trio.sleep(3_600)
    await say(world, "and now?")
    assert rules(world) == ["taken_over"], "a person speaks there: that is the rule"
    assert len(world.ledger.notices) == 2


async def test_parts_not_sent_before_a_take_over_are_never_sent(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    world.responder.script = [LONG]

    async def take_over_at_the_first_send(operation: str) -> None:
        if operation == "send":
            world.ledger.taken_over.add(DEMO)
        await trio.lowlevel.checkpoint()

    world.gateway.fault = take_over_at_the_first_send
    await world.start(nursery)
    await say(world, "tell me all")
    assert len(world.replies) == 1
    assert world.ledger.states() == ["done"]
    assert world.mirror.outcomes == [("answered", ("tell me all",))]


async def test_a_take_over_has_no_effect_where_it_is_switched_off(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop(flags=FeatureFlags(takeover=False))
    world.ledger.taken_over.add(DEMO)
    await world.start(nursery)
    await say(world, "price?")
    assert world.replies == ["Heard 1: price?"]


async def test_a_send_of_unknown_outcome_is_not_repeated_into_a_take_over(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6: it is not known whether it arrived, and a person is there now."""
    world = shop()
    world.gateway.script = [(False, Unknown("timed_out"))]

    async def take_over_at_the_first_send(operation: str) -> None:
        if operation == "send":
            world.ledger.taken_over.add(DEMO)
        await trio.lowlevel.checkpoint()

    world.gateway.fault = take_over_at_the_first_send
    await world.start(nursery)
    await say(world, "price?")
    assert world.replies == []
    assert world.mirror.outcomes[0][0] == "answered"


# When no answer can be had


async def test_after_the_last_attempt_the_fallback_goes_out_and_the_dead_letter_stays(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    world.responder.script = [TurnFailed("overloaded")] * 3
    await world.start(nursery)
    await say(world, "price?")
    assert world.replies == ["we will be back"]
    assert world.ledger.dead() == ["overloaded"]
    assert world.mirror.outcomes == [("dead", ("price?",))]


async def test_a_refused_turn_has_its_fallback_too(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = shop()
    world.responder.script = [TurnRefused("refused_by_policy")]
    await world.start(nursery)
    await say(world, "price?")
    assert (world.replies, world.ledger.dead()) == (["we will be back"], ["refused_by_policy"])


@pytest.mark.parametrize("step", ["answer", "claim", "send", "settle", "bury", "commit"])
async def test_killed_around_the_fallback_it_is_sent_once_and_the_dead_letter_stays(
    autojump_clock: MockClock, step: str
) -> None:
    """I2, I6."""
    world = shop()
    world.responder.script = [TurnRefused("bad_request")] * 9
    dying = trio.Event()

    async def die(operation: str) -> None:
        if operation == step and not dying.is_set():
            dying.set()
            await trio.sleep_forever()

    world.mirror.fault = world.ledger.fault = world.gateway.fault = die
    async with trio.open_nursery() as first:
        await world.start(first)
        await world.say("price?")
        await dying.wait()
        first.cancel_scope.cancel()
    world.restart()
    async with trio.open_nursery() as second:
        await world.start(second)
        await until(lambda: bool(world.mirror.outcomes))
        second.cancel_scope.cancel()
    assert world.mirror.outcomes == [("dead", ("price?",))]
    assert world.replies == ["we will be back"]
    assert world.ledger.dead() == ["bad_request"]


async def test_a_fallback_that_cannot_be_sent_does_not_keep_the_dead_letter_from_being_stored(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    world.responder.script = [TurnRefused("bad_request")]
    world.gateway.script = [(False, NotSent("not_on_whatsapp", "refuse"))]
    await world.start(nursery)
    await say(world, "price?")
    assert (world.replies, world.ledger.dead()) == ([], ["bad_request"])


async def test_a_fallback_does_not_wait_for_ever_for_a_gateway_that_is_away(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2: the letter has an end, whatever becomes of the message."""
    world = World(turn_policy=TurnPolicy(max_hold_seconds=600))
    world.ledger.records["demo"] = RECORD
    world.responder.script = [TurnRefused("bad_request")]
    world.gateway.script = [(False, NotSent("connection_closed", "hold"))] * 1000
    await world.start(nursery)
    await world.say("price?")
    await until(lambda: bool(world.mirror.outcomes), 2000)
    assert (world.replies, world.ledger.dead()) == ([], ["bad_request"])


async def test_without_a_fallback_message_there_is_only_the_dead_letter(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    world.responder.script = [TurnRefused("bad_request")]
    await world.start(nursery)
    await say(world, "price?")
    assert (world.replies, world.ledger.dead()) == ([], ["bad_request"])


# Limits


async def test_a_hold_by_a_limit_does_not_count_as_an_attempt_and_is_reported_once_a_day(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop(Terms(turns_per_minute_per_contact=1, has_alert_webhook=True))
    world.ledger.usage = Usage(contact_turns=1, contact_wait_seconds=30)
    await world.start(nursery)
    await world.say("price?")
    await until(lambda: "turn.held" in world.feed.names())
    await trio.sleep(13)
    [held] = world.supervisor.views()
    assert (held.phase, held.why) == ("holding", "contact_rate") and held.seconds_left is not None
    assert 10 < held.seconds_left < 30
    await trio.sleep(20)
    assert world.replies == []
    world.ledger.usage = Usage()
    await until(lambda: world.replies == ["Heard 1: price?"])
    assert world.ledger.dead() == []
    reached = [fields for event, _, fields in world.feed.events if event == "limit.reached"]
    assert len(reached) > 1
    assert reached[0]["reason"] == "contact_rate"
    assert len(world.ledger.notices) == 1
    assert msgspec.json.decode(world.ledger.notices[0].body)["limit"] == "contact_rate"


async def test_a_used_up_budget_sends_the_fallback_by_its_rule(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop(Terms(cost_per_day_micros=5))
    world.ledger.usage = Usage(cost_micros_today=5)
    await world.start(nursery)
    await say(world, "price?")
    assert (world.replies, world.responder.prompts) == (["we will be back"], [])
    assert world.ledger.states() == ["done"]
    assert next(iter(world.ledger.rows.values())).turn.rule == "budget_reached"


async def test_each_share_of_a_budget_is_told_once_a_day_and_stops_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Also when the answers themselves use it up; what follows at 100 % stands in every alert."""
    world = shop(Terms(tokens_per_day=1000, has_alert_webhook=True, on_budget="suppress"))
    await world.start(nursery)
    for number in range(14):
        world.responder.script = [Answer("yes", "memory", "m", 60, 40, 2_000)]
        await say(world, f"question {number}")
    told = [msgspec.json.decode(notice.body) for notice in world.ledger.notices]
    assert [(one["event"], one["used"], one["allowed"], one["share"], one["answers"]) for one in told] == [
        ("limit_near", 500, 1000, 0.5, 5),
        ("limit_near", 800, 1000, 0.8, 8),
        ("limit_reached", 1000, 1000, 1.0, 10),
    ]
    assert {(one["then"], one["cost_per_message"]) for one in told} == {("customers get no reply", 0.002)}
    assert len(world.replies) == 10 and rules(world) == ["budget_reached"] * 4


async def test_answers_that_cost_too_much_are_told_once_a_day(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop(Terms(cost_per_message_micros=1_500, has_alert_webhook=True))
    world.ledger.usage = Usage(cost_micros_today=38_000, answers_today=19)
    await world.start(nursery)
    for number in range(4):
        world.responder.script = [Answer("yes", "memory", "m", 60, 40, 2_000)]
        await say(world, f"question {number}")
    [notice] = world.ledger.notices
    told = msgspec.json.decode(notice.body)
    assert (told["limit"], told["used"], told["allowed"], told["answers"]) == (
        "cost_per_message",
        0.002,
        0.0015,
        20,
    )
    assert len(world.replies) == 4


# What answers in vain cost, and answers that are cut


async def test_what_failed_attempts_cost_is_counted_and_who_was_asked_is_kept(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world, at = shop(), trio.current_time()
    asked = (Asked("a", at, 2, "garbage", Spent(5, 6, 7)), Asked("b", at, 1, "too_large"))
    world.responder.script = [
        TurnFailed("too_large", "a and b", None, Spent(5, 6, 7), asked),
        Answer("", "a", "m", 1, 2, 3),
        TurnRefused("refused_by_policy", "b", Spent(10, 20, 30)),
    ]
    await world.start(nursery)
    await say(world, "price?")
    [row] = world.ledger.rows.values()
    assert row.spent == world.ledger.spent == Spent(16, 28, 40)
    assert [(one.provider, one.reason, one.attempt) for one in row.failures] == [
        ("a", "garbage", 1),
        ("b", "too_large", 1),
        ("a", "garbage", 2),
    ]
    spent = [fields for event, _, fields in world.feed.events if event == "turn.spent"]
    assert [one["input_tokens"] for one in spent] == [5, 1, 10]
    assert (world.replies, world.ledger.dead()) == (["we will be back"], ["refused_by_policy"])


async def test_a_count_that_cannot_be_stored_fails_no_turn(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    world.responder.script = [TurnFailed("garbage", "", None, Spent(5))]

    async def fail(operation: str) -> None:
        if operation == "spend":
            raise LedgerUnavailable("away")

    world.ledger.fault = fail
    await world.start(nursery)
    await say(world, "price?")
    assert world.replies == ["Heard 1: price?"]
    assert world.feed.names().count("turn.uncounted") == 1


async def test_an_answer_that_cannot_be_stored_is_not_bought_again_and_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I6, I8: a ledger takes everything but answers, for half an hour; then one is stored, and all are counted."""
    world, until = shop(), trio.current_time() + 1_800

    async def fail(operation: str) -> None:
        if operation == "answer" and trio.current_time() < until:
            raise LedgerUnavailable("full")

    world.responder.script = [Answer(f"{n}", "a", "m", 1, 2, 3) for n in range(10)]
    world.ledger.fault = fail
    await world.start(nursery)
    await world.say("price?")
    await trio.sleep(1_900)
    asked = 10 - len(world.responder.script)
    assert 3 <= asked <= 4
    assert world.replies == [f"{asked - 1}"]
    assert world.ledger.spent == Spent(asked, 2 * asked, 3 * asked)


async def test_what_was_paid_before_all_providers_are_held_is_counted(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()
    world.responder.script = [
        ResponderHeld("providers_busy", 1.0, Spent(5, 6, 7)),
        Answer("yes", "a", "m", 1, 2, 3),
    ]
    await world.start(nursery)
    await say(world, "price?")
    await trio.sleep(10)
    assert (world.replies, world.ledger.spent) == (["yes"], Spent(6, 8, 10))


@pytest.mark.parametrize("cut", ["length", "filter", "error"])
async def test_a_cut_answer_is_sent_told_once_a_day_and_never_given_again(
    autojump_clock: MockClock, nursery: trio.Nursery, cut: CutReason
) -> None:
    world = shop(Terms(has_alert_webhook=True, cache_exact_seconds=60))
    world.responder.script = [Answer("We open.", "main", "small", cut=cut)] * 2
    await world.start(nursery)
    await say(world, "when do you open?", times=2)
    assert world.replies == ["We open."] * 2
    replies = [row.reply for row in world.ledger.rows.values()]
    kept = [one.cache and one.cache.entry for one in replies if one is not None]
    assert kept == [None] * len(replies) and all(one and one.answer.cut == cut for one in replies)
    [notice] = world.ledger.notices
    told = msgspec.json.decode(notice.body)
    assert (told["event"], told["reason"], told["provider"]) == ("answers_cut", cut, "main")
    events = [fields["reason"] for event, _, fields in world.feed.events if event == "answer.cut"]
    assert events == [cut] * 2


async def test_an_answer_to_less_is_told_and_never_given_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop(Terms(cache_exact_seconds=60))
    world.responder.script = [Answer("yes", "main", "small", shortened=2)]
    await world.start(nursery)
    await say(world, "do you deliver?")
    [shortened] = [fields for event, _, fields in world.feed.events if event == "turn.shortened"]
    assert (shortened["rounds"], shortened["provider"]) == (2, "main")
    [row] = world.ledger.rows.values()
    assert row.reply is not None and row.reply.cache is not None and row.reply.cache.entry is None


async def test_a_wait_for_the_day_ends_with_the_time_that_a_batch_may_wait(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """I2: a letter that shows it, at its time, however long the limit says to wait."""
    world = World(
        turn_policy=TurnPolicy(max_hold_seconds=600), term=Terms(tokens_per_day=1, on_budget="hold")
    )
    world.ledger.usage = Usage(tokens_today=1, day_wait_seconds=80_000)
    await world.start(nursery)
    await world.say("price?")
    await until(lambda: bool(world.mirror.outcomes), 1000)
    assert world.ledger.dead() == ["held_too_long"]


@pytest.mark.parametrize("name", ["takeover", "usage"])
async def test_lookups_that_must_not_be_guessed_are_asked_again(
    autojump_clock: MockClock, nursery: trio.Nursery, name: str
) -> None:
    """A guess would speak over a person, or past a limit."""
    world = shop()
    failures = [LedgerUnavailable("postgres_locked")] * 3

    async def fault(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == name and failures:
            raise failures.pop()

    world.ledger.fault = fault
    await world.start(nursery)
    await say(world, "price?")
    assert (world.replies, failures) == (["Heard 1: price?"], [])
    assert len(world.responder.prompts) == 1
    assert world.ledger.dead() == []


# What is seen of it


async def test_one_event_holds_the_trace_and_failures_are_named(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = shop()

    async def fault(operation: str) -> None:
        if operation == "history":
            await trio.sleep(60)
        if operation == "interactions":
            raise LedgerUnavailable("postgres_timeout")
        await trio.sleep(0.01)

    world.ledger.fault = fault
    await world.start(nursery)
    await say(world, "price?")
    assert world.replies == ["Heard 1: price?"]
    [line] = [fields for event, _, fields in world.feed.events if event == "turn.lookups"]
    assert (line["count"], line["parallel"]) == (9, True)
    assert sorted(line["failures"]) == ["history", "interactions"]  # type: ignore[call-overload]
    [stored] = [row.reply for row in world.ledger.rows.values()]
    assert stored is not None
    outcomes = {span.name: (span.stage, span.outcome) for span in stored.spans}
    assert outcomes["conversation"] == ("opening", "ok")
    assert outcomes["duplicate"] == ("lookups", "ok")
    assert outcomes["history"] == ("lookups", "timed_out")
    assert outcomes["interactions"] == ("lookups", "failed")
    assert outcomes["memory"] == ("responder", "ok")


async def test_each_provider_that_was_asked_has_its_own_time_in_the_trace(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """One that failed is not charged to the one that answered; nor does it keep the answer out of the cache."""

    class Failover(MemoryResponder):
        async def answer(self, prompt: Prompt) -> Answer:
            started_at = trio.current_time()
            await trio.sleep(9)
            asked = (
                Asked("main", started_at, 5, "timed_out"),
                Asked("second", started_at + 5, 3, "overloaded"),
                Asked("third", started_at + 8, 1),
            )
            return Answer("it is open", "third", "small", asked=asked)

    world = World(term=Terms(cache_exact_seconds=60), responder=Failover())
    await world.start(nursery)
    await say(world, "when do you open?")
    [stored] = [row.reply for row in world.ledger.rows.values()]
    assert stored is not None and stored.answer.asked == () and stored.cache is not None
    spans = [span for span in stored.spans if span.stage == "responder"]
    seen = [(span.name, round(span.took_ms), span.outcome, span.error) for span in spans]
    assert seen == [
        ("main", 5000, "timed_out", ""),
        ("second", 3000, "failed", "overloaded"),
        ("third", 1000, "ok", ""),
    ]
    assert [round(span.started_ms - spans[0].started_ms) for span in spans] == [0, 5000, 8000]
    [answered] = [fields for event, _, fields in world.feed.events if event == "turn.answered"]
    assert answered["took_ms"] == 9000


async def test_with_the_parallel_flag_off_lookups_run_one_after_another(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    running: list[str] = []
    together: list[int] = []

    async def fault(operation: str) -> None:
        running.append(operation)
        together.append(len(running))
        await trio.sleep(0.05)
        running.remove(operation)

    for parallel in (True, False):
        together.clear()
        world = shop(flags=FeatureFlags(parallel=parallel))
        world.ledger.fault = fault
        async with trio.open_nursery() as process:
            await world.start(process)
            await say(world, "price?")
            process.cancel_scope.cancel()
        assert world.replies == ["Heard 1: price?"]
        assert (max(together) > 1) == parallel


async def test_history_and_row_reach_the_prompt(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = shop()
    world.ledger.records["demo"] = msgspec.structs.replace(RECORD, system_prompt="You sell dates.")
    world.ledger.history = (HistoryEntry("user", "earlier"),)
    await world.start(nursery)
    await say(world, "price?")
    [prompt] = world.responder.prompts
    assert (prompt.system_prompt, prompt.history) == ("You sell dates.", world.ledger.history)
