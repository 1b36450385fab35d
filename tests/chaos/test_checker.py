"""The checker sees each broken promise: a check that cannot fail would show nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.chaos.checker import Evidence, LostTail, SeenMessage, SeenPart, SeenTurn, violations


def turn(number: int, ids: Sequence[str], state: str = "done", lo: int = 0, rule: str = "") -> SeenTurn:
    lo = lo or 10 * number
    return SeenTurn(number, "55", state, lo, lo + len(ids) - 1, tuple(ids), rule)


def part(
    turn_id: int, text: str, state: str = "sent", resends: int = 0, claimed_at: float | None = None
) -> SeenPart:
    return SeenPart(turn_id, text, state, resends, claimed_at)


def evidence(
    turns: Sequence[SeenTurn],
    parts: Sequence[SeenPart] = (),
    delivered: Sequence[str] = (),
    proven: frozenset[str] = frozenset(),
) -> Evidence:
    return Evidence({"55": ["a", "b", "c"]}, turns, parts, delivered, proven)


WHOLE = [turn(1, ["a", "b"]), turn(2, ["c"])]
SENT = [part(1, "one"), part(2, "two")]


def test_what_is_in_order_passes() -> None:
    assert violations(evidence(WHOLE, SENT, ["one", "two"], frozenset({"one", "two"}))) == []


def test_a_moved_turn_hands_its_messages_on() -> None:
    moved = turn(3, ["c"], "moved")
    assert violations(evidence([*WHOLE, moved], SENT, ["one", "two"])) == []


BROKEN = {
    "lost": (evidence([turn(1, ["a", "b"])]), "c was acknowledged and is in no turn"),
    "unfinished": (evidence([turn(1, ["a", "b"]), turn(2, ["c"], "answered")]), "did not end: answered"),
    "two batches": (evidence([*WHOLE, turn(3, ["c"])]), "c is in 2 batches"),
    "overlap": (evidence([turn(1, ["a", "b"]), turn(2, ["c"], lo=11)]), "overlap at turn 2"),
    "order": (evidence([turn(1, ["b"]), turn(2, ["a", "c"])]), "in another order"),
    "order in a batch": (evidence([turn(1, ["a", "c", "b"])]), "in another order"),
    "unsent": (evidence(WHOLE, SENT, ["one"]), "counts as sent and reached nobody"),
    "doubled": (
        evidence(
            WHOLE, [part(1, "one", resends=1), part(2, "two")], ["one", "one", "two"], frozenset({"one"})
        ),
        "'one' reached the phone 2 times, 1 allowed",
    ),
    "doubled without a resend": (evidence(WHOLE, SENT, ["one", "one", "two"]), "reached the phone 2 times"),
    "from nowhere": (
        evidence(WHOLE, SENT, ["one", "two", "three"]),
        "'three' reached the phone 1 times, 0 allowed",
    ),
    "replies in another order": (evidence(WHOLE, SENT, ["two", "one"]), "left in another order"),
    "thoughts": (
        evidence(WHOLE, [part(1, "<think>one"), part(2, "two")], ["<think>one", "two"]),
        "reached the phone, with <think in it",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_seen(name: str) -> None:
    seen, words = BROKEN[name]
    assert any(words in violation for violation in violations(seen)), violations(seen)


def test_a_resend_of_unknown_outcome_may_arrive_twice() -> None:
    twice = evidence(WHOLE, [part(1, "one", resends=1), part(2, "two")], ["one", "one", "two"])
    assert violations(twice) == []


AGAIN = [replace(turn(1, ["a"]), at=101.0), replace(turn(2, ["b"]), at=102.0)]
"""Redis comes back as it was at 100, and has lost `c` too."""
ECHO = replace(turn(3, ["a"], "suppressed", lo=10, rule="duplicate"), at=104.0)
REST = replace(turn(4, ["d", "c"], lo=20), repeated_ids=("b",), at=105.0)
TAKEN_IN = [
    SeenMessage(each, "55", each, at=at, recorded_at=at, acknowledged_at=at + 0.1)
    for each, at in (("a", 98), ("b", 99), ("c", 102), ("d", 104))
]


TAIL = LostTail(100.0, 103.0)


def after_a_lost_tail(
    *turns: SeenTurn, tail: LostTail = TAIL, written: Sequence[SeenMessage] = TAKEN_IN
) -> Evidence:
    parts = [part(1, "Re a"), part(2, "Re b"), part(4, "Re d c")]
    sent = ["Re a", "Re b", "Re d c"]
    return Evidence(
        {"55": ["a", "b", "c", "d"]},
        [*AGAIN, *turns],
        parts,
        sent,
        frozenset(sent),
        written,
        lost_tails=[tail],
    )


def test_what_redis_gives_once_more_is_left_out() -> None:
    """And what it lost is found later: out of its order, but once."""
    assert violations(after_a_lost_tail(ECHO, REST)) == []


BROKEN_AFTER_A_LOST_TAIL = {
    "taken before the loss": after_a_lost_tail(ECHO, REST, tail=LostTail(101.5, 103.0)),
    "taken again before the kill": after_a_lost_tail(ECHO, REST, tail=LostTail(100.0, 104.5)),
    "never taken": after_a_lost_tail(ECHO, replace(REST, repeated_ids=("x",))),
    "silent though new": after_a_lost_tail(replace(ECHO, message_ids=("e",)), REST),
    "answered again": after_a_lost_tail(replace(ECHO, state="done", rule=""), REST),
    "silent by another rule": after_a_lost_tail(replace(ECHO, rule="too_old"), REST),
    "older borders": after_a_lost_tail(ECHO, replace(REST, repeated_ids=())),
    "out of order though kept": after_a_lost_tail(
        ECHO, REST, written=[*TAKEN_IN[:2], replace(TAKEN_IN[2], acknowledged_at=99.9), TAKEN_IN[3]]
    ),
}


@pytest.mark.parametrize("name", BROKEN_AFTER_A_LOST_TAIL)
def test_nothing_else_is_excused_by_a_lost_tail(name: str) -> None:
    assert violations(BROKEN_AFTER_A_LOST_TAIL[name])


GUEST = SeenMessage("d", "55", "d", at=100, recorded_at=100.5, posted=False)
PERSON = SeenMessage("p", "55", "p", at=101, from_me=True, recorded_at=101.5, acknowledged_at=101.7)


def by_hand(
    turns: Sequence[SeenTurn],
    parts: Sequence[SeenPart] = (),
    delivered: Sequence[str] = (),
    written: Sequence[SeenMessage] = (GUEST, PERSON),
    own_at: int = 101,
    heeded: frozenset[str] = frozenset({"p"}),
) -> Evidence:
    return Evidence({}, turns, parts, delivered, frozenset(), written, {"55": own_at}, heeded, 1.6)


HISTORY = [turn(1, ["d"], "suppressed", rule="already_answered")]
SPOKEN = [part(1, "Re d", claimed_at=101.6)]
LATER = replace(PERSON, recorded_at=101.6)


@pytest.mark.parametrize(
    "seen",
    [
        by_hand(HISTORY),
        by_hand([turn(1, ["d"], "suppressed", rule="taken_over")]),
        by_hand([turn(1, ["d"])], SPOKEN, ["Re d"], [GUEST, LATER]),  # a sweep may have read it before
        by_hand([turn(1, ["d"])], SPOKEN, ["Re d"], [replace(GUEST, posted=True), PERSON]),
        by_hand([turn(1, ["d"])], SPOKEN, ["Re d"], [replace(GUEST, at=101), PERSON]),
    ],
)
def test_what_came_late_or_was_answered_by_hand_passes(seen: Evidence) -> None:
    assert violations(seen) == []


BROKEN_BY_HAND = {
    "never heard": (by_hand([]), "d is in the gateway's records and did not end: None"),
    "not ended": (by_hand([turn(1, ["d"], "started")]), "did not end: started"),
    "twice": (
        by_hand([turn(1, ["d"])], [part(1, "Re d"), part(1, "Re d again")], ["Re d", "Re d again"], [GUEST]),
        "d was answered by 2 replies",
    ),
    "answered over a person": (
        by_hand([turn(1, ["d"])], SPOKEN, ["Re d"]),
        "d was answered though p had followed it",
    ),
    "sent after a person": (
        by_hand([turn(1, ["d"])], [part(1, "Re d", claimed_at=101.8)], ["Re d"], [GUEST, LATER]),
        "claimed after p was acknowledged",
    ),
    "unheeded": (by_hand(HISTORY, heeded=frozenset()), "p took nothing over"),
    "silent though nobody answered": (by_hand(HISTORY, own_at=100), "without an answer: already_answered"),
    "silent though nobody took over": (
        by_hand([turn(1, ["d"], "suppressed", rule="taken_over")], written=[GUEST]),
        "without an answer: taken_over",
    ),
    "silent by another rule": (by_hand([turn(1, ["d"], "suppressed", rule="too_old")]), "answer: too_old"),
}


@pytest.mark.parametrize("name", BROKEN_BY_HAND)
def test_a_broken_promise_to_those_whom_no_webhook_brought_is_seen(name: str) -> None:
    seen, words = BROKEN_BY_HAND[name]
    found = violations(seen)
    assert len(found) == 1 and words in found[0], found


SAID = [
    SeenMessage("a", "55", "two", at=100, recorded_at=100.5, acknowledged_at=100.6),
    SeenMessage(
        "a/edited", "55", "three", 101, recorded_at=101.5, acknowledged_at=101.6, kind="edit", of="a"
    ),
    SeenMessage("r", "55", "r", at=102, recorded_at=102.5, acknowledged_at=102.6, kind="reaction", of="a"),
    SeenMessage("o", "55", "old", at=1, recorded_at=103.5, acknowledged_at=103.6, kind="old"),
    SeenMessage("b", "55", "four", at=104, recorded_at=104.5, acknowledged_at=104.6),
    SeenMessage(
        "b/deleted", "55", "", 104, recorded_at=104.5, acknowledged_at=104.6, kind="deletion", of="b"
    ),
]
SUPPRESSED = replace(turn(2, ["r"], "suppressed"), rule="reaction")
DEAD = turn(3, ["o"], "dead")
DELETED = turn(4, ["b", "b/deleted"], "suppressed", rule="deleted")


def otherwise(
    *turns: SeenTurn,
    reply: str = "Re three",
    tails: Sequence[LostTail] = (),
    written: Sequence[SeenMessage] = SAID,
) -> Evidence:
    parts = [part(1, reply)]
    return Evidence({}, turns, parts, [reply], frozenset({reply}), written, lost_tails=tails)


CORRECTED = turn(1, ["a", "a/edited"])


@pytest.mark.parametrize(
    "seen",
    [
        otherwise(CORRECTED, SUPPRESSED, DEAD, DELETED),
        otherwise(CORRECTED, SUPPRESSED, DEAD, DELETED, reply="*Re*\n*three*"),
        # Redis lost the reaction, of which the gateway has no record.
        otherwise(CORRECTED, DEAD, DELETED, tails=[LostTail(102.0, 103.0)]),
        otherwise(
            CORRECTED, DEAD, DELETED, written=[*SAID[:2], replace(SAID[2], acknowledged_at=None), *SAID[3:]]
        ),
        # Its target had been answered, and waited in Redis once more.
        otherwise(
            replace(CORRECTED, repeated_ids=("a",)), SUPPRESSED, DEAD, DELETED, reply="Re corrected: three"
        ),
    ],
)
def test_what_was_changed_or_is_no_question_passes(seen: Evidence) -> None:
    assert violations(seen) == []


def test_a_verdict_of_the_model_makes_a_dead_letter() -> None:
    refused = otherwise(CORRECTED, SUPPRESSED, turn(3, ["b", "o"], "dead"), turn(4, ["b/deleted"]))
    assert violations(replace(refused, refused=frozenset({"four"}))) == []


BROKEN_OTHERWISE = {
    "an edit is lost": (
        otherwise(turn(1, ["a"]), SUPPRESSED, DEAD, DELETED),
        "a/edited was acknowledged and did not end",
    ),
    "lost before the tail was": (
        otherwise(CORRECTED, DEAD, DELETED, tails=[LostTail(102.7, 103.0)]),
        "r was acknowledged and did not end",
    ),
    "answered as it was": (
        otherwise(CORRECTED, SUPPRESSED, DEAD, DELETED, reply="Re two three"),
        "a was answered as it was before a/edited",
    ),
    "answered as it was, in bold": (
        otherwise(CORRECTED, SUPPRESSED, DEAD, DELETED, reply="*Re two*\n*three*"),
        "a was answered as it was before a/edited",
    ),
    "an edit is not told": (
        otherwise(CORRECTED, SUPPRESSED, DEAD, DELETED, reply="Re"),
        "its words are in no reply of it",
    ),
    "an old message is answered": (
        otherwise(turn(1, ["a", "a/edited", "o"]), SUPPRESSED, DELETED, reply="Re old three"),
        "o was answered days later",
    ),
    "a dead letter of now": (
        otherwise(CORRECTED, SUPPRESSED, turn(3, ["b", "o"], "dead"), turn(4, ["b/deleted"])),
        "turn 3 is a dead letter of ['', 'old']",
    ),
    "silent though nothing was deleted": (
        otherwise(CORRECTED, SUPPRESSED, DEAD, replace(DELETED, message_ids=("b",)), turn(5, ["b/deleted"])),
        "turn 4 ended without an answer: deleted",
    ),
    "silent beside a reaction": (
        otherwise(CORRECTED, replace(SUPPRESSED, message_ids=("r", "b")), DEAD, turn(4, ["b/deleted"])),
        "turn 2 ended without an answer: reaction",
    ),
}


@pytest.mark.parametrize("name", BROKEN_OTHERWISE)
def test_a_broken_promise_about_what_is_no_message_is_seen(name: str) -> None:
    seen, words = BROKEN_OTHERWISE[name]
    assert any(words in violation for violation in violations(seen)), violations(seen)
