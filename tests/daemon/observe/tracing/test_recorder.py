"""What is recorded about turns: every step at its time, whatever happens, and no word of what was said."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.actor_services import TurnPolicy
from actors.errors import GatewayHeld, LedgerUnavailable, MirrorUnavailable, TurnFailed, TurnRefused
from actors.instance import InstanceRecord, Terms
from actors.lookups import Usage
from actors.messages import Batch, Spent, TurnOutcome
from actors.outcome import NotSent, Sent, Unknown
from daemon.observe.tracing.recording import MAX_MOMENTS, MAX_SPANS, TraceBuilder
from daemon.observe.tracing.spans import Trace, TraceSpan, word
from tests.daemon.observe.tracing.watched import INSTALL, Watched, named, seconds
from tests.support.world import DEMO, PHONE

TEXT = "an unmistakable question"


def outcome(trace: Trace) -> object:
    return trace.root.attributes["majlis.turn.outcome"]


def assert_nested(trace: Trace) -> None:
    """Every child lies within the root and no span ends before it begins; the steps are in order."""
    root, children = trace.root, trace.children
    assert all(root.start_ns <= span.start_ns <= span.end_ns <= root.end_ns for span in children)
    assert all(root.start_ns <= moment.at_ns <= root.end_ns for moment in root.moments)
    assert len({span.id for span in (root, *children)}) == trace.size
    steps = [span for span in children if not span.name.startswith("lookup ")]
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(steps))


def assert_clean(trace: Trace) -> None:
    assert PHONE not in repr(trace) and TEXT not in repr(trace)


async def test_a_turn_is_one_trace(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Window, lookups, call and send, each at its time; what it says of them is in the table of the documents."""
    watched = Watched()
    watched.responder.delay_seconds = 2
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    await trio.sleep(3)
    await watched.world.say(f"{TEXT} again")
    trace = await watched.until_exported()
    assert_nested(trace)
    assert_clean(trace)
    assert (trace.root.name, trace.root.kind, trace.root.error) == ("majlis.turn", "consumer", "")
    attributes = dict(trace.root.attributes)
    assert isinstance(attributes.pop("majlis.batch"), int)
    assert attributes == {
        "majlis.instance": "demo",
        "majlis.conversation": DEMO.label(INSTALL),
        "majlis.turn.id": 1,
        "majlis.window.closed_by": "timeout",
        "messaging.system": "whatsapp",
        "messaging.operation.type": "process",
        "messaging.batch.message_count": 2,
        "majlis.answer.by": "memory",
        "majlis.reply.parts": 1,
        "majlis.turn.outcome": "answered",
        "majlis.turn.tries": 1,
    }
    assert seconds(trace.root) >= 10
    (window,), (call,), (send,) = (
        named(trace, "window"),
        named(trace, "chat test-1"),
        named(trace, "send part"),
    )
    assert round(seconds(window)) == 8 and window.start_ns == trace.root.start_ns
    assert {span.name for span in trace.children if span.name.startswith("lookup ")} >= {
        "lookup settings",
        "lookup conversation",
        "lookup history",
    }
    assert round(seconds(call), 1) == 2.0
    assert call.kind == "client"
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "test-1",
        "gen_ai.conversation.id": DEMO.label(INSTALL),
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "majlis.provider": "memory",
        "majlis.cost": 0.00005,
        "majlis.try": 1,
    }
    assert (send.attributes["majlis.part"], send.attributes["majlis.send.outcome"]) == (1, "sent")
    assert watched.recorder.under_way == 0


