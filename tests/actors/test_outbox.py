"""The outbox over in-memory ports: each part is sent at most as often as it may be, whatever fails and whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.actor_services import TurnPolicy
from actors.errors import GatewayHeld, LeaseUncertain, LedgerUnavailable, StaleEpoch, TurnRefused, Unavailable
from actors.messages import Answer
from actors.outbox import Outbox, OutboxPolicy
from actors.outcome import CannotTell, NoRecord, NotSent, RecordFound, SendOutcome, Sent, Unknown
from actors.ports import Turn
from actors.send_facts import Part
from tests.support.ledgers import DEMO, batch, reply_of
from tests.support.memory import (
    EPOCH,
    FixedOwnership,
    MemoryFacts,
    MemoryFeed,
    MemoryGateway,
    MemoryLedger,
    clock_ms,
)
from tests.support.world import World

ONLY = batch("hello")
AWAY = "away"


@dataclass
class Room:
    """The stores and the gateway; `outbox` is made anew by `restart`."""

    policy: OutboxPolicy = field(default_factory=OutboxPolicy)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    gateway: MemoryGateway = field(default_factory=MemoryGateway)
    ownership: FixedOwnership = field(default_factory=FixedOwnership)
    facts: MemoryFacts = field(default_factory=MemoryFacts)
    feed: MemoryFeed = field(default_factory=MemoryFeed)
    epoch: int = EPOCH
    tokens: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.outbox = self.new_outbox(self.facts, self.ownership)

    def new_outbox(self, facts: MemoryFacts, ownership: FixedOwnership) -> Outbox:
        return Outbox(
            self.ledger,
            self.gateway,
            ownership,
            self.feed,
            facts,
            clock_ms,
            lambda _instance: self.policy,
            lambda: f"claim-{next(self.tokens)}",
        )

    def restart(self) -> None:
        """The process was killed."""
        self.facts.restart()
        self.outbox = self.new_outbox(self.facts, self.ownership)

    async def answered(self, *parts: str) -> Turn:
        turn = await self.ledger.begin(ONLY, self.epoch)
        return await self.ledger.answer(turn, self.epoch, reply_of(Answer("text", "memory"), *parts))

    async def deliver(self) -> None:
        """One attempt, as the turn makes it."""
        await self.outbox.deliver(await self.ledger.begin(ONLY, self.epoch), DEMO, self.epoch)

    async def until_delivered(self) -> None:
        """What the actor does: an attempt, and after each hold another one."""
        while True:
            try:
                await self.deliver()
            except Unavailable as held:
                await trio.sleep(max(held.retry_after_seconds or 1.0, 0.01))
            else:
                return

    async def parts(self) -> tuple[Part, ...]:
        return (await self.ledger.begin(ONLY, self.epoch)).parts

    async def states(self) -> list[tuple[str, int]]:
        return [(part.state, part.resends) for part in await self.parts()]

    @property
    def sends(self) -> int:
        """How many messages left, on their way or arrived."""
        return len(self.gateway.records)

    def fail(self, *operations: str, effect: Callable[[], object] = lambda: None) -> None:
        """The ledger is away for these operations."""

        async def fault(operation: str) -> None:
            await trio.lowlevel.checkpoint()
            if operation in operations:
                effect()
                raise LedgerUnavailable(AWAY)

        self.ledger.fault = fault

    def mend(self) -> None:
        self.ledger.fault = None
        self.facts.mirror_away = self.facts.log_full = False


@pytest.fixture
def room() -> Room:
    return Room()


async def killed_when(room: Room, reached: Callable[[], bool]) -> None:
    """The process dies in the middle of a delivery, as soon as `reached`."""
    async with trio.open_nursery() as process:

        async def attempt() -> None:
            await room.until_delivered()
            raise AssertionError("it was to be killed")

        process.start_soon(attempt)
        while not reached():  # noqa: ASYNC110  a moment of the mock clock, which no event marks
            await trio.sleep(0.25)
        process.cancel_scope.cancel()
    room.restart()


def slow_answer(room: Room, seconds: float) -> None:
    async def fault(moment: str) -> None:
        await trio.sleep(seconds if moment == "answer" else 0)

    room.gateway.fault = fault


# How long an unknown send is waited for


async def test_a_restart_waits_for_what_is_left_since_the_outcome(
    autojump_clock: MockClock, room: Room
) -> None:
    """The claim is 10 s old when the send times out; a message that comes 2 s later must not leave again."""
    room.policy = OutboxPolicy(settle_seconds=5, send_seconds=10)
    slow_answer(room, 10)
    room.gateway.script = [(12.0, Unknown("timed_out"))]
    await room.answered("hello")
    began = trio.current_time()
    await killed_when(room, lambda: trio.current_time() >= began + 10.3)
    assert await room.states() == [("unknown", 0)]
    await room.until_delivered()
    assert room.sends == 1
    assert await room.states() == [("sent", 0)]


async def test_records_that_cannot_tell_do_not_cut_the_wait_short(
    autojump_clock: MockClock, room: Room
) -> None:
    """The search ended at its limit before the message had arrived; once it has, it is on the newest page."""
    room.gateway.script = [(2.0, Unknown("timed_out"))]
    room.gateway.evidence = [CannotTell()]
    await room.answered("hello")
    await room.until_delivered()
    assert (room.sends, await room.states()) == (1, [("sent", 0)])


async def test_killed_in_mid_send_the_send_itself_is_waited_for_as_well(
    autojump_clock: MockClock, room: Room
) -> None:
    """Claimed at 0, killed at 1, delivered at 20: the send may take 30 s, so its absence counts at 35 s."""
    slow_answer(room, 30)
    room.gateway.script = [(20.0, Sent("late"))]
    await room.answered("hello")
    await killed_when(room, lambda: room.sends == 1)
    await room.until_delivered()
    assert (room.sends, await room.states()) == (1, [("sent", 0)])
    assert trio.current_time() >= 20


@pytest.mark.parametrize("cut", ["flush", "restart", "take-over", "clock back"])
async def test_nothing_cuts_the_wait_short_nor_makes_it_long(
    autojump_clock: MockClock, room: Room, cut: str
) -> None:
    room.gateway.script = [(4.9, Unknown("timed_out"))]
    await room.answered("hello")
    with pytest.raises(GatewayHeld, match="send_settling") as held:
        await room.deliver()
    assert held.value.retry_after_seconds == pytest.approx(5, abs=0.01)
    await trio.sleep(2)
    if cut == "restart":
        room.restart()
    elif cut == "take-over":
        room.epoch = room.ownership.current = room.ledger.epoch = 2
        room.outbox = room.new_outbox(MemoryFacts(), room.ownership)
    elif cut == "clock back":  # the ledger's: to it the outcome lies in the future, at every look
        (row,) = room.ledger.rows.values()
        row.open_since_ms[0] += 3_600_000
    for _ in range(3):
        with pytest.raises(GatewayHeld, match="send_settling") as again:
            await room.deliver()
        assert again.value.retry_after_seconds == pytest.approx(3, abs=0.01)
    await trio.sleep(3)
    await room.deliver()
    assert (room.sends, await room.states()) == (1, [("sent", 0)])


async def test_a_clock_set_back_holds_another_process_no_longer_than_the_policy(
    autojump_clock: MockClock, room: Room
) -> None:
    room.gateway.script = [(False, Unknown("timed_out"))]
    await room.answered("hello")
    with pytest.raises(GatewayHeld):
        await room.deliver()
    room.restart()
    (row,) = room.ledger.rows.values()
    row.open_since_ms[0] += 3_600_000
    began = trio.current_time()
    await room.until_delivered()
    assert trio.current_time() - began == pytest.approx(5, abs=0.1)
    assert await room.states() == [("sent", 1)]


async def test_a_clock_set_forward_does_not_end_the_wait(autojump_clock: MockClock, room: Room) -> None:
    room.gateway.script = [(4.5, Unknown("timed_out"))]
    await room.answered("hello")
    with pytest.raises(GatewayHeld):
        await room.deliver()
    (row,) = room.ledger.rows.values()
    row.open_since_ms[0] -= 3_600_000
    with pytest.raises(GatewayHeld, match="send_settling"):
        await room.deliver()
    await trio.sleep(5)
    await room.deliver()
    assert room.sends == 1


async def test_the_outcome_that_could_not_be_stored_is_waited_for_as_well(
    autojump_clock: MockClock, room: Room
) -> None:
    room.gateway.script = [(4.5, Unknown("timed_out"))]
    await room.answered("hello")
    room.fail("settle")
    with pytest.raises(LedgerUnavailable):
        await room.deliver()
    room.mend()
    with pytest.raises(GatewayHeld) as held:
        await room.deliver()
    assert held.value.retry_after_seconds == pytest.approx(5, abs=0.1)
    await room.until_delivered()
    assert room.sends == 1


# What may be sent again


async def test_where_the_policy_is_to_hold_nothing_is_sent_again(
    autojump_clock: MockClock, room: Room
) -> None:
    room.policy = OutboxPolicy(on_unresolved="hold")
    room.gateway.script = [(False, Unknown("timed_out"))]
    await room.answered("hello")
    with pytest.raises(TurnRefused, match="send_unresolved"):
        await room.until_delivered()
    assert (room.sends, await room.states()) == (0, [("unknown", 0)])


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_send_through_a_former_gateway_is_never_repeated_through_the_next(
    autojump_clock: MockClock, room: Room, restarted: bool
) -> None:
    """I6: the new one's records show nothing, and that proves nothing of the former one."""
    room.policy = OutboxPolicy(gateway="first")
    room.gateway.script = [(True, Unknown("timed_out"))]
    room.gateway.evidence = [NoRecord()] * 3
    await room.answered("hello")
    with pytest.raises(GatewayHeld, match="send_settling"):
        await room.deliver()
    if restarted:
        room.restart()
    room.policy = OutboxPolicy(gateway="second")
    with pytest.raises(TurnRefused, match="send_unresolved") as refused:
        await room.until_delivered()
    assert refused.value.detail == "gateway_changed"
    assert (room.sends, await room.states()) == (1, [("unknown", 0)])


