"""The checker sees each broken promise: a check that cannot fail would show nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.chaos.checker import Evidence, SeenPart, SeenTurn, violations


def turn(number: int, ids: Sequence[str], state: str = "done", lo: int = 0) -> SeenTurn:
    lo = lo or 10 * number
    return SeenTurn(number, "55", state, lo, lo + len(ids) - 1, tuple(ids))


def part(turn_id: int, text: str, state: str = "sent", resends: int = 0) -> SeenPart:
    return SeenPart(turn_id, text, state, resends)


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
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_seen(name: str) -> None:
    seen, words = BROKEN[name]
    assert any(words in violation for violation in violations(seen)), violations(seen)


def test_a_resend_of_unknown_outcome_may_arrive_twice() -> None:
    twice = evidence(WHOLE, [part(1, "one", resends=1), part(2, "two")], ["one", "one", "two"])
    assert violations(twice) == []