async def test_each_provider_shows_its_own_tokens(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """The turn's event has the sum; the span of the one that answered does not."""
    watched = Watched()
    watched.responder.failures = [("first", "garbage")]
    watched.responder.in_vain = Spent(5, 6, 7)
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    calls = [span for span in trace.children if span.kind == "client" and span.name.startswith("chat")]
    assert [call.attributes["gen_ai.usage.input_tokens"] for call in calls] == [5, 11]
    assert [call.attributes["majlis.cost"] for call in calls] == [0.000007, 0.00005]


async def test_each_provider_that_failed_has_its_own_span(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Each call has its own span, one after another, also those of an event that names no conversation."""
    watched = Watched()
    watched.responder.failures = [("first", "overloaded"), ("second", "timed_out")]
    watched.responder.delay_seconds = 1
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert_nested(trace)
    failed, answered = named(trace, "chat"), named(trace, "chat test-1")
    assert [(span.attributes["majlis.provider"], span.error, seconds(span)) for span in failed] == [
        ("first", "overloaded", 0.5),
        ("second", "timed_out", 0.5),
    ]
    assert failed[0].attributes["error.type"] == "overloaded"
    assert [round(seconds(span), 2) for span in answered] == [1.0]
    assert outcome(trace) == "answered" and trace.root.error == ""


async def test_all_attempts_are_one_trace(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    watched = Watched()
    watched.responder.script = [TurnFailed("overloaded"), TurnFailed("garbage")]
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert_nested(trace)
    calls = [span for span in trace.children if span.name.startswith("chat")]
    assert [(span.attributes["majlis.try"], span.error) for span in calls] == [
        (1, "overloaded"),
        (2, "garbage"),
        (3, ""),
    ]
    assert [(moment.name, moment.attributes["majlis.reason"]) for moment in trace.root.moments] == [
        ("try failed", "overloaded"),
        ("try failed", "garbage"),
    ]
    assert trace.root.attributes["majlis.turn.tries"] == 3
    assert len(named(trace, "lookup history")) == 3
    assert len(named(trace, "window")) == 1


async def test_a_dead_turn_is_an_error(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    watched = Watched(turn_policy=TurnPolicy(max_attempts=2))
    watched.responder.failures = [("first", "overloaded")]
    watched.responder.script = [TurnFailed("overloaded"), TurnRefused("refused_by_policy", TEXT)]
    watched.world.ledger.records["demo"] = InstanceRecord(fallback_message="we will be back")
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert_nested(trace)
    assert_clean(trace)
    assert (outcome(trace), trace.root.error) == ("dead", "refused_by_policy")
    assert trace.root.attributes["error.type"] == "refused_by_policy"
    calls = [(span.attributes.get("majlis.provider"), span.error) for span in named(trace, "chat")]
    assert calls == [("first", "overloaded"), (None, "refused_by_policy")]
    assert [span.attributes["majlis.send.outcome"] for span in named(trace, "send part")] == ["sent"]


async def test_a_turn_without_an_answer_shows_its_rule(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    watched = Watched()
    await watched.world.start(nursery)
    await watched.world.say(TEXT, id="1")
    await watched.until_exported()
    watched.world.ledger.taken_over.add(DEMO)
    await watched.world.say(TEXT, id="2")
    trace = await watched.until_exported(2)
    assert (outcome(trace), trace.root.attributes["majlis.turn.rule"]) == ("suppressed", "taken_over")
    assert [span.name for span in trace.children if span.kind == "client"] == []
    assert trace.id != watched.traces[0].id


async def test_an_answer_without_a_provider_has_no_call(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    watched = Watched()
    record = InstanceRecord(escalation_enabled=True, escalated_message="a person comes")
    watched.world.ledger.records["demo"] = record
    await watched.world.start(nursery)
    await watched.world.say("I want to talk to person please")
    trace = await watched.until_exported()
    assert trace.root.attributes["majlis.answer.by"] == "escalation"
    assert [moment.name for moment in trace.root.moments] == ["escalated"]
    assert named(trace, "chat") == []


async def test_a_send_of_every_outcome_is_recorded(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    watched = Watched()
    watched.world.gateway.script = [
        (False, NotSent("rate_limited", "retry")),
        (True, Unknown("timed_out")),
        (True, Sent("1")),
    ]
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert_nested(trace)
    sends = [(s.attributes["majlis.send.outcome"], s.error) for s in named(trace, "send part")]
    assert sends == [("not_sent", "rate_limited"), ("unknown", "timed_out"), ("reconciled", "")]
    assert named(trace, "chat") == [], "a send that failed is no call that failed"


async def test_a_hold_is_recorded(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """The gateway is away after the answer was stored: the same trace goes on, and no call is made up for it."""
    watched = Watched()
    watched.world.gateway.script = [(False, NotSent("instance_closed", "hold"))]
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert_nested(trace)
    assert [moment.name for moment in trace.root.moments] == ["held"]
    assert trace.root.attributes["majlis.turn.tries"] == 1
    assert len(named(trace, "chat test-1")) == 1


async def test_a_send_that_stays_unresolved_has_no_call(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    watched = Watched()
    watched.world.gateway.script = [(False, Unknown("timed_out"))] * 2
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert (outcome(trace), trace.root.error) == ("dead", "send_unresolved")
    assert [span.name for span in trace.children if span.name.startswith("chat")] == ["chat test-1"]


async def test_a_batch_that_was_ended_elsewhere_is_left(autojump_clock: MockClock) -> None:
    watched = Watched()
    one = Batch(DEMO, 1, 1, 1, "flush", 0, 1_000, 2_000, ())

    async def hold() -> TurnOutcome:
        await trio.lowlevel.checkpoint()
        raise GatewayHeld("instance_closed")

    for batch in (one, msgspec.structs.replace(one, number=2)):
        with pytest.raises(GatewayHeld):
            await watched.recorder.watch(batch, hold)
    assert [(outcome(t), t.root.attributes["majlis.batch"]) for t in watched.traces] == [("left", 1)]
    assert watched.recorder.under_way == 1


async def test_a_mirror_with_a_clock_ahead_does_not_distort_the_window(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The window keeps its length and ends where the first attempt begins."""
    watched = Watched()
    watched.wall_ahead_ns = -5 * 10**9
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert_nested(trace)
    (window,) = named(trace, "window")
    assert round(seconds(window)) == 8
    assert all(span.start_ns >= window.end_ns for span in trace.children[1:])


async def test_after_a_restart_the_turn_continues_in_the_same_trace(autojump_clock: MockClock) -> None:
    """What a stopped daemon saw is exported as left; the daemon that takes the turn up has the same trace id."""
    watched = Watched()
    claimed = trio.Event()

    async def die_before_the_send(operation: str) -> None:
        if operation == "send" and not claimed.is_set():
            claimed.set()
            await trio.sleep_forever()

    watched.world.gateway.fault = die_before_the_send
    async with trio.open_nursery() as first:
        await watched.world.start(first)
        await watched.world.say(TEXT)
        await claimed.wait()
        first.cancel_scope.cancel()
    assert [outcome(trace) for trace in watched.traces] == ["left"]
    assert len(named(watched.traces[0], "chat test-1")) == 1
    await trio.sleep(100)
    watched.world.restart()
    async with trio.open_nursery() as second:
        await watched.world.start(second)
        await watched.until_exported(2)
        second.cancel_scope.cancel()
    left, ended = watched.traces
    assert left.id == ended.id and left.root.id != ended.root.id
    assert outcome(ended) == "answered"
    assert watched.recorder.under_way == 0


async def test_a_turn_that_is_found_ended_is_exported_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The commit fails, so the turn is run again: there is nothing new to export."""
    watched = Watched()
    failures = iter([MirrorUnavailable("redis_away")] * 2)

    async def fail_the_commit(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation == "commit" and (failure := next(failures, None)):
            raise failure

    watched.world.mirror.fault = fail_the_commit
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    await watched.until_committed()
    assert [outcome(trace) for trace in watched.traces] == ["answered"]
    assert watched.recorder.under_way == 0


async def test_an_end_that_is_found_after_a_lost_answer_is_exported(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Postgres did the last step and its answer was lost: the next attempt finds the end, and the trace is whole."""
    watched = Watched()
    lost = 2

    async def lose_the_answer(operation: str) -> None:
        nonlocal lost
        await trio.lowlevel.checkpoint()
        if operation == "finish" and lost:  # with the last part, and by itself
            lost -= 1
            raise LedgerUnavailable("connection_lost")

    watched.world.ledger.fault = lose_the_answer
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert outcome(trace) == "answered"
    assert len(named(trace, "send part")) == 1
    assert [moment.name for moment in trace.root.moments] == ["held"]


async def test_a_clock_step_gives_no_span_a_negative_length(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    watched = Watched()
    watched.responder.script = [TurnFailed("overloaded")]
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    await trio.sleep(8.5)
    watched.wall_ahead_ns = -3600 * 10**9
    trace = await watched.until_exported()
    assert_nested(trace)
    assert seconds(trace.root) < 60


async def test_only_the_configured_share_of_turns_is_traced(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """None at 0, some at a half, and the same ones on every daemon."""
    none, half = Watched(sample=0.0), Watched(sample=0.5)
    for watched in (none, half):
        await watched.world.start(nursery)
    for number in range(40):
        for watched in (none, half):
            await watched.world.say(f"{TEXT} {number}")
        await trio.sleep(60)
    assert none.traces == []
    assert 5 < len(half.traces) < 35
    assert none.recorder.under_way == half.recorder.under_way == 0
    assert all(int.from_bytes(trace.id[8:], "big") < 2**63 for trace in half.traces)


async def test_a_bug_in_the_recorder_reaches_no_turn(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    def broken(trace: Trace) -> None:
        raise RuntimeError(TEXT)

    watched = Watched(export=broken, strict=False)
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    await watched.until_committed()
    assert watched.world.replies == [f"Heard 1: {TEXT}"]
    assert watched.feed.reasons("daemon.problem") == {"tracing": 1}


async def test_a_turn_that_is_held_for_hours_stays_small(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    watched = Watched()
    watched.world.gateway.script = [(False, NotSent("instance_closed", "hold"))] * 200
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert len(trace.children) <= MAX_SPANS and len(trace.root.moments) <= MAX_MOMENTS
    left_out = trace.root.attributes["majlis.left_out"]
    assert isinstance(left_out, int) and left_out > 300
    assert_nested(trace)


async def test_a_limit_is_recorded(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    watched = Watched(term=Terms(tokens_per_day=1, on_budget="alert"))
    watched.world.ledger.usage = Usage(tokens_today=5)
    await watched.world.start(nursery)
    await watched.world.say(TEXT)
    trace = await watched.until_exported()
    assert [(m.name, m.attributes["majlis.reason"]) for m in trace.root.moments] == [
        ("limit reached", "tokens_per_day")
    ]


def test_a_span_never_ends_before_it_begins() -> None:
    built = TraceBuilder(10.0, 5_000)
    built.add("lookup", 9_000, 8_000, {})
    built.step("send", 1_000, {})
    trace = built.close(bytes(16), "root", 5_000, 10.0, {})
    assert all(span.start_ns <= span.end_ns for span in trace.children)
    assert trace.root.end_ns >= max(span.start_ns for span in trace.children[1:])


def test_an_attribute_word_is_short_and_holds_no_number() -> None:
    assert word(f"no contact {PHONE}\nnever\ud800") == "no contact …01 never"
    assert len(word("x" * 5_000)) == 200
    assert isinstance(TraceSpan(name="a", start_ns=0, end_ns=0).id, bytes)