async def test_what_a_former_gateway_sent_and_the_next_one_shows_counts(
    autojump_clock: MockClock, room: Room
) -> None:
    """It is the same server at a new address."""
    room.policy = OutboxPolicy(gateway="first")
    room.gateway.script = [(2.0, Unknown("timed_out"))]
    await room.answered("hello")
    with pytest.raises(GatewayHeld, match="send_settling"):
        await room.deliver()
    room.policy = OutboxPolicy(gateway="second")
    await room.until_delivered()
    assert (room.sends, await room.states()) == (1, [("sent", 0)])


async def test_the_stored_word_of_the_gateway_that_it_left_outlives_a_restart(
    autojump_clock: MockClock, room: Room
) -> None:
    room.gateway.script = [(False, Unknown("sent_but_unrecorded", may_resend=False))]
    await room.answered("hello")
    turn = await room.ledger.begin(ONLY, EPOCH)
    await room.ledger.claim(turn, EPOCH, 0, False, "earlier")
    await room.ledger.settle(turn, EPOCH, 0, Unknown("sent_but_unrecorded", may_resend=False))
    room.restart()
    await room.until_delivered()
    assert (room.sends, await room.states()) == (0, [("sent", 0)])


async def test_the_record_of_an_equal_part_is_no_evidence_for_the_next(
    autojump_clock: MockClock, room: Room
) -> None:
    room.gateway.script = [(True, Sent("first")), (False, Unknown("timed_out"))]
    await room.answered("same", "same")
    await room.until_delivered()
    assert room.sends == 2
    assert await room.states() == [("sent", 0), ("sent", 1)]


