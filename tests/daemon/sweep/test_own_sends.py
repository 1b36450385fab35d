"""Our own replies in the gateway's records: which record settles which send, and what that changes in the ledger."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from actors.errors import TurnFailed
from actors.identity import Conversation
from actors.instance import FeatureFlags
from actors.messages import Answer
from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from actors.ports import Turn
from actors.send_facts import PartState
from actors.triage import ESCALATION, FALLBACK
from daemon.config.sections import TakeoverSettings
from daemon.controls.takeovers import Takeovers
from daemon.gateways.evidence import CLOCK_TOLERANCE_SECONDS, UNKNOWN_CLOCK_TOLERANCE_SECONDS
from daemon.ingress.inbound import OwnMessage
from daemon.sweep.heard import MAX_IDS, Heard
from daemon.sweep.own_sends import LATE_SECONDS, OpenPart, OwnSends, matches
from tests.support.ledgers import (
    DEMO,
    LID,
    PHONE,
    LedgerWorld,
    batch,
    new_token,
    nothing_waits,
    open_world,
    reply_of,
)
from tests.support.memory import MemoryFeed

CLAIMED = 1_785_100_386
OF_LID = Conversation("demo", LID)
STRANGER = Conversation("demo", "5511900000002")


# Which record is which part's


def part(
    turn_id: int = 1,
    text: str = "Good day",
    claimed: float = CLAIMED,
    to: Conversation = DEMO,
    state: PartState = "unknown",
) -> OpenPart:
    return OpenPart(turn_id, 0, to, text, state, f"token-{turn_id}", claimed, claimed)


def said(
    id: str = "A", text: str = "Good day", at: int = CLAIMED, to: Conversation = DEMO, lid: str = ""
) -> OwnMessage:
    return OwnMessage(*to, lid, id, text, at)


def pairs(
    parts: Sequence[OpenPart],
    own: Sequence[OwnMessage],
    *,
    owned: Sequence[str] = (),
    phones: dict[str, str] | None = None,
    ahead: float | None = 0.0,
) -> list[tuple[int, str]]:
    found = matches(parts, own, frozenset(owned), phones or {}, ahead)
    return [(part.turn_id, message_id) for part, message_id in found]


@pytest.mark.parametrize(
    ("first", "own"),
    [
        (part(), said()),
        (part(), said(text=" Good day\r\n")),
        (part(to=OF_LID), said(to=OF_LID)),
        (part(to=OF_LID), said(lid=LID)),
        (part(), said(to=OF_LID)),
        (part(claimed=CLAIMED + 0.9), said()),
        (part(), said(at=CLAIMED - CLOCK_TOLERANCE_SECONDS)),
        (part(), said(at=CLAIMED + LATE_SECONDS)),
    ],
    ids=["plain", "spaces", "lid", "number of a lid", "lid of a number", "fraction", "early", "late"],
)
def test_a_record_of_the_send_settles_it(first: OpenPart, own: OwnMessage) -> None:
    """I6: under the number or the LID, by whatever of the two the gateway wrote it."""
    assert pairs([first], [own], phones={LID: PHONE}) == [(1, "A")]


@pytest.mark.parametrize(
    "own",
    [
        said(text="Good day!"),
        said(to=STRANGER),
        said(at=0),
        said(at=CLAIMED - CLOCK_TOLERANCE_SECONDS - 1),
        said(at=CLAIMED + LATE_SECONDS + CLOCK_TOLERANCE_SECONDS + 1),
    ],
    ids=["text", "contact", "no time", "before it", "hours later"],
)
def test_what_may_be_another_message_settles_nothing(own: OwnMessage) -> None:
    """I6: above all not what a person copied, hours later, because the reply had not arrived."""
    assert pairs([part()], [own], phones={LID: PHONE}) == []


def test_a_gateway_that_does_not_tell_its_clock_is_given_more_room() -> None:
    early = said(at=CLAIMED - UNKNOWN_CLOCK_TOLERANCE_SECONDS)
    assert (pairs([part()], [early]), pairs([part()], [early], ahead=None)) == ([], [(1, "A")])
    an_hour_ahead = said(at=CLAIMED + 3600)
    assert (pairs([part()], [an_hour_ahead]), pairs([part()], [an_hour_ahead], ahead=3600.0)) == (
        [],
        [(1, "A")],
    )


def test_equal_texts_go_in_order_each_to_one_part() -> None:
    """I6: the oldest part takes the oldest record; within a second the gateway's own order tells."""
    newest_first = [said("C", at=CLAIMED + 9), said("B"), said("A")]
    assert pairs([part(2, claimed=CLAIMED + 1), part(1)], newest_first) == [(1, "A"), (2, "B")]
    assert pairs([part(1), part(2)], newest_first, owned=["A"]) == [(1, "B"), (2, "C")]
    assert pairs([part(1), part(2)], [said("A")]) == [(1, "A")]


