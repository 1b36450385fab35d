"""The contract of every ledger: the fake of other tests and Postgres pass the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import msgspec
import pytest
import trio

from actors.errors import EarlierTurnUnfinished, MajlisError, StaleEpoch, TurnFailed
from actors.identity import Conversation
from actors.instance import Terms
from actors.lookups import FailedCall, TakeoverState, Usage
from actors.machines import Pace
from actors.messages import Answer, Batch, Spent, Swept
from actors.outcome import NotSent, Sent, Unknown
from actors.ports import Ledger, Lookups, Notice, Reply, Turn
from actors.send_facts import Proof
from tests.support.ledgers import (
    DEMO,
    LID,
    PARTITIONS,
    PHONE,
    batch,
    found,
    look,
    new_token,
    open_world,
    reply_of,
)
from tests.support.memory import MemoryLedger

ANSWER = Answer("one two", "rehearsal", "model", 3, 2)


@dataclass
class Subject:
    ledger: Ledger
    lookups: Lookups
    epoch: int
    take_over: Callable[[], Awaitable[object]]

    async def answered(self, *parts: str) -> Turn:
        turn = await self.ledger.begin(batch("hello"), self.epoch)
        return await self.ledger.answer(turn, self.epoch, reply_of(ANSWER, *parts))

    async def again(self) -> Turn:
        """The turn of `answered` as a daemon loads it after a restart."""
        return await self.ledger.begin(batch("hello"), self.epoch)

    async def send(self, turn: Turn, part: int) -> None:
        await self.ledger.claim(turn, self.epoch, part, False, new_token())
        await self.ledger.settle(turn, self.epoch, part, Sent(f"gateway-{turn.id}-{part}"))


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "memory" else cast(str, request.getfixturevalue("migrated_postgres_dsn"))


@pytest.fixture
async def subject(dsn: str) -> AsyncIterator[Subject]:
    if dsn:
        async with open_world(dsn) as world:
            yield Subject(world.ledger, world.lookups, world.epoch, world.take_over)
        return
    memory = MemoryLedger()

    async def take_over() -> None:
        await trio.lowlevel.checkpoint()
        memory.epoch += 1

    yield Subject(memory, memory, memory.epoch, take_over)


async def test_a_begun_turn_is_found_again(subject: Subject) -> None:
    """I3: a frozen batch has one turn, however often it is begun."""
    first = await subject.ledger.begin(batch("hello", "there"), subject.epoch)
    assert first.state == "started"
    assert first.conversation_id is not None
    assert await subject.ledger.begin(batch("hello", "there"), subject.epoch) == first
    assert (await subject.ledger.begin(batch("more", number=2), subject.epoch)).id != first.id


async def test_the_first_answer_stands(subject: Subject) -> None:
    """I6: the stored answer is sent; a second one is not."""
    turn = await subject.answered("one", "two")
    assert [(part.number, part.text, part.state) for part in turn.parts] == [
        (0, "one", "pending"),
        (1, "two", "pending"),
    ]
    again = await subject.ledger.answer(turn, subject.epoch, reply_of(Answer("other", "x"), "other"))
    assert again == turn
    assert (await subject.again()).parts == turn.parts


async def test_parts_are_claimed_in_order_and_once(subject: Subject) -> None:
    """I4, I6: no part starts before the earlier ones are settled; a claimed part is not claimed again."""
    turn = await subject.answered("one", "two")
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 1, False, new_token())
    await subject.ledger.claim(turn, subject.epoch, 0, False, new_token())
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 0, False, new_token())
    assert (await subject.again()).parts[0].claimed_at_ms is not None
    await subject.ledger.settle(turn, subject.epoch, 0, Sent("g1"))
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 0, False, new_token())
    await subject.ledger.claim(turn, subject.epoch, 1, False, new_token())
    assert [part.state for part in (await subject.again()).parts] == ["sent", "sending"]


async def test_a_part_that_was_not_sent_may_be_claimed_again(subject: Subject) -> None:
    turn = await subject.answered("one")
    await subject.ledger.claim(turn, subject.epoch, 0, False, new_token())
    await subject.ledger.settle(turn, subject.epoch, 0, NotSent("connection_closed", "hold"))
    assert (await subject.again()).parts[0].state == "pending"
    await subject.send(turn, 0)
    assert (await subject.again()).parts[0].state == "sent"


@pytest.mark.parametrize("settled", [True, False], ids=["unknown", "interrupted"])
async def test_an_unresolved_send_is_repeated_at_most_once(subject: Subject, settled: bool) -> None:
    """I6: at most one blind resend, also when the daemon died between claim and settlement."""
    turn = await subject.answered("one")
    await subject.ledger.claim(turn, subject.epoch, 0, False, new_token())
    if settled:
        await subject.ledger.settle(turn, subject.epoch, 0, Unknown("timeout"))
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 0, False, new_token())
    await subject.ledger.claim(turn, subject.epoch, 0, True, new_token())
    assert (await subject.again()).parts[0].resends == 1
    await subject.ledger.settle(turn, subject.epoch, 0, Unknown("timeout"))
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 0, True, new_token())


async def test_a_send_that_the_gateway_admits_is_never_repeated(subject: Subject) -> None:
    """I6: the response of the gateway shows that the message left."""
    turn = await subject.answered("one")
    await subject.ledger.claim(turn, subject.epoch, 0, False, new_token())
    await subject.ledger.settle(turn, subject.epoch, 0, Unknown("stored_not", may_resend=False))
    part = (await subject.again()).parts[0]
    assert (part.state, part.may_resend) == ("unknown", False)
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 0, True, new_token())
    await subject.ledger.settle(turn, subject.epoch, 0, Sent(""))
    assert (await subject.again()).parts[0].state == "sent"


async def test_an_ended_turn_keeps_its_state(subject: Subject) -> None:
    """I2: beginning a turn again after its end shows how it ended."""
    for number, (end, state) in enumerate(
        [("finish", "done"), ("duplicate", "suppressed"), ("moved", "moved"), ("bury", "dead")], start=1
    ):
        turn = await subject.ledger.begin(batch("hello", number=number), subject.epoch)
        for _ in range(2):
            if end == "finish":
                turn = await subject.ledger.answer(turn, subject.epoch, reply_of(ANSWER))
                await subject.ledger.finish(turn, subject.epoch)
            elif end == "bury":
                await subject.ledger.bury(turn, subject.epoch, "garbage", "three times")
            else:
                await subject.ledger.suppress(turn, subject.epoch, end)
        assert (await subject.ledger.begin(batch("hello", number=number), subject.epoch)).state == state


async def test_a_reply_that_leaves_at_once_is_claimed_as_it_is_stored(subject: Subject) -> None:
    """I4, I6: a claim of the first part alone, like any other; a repetition under its name finds it."""
    turn = await subject.ledger.begin(batch("hello"), subject.epoch)
    reply, token = reply_of(ANSWER, "one", "two"), new_token()
    turn = await subject.ledger.answer(turn, subject.epoch, reply, token)
    assert [(part.state, part.token, part.first_token) for part in turn.parts] == [
        ("sending", token, token),
        ("pending", "", ""),
    ]
    assert turn.parts[0].claimed_at_ms is not None
    for again in (token, new_token(), ""):
        stored = await subject.ledger.answer(turn, subject.epoch, reply, again)
        assert [part.token for part in stored.parts] == [token, ""]
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 0, False, new_token())
    unsent = Proof(turn.id, 0, token, NotSent("claim_lost", "hold"))
    assert await subject.ledger.prove(unsent)
    assert (await subject.again()).parts[0].state == "pending"
    await subject.send(turn, 0)


async def test_the_last_part_ends_its_turn(subject: Subject) -> None:
    """I6: once, however often it is said; a part before the last one ends nothing."""
    turn, first, last = await subject.answered("one", "two"), new_token(), new_token()
    await subject.ledger.claim(turn, subject.epoch, 0, False, first)
    assert not await subject.ledger.settle_last(turn, subject.epoch, Proof(turn.id, 0, first, Sent("g0")))
    assert [part.state for part in (await subject.again()).parts] == ["sent", "pending"]
    await subject.ledger.claim(turn, subject.epoch, 1, False, last)
    for _ in range(2):
        assert await subject.ledger.settle_last(turn, subject.epoch, Proof(turn.id, 1, last, Sent("g1")))
    again = await subject.again()
    assert (again.state, [part.state for part in again.parts]) == ("done", ["sent", "sent"])
    assert await subject.ledger.gateway_ids(turn) == {"g0", "g1"}
    assert await subject.ledger.open_turns(DEMO) == ()


async def test_the_last_part_is_a_fact_also_for_a_former_owner(subject: Subject) -> None:
    """I5, I6: it is recorded, and the turn is not his to end."""
    turn, token = await subject.answered("one"), new_token()
    await subject.ledger.claim(turn, subject.epoch, 0, False, token)
    old = subject.epoch
    await subject.take_over()
    with pytest.raises(StaleEpoch):
        await subject.ledger.settle_last(turn, old, Proof(turn.id, 0, token, Sent("g")))
    subject.epoch = old + 1
    again = await subject.again()
    assert (again.state, again.parts[0].state) == ("answered", "sent")


async def test_a_fallback_is_not_ended_with_its_last_part(subject: Subject) -> None:
    """I2: its turn becomes a dead letter, which `bury` writes."""
    turn, token = await subject.ledger.begin(batch("hello"), subject.epoch), new_token()
    doomed = msgspec.structs.replace(reply_of(ANSWER, "sorry"), rule="fallback", dead_reason="garbage")
    turn = await subject.ledger.answer(turn, subject.epoch, doomed)
    await subject.ledger.claim(turn, subject.epoch, 0, False, token)
    assert not await subject.ledger.settle_last(turn, subject.epoch, Proof(turn.id, 0, token, Sent("g")))
    assert (await subject.again()).state == "answered"


@pytest.mark.parametrize("step", ["begin", "answer", "claim", "settle", "finish", "suppress", "bury"])
async def test_no_step_under_a_stale_epoch(subject: Subject, step: str) -> None:
    """I5: after another daemon took the partition, the old owner changes nothing, at any step."""
    turn = await subject.answered("one", "two")
    await subject.send(turn, 0)
    before = await subject.again()
    old = subject.epoch
    await subject.take_over()
    ledger = subject.ledger
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "begin": lambda: ledger.begin(batch("late", number=2), old),
        "answer": lambda: ledger.answer(turn, old, reply_of(ANSWER, "late")),
        "claim": lambda: ledger.claim(turn, old, 1, False, new_token()),
        "settle": lambda: ledger.settle(turn, old, 1, Sent("late")),
        "finish": lambda: ledger.finish(turn, old),
        "suppress": lambda: ledger.suppress(turn, old, "duplicate"),
        "bury": lambda: ledger.bury(turn, old, "late", ""),
    }
    with pytest.raises(StaleEpoch):
        await steps[step]()
    subject.epoch = old + 1
    assert await subject.again() == before


async def test_a_former_owner_stores_no_answer(subject: Subject) -> None:
    """I5: not the first one either, whether it claims a part or not."""
    turn, old = await subject.ledger.begin(batch("hello"), subject.epoch), subject.epoch
    await subject.take_over()
    for claim in ("", new_token()):
        with pytest.raises(StaleEpoch):
            await subject.ledger.answer(turn, old, reply_of(ANSWER, "late"), claim)
    subject.epoch = old + 1
    again = await subject.again()
    assert (again.state, again.parts) == ("started", ())


async def test_a_silence_to_a_machine_begins_with_the_end_of_its_turn(subject: Subject) -> None:
    """I3: it is begun once, however often the step is repeated, and the next turn finds it."""
    found_out = Pace(silent=True, signs=("instant", "same"), silence_seconds=60, times=1)
    notice = Notice("webhook", "demo", "config:alerts.webhook", "{}", once="machine/1")
    asked = batch("hello")
    turn = await subject.ledger.begin(asked, subject.epoch)
    assert await look(subject.lookups, turn, asked, "pace") == Pace()
    for _ in range(2):
        await subject.ledger.silence_machine(turn, subject.epoch, found_out, (notice,))
    assert (await subject.again()).state == "suppressed"
    asked = batch("hello?", number=2)
    later = await subject.ledger.begin(asked, subject.epoch)
    assert await look(subject.lookups, later, asked, "pace") == Pace(silent=True)
    elsewhere = batch("hi", conversation=Conversation("demo", "966500000002"))
    other = await subject.ledger.begin(elsewhere, subject.epoch)
    assert await look(subject.lookups, other, elsewhere, "pace") == Pace()


async def test_an_unknown_instance_ends_by_rule(subject: Subject) -> None:
    nobody = batch("hello", conversation=Conversation("nobody", PHONE))
    turn = await subject.ledger.begin(nobody, subject.epoch)
    assert (turn.rule, turn.conversation_id) == ("unknown_instance", None)
    await subject.ledger.suppress(turn, subject.epoch, turn.rule)
    assert (await subject.ledger.begin(nobody, subject.epoch)).state == "suppressed"


async def test_a_linked_lid_moves_to_its_phone(subject: Subject) -> None:
    """Fault 39: the same person under two identities has one conversation."""
    of_lid = batch("hello", conversation=Conversation("demo", LID))
    await subject.ledger.link("demo", LID, PHONE)
    await subject.ledger.link("demo", LID, PHONE)
    turn = await subject.ledger.begin(of_lid, subject.epoch)
    assert (turn.moved_to, turn.state) == (PHONE, "started")
    await subject.ledger.suppress(turn, subject.epoch, "moved")
    again = await subject.ledger.begin(of_lid, subject.epoch)
    assert (again.moved_to, again.state) == (PHONE, "moved")


async def test_a_text_answered_before_is_a_duplicate(subject: Subject) -> None:
    first = await subject.answered("one")
    assert not await look(subject.lookups, first, batch("hello"), "duplicate")
    await subject.send(first, 0)
    await subject.ledger.finish(first, subject.epoch)
    second = batch("hello", number=2)
    turn = await subject.ledger.begin(second, subject.epoch)
    assert turn.said_before
    assert await look(subject.lookups, turn, second, "duplicate")
    elsewhere = batch("hello", conversation=DEMO._replace(contact="5511900000002"))
    turn = await subject.ledger.begin(elsewhere, subject.epoch)
    assert turn.said_before is False
    assert not await look(subject.lookups, turn, elsewhere, "duplicate")


async def test_what_was_found_in_the_gateways_records_is_no_duplicate_by_its_text(subject: Subject) -> None:
    """Messages are the same by id alone. What belongs to the history is no part of the text that is answered."""
    ledger, epoch = subject.ledger, subject.epoch
    mixed = found(batch("long ago", "hello"), "too_old", "")
    first = await ledger.begin(mixed, epoch)
    assert await ledger.begin(mixed, epoch) == first
    await ended(subject, first)
    cases: list[tuple[Swept, bool]] = [("", True), ("missed", False)]
    for how, is_duplicate in cases:
        again = found(batch("hello", number=2 + is_duplicate), how)
        turn = await ledger.begin(again, epoch)
        assert await look(subject.lookups, turn, again, "duplicate") == is_duplicate


async def test_an_unfinished_turn_still_knows_what_was_found(subject: Subject) -> None:
    """I2: resumed without the mirror, it is not answered either."""
    await subject.ledger.begin(found(batch("long ago", "hello"), "too_old", "missed"), subject.epoch)
    (again,) = await subject.ledger.open_turns(DEMO)
    assert [message.swept for message in again.messages] == ["too_old", "missed"]
    assert again.asked.text == "hello"


ALL = range(PARTITIONS)
OF_LID = Conversation("demo", LID)


async def ended(subject: Subject, turn: Turn) -> None:
    """Bring the turn to its end as one that was answered."""
    turn = await subject.ledger.answer(turn, subject.epoch, reply_of(ANSWER, "one"))
    await subject.send(turn, 0)
    await subject.ledger.finish(turn, subject.epoch)


async def test_an_unfinished_turn_is_read_as_its_batch(subject: Subject) -> None:
    """I2: a mirror that lost the batch can be done without; what was read is the same turn when it is begun."""
    asked = batch("hello", "there", number=3)
    turn = await subject.ledger.begin(asked, subject.epoch)
    tried = msgspec.structs.replace(asked, attempts=2)
    await subject.ledger.begin(tried, subject.epoch)
    await subject.ledger.begin(batch("of another", conversation=OF_LID), subject.epoch)
    [found] = await subject.ledger.open_turns(DEMO)
    assert (found.conversation, found.number, found.why, found.attempts) == (DEMO, 3, asked.why, 2)
    assert (found.messages, found.text) == (asked.messages, asked.text)
    assert (await subject.ledger.begin(found, subject.epoch)).id == turn.id
    names = await subject.ledger.unfinished(ALL, 0, 10)
    assert [(name.conversation, name.number) for name in names] == [(DEMO, 3), (OF_LID, 1)]
    assert names[0].id == turn.id and 0 <= names[0].age_seconds < 60
    assert [name.conversation for name in await subject.ledger.unfinished(ALL, turn.id, 10)] == [OF_LID]
    assert len(await subject.ledger.unfinished(ALL, 0, 1)) == 1
    elsewhere = set(ALL) - {DEMO.partition(PARTITIONS)}
    assert DEMO not in [name.conversation for name in await subject.ledger.unfinished(elsewhere, 0, 10)]


@pytest.mark.parametrize("end", ["finish", "drop_rest", "suppress", "moved", "bury"])
async def test_an_ended_turn_is_not_unfinished(subject: Subject, end: str) -> None:
    """I2: whichever way a turn ends, it is off the list; an answer alone does not end it."""
    ledger, epoch = subject.ledger, subject.epoch
    turn = await subject.answered("one")
    assert [found.number for found in await ledger.open_turns(DEMO)] == [1]
    if end == "finish":
        await subject.send(turn, 0)
        await ledger.finish(turn, epoch)
    elif end == "drop_rest":
        await ledger.drop_rest(turn, epoch, "taken_over")
    elif end == "bury":
        await ledger.bury(turn, epoch, "garbage", "")
    else:
        await ledger.suppress(turn, epoch, "duplicate" if end == "suppress" else end)
    assert await ledger.open_turns(DEMO) == ()
    assert await ledger.unfinished(ALL, 0, 10) == ()


@pytest.mark.parametrize("end", ["answered", "suppressed", "dead"])
async def test_messages_that_were_heard_before_are_a_duplicate(subject: Subject, end: str) -> None:
    """I6: a mirror that lost its tail gives the same messages once more, in a new batch or under another name."""
    ledger, epoch = subject.ledger, subject.epoch
    first = await ledger.begin(batch("hello", "there", id_prefix="a"), epoch)
    if end == "answered":
        await ended(subject, first)
    elif end == "dead":
        await ledger.bury(first, epoch, "garbage", "")
    else:
        await ledger.suppress(first, epoch, "taken_over")
    again = await ledger.begin(batch("hello", "there", number=2, id_prefix="a"), epoch)
    assert (again.id != first.id, again.state, again.rule) == (True, "started", "duplicate")
    await ledger.suppress(again, epoch, "duplicate")
    assert (await ledger.begin(batch("hello", number=3, id_prefix="a"), epoch)).rule == "duplicate"
    await ledger.link("demo", LID, PHONE)
    under_lid = await ledger.begin(batch("hello", number=4, id_prefix="a", conversation=OF_LID), epoch)
    assert (under_lid.rule, under_lid.moved_to) == ("duplicate", "")
    stranger = DEMO._replace(contact="5511900000002")
    assert not (await ledger.begin(batch("hello", id_prefix="a", conversation=stranger), epoch)).rule


async def test_messages_heard_under_a_lid_are_a_duplicate_under_the_phone(subject: Subject) -> None:
    ledger, epoch = subject.ledger, subject.epoch
    await ended(subject, await ledger.begin(batch("hello", id_prefix="a", conversation=OF_LID), epoch))
    with_lid = batch("hello", number=2, id_prefix="a", lid=LID)
    assert (await ledger.begin(with_lid, epoch)).rule == "duplicate"


async def test_only_what_was_not_heard_before_is_answered(subject: Subject) -> None:
    """I2, I6: of a batch with old and new messages the turn is about the new ones, however often it is begun."""
    ledger, epoch = subject.ledger, subject.epoch
    await ended(subject, await ledger.begin(batch("one", "two", id_prefix="a"), epoch))
    mixed = batch("one", "two", "three", number=2, id_prefix="a")
    turn = await ledger.begin(mixed, epoch)
    assert (turn.rule, turn.repeated) == ("", ("a0", "a1"))
    assert await ledger.begin(mixed, epoch) == turn
    [left] = await ledger.open_turns(DEMO)
    assert left.text == mixed.without(turn.repeated).text == "three"
    assert (await ledger.begin(left, epoch)).id == turn.id
    await ended(subject, turn)
    assert (await ledger.begin(mixed, epoch)).state == "done"
    assert (await ledger.begin(batch("three", number=3, id_prefix="a"), epoch)).rule == "duplicate"


async def test_a_turn_waits_for_an_unfinished_one_of_the_same_messages(subject: Subject) -> None:
    """I6: never a duplicate of what has no answer yet, and never a second answer beside it."""
    ledger, epoch = subject.ledger, subject.epoch
    first = await ledger.begin(batch("hello", id_prefix="a"), epoch)
    again = batch("hello", "there", number=2, id_prefix="a")
    for _ in range(2):
        with pytest.raises(EarlierTurnUnfinished):
            await ledger.begin(again, epoch)
    first = await ledger.answer(first, epoch, reply_of(ANSWER, "one"))
    with pytest.raises(EarlierTurnUnfinished):
        await ledger.begin(batch("hello", number=2, id_prefix="a", lid=LID), epoch)
    await subject.send(first, 0)
    await ledger.finish(first, epoch)
    turn = await ledger.begin(again, epoch)
    assert turn.repeated == ("a0",)
    assert turn.said_before, "nobody has looked for what is left"


async def test_a_reused_number_with_more_messages_leaves_each_turn_its_own(subject: Subject) -> None:
    """I2, fault 23: the unfinished turn of the same number is found again by its own messages."""
    ledger, epoch = subject.ledger, subject.epoch
    first, more = batch("one", id_prefix="a"), batch("one", "two", id_prefix="a")
    turn = await ledger.begin(first, epoch)
    other = await ledger.begin(more, epoch)
    assert (other.id != turn.id, other.repeated) == (True, ("a0",))
    assert (await ledger.begin(first, epoch)).id == turn.id
    assert (await ledger.begin(more, epoch)).id == other.id
    assert [left.text for left in await ledger.open_turns(DEMO)] == ["one", "two"]


async def test_messages_that_moved_are_answered_where_they_went(subject: Subject) -> None:
    """Fault 39: the turn of a LID that only moves its messages has not heard them, before its end or after it."""
    ledger, epoch = subject.ledger, subject.epoch
    await ledger.link("demo", LID, PHONE)
    of_lid = await ledger.begin(batch("hello", id_prefix="a", conversation=OF_LID), epoch)
    of_phone = await ledger.begin(batch("hello", id_prefix="a"), epoch)
    assert (of_phone.rule, of_phone.repeated) == ("", ())
    await ledger.suppress(of_lid, epoch, "moved")
    await ended(subject, of_phone)
    assert (await ledger.begin(batch("hello", number=2, id_prefix="a"), epoch)).rule == "duplicate"


async def test_a_replayed_dead_letter_is_no_duplicate(subject: Subject) -> None:
    ledger, epoch = subject.ledger, subject.epoch
    dead = await ledger.begin(batch("hello", id_prefix="a"), epoch)
    await ledger.bury(dead, epoch, "garbage", "")
    replayed = await ledger.begin(batch("hello", number=2, id_prefix="dead-1-a"), epoch)
    assert (replayed.rule, replayed.repeated) == ("", ())


# Facts


async def claimed(subject: Subject, token: str = "a1") -> Turn:
    turn = await subject.answered("one", "two")
    await subject.ledger.claim(turn, subject.epoch, 0, False, token)
    return turn


async def part_of(subject: Subject) -> tuple[str, int]:
    part = (await subject.again()).parts[0]
    return part.state, part.resends


async def test_a_former_owners_proof_lands_on_the_part(subject: Subject) -> None:
    """I6: what the gateway accepted is true under any epoch, also when a resend was claimed since."""
    turn = await claimed(subject)
    old = subject.epoch
    await subject.take_over()
    subject.epoch = old + 1
    await subject.ledger.settle(turn, subject.epoch, 0, Unknown("timeout"))
    await subject.ledger.claim(turn, subject.epoch, 0, True, "b2")
    proof = Proof(turn.id, 0, "a1", Sent("g1"))
    assert await subject.ledger.prove(proof)
    assert await subject.ledger.prove(proof)
    assert await part_of(subject) == ("sent", 1)
    for later in (NotSent("busy", "retry"), Unknown("timeout"), Sent("g2")):
        await subject.ledger.settle(turn, subject.epoch, 0, later)
    assert await subject.ledger.gateway_ids(turn) == {"g1"}


async def test_a_proof_about_another_claim_changes_nothing(subject: Subject) -> None:
    turn = await claimed(subject, "b2")
    for token in ("a1", ""):
        for outcome in (Sent("g"), NotSent("busy", "retry")):
            assert not await subject.ledger.prove(Proof(turn.id, 0, token, outcome))
    assert not await subject.ledger.prove(Proof(turn.id, 7, "b2", Sent("g")))
    assert await part_of(subject) == ("sending", 0)


@pytest.mark.parametrize("before", ["sending", "unknown", "pending"])
async def test_a_late_proof_of_a_send_stands(subject: Subject, before: str) -> None:
    turn = await claimed(subject)
    if before != "sending":
        outcome = Unknown("timeout") if before == "unknown" else NotSent("busy", "retry")
        await subject.ledger.settle(turn, subject.epoch, 0, outcome)
    assert await subject.ledger.prove(Proof(turn.id, 0, "a1", Sent("g1")))
    assert await part_of(subject) == ("sent", 0)


async def test_proven_not_sent_ends_its_own_claim_only(subject: Subject) -> None:
    turn = await claimed(subject)
    unsent = Proof(turn.id, 0, "a1", NotSent("never_left", "hold"))
    assert await subject.ledger.prove(unsent)
    assert await subject.ledger.prove(unsent)
    assert await part_of(subject) == ("pending", 0)
    await subject.ledger.claim(turn, subject.epoch, 0, False, "b2")
    await subject.ledger.settle(turn, subject.epoch, 0, Unknown("timeout"))
    assert not await subject.ledger.prove(Proof(turn.id, 0, "b2", NotSent("late", "hold")))
    assert await part_of(subject) == ("unknown", 0)
    await subject.ledger.claim(turn, subject.epoch, 0, True, "c3")
    assert not await subject.ledger.prove(Proof(turn.id, 0, "b2", NotSent("late", "hold")))
    assert await part_of(subject) == ("sending", 1), "the resend is another claim"


@pytest.mark.parametrize("end", ["bury", "drop_rest"])
async def test_a_proof_is_recorded_after_the_turn_has_ended(subject: Subject, end: str) -> None:
    """It changes the part, and not the end that the turn had."""
    turn = await claimed(subject)
    if end == "bury":
        await subject.ledger.bury(turn, subject.epoch, "held_too_long", "")
    else:
        await subject.ledger.drop_rest(turn, subject.epoch, "taken_over")
    before = (await subject.again()).state
    assert await subject.ledger.prove(Proof(turn.id, 0, "a1", Sent("g1")))
    assert (await subject.again()).state == before
    assert await part_of(subject) == ("sent", 0)


@pytest.mark.parametrize("end", ["dead", "suppressed"])
async def test_nothing_is_claimed_in_an_ended_turn(subject: Subject, end: str) -> None:
    turn = await subject.answered("one")
    if end == "dead":
        await subject.ledger.bury(turn, subject.epoch, "x", "")
    else:
        await subject.ledger.suppress(turn, subject.epoch, "duplicate")
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 0, False, "a1")


async def test_a_claim_is_repeated_only_under_its_own_token(subject: Subject) -> None:
    turn = await claimed(subject)
    await subject.ledger.claim(turn, subject.epoch, 0, False, "a1")
    assert await part_of(subject) == ("sending", 0)


async def test_that_a_part_may_not_be_sent_again_is_never_taken_back(subject: Subject) -> None:
    turn = await claimed(subject)
    await subject.ledger.settle(turn, subject.epoch, 0, Unknown("stored_not", may_resend=False))
    await subject.ledger.settle(turn, subject.epoch, 0, Unknown("timeout", may_resend=True))
    with pytest.raises(TurnFailed, match="claim_conflict"):
        await subject.ledger.claim(turn, subject.epoch, 0, True, "b2")


async def used_today(subject: Subject, turn: Turn) -> Usage:
    usage = await look(subject.lookups, turn, batch("hello"), "usage", terms=Terms(tokens_per_day=1))
    assert isinstance(usage, Usage)
    return usage


async def test_what_a_failed_attempt_cost_counts_for_the_day_and_once(subject: Subject) -> None:
    """Budgets are about what was paid for, not about what could be used."""
    turn = await subject.ledger.begin(batch("hello"), subject.epoch)
    call = FailedCall(
        provider="main", reason="garbage", attempt=1, at_ms=1, took_ms=2.5, spent=Spent(5, 6, 7)
    )
    for token in ("0-1", "0-1", "1-9"):
        await subject.ledger.spend(turn, subject.epoch, token, Spent(5, 6, 7), (call,))
    used = await used_today(subject, turn)
    assert (used.tokens_today, used.cost_micros_today, used.answers_today) == (22, 14, 0)
    await subject.ledger.answer(turn, subject.epoch, reply_of(ANSWER, "one"))
    await subject.ledger.spend(turn, subject.epoch, "2-5", Spent(100, 100, 100), ())
    used = await used_today(subject, turn)
    assert (used.tokens_today, used.cost_micros_today, used.answers_today) == (27, 14, 1)
    await subject.take_over()
    with pytest.raises(StaleEpoch):
        await subject.ledger.spend(turn, subject.epoch, "3-7", Spent(1), ())


async def test_steps_out_of_order_are_refused(subject: Subject) -> None:
    """I2, I6: what was not sent cannot be finished, what may have been sent cannot be suppressed."""
    turn = await subject.answered("one")
    with pytest.raises(MajlisError):
        await subject.ledger.settle(turn, subject.epoch, 0, Unknown("timeout"))
    await subject.ledger.claim(turn, subject.epoch, 0, False, "a1")
    with pytest.raises(MajlisError):
        await subject.ledger.finish(turn, subject.epoch)
    with pytest.raises(MajlisError):
        await subject.ledger.suppress(turn, subject.epoch, "duplicate")
    await subject.ledger.settle(turn, subject.epoch, 0, Sent("g"))
    await subject.ledger.finish(turn, subject.epoch)
    with pytest.raises(MajlisError):
        await subject.ledger.bury(turn, subject.epoch, "x", "")
    assert (await subject.again()).state == "done"


async def test_the_age_of_an_unknown_send_counts_from_its_outcome(subject: Subject) -> None:
    turn = await claimed(subject)
    await trio.sleep(0.3)
    sending = (await subject.again()).parts[0].open_ago_ms
    await subject.ledger.settle(turn, subject.epoch, 0, Unknown("timeout"))
    part = (await subject.again()).parts[0]
    assert sending is not None
    assert part.open_ago_ms is not None
    assert part.first_claim_ago_ms is not None
    assert sending >= 300
    assert part.open_ago_ms <= part.first_claim_ago_ms - 300
    assert (part.token, part.first_token) == ("a1", "a1")


async def opted_out(subject: Subject, number: int) -> bool:
    """Whether the next turn finds that the customer opted out."""
    asked = batch("next", number=number)
    turn = await subject.ledger.begin(asked, subject.epoch)
    state = await look(subject.lookups, turn, asked, "takeover")
    assert isinstance(state, TakeoverState)
    assert await subject.ledger.may_start(DEMO) is not state.opted_out
    return state.opted_out


async def test_a_stop_word_is_recorded_with_its_confirmation_and_once(subject: Subject) -> None:
    """I6: a repeat of the step, after the customer took it back, changes nothing."""
    ledger, epoch = subject.ledger, subject.epoch
    assert not await opted_out(subject, 2)
    turn = await ledger.begin(batch("stop"), epoch)
    stop = Reply(Answer("bye", "opt_out"), ("bye",), rule="opted_out", opt_out="out")
    turn = await ledger.answer(turn, epoch, stop)
    assert (turn.state, turn.rule, len(turn.parts)) == ("answered", "opted_out", 1)
    assert await opted_out(subject, 3)
    start = await ledger.begin(batch("start", number=4), epoch)
    await ledger.answer(start, epoch, Reply(Answer("hi", "opt_out"), ("hi",), rule="opted_in", opt_out="in"))
    assert not await opted_out(subject, 5)
    await ledger.answer(turn, epoch, stop)
    assert not await opted_out(subject, 6)


async def test_a_chosen_silence_ends_the_turn_with_the_step_that_stores_it(subject: Subject) -> None:
    """I2, I6: nothing is left to be sent, and a restart finds the end."""
    turn = await subject.ledger.begin(batch("hello"), subject.epoch)
    silence = Reply(Answer("", "p", "m", 11, 7, 5, is_silence=True), (), rule="model_silence")
    ended = await subject.ledger.answer(turn, subject.epoch, silence)
    assert (ended.state, ended.rule, ended.parts) == ("suppressed", "model_silence", ())
    assert await subject.ledger.answer(turn, subject.epoch, reply_of(ANSWER, "one")) == ended
    assert (await subject.again()).state == "suppressed"
    assert await subject.ledger.open_turns(DEMO) == ()


def in_shadow(frozen: Batch, *places: int) -> Batch:
    """The batch with the messages at these places heard in mode `shadow`; all of them where none is named."""
    entries = tuple(
        msgspec.structs.replace(entry, message=msgspec.structs.replace(entry.message, shadow=True))
        if not places or place in places
        else entry
        for place, entry in enumerate(frozen.entries)
    )
    return msgspec.structs.replace(frozen, entries=entries)


async def test_a_shadow_turn_keeps_its_answer_and_cannot_send(subject: Subject) -> None:
    """I2, I6: what it is stands from its first step on, and no outbox of it can be claimed."""
    ledger, epoch = subject.ledger, subject.epoch
    heard = in_shadow(batch("hello", "there"))
    turn = await ledger.begin(heard, epoch)
    assert turn.shadow and (await ledger.begin(heard, epoch)).shadow
    [resumed] = await ledger.open_turns(DEMO)
    assert resumed.is_shadow
    ended = await ledger.answer(turn, epoch, Reply(ANSWER, (), rule="shadow", opt_out="out"))
    assert (ended.state, ended.rule, ended.parts) == ("suppressed", "shadow", ())
    assert await ledger.may_start(DEMO)
    assert await ledger.open_turns(DEMO) == ()
    aloud = await ledger.begin(in_shadow(batch("more", "words", number=2), 0), epoch)
    assert not aloud.shadow

    other = await ledger.begin(in_shadow(batch("again", number=3)), epoch)
    other = await ledger.answer(other, epoch, reply_of(ANSWER, "leaks"))
    with pytest.raises(TurnFailed):
        await ledger.claim(other, epoch, 0, False, new_token())


# Superseded


async def test_a_superseded_turn_is_none_and_a_wider_one_takes_its_place(subject: Subject) -> None:
    """I2, I3: under the same number, with all messages of both; no step goes back, and nothing is a duplicate."""
    ledger, epoch = subject.ledger, subject.epoch
    narrow, wide = batch("one", "two", id_prefix="a"), batch("one", "two", "three", id_prefix="a")
    turn = await ledger.begin(narrow, epoch)
    for _ in range(2):  # its answer may be lost
        over = await ledger.supersede(turn, epoch, Spent(5, 3, 7), True)
        assert (over.id, over.state) == (turn.id, "superseded")
    late = await ledger.answer(turn, epoch, reply_of(ANSWER, "too late"), new_token())
    assert (late.state, late.parts) == ("superseded", ())
    wider = await ledger.begin(wide, epoch)
    assert (wider.id != turn.id, wider.state, wider.rule, wider.repeated) == (True, "started", "", ())
    assert await ledger.begin(wide, epoch) == wider
    assert [left.text for left in await ledger.open_turns(DEMO)] == ["one\ntwo\nthree"]
    await ended(subject, wider)
    assert (await ledger.begin(wide, epoch)).state == "done"
    assert await ledger.open_turns(DEMO) == ()
    assert (await ledger.begin(batch("three", number=2, id_prefix="a"), epoch)).rule == "duplicate"


async def test_a_turn_is_superseded_as_often_as_it_must_be(subject: Subject) -> None:
    """I2: killed between the steps, the narrow batch is begun anew, and may be superseded again."""
    ledger, epoch = subject.ledger, subject.epoch
    narrow, turns = batch("one", id_prefix="a"), list[int]()
    for _ in range(3):
        turn = await ledger.begin(narrow, epoch)
        turns.append(turn.id)
        assert turn.state == "started"
        await ledger.supersede(turn, epoch, Spent(), False)
    wider = await ledger.begin(batch("one", "two", id_prefix="a"), epoch)
    assert len({*turns, wider.id}) == 4
    assert [left.text for left in await ledger.open_turns(DEMO)] == ["one\ntwo"]


async def test_what_a_superseded_turn_had_heard_is_unfinished_until_another_turn_has_it(
    subject: Subject,
) -> None:
    """I2, law 15: a mirror that loses the batch just then, or gives some of it out under another number."""
    ledger, epoch = subject.ledger, subject.epoch
    turn = await ledger.begin(batch("one", "two", id_prefix="a"), epoch)
    await ledger.supersede(turn, epoch, Spent(), False)
    [left] = await ledger.open_turns(DEMO)
    assert (left.number, left.text) == (1, "one\ntwo")
    assert [open.id for open in await ledger.unfinished(ALL, 0, 10)] == [turn.id]
    other = await ledger.begin(batch("one", number=2, id_prefix="a"), epoch)
    assert (other.rule, other.repeated) == ("", ())
    await ended(subject, other)
    [left] = await ledger.open_turns(DEMO)
    rest = await ledger.begin(left, epoch)
    assert (rest.state, rest.repeated) == ("started", ("a0",))
    await ended(subject, rest)
    assert await ledger.open_turns(DEMO) == ()
    assert await ledger.unfinished(ALL, 0, 10) == ()


async def test_a_wider_turn_than_the_mirror_remembers_is_superseded(subject: Subject) -> None:
    """I2, I3: an older copy of the mirror has the narrow batch again; what it lost is unfinished, and ends."""
    ledger, epoch = subject.ledger, subject.epoch
    narrow, wide = batch("one", id_prefix="a"), batch("one", "two", id_prefix="a")
    await ledger.supersede(await ledger.begin(narrow, epoch), epoch, Spent(), False)
    wider = await ledger.begin(wide, epoch)
    again = await ledger.begin(narrow, epoch)
    assert (again.id != wider.id, again.state, again.repeated) == (True, "started", ())
    await ended(subject, again)
    [left] = await ledger.open_turns(DEMO)
    rest = await ledger.begin(left, epoch)
    assert (left.text, rest.repeated) == ("one\ntwo", ("a0",))
    await ended(subject, rest)
    assert await ledger.open_turns(DEMO) == ()
    assert (await ledger.begin(wide, epoch)).state == "done", "and a wide one is over whoever asks"


async def test_a_superseded_turn_is_over_when_its_messages_were_heard_under_the_phone(
    subject: Subject,
) -> None:
    """I2, I10: nothing is resumed for ever."""
    ledger, epoch = subject.ledger, subject.epoch
    of_lid = batch("one", id_prefix="a", conversation=OF_LID)
    await ledger.supersede(await ledger.begin(of_lid, epoch), epoch, Spent(), False)
    await ledger.link("demo", LID, PHONE)
    await ended(subject, await ledger.begin(batch("one", id_prefix="a", lid=LID), epoch))
    [left] = await ledger.open_turns(OF_LID)
    again = await ledger.begin(left, epoch)
    assert again.rule == "duplicate"
    await ledger.suppress(again, epoch, "duplicate")
    assert await ledger.open_turns(OF_LID) == ()


async def test_only_a_turn_without_an_answer_is_superseded_and_only_by_its_owner(subject: Subject) -> None:
    """I5, I6: an answer that is stored stands."""
    answered = await subject.answered("one")
    assert await subject.ledger.supersede(answered, subject.epoch, Spent(), False) == answered
    other = await subject.ledger.begin(batch("more", number=2), subject.epoch)
    await subject.take_over()
    with pytest.raises(StaleEpoch):
        await subject.ledger.supersede(other, subject.epoch, Spent(), False)


async def test_the_cost_of_a_superseded_turn_counts_once_and_its_place_is_free(subject: Subject) -> None:
    ledger, epoch, terms = (
        subject.ledger,
        subject.epoch,
        Terms(turns_per_minute_per_contact=1, tokens_per_day=1000),
    )
    narrow = batch("one", id_prefix="a")
    turn = await ledger.begin(narrow, epoch)
    await look(subject.lookups, turn, narrow, "usage", terms=terms)
    for _ in range(2):
        await ledger.supersede(turn, epoch, Spent(5, 3, 7), True)
    wide = batch("one", "two", id_prefix="a")
    wider = await ledger.begin(wide, epoch)
    usage: Usage = await look(subject.lookups, wider, wide, "usage", terms=terms)
    assert (usage.tokens_today, usage.cost_micros_today, usage.answers_today) == (8, 7, 0)
    assert usage.contact_turns == 0


async def test_what_a_superseded_turn_has_left_comes_last(subject: Subject) -> None:
    """I10: a later turn may have some of its messages, and must end first."""
    ledger, epoch = subject.ledger, subject.epoch
    turn = await ledger.begin(batch("one", "two", id_prefix="a"), epoch)
    await ledger.supersede(turn, epoch, Spent(), False)
    later = await ledger.begin(batch("one", number=2, id_prefix="a"), epoch)
    assert [left.number for left in await ledger.open_turns(DEMO)] == [2, 1]
    with pytest.raises(EarlierTurnUnfinished):
        await ledger.begin(batch("one", "two", id_prefix="a"), epoch)
    await ended(subject, later)