async def test_a_message_of_before_the_claim_is_no_evidence(autojump_clock: MockClock, room: Room) -> None:
    await room.gateway.send(DEMO, "hello")
    await trio.sleep(1)
    room.gateway.script = [(False, Unknown("timed_out"))]
    await room.answered("hello")
    await room.until_delivered()
    assert (room.sends, await room.states()) == (2, [("sent", 1)])


@pytest.mark.parametrize("landed", [True, False], ids=["answer lost", "never made"])
async def test_a_claim_without_an_answer_spends_nothing(
    autojump_clock: MockClock, room: Room, landed: bool
) -> None:
    await room.answered("hello")
    claim, calls = room.ledger.claim, 0

    async def lossy(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if landed or calls > 1:
            await claim(*args)
        if calls == 1:
            raise LedgerUnavailable(AWAY)

    room.ledger.claim = lossy  # type: ignore[assignment]
    with pytest.raises(LedgerUnavailable):
        await room.deliver()
    assert await room.states() == [("pending", 0)]
    await room.deliver()
    assert (room.sends, await room.states()) == (1, [("sent", 0)])


@pytest.mark.parametrize("landed", [True, False], ids=["answer lost", "never made"])
async def test_a_resend_whose_claim_has_no_answer_leaves_the_first_send_in_doubt(
    autojump_clock: MockClock, room: Room, landed: bool
) -> None:
    """Whatever became of the claim, the first send may still turn up, and its record ends it."""
    room.gateway.script = [(7.0, Unknown("timed_out"))]
    await room.answered("hello")
    with pytest.raises(GatewayHeld):
        await room.deliver()
    await trio.sleep(5)
    claim = room.ledger.claim

    async def lossy(*args: Any) -> None:
        if landed:
            await claim(*args)
        raise LedgerUnavailable(AWAY)

    room.ledger.claim = lossy  # type: ignore[assignment]
    with pytest.raises(LedgerUnavailable):
        await room.deliver()
    room.ledger.claim = claim  # type: ignore[method-assign]
    assert await room.states() == ([("pending", 1)] if landed else [("unknown", 0)])
    await trio.sleep(2)
    await room.until_delivered()
    assert room.sends == 1
    assert [state for state, _ in await room.states()] == ["sent"]


# Facts


async def test_a_proof_that_the_ledger_could_not_take_is_settled_first(
    autojump_clock: MockClock, room: Room
) -> None:
    """The gateway answered with an id, then Postgres was away, and its records do not show the message."""
    await room.answered("one", "two")
    room.fail("settle", "prove")
    with pytest.raises(LedgerUnavailable):
        await room.deliver()
    room.mend()
    room.gateway.evidence = []
    room.gateway.records.clear()
    await room.deliver()
    assert await room.states() == [("sent", 0), ("sent", 0)]
    assert [text for _, text in room.gateway.delivered] == ["two"]


@pytest.mark.parametrize("kept_in", ["mirror", "log"])
async def test_a_proof_outlives_the_daemon(autojump_clock: MockClock, room: Room, kept_in: str) -> None:
    room.facts.mirror_away = kept_in == "log"
    await room.answered("hello")
    room.fail("settle", "prove")
    with pytest.raises(LedgerUnavailable):
        await room.deliver()
    room.restart()
    room.mend()
    room.gateway.records.clear()
    await room.deliver()
    assert (room.sends, await room.states()) == (0, [("sent", 0)])
    turn = await room.ledger.begin(ONLY, EPOCH)
    assert await room.ledger.gateway_ids(turn) == {"id0"}
    assert not (room.facts.mirror or room.facts.log or room.facts.known)


async def test_with_every_place_away_the_daemon_itself_remembers(
    autojump_clock: MockClock, room: Room
) -> None:
    room.facts.mirror_away = room.facts.log_full = True
    await room.answered("hello")
    room.fail("settle", "prove")
    with pytest.raises(LedgerUnavailable):
        await room.deliver()
    room.mend()
    room.gateway.records.clear()
    await room.deliver()
    assert (room.sends, await room.states()) == (0, [("sent", 0)])


async def test_where_a_proof_may_be_kept_is_asked_before_anything_is_sent(
    autojump_clock: MockClock, room: Room
) -> None:
    room.gateway.script = [(False, Unknown("timed_out"))]
    await room.answered("hello")
    with pytest.raises(GatewayHeld):
        await room.deliver()
    await trio.sleep(10)
    room.facts.mirror_away = True
    with pytest.raises(Unavailable, match="timeout"):
        await room.deliver()
    assert room.sends == 0


@pytest.mark.parametrize("parts", [("hello",), ("hello", "there")], ids=["last", "earlier"])
@pytest.mark.parametrize("ledger_away", [False, True])
async def test_a_former_owners_proof_is_heeded_by_the_next(
    autojump_clock: MockClock, room: Room, ledger_away: bool, parts: tuple[str, ...]
) -> None:
    """It was paused while it sent; another daemon owns the conversation when the gateway's answer comes."""
    await room.answered(*parts)
    former = room.outbox

    async def lose(moment: str) -> None:
        await trio.lowlevel.checkpoint()
        if moment == "answer":
            room.ledger.epoch = 2
            if ledger_away:
                room.fail("settle", "prove")

    room.gateway.fault = lose
    with pytest.raises((StaleEpoch, LedgerUnavailable)):
        await former.deliver(await room.ledger.begin(ONLY, EPOCH), DEMO, EPOCH)
    [row] = room.ledger.rows.values()
    assert row.turn.parts[0].state == ("sending" if ledger_away else "sent")
    room.mend()
    room.gateway.fault = None
    room.gateway.records.clear()
    room.epoch = room.ownership.current = 2
    theirs = MemoryFacts()
    theirs.mirror = room.facts.mirror
    room.outbox = room.new_outbox(theirs, room.ownership)
    await room.deliver()
    assert (room.sends, await room.states()) == (len(parts) - 1, [("sent", 0)] * len(parts))


async def test_proven_not_sent_is_a_fact_as_well(autojump_clock: MockClock, room: Room) -> None:
    """No resend is spent on what the gateway refused while Postgres was away."""
    room.gateway.script = [(False, NotSent("connection_closed", "hold"))]
    await room.answered("hello")
    room.fail("settle", "prove")
    with pytest.raises(LedgerUnavailable):
        await room.deliver()
    room.restart()
    room.mend()
    await room.deliver()
    assert (room.sends, await room.states()) == (1, [("sent", 0)])


async def test_the_gateways_word_that_it_left_is_a_fact_as_well(
    autojump_clock: MockClock, room: Room
) -> None:
    room.gateway.script = [(False, Unknown("sent_but_unrecorded", may_resend=False))]
    await room.answered("hello")
    room.fail("settle", "prove")
    with pytest.raises(LedgerUnavailable):
        await room.deliver()
    room.restart()
    room.mend()
    await room.until_delivered()
    assert (room.sends, await room.states()) == (0, [("sent", 0)])


# Claims of which nothing left


async def test_a_crash_loop_before_the_first_byte_spends_no_resend(
    autojump_clock: MockClock, room: Room
) -> None:
    attempts = 0

    async def hang(moment: str) -> None:
        nonlocal attempts
        attempts += 1
        await trio.sleep(60)

    await room.answered("hello")
    room.gateway.fault = hang
    for number in range(1, 6):
        await killed_when(room, lambda number=number: attempts == number)  # type: ignore[misc]
        assert await room.states() == [("sending", 0)]
    room.gateway.fault = None
    began = trio.current_time()
    await room.deliver()
    assert (room.sends, await room.states()) == (1, [("sent", 0)])
    assert trio.current_time() - began < 0.1, "what never left needs no wait"


@pytest.mark.parametrize("log", ["kept", "lost"])
async def test_killed_after_a_reply_was_stored_and_claimed(
    autojump_clock: MockClock, room: Room, log: str
) -> None:
    """I6 (crash point `answer_stored`): the log shows that nothing left. Without it, it is as after any claim."""
    turn = await room.ledger.begin(ONLY, EPOCH)
    claim = room.outbox.claim_ahead(DEMO, EPOCH)
    await room.ledger.answer(turn, EPOCH, reply_of(Answer("text", "memory"), "one", "two"), claim)
    assert await room.states() == [("sending", 0), ("pending", 0)]
    if log == "lost":
        room.facts = MemoryFacts()
    room.restart()
    await room.until_delivered()
    assert await room.states() == [("sent", int(log == "lost")), ("sent", 0)]
    assert room.sends == 2


async def test_a_claim_made_ahead_is_sent_under_and_the_turn_ends_with_it(
    autojump_clock: MockClock, room: Room
) -> None:
    """Two steps of the ledger after the lookups, not four: none of the others is asked for."""
    turn = await room.ledger.begin(ONLY, EPOCH)
    room.ledger.claim = room.ledger.settle = room.ledger.finish = room.ledger.prove = None  # type: ignore[assignment,method-assign]
    claim = room.outbox.claim_ahead(DEMO, EPOCH)
    turn = await room.ledger.answer(turn, EPOCH, reply_of(Answer("text", "memory"), "one"), claim)
    assert await room.outbox.deliver(turn, DEMO, EPOCH, claim=claim)
    assert room.ledger.states() == ["done"] and room.sends == 1


async def test_a_claim_of_before_is_not_taken_for_the_one_made_ahead(
    autojump_clock: MockClock, room: Room
) -> None:
    """I6: another attempt stored the reply and claimed it, and may have sent it."""
    turn = await room.ledger.begin(ONLY, EPOCH)
    reply = reply_of(Answer("text", "memory"), "one")
    turn = await room.ledger.answer(turn, EPOCH, reply, room.outbox.claim_ahead(DEMO, EPOCH))
    room.facts = MemoryFacts()
    room.restart()
    room.gateway.evidence = [RecordFound("of the first one")]
    claim = room.outbox.claim_ahead(DEMO, EPOCH)
    turn = await room.ledger.answer(turn, EPOCH, reply, claim)
    await room.outbox.deliver(turn, DEMO, EPOCH, claim=claim)
    assert (room.sends, await room.states()) == (0, [("sent", 0)])


async def test_nothing_is_claimed_ahead_where_it_may_not_leave_at_once(
    autojump_clock: MockClock, room: Room
) -> None:
    """I6: a kill between the claim and the send leaves a claim in doubt, so there are no idle ones."""
    turn = await room.answered("one")
    room.gateway.script = [(False, NotSent("connection_closed", "hold"))]
    with pytest.raises(GatewayHeld):
        await room.deliver()
    assert room.outbox.claim_ahead(DEMO, EPOCH) == "", "the gateway did not take the last one"
    await room.deliver()
    assert (await room.states(), turn.state) == ([("sent", 0)], "answered")
    assert room.outbox.claim_ahead(DEMO, EPOCH) != ""
    room.ownership.uncertain = True
    assert room.outbox.claim_ahead(DEMO, EPOCH) == ""


async def test_a_reply_whose_storing_has_no_answer_is_no_claim_in_doubt(autojump_clock: MockClock) -> None:
    """I6: T2 committed, its answer was lost: nothing left under its claim, and no resend is spent."""
    world = World()
    answer = world.ledger.answer

    async def commits_and_is_silent(*args: Any, **named: Any) -> Turn:
        world.ledger.answer = answer  # type: ignore[method-assign]
        await answer(*args, **named)
        raise LedgerUnavailable(AWAY)

    world.ledger.answer = commits_and_is_silent  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        await world.say("x")
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert world.replies == ["Heard 1: x"]
    assert [part.resends for row in world.ledger.rows.values() for part in row.turn.parts] == [0]
    assert world.ledger.states() == ["done"]


async def test_a_claim_whose_first_byte_may_have_left_is_not_taken_back(
    autojump_clock: MockClock, room: Room
) -> None:
    slow_answer(room, 30)
    room.gateway.script = [(False, Sent("never"))]
    await room.answered("hello")
    await killed_when(room, lambda: True in room.facts.claims.values())
    room.gateway.fault = None
    with pytest.raises(GatewayHeld, match="send_settling"):
        await room.deliver()
    assert await room.states() == [("sending", 0)]


async def test_a_start_that_cannot_be_noted_leaves_nothing_behind_that_lies(
    autojump_clock: MockClock, room: Room
) -> None:
    """The disk is full between claim and start: the log is emptied; where even that fails, nothing leaves."""
    await room.answered("hello")

    async def fill(moment: str) -> None:
        await trio.lowlevel.checkpoint()
        room.facts.log_full = True

    room.gateway.fault = fill
    room.facts.can_empty_log = False
    with pytest.raises(GatewayHeld, match="lease_ended"):
        await room.deliver()
    assert (room.sends, await room.states()) == (0, [("pending", 0)])
    room.facts.can_empty_log, room.facts.log_full = True, False
    slow_answer(room, 30)
    sends = room.gateway.fault
    assert sends is not None

    async def fill_then_hang(moment: str) -> None:
        room.facts.log_full = True
        await sends(moment)

    room.gateway.fault = fill_then_hang
    await killed_when(room, lambda: room.sends == 1)
    room.gateway.fault = None
    await room.until_delivered()
    assert room.sends == 1


async def test_a_send_under_way_is_known_to_be(autojump_clock: MockClock, room: Room) -> None:
    seen: list[bool] = []

    async def look(moment: str) -> None:
        await trio.lowlevel.checkpoint()
        seen.append(room.outbox.is_sending(DEMO))

    room.gateway.fault = look
    await room.answered("hello")
    await room.deliver()
    assert seen == [True, True]
    assert not room.outbox.is_sending(DEMO)


@pytest.mark.parametrize(
    "outcome",
    [Sent("x"), NotSent("busy", "retry"), Unknown("timed_out")],
    ids=["sent", "not sent", "unknown"],
)
async def test_a_lease_that_ends_stops_the_send_before_its_first_byte(
    autojump_clock: MockClock, room: Room, outcome: SendOutcome
) -> None:
    async def lose(moment: str) -> None:
        await trio.lowlevel.checkpoint()
        room.ownership.uncertain = True

    room.gateway.script = [(True, outcome)]
    room.gateway.fault = lose
    await room.answered("hello")
    with pytest.raises(GatewayHeld, match="lease_ended"):
        await room.deliver()
    assert (room.sends, await room.states()) == (0, [("pending", 0)])


async def test_without_a_certain_lease_nothing_is_claimed(room: Room) -> None:
    """I5, I6: a claim that leads to no send would have to be settled first by whoever owns the conversation next."""
    asked: list[str] = []

    async def note(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        asked.append(operation)

    await room.answered("hello")
    room.ownership.uncertain = True
    room.ledger.fault = note
    with pytest.raises(LeaseUncertain):
        await room.deliver()
    assert "begin" in asked and "claim" not in asked


# In a whole world


async def test_a_lease_that_ends_while_the_start_is_noted_lets_nothing_leave(
    autojump_clock: MockClock, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I5: the disk stalls, the whole daemon with it, and another owner takes over."""
    starting = room.facts.starting

    def stall(token: str) -> None:
        starting(token)
        room.ownership.uncertain = True

    monkeypatch.setattr(room.facts, "starting", stall)
    await room.answered("hello")
    with pytest.raises(GatewayHeld, match="lease_ended"):
        await room.deliver()
    assert room.sends == 0


async def test_a_send_under_way_outlives_its_lease_and_its_proof_lands(autojump_clock: MockClock) -> None:
    """The partition is lost while the gateway works; its 201 is what the new owner needs."""
    world = World()

    async def lose(moment: str) -> None:
        await trio.sleep(2)
        if moment == "answer":
            world.ownership.failure = StaleEpoch("lost")
            world.ledger.epoch = 2
            world.supervisor.drop_lost()
            await trio.sleep(2)

    world.gateway.fault = lose
    async with trio.open_nursery() as process:
        await world.start(process)
        await world.say("hello")
        await trio.sleep(60)
        (row,) = world.ledger.rows.values()
        assert [part.state for part in row.turn.parts] == ["sent"]
        assert world.supervisor.views() == []
        process.cancel_scope.cancel()


async def test_a_burial_first_settles_what_is_known(autojump_clock: MockClock) -> None:
    """What is proven to have reached the customer does not end as a dead letter that was held for too long."""
    world = World(turn_policy=TurnPolicy(max_hold_seconds=30))

    async def away(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation in ("settle", "prove") and trio.current_time() < began + 60:
            raise LedgerUnavailable(AWAY)

    began = trio.current_time()
    world.ledger.fault = away
    async with trio.open_nursery() as process:
        await world.start(process)
        await world.say("hello")
        await trio.sleep(200)
        process.cancel_scope.cancel()
    assert world.ledger.states() == ["done"]
    assert len(world.replies) == 1