def test_what_counts_as_sent_without_an_id_takes_its_own_record() -> None:
    """I6: else the next reply with the same words would seem to have arrived."""
    sent = part(1, state="sent")
    assert pairs([part(2, claimed=CLAIMED + 5), sent], [said("A")]) == [(1, "A")]


# In the ledger


@dataclass
class Room:
    world: LedgerWorld
    feed: MemoryFeed = field(default_factory=MemoryFeed)
    nudged: list[Conversation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.heard = Heard(self.world.db)
        self.sends = OwnSends(self.world.db, self.world.ledger.prove, self.nudged.append, self.feed)
        self.takeovers = Takeovers(
            self.world.db,
            self,
            lambda instance: TakeoverSettings(pause_seconds=3600.0),
            self.feed,
            lambda own: False,
            nothing_waits,
            lambda conversation: None,
        )

    def of(self, instance: str) -> FeatureFlags:
        return FeatureFlags()

    async def answered(self, *parts: str, number: int = 1, to: Conversation = DEMO) -> Turn:
        turn = await self.world.ledger.begin(batch("hello", number=number, conversation=to), 1)
        return await self.world.ledger.answer(turn, 1, reply_of(Answer("one", "rehearsal"), *parts))

    async def sent(
        self, turn: Turn, outcome: SendOutcome | None, part: int = 0, resend: bool = False
    ) -> None:
        """The part is claimed and, unless `outcome` is None, settled."""
        await self.world.ledger.claim(turn, 1, part, resend, new_token())
        if outcome is not None:
            await self.world.ledger.settle(turn, 1, part, outcome)

    async def parts(self) -> list[tuple[str, str | None]]:
        rows = await self.world.rows(
            "SELECT state, gateway_message_id FROM majlis_outbox ORDER BY turn_id, part"
        )
        return [(row["state"], row["gateway_message_id"]) for row in rows]


@pytest.fixture
async def room(migrated_postgres_dsn: str) -> AsyncIterator[Room]:
    async with open_world(migrated_postgres_dsn) as world:
        yield Room(world)


def now(id: str, text: str, to: Conversation = DEMO, ago: float = 0) -> OwnMessage:
    return OwnMessage(*to, "", id, text, int(time.time() - ago))


async def test_every_send_without_an_outcome_is_settled_and_persons_are_told_apart(room: Room) -> None:
    """I6: interrupted, unknown, not sent again, admitted without an id; in a turn that goes on and in ended ones."""
    ledger, others = room.world.ledger, [Conversation("demo", f"551190000010{one}") for one in range(5)]
    turns = [await room.answered(f"text {one}", to=to) for one, to in enumerate(others)]
    await room.sent(turns[0], None)
    await room.sent(turns[1], Unknown("timeout"))
    await room.sent(turns[2], Unknown("timeout"))
    await room.sent(turns[2], NotSent("closed", "hold"), resend=True)
    await room.sent(turns[3], Sent(""))
    await room.sent(turns[4], Unknown("timeout"))
    await ledger.bury(turns[1], 1, "send_unresolved", "")
    await ledger.drop_rest(turns[4], 1, "taken_over")
    own = [now(f"ID-{one}", f"text {one}", to) for one, to in enumerate(others)]
    person = [now("H1", "I will see to it"), now("H2", "text 0", STRANGER)]
    for _ in range(2):
        assert await room.sends.settle([*own, *person], 0.0) == {message.id for message in own}
        assert await room.parts() == [("sent", f"ID-{one}") for one in range(5)]
        told = [fields["turn"] for event, _, fields in room.feed.events if event == "part.reconciled"]
        assert (len(told), set(told)) == (4, {turns[one].id for one in (0, 1, 2, 4)})
        assert {*room.nudged} == {others[one] for one in (0, 1, 2, 4)}
    assert await room.world.db.value("SELECT state FROM majlis_turns WHERE id = $1", turns[1].id) == "dead"


async def test_what_the_send_itself_says_afterwards_takes_nothing_back(room: Room) -> None:
    """I6: found while its call still runs. It is not sent again, whatever the call says in the end."""
    outcomes: list[SendOutcome] = [Unknown("timeout"), NotSent("closed", "hold"), Sent("other"), Sent("ID-4")]
    for number, late in enumerate(outcomes, start=1):
        turn = await room.answered("one", number=number)
        await room.sent(turn, None)
        assert await room.sends.settle([now(f"ID-{number}", "one")], None) == {f"ID-{number}"}
        await room.world.ledger.settle(turn, 1, 0, late)
        assert (await room.parts())[-1] == ("sent", f"ID-{number}")
        for resend in (False, True):
            with pytest.raises(TurnFailed, match="claim_conflict"):
                await room.sent(turn, None, resend=resend)
        await room.world.ledger.finish(turn, 1)


async def test_a_reply_of_our_own_is_no_take_over_at_any_moment(room: Room) -> None:
    """I6: not while it is under way, not when it was settled a moment ago; also if nobody settles it."""
    turn = await room.answered("one", "two")
    await room.sent(turn, None)
    assert not await room.takeovers.begin(now("ID", "one"))
    await room.sends.settle([now("ID", "one")], 0.0)
    assert not await room.takeovers.begin(now("ID", "one"))
    await room.sent(turn, Unknown("timeout"), part=1)
    assert not await room.takeovers.begin(now("ID-2", "two"))
    assert await room.takeovers.begin(now("H1", "I will see to it"))


async def test_what_persons_wrote_hours_ago_counts_from_then_in_any_order(room: Room) -> None:
    await room.world.ledger.begin(batch("hello"), 1)
    assert await room.takeovers.begin(now("H2", "later", ago=1800))
    assert await room.takeovers.begin(now("H1", "earlier", ago=3000))
    assert not await room.takeovers.begin(now("H0", "long ago", ago=4000))
    [row] = await room.world.rows(
        "SELECT extract(epoch FROM until - now())::float8 AS left FROM majlis_takeovers"
    )
    assert 1700 < row["left"] <= 1801
    assert await room.world.messages() == [
        ("assistant", "earlier"),
        ("assistant", "later"),
        ("user", "hello"),
    ]


# By id


async def test_what_was_heard_and_what_is_ours_is_known_by_id(room: Room) -> None:
    """Of this instance alone, under any name of the customer, in one statement for many."""
    db = room.world.db
    await room.world.ledger.begin(batch("hello", "there", id_prefix="a"), 1)
    await room.world.ledger.begin(batch("hi", id_prefix="l", conversation=OF_LID), 1)
    await room.world.ledger.begin(batch("hi", id_prefix="x", conversation=Conversation("demo 2", PHONE)), 1)
    many = [f"new-{one}" for one in range(MAX_IDS)]
    assert await room.heard.heard("demo", [*many, "a0", "a1", "l0", "x0", "a\x000"]) == {"a0", "a1", "l0"}
    assert await room.heard.heard("dem", ["a0"]) == frozenset()
    assert await room.heard.heard("demo 2", ["x0", "a0"]) == {"x0"}
    assert await room.heard.heard("demo", []) == frozenset()

    turn = await room.answered("one", number=2)
    await room.sent(turn, Sent("ours"))
    await db.fetch(
        "INSERT INTO majlis_notices (kind, instance, target, body, sent_at, gateway_message_id)"
        " VALUES ('whatsapp', 'demo', '5511', 'come', now(), 'notice')"
    )
    assert await room.heard.ours("demo", ["ours", "notice", "a0", "theirs"]) == {"ours", "notice"}
    assert await room.heard.ours("demo 2", ["ours", "notice"]) == frozenset()
    assert await room.heard.answers("demo 2", ["ours", "notice"]) == {}


async def test_a_reply_answers_what_was_said_up_to_the_last_message_that_it_heard(room: Room) -> None:
    """I2: what came later is owed an answer; and what says nothing to the matter answers nothing."""
    heard = batch("hello", "there")
    turn = await room.world.ledger.begin(heard, 1)
    turn = await room.world.ledger.answer(turn, 1, reply_of(Answer("one", "rehearsal"), "one"))
    await room.sent(turn, Sent("reply"))
    for number, provider in enumerate((ESCALATION, FALLBACK), start=2):
        other = await room.world.ledger.begin(batch("hello", number=number), 1)
        other = await room.world.ledger.answer(other, 1, reply_of(Answer("a moment", provider), provider))
        await room.sent(other, Sent(provider))
    await room.world.db.fetch(
        "INSERT INTO majlis_notices (kind, instance, target, body, sent_at, gateway_message_id)"
        " VALUES ('whatsapp', 'demo', '5511', 'come', now(), 'notice')"
    )
    last = max(message.sent_at for message in heard.messages)
    asked = ["reply", ESCALATION, FALLBACK, "notice", "a person's"]
    assert await room.heard.answers("demo", asked) == {"reply": last, ESCALATION: 0, FALLBACK: 0, "notice": 0}
