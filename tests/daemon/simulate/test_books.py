"""The books find every planted loss, duplicate and wrong order, and none when all is well."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.simulate.books import MAX_KINDS, OTHER, Books
from daemon.simulate.tokens import token

MARK = "k3x9a"
PATIENCE = 60.0


class World:
    """A customer, a clock and the books."""

    def __init__(self, echo: bool = True) -> None:
        self.books = Books(MARK, echo=echo, patience_seconds=PATIENCE)
        self.now = 1000.0

    def says(self, *serials: int, customer: int = 0, said_at: int = 5) -> None:
        """Post and acknowledge these messages, one after another."""
        for serial in serials:
            self.books.post(customer, serial, said_at, self.tick())
            self.books.acknowledge(customer, serial, self.tick(), 0.001)

    def receives_reply_to(self, *serials: int, customer: int = 0) -> None:
        """Record one reply that repeats these messages."""
        texts = "\n".join(f"مرحبا {token(MARK, customer, serial)}" for serial in serials)
        self.books.reply(customer, f"Heard {len(serials)}: {texts}", self.tick())

    def tick(self, seconds: float = 0.01) -> float:
        self.now += seconds
        return self.now

    @property
    def faults(self) -> tuple[int, int, int]:
        """Lost, doubled, out of order, after the time to wait for answers is over."""
        lost = list(self.books.lost(self.now + PATIENCE))
        return len(lost), self.books.doubled, self.books.out_of_order


@pytest.fixture
def world() -> World:
    return World()


def test_all_is_well(world: World) -> None:
    world.says(0, 1, 2)
    world.receives_reply_to(0, 1, 2)
    world.says(10)
    world.receives_reply_to(10)
    assert world.faults == (0, 0, 0)
    books = world.books
    assert (books.sent, books.acknowledged, books.answered, books.waiting, books.replies) == (4, 4, 4, 0, 2)
    assert books.answer.summary().count == 2


def test_a_loss(world: World) -> None:
    """Acknowledged and never answered, and counted only after the time to wait is over."""
    world.says(0, 1, 2)
    world.receives_reply_to(0, 2)
    assert list(world.books.lost(world.now + PATIENCE)) == [(0, 1)]
    assert list(world.books.lost(world.now + PATIENCE / 2)) == []
    assert world.books.waiting == 1
    assert not world.books.is_out_of_patience(world.now + PATIENCE / 2)
    assert world.books.is_out_of_patience(world.now + PATIENCE)


def test_what_was_never_acknowledged_is_not_lost_but_given_up(world: World) -> None:
    world.books.post(0, 0, 5, world.tick())
    world.books.give_up(0, 0)
    assert world.faults == (0, 0, 0)
    assert list(world.books.given_up()) == [(0, 0)]


def test_a_reply_to_what_was_never_acknowledged(world: World) -> None:
    """The 200 was lost, the message was not. Its acknowledgement may come later, or never."""
    world.books.post(0, 0, 5, world.tick())
    world.books.post(0, 1, 5, world.tick())
    world.receives_reply_to(0, 1)
    world.books.acknowledge(0, 0, world.tick(), 0.1)
    world.books.give_up(0, 1)
    assert world.faults == (0, 0, 0)
    assert list(world.books.given_up()) == []
    assert (world.books.acknowledged, world.books.answered, world.books.waiting) == (1, 2, 0)


@pytest.mark.parametrize("again", [(0,), (0, 1), (1, 10), (10, 10)])
def test_a_duplicate_reply(world: World, again: tuple[int, ...]) -> None:
    """A message that is answered twice: by the same reply again, together with a new one, or twice in one reply."""
    world.says(0, 1)
    world.receives_reply_to(0, 1)
    world.says(10)
    world.receives_reply_to(*again)
    assert world.books.doubled == 1


def test_wrong_order_within_a_reply(world: World) -> None:
    """Order is by timestamp, then by arrival."""
    world.says(0, 1)
    world.receives_reply_to(1, 0)
    assert world.faults == (0, 0, 1)
    world.says(10, said_at=7)
    world.says(11, said_at=6)  # a late one: it belongs before the other
    world.receives_reply_to(11, 10)
    assert world.faults == (0, 0, 1)
    world.says(20, said_at=8)
    world.says(21, said_at=9)
    world.receives_reply_to(21, 20)
    assert world.faults == (0, 0, 2)


def test_an_older_burst_after_a_newer_one(world: World) -> None:
    world.says(0)
    world.says(10)
    world.receives_reply_to(10)
    world.receives_reply_to(0)
    assert world.faults == (0, 0, 1)


def test_a_race_is_no_wrong_order(world: World) -> None:
    """Two messages on their way at the same time may arrive in either order, in one reply or in two."""
    for serial in (0, 1, 2):
        world.books.post(0, serial, 5, world.tick())
    for serial in (0, 1, 2):
        world.books.acknowledge(0, serial, world.tick(), 0.1)
    world.receives_reply_to(2, 1)
    world.receives_reply_to(0)
    assert world.faults == (0, 0, 0)


def test_a_late_retry_is_no_wrong_order(world: World) -> None:
    """It was written before, but arrived after the messages answered meanwhile."""
    world.says(1, said_at=9)
    world.receives_reply_to(1)
    world.says(0, said_at=5)
    world.receives_reply_to(0)
    assert world.faults == (0, 0, 0)


def test_parts_of_one_long_reply(world: World) -> None:
    """A late message comes first because it was written first; what arrived before it comes in the next part."""
    world.says(1, said_at=9)
    world.says(0, said_at=5)
    world.books.reply(0, f"Heard 2: a {token(MARK, 0, 0)}", world.tick())
    world.books.reply(0, f"b {token(MARK, 0, 1)}", world.tick())
    assert world.faults == (0, 0, 0)


def test_each_customer_has_an_order_of_their_own(world: World) -> None:
    world.says(0, customer=1)
    world.says(0, customer=2)
    world.receives_reply_to(0, customer=2)
    world.receives_reply_to(0, customer=1)
    assert world.faults == (0, 0, 0)


def test_a_reply_with_the_tokens_of_others(world: World) -> None:
    """It answers nothing: not the message of another customer or another run, nor one never sent."""
    world.says(0)
    world.books.reply(0, f"Heard 1: x {token(MARK, 7, 0)}", world.tick())
    world.books.reply(0, f"Heard 1: x {token('other', 0, 0)}", world.tick())
    world.books.reply(0, "We are closed.", world.tick())
    assert world.books.unmatched == 3
    assert world.books.answered == 0
    assert world.faults == (1, 0, 0)


def test_a_second_delivery_is_no_second_message(world: World) -> None:
    world.says(0)
    world.says(0)
    world.receives_reply_to(0)
    world.says(0)
    assert world.faults == (0, 0, 0)
    assert (world.books.sent, world.books.acknowledged, world.books.answered) == (1, 1, 1)
    assert world.books.ack.summary().count == 3


def test_any_responder() -> None:
    """Without tokens a reply answers everything written before it; the same text again is a duplicate."""
    world = World(echo=False)
    world.says(0, 1)
    world.books.reply(0, "We open at nine.", world.tick())
    world.says(10)
    world.books.reply(0, "We open at nine.", world.tick())
    assert world.faults == (0, 0, 0)
    world.books.reply(0, "We open at nine.", world.tick())
    assert world.faults == (0, 1, 0)
    world.says(20)
    assert world.faults == (1, 1, 0)


def test_any_responder_may_repeat_itself_for_messages_during_a_turn() -> None:
    """A message that missed the running turn gets its own answer, and some responders always say the same."""
    world = World(echo=False)
    world.says(0, 1)
    for faults in ((0, 0, 0), (0, 0, 0), (0, 1, 0)):
        world.books.reply(0, "We will call you back.", world.tick())
        assert world.faults == faults


def test_kinds_of_failed_deliveries_are_bounded(world: World) -> None:
    for number in range(3 * MAX_KINDS):
        world.books.trouble(f"5{number}")
    assert len(world.books.troubles) == MAX_KINDS + 1
    assert world.books.troubles[OTHER] == 2 * MAX_KINDS


@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    chance=st.randoms(use_true_random=False),
    fault=st.sampled_from(["none", "loss", "double", "disorder"]),
)
def test_a_planted_fault_is_found(lengths: list[int], chance: random.Random, fault: str) -> None:
    """In a conversation of any length: exactly the planted fault, once, and nothing else."""
    world = World()
    batches = [[10 * place + serial for serial in range(length)] for place, length in enumerate(lengths)]
    for batch in batches:
        world.says(*batch)
    replies = [list(batch) for batch in batches]
    place = chance.randrange(len(replies))
    if fault == "loss":
        replies[place].remove(chance.choice(replies[place]))
    elif fault == "double":
        replies.insert(chance.randint(place + 1, len(replies)), list(replies[place]))
    elif fault == "disorder":
        replies = [list(reversed([serial for batch in batches for serial in batch]))]
        fault = "disorder" if len(replies[0]) > 1 else "none"
    for reply in replies:
        if reply:
            world.receives_reply_to(*reply)
    expected = {"none": (0, 0, 0), "loss": (1, 0, 0), "double": (0, 1, 0), "disorder": (0, 0, 1)}
    assert world.faults == expected[fault]
    assert not world.books.waiting or fault == "loss"
