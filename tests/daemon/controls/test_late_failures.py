"""A confirmed message that the gateway reports as failed: what the books say, in every order of events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from actors.messages import Answer
from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from actors.ports import Notice, Turn
from actors.send_facts import Proof
from daemon.controls.late_failures import LateFailures
from daemon.ingress.inbound import LateFailure
from daemon.observe.feed import EventFeed
from tests.support.ledgers import LedgerWorld, batch, new_token, open_world, reply_of

STAFF = Notice("whatsapp", "demo", "966500000001", "come")


class Room:
    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.ledger = world.ledger
        self.feed = EventFeed(strict=True)
        self.failures = LateFailures(world.db, self.feed)

    async def report(self, *ids: str, instance: str = "demo", reason: str = "failed") -> None:
        await self.failures.report(LateFailure(instance, ids, reason))

    async def answered(self, number: int = 1) -> Turn:
        turn = await self.ledger.begin(batch("hello", number=number), 1)
        return await self.ledger.answer(turn, 1, reply_of(Answer("one two", "main", "m", 1, 1), "one", "two"))

    async def send(self, turn: Turn, part: int, outcome: SendOutcome) -> None:
        await self.ledger.claim(turn, 1, part, resend=False, token=new_token())
        await self.ledger.settle(turn, 1, part, outcome)

    async def done(self, number: int = 1) -> Turn:
        turn = await self.answered(number)
        for part in range(2):
            await self.send(turn, part, Sent(f"G{number}.{part}"))
        await self.ledger.finish(turn, 1)
        return turn

    async def state(self, turn: Turn) -> tuple[str, list[str]]:
        found = await self.world.records.turn(turn.id)
        assert found is not None
        return found.state, [part.state for part in found.parts]

    async def letters(self) -> list[tuple[str, str]]:
        return [(one.reason, one.detail) for one in await self.world.records.dead_letters()]

    async def remembered(self) -> int:
        return len(await self.world.rows("SELECT FROM majlis_later_failures"))


@pytest.fixture
async def room(migrated_postgres_dsn: str) -> AsyncIterator[Room]:
    async with open_world(migrated_postgres_dsn) as world:
        yield Room(world)


async def test_a_failure_after_the_end_makes_a_dead_letter_once(room: Room) -> None:
    """I9: what the customer never got is visible, however often and at whatever daemon it is reported."""
    turn = await room.done()
    await room.world.take_over()  # a fact: no lease is asked for
    for _ in range(3):
        await room.report("G1.1", reason="window_closed")
    assert await room.state(turn) == ("dead", ["sent", "failed_later"])
    assert await room.letters() == [("failed_later", "window_closed; parts: 1 failed later, 2 in all")]
    assert (room.feed.counters["part.failed_later"], await room.remembered()) == (1, 0)
    await room.report("G1.0")
    assert await room.letters() == [
        ("failed_later", "failed, window_closed; parts: 2 failed later, 2 in all")
    ]


async def test_the_same_report_at_two_daemons_counts_once(room: Room) -> None:
    turn = await room.done()
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(room.report, "G1.0")
    assert await room.state(turn) == ("dead", ["failed_later", "sent"])
    assert (len(await room.letters()), room.feed.counters["part.failed_later"]) == (1, 1)


async def test_the_other_parts_go_on_and_then_the_turn_is_a_dead_letter(room: Room) -> None:
    turn = await room.answered()
    await room.send(turn, 0, Sent("A"))
    for _ in range(2):
        await room.report("A")
    assert await room.state(turn) == ("answered", ["sent", "pending"])
    await room.send(turn, 1, Sent("B"))
    await room.ledger.finish(turn, 1)
    assert await room.state(turn) == ("dead", ["failed_later", "sent"])
    assert (len(await room.letters()), room.feed.counters["part.failed_later"]) == (1, 1)
    assert ("assistant", "one") not in await room.world.messages(), "the customer never read it"


async def test_a_turn_that_is_finished_again_stays_a_dead_letter(room: Room) -> None:
    """T5 is repeated when its answer was lost; the failure may have been reported in between."""
    turn = await room.done()
    await room.report("G1.1")
    await room.ledger.finish(turn, 1)
    assert (await room.state(turn))[0] == "dead"
    assert len(await room.letters()) == 1


async def test_a_failure_reported_before_the_send_is_settled_is_not_lost(room: Room) -> None:
    """The report may overtake the answer to our own call."""
    turn = await room.answered()
    await room.ledger.claim(turn, 1, 0, resend=False, token=new_token())
    await room.report("A", reason="undeliverable")
    await room.ledger.settle(turn, 1, 0, Sent("A"))
    await room.send(turn, 1, Sent("B"))
    await room.ledger.finish(turn, 1)
    assert await room.state(turn) == ("dead", ["failed_later", "sent"])
    assert await room.letters() == [("failed_later", "undeliverable; parts: 1 failed later, 2 in all")]
    assert await room.remembered() == 0


async def test_a_dead_letter_keeps_its_reason(room: Room) -> None:
    turn = await room.answered()
    await room.send(turn, 0, Sent("A"))
    await room.report("A")
    await room.ledger.bury(turn, 1, "send_unresolved", "")
    assert await room.state(turn) == ("dead", ["failed_later", "pending"])
    assert [reason for reason, _ in await room.letters()] == ["send_unresolved"]


@pytest.mark.parametrize("outcome", [Sent("G1.0"), NotSent("x", "retry"), Unknown("x")])
async def test_a_late_settlement_does_not_undo_the_failure(room: Room, outcome: SendOutcome) -> None:
    """I6: a part that failed later is never claimed or sent again by itself."""
    turn = await room.done()
    await room.report("G1.0")
    await room.ledger.settle(turn, 1, 0, outcome)
    assert await room.state(turn) == ("dead", ["failed_later", "sent"])


async def test_ids_that_are_not_ours_change_nothing(room: Room) -> None:
    turn = await room.done()
    await room.report("someone else's")
    await room.report("G1.0", instance="another")
    assert await room.state(turn) == ("done", ["sent", "sent"])
    assert (await room.letters(), room.feed.counters["part.failed_later"]) == ([], 0)
    await room.world.rows("UPDATE majlis_later_failures SET at = now() - interval '2 days'")
    await room.report("yet another")
    assert await room.remembered() == 1, "they are forgotten after a day"


async def test_of_several_names_the_one_that_is_ours_counts(room: Room) -> None:
    turn = await room.done()
    await room.report("cmfyoow42000hov4x", "G1.1")
    assert await room.state(turn) == ("dead", ["sent", "failed_later"])


@pytest.mark.parametrize("early", [False, True])
async def test_a_notice_that_failed_later_is_given_up(room: Room, early: bool) -> None:
    await room.ledger.notify((STAFF,))
    if early:
        await room.report("N")
    [row] = await room.world.rows("SELECT id FROM majlis_notices")
    for _ in range(2):
        await room.world.rows("SELECT majlis_notice_sent($1, $2)", row["id"], "N")
    await room.report("N", reason="window_closed")
    await room.world.rows("SELECT majlis_notice_sent($1, $2)", row["id"], "N")
    [row] = await room.world.rows(
        "SELECT sent_at, given_up_at IS NOT NULL AS given_up, tries FROM majlis_notices"
    )
    assert (row["sent_at"], row["given_up"], row["tries"]) == (None, True, 1)
    assert room.feed.counters["notice.given_up"] == (0 if early else 1)


async def test_a_failure_reported_before_an_ended_turn_is_proven_to_have_sent_is_not_lost(room: Room) -> None:
    """The turn ended with an unknown part; a kept fact names its message later, and the report was there first."""
    turn, token = await room.answered(), new_token()
    await room.ledger.claim(turn, 1, 0, resend=False, token=token)
    await room.ledger.settle(turn, 1, 0, Unknown("timed_out"))
    await room.ledger.drop_rest(turn, 1, "taken_over")
    assert await room.state(turn) == ("done", ["unknown", "dropped"])
    await room.report("A", reason="undeliverable")
    assert await room.ledger.prove(Proof(turn.id, 0, token, Sent("A")))
    assert await room.state(turn) == ("dead", ["failed_later", "dropped"])
    assert await room.letters() == [("failed_later", "undeliverable; parts: 1 failed later, 2 in all")]
    assert await room.remembered() == 0


async def test_a_daemon_of_the_version_before_can_read_a_turn_with_such_a_part(room: Room) -> None:
    """It knows no part that failed later; the mirror may still hold the batch of such a turn."""
    turn = await room.done()
    await room.report("G1.0")
    again = await room.ledger.begin(batch("hello", number=1), 1)
    assert (again.id, again.state, {part.state for part in again.parts}) == (turn.id, "dead", {"sent"})
