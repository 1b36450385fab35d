"""What edits and deletions do to their batch, by example and by property. I2, I3, I4."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.amendments import amended
from actors.identity import Conversation
from actors.messages import Batch, Context, Message, Waiting

WHO = Conversation("demo", "5511900000001")


def said(id: str, text: str = "", **fields: object) -> Message:
    return Message(*WHO, id, text or f"text of {id}", 0, **fields)  # type: ignore[arg-type]


def edit(id: str, target: str, text: str) -> Message:
    return Message(*WHO, id, text, 0, kind="edit", amends=target)


def deletion(id: str, target: str) -> Message:
    return Message(*WHO, id, "", 0, kind="deletion", amends=target)


def frozen(*messages: Message) -> Batch:
    entries = tuple(Waiting(seq, seq, message) for seq, message in enumerate(messages, 1))
    return Batch(WHO, 1, 1, len(entries), "timeout", 0, 0, 0, entries)


def asked(*messages: Message) -> list[str]:
    """What is to be answered."""
    return [message.text for message in amended(frozen(*messages)).asked.messages]


def rules(*messages: Message) -> list[str]:
    return [message.rule for message in amended(frozen(*messages)).messages]


def test_inside_the_window_the_new_text_replaces_the_old() -> None:
    assert asked(said("A", "2 boxes"), said("B"), edit("E", "A", "3 boxes")) == ["3 boxes", "text of B"]
    assert asked(said("A", "2 boxes"), edit("E", "A", "3 boxes"), edit("F", "A", "4 boxes")) == ["4 boxes"]
    assert asked(edit("E", "A", "3 boxes"), said("A", "2 boxes")) == ["3 boxes"], "the edit was faster"


def test_edits_count_in_the_order_of_their_writer() -> None:
    late = msgspec.structs.replace(edit("E", "A", "3 boxes"), sent_at=100)
    later = msgspec.structs.replace(edit("F", "A", "4 boxes"), sent_at=101)
    assert asked(said("A", "2 boxes"), later, late) == ["4 boxes"]


def test_what_was_deleted_is_not_answered() -> None:
    assert asked(said("A", "my PIN is 1234"), said("B"), deletion("D", "A")) == ["text of B"]
    assert rules(said("A"), deletion("D", "A")) == ["deleted", "deletion"]
    assert asked(said("A"), edit("E", "A", "x"), deletion("D", "A")) == []
    assert asked(said("A"), deletion("D", "A"), edit("E", "A", "x")) == [], "deleted for good"
    assert "1234" not in str(amended(frozen(said("A", "my PIN is 1234"), deletion("D", "A"))))


def test_an_edit_of_what_was_answered_is_a_message() -> None:
    batch = amended(frozen(edit("E", "A", "3 boxes")))
    (message,) = batch.asked.messages
    assert message.text == "corrected: 3 boxes"
    assert message.context == (Context("edit", id="A", by="customer"),)
    assert asked(edit("E", "A", "3 boxes"), edit("F", "A", "4 boxes"), said("B")) == [
        "corrected: 4 boxes",
        "text of B",
    ]


def test_a_deletion_of_what_was_answered_is_history() -> None:
    batch = amended(frozen(deletion("D", "A"), deletion("E", "A")))
    assert batch.asked.entries == ()
    assert [(message.text, message.aside) for message in batch.messages] == [
        ("[deleted a message]", "deletion"),
        ("", "deletion"),
    ]
    assert asked(edit("E", "A", "x"), deletion("D", "A")) == [], "of what he took back nothing is left"


def test_an_edit_that_nobody_can_read_says_so() -> None:
    assert asked(said("A", "2 boxes"), edit("E", "A", "")) == [
        "2 boxes\n[edited since; the new text cannot be read]"
    ]
    assert asked(edit("E", "A", "")) == ["[edited an earlier message; the new text cannot be read]"]
    assert asked(said("A", "2 boxes"), edit("E", "A", ""), edit("F", "A", "3 boxes")) == ["3 boxes"]


def test_what_is_old_stays_aside_whatever_was_changed_about_it() -> None:
    old, late = said("A", aside="backlog"), edit("E", "Z", "3 boxes")
    assert rules(old, edit("E", "A", "x")) == ["backlog", "edit"]
    assert rules(msgspec.structs.replace(late, aside="backlog")) == ["backlog"]


IDS = st.sampled_from("ABC")
TEXTS = st.sampled_from(["", "x", "y"])
ASIDES = st.sampled_from(["", "", "backlog"])


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    messages = [said(id, aside=draw(ASIDES)) for id in "AB" if draw(st.booleans())]
    for number in range(draw(st.integers(0, 6))):
        one = (
            edit(f"E{number}", draw(IDS), draw(TEXTS))
            if draw(st.booleans())
            else deletion(f"D{number}", draw(IDS))
        )
        messages.append(msgspec.structs.replace(one, sent_at=draw(st.integers(1, 3)), aside=draw(ASIDES)))
    random.Random(draw(st.integers(0, 99))).shuffle(messages)
    return frozen(*messages)


@given(batches())
def test_every_entry_stays_and_again_changes_nothing(batch: Batch) -> None:
    """I2, I3: the borders and the ids of a frozen batch never change, and each attempt sees the same."""
    once = amended(batch)
    assert [(entry.seq, entry.message.id) for entry in once.entries] == [
        (entry.seq, entry.message.id) for entry in batch.entries
    ]
    assert (once.lo, once.hi, once.number) == (batch.lo, batch.hi, batch.number)
    assert amended(once) == once
    assert amended(batch) == once


@given(batches())
def test_nothing_that_was_deleted_is_answered_and_nothing_else_is_lost(batch: Batch) -> None:
    """I2: a text is answered unless it was deleted or set aside; of each target at most one message is."""
    gone = {entry.message.amends for entry in batch.entries if entry.message.kind == "deletion"}
    came = [entry.message for entry in batch.entries]
    wanted = {one.id for one in came if not one.amends and not one.aside} - gone
    here = {one.id for one in came if not one.amends}
    edited = {one.amends for one in came if one.kind == "edit"} - gone - here
    asked = amended(batch).asked.messages
    about = [one.amends or one.id for one in asked]
    assert set(about) <= wanted | edited and wanted <= set(about)
    assert len(about) == len(set(about))
    assert all(one.text for one in asked)


@given(batches(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_of_what_is_about_different_messages_does_not_matter(
    batch: Batch, dice: random.Random
) -> None:
    """I4: what a target becomes depends on the order of its own amendments alone."""
    moments = [
        msgspec.structs.replace(entry.message, sent_at=place) for place, entry in enumerate(batch.entries, 1)
    ]
    shuffled = list(moments)
    dice.shuffle(shuffled)
    results = [
        {one.id: one for one in amended(frozen(*messages)).messages} for messages in (moments, shuffled)
    ]
    assert results[0] == results[1]
