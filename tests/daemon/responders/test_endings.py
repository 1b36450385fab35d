"""What it means that no provider answered: a table of what they said, and what follows."""

from __future__ import annotations

import pytest

from daemon.responders.endings import NoAnswer, Standing, ending

HELD_BY_KEY = NoAnswer("held", "responder_refuses_key")


def said(reason: str, wait_seconds: float = 0.0) -> Standing:
    return Standing(reason, True, wait_seconds)


def alone(reason: str, wait_seconds: float = 20.0, *, down: bool = False, tried: bool = False) -> Standing:
    return Standing(reason, False, wait_seconds, down, tried)


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        # A failure that may pass is worth another attempt, whatever the others said.
        ([said("overloaded")], NoAnswer("failed", "overloaded")),
        ([said("rate_limited", 9), said("garbage", 4)], NoAnswer("failed", "garbage", 4)),
        ([said("too_long"), said("overloaded", 3)], NoAnswer("failed", "overloaded", 3)),
        ([said("overloaded", 3), said("too_long")], NoAnswer("failed", "overloaded", 3)),
        ([said("unreachable"), said("bad_request"), said("bad_key")], NoAnswer("failed", "unreachable")),
        ([said("timed_out"), said("not_found")], NoAnswer("failed", "timed_out")),
        ([said("overloaded"), said("blocked")], NoAnswer("failed", "overloaded")),
        ([said("blocked"), said("bad_request")], NoAnswer("failed", "blocked")),
        ([said("not_found"), said("too_long")], NoAnswer("failed", "not_found")),
        # Verdicts on the request from all that could answer it: never.
        ([said("too_long")], NoAnswer("refused", "too_long")),
        ([said("bad_request"), said("bad_request")], NoAnswer("refused", "bad_request")),
        ([said("bad_request"), said("too_long")], NoAnswer("refused", "too_long")),
        # A key that all refuse who could answer.
        ([said("bad_key")], HELD_BY_KEY),
        ([said("bad_key"), alone("bad_key")], HELD_BY_KEY),
        ([said("bad_key"), said("too_long")], HELD_BY_KEY),
        ([said("not_found"), said("bad_key")], HELD_BY_KEY),
        ([said("bad_key"), said("overloaded")], NoAnswer("failed", "overloaded")),
        # Others could answer it, and are left alone for now.
        ([said("bad_key"), alone("rate_limited", 7)], NoAnswer("held", "providers_busy", 7)),
        ([said("bad_request"), alone("overloaded", 7)], NoAnswer("held", "providers_busy", 7)),
        ([said("too_long"), alone("too_long", 7)], NoAnswer("held", "providers_busy", 7)),
        ([said("bad_request"), alone("overloaded", 7, down=True)], NoAnswer("failed", "providers_open", 7)),
        # None could be asked.
        ([alone("overloaded", 9), alone("garbage", 5)], NoAnswer("held", "providers_busy", 5)),
        ([alone("overloaded", 9, tried=True), alone("garbage", 5)], NoAnswer("held", "providers_busy")),
        ([alone("overloaded", 9, down=True), alone("garbage", 5)], NoAnswer("held", "providers_busy", 5)),
        ([alone("x", 9, down=True), alone("y", 5, down=True)], NoAnswer("failed", "providers_open", 5)),
    ],
)
def test_what_follows_when_none_answered(standings: list[Standing], expected: NoAnswer) -> None:
    assert ending(standings) == expected
