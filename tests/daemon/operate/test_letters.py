"""Dead letters say what is so: of each reason, of the providers, and of what the customer got."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from actors.lookups import FailedCall
from daemon.operate import letters
from daemon.operate.letters import asked_in_vain, customer_got, had_answer, happened

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("states", "provider", "sentence"),
    [
        ([], None, "the customer got nothing"),
        (["sent"], "fallback", "the customer got the fallback message"),
        (["sent"], "escalation", "the customer got the escalated message"),
        (["pending"], "fallback", "the fallback message did not leave; the customer got nothing"),
        (["pending", "dropped"], "main", "the answer did not leave; the customer got nothing"),
        (["sending"], "main", "of the answer, 1 part in all: 1 perhaps sent"),
        (["sent", "unknown", "pending"], "main", "of the answer, 3 parts in all: 1 sent, 1 perhaps sent"),
        (
            ["failed_later"],
            "main",
            "of the answer, 1 part in all: 1 sent and not delivered; the customer got nothing",
        ),
        (["sent", "failed_later"], "x", "of the answer, 2 parts in all: 1 sent, 1 sent and not delivered"),
    ],
)
def test_what_the_customer_got(states: list[str], provider: str | None, sentence: str) -> None:
    """What counts as sent are the parts of what was sent: of the fallback message, where that was."""
    assert customer_got(states, provider) == sentence


def test_one_word_means_one_thing_of_a_provider_and_another_of_the_gateway() -> None:
    assert happened("bad_request", had_answer(None)) == "the provider turned the request down as invalid"
    assert happened("bad_request", had_answer("fallback")) == happened("bad_request", False)
    assert happened("bad_request", had_answer("main")) == "the gateway turned the message down as invalid"
    assert "provider" not in happened("overloaded", had_answer("main"))
    assert happened("held_too_long", True) == happened("held_too_long", False)
    assert happened("made_up", False) == ""


def _listed(node: ast.AST) -> list[str]:
    """The kinds of failure that an answer over HTTP may mean."""
    if not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FailureKind"):
        return []
    return [str(one.value) for one in ast.walk(node.value) if isinstance(one, ast.Constant)]


def test_every_failure_that_is_raised_has_its_sentence() -> None:
    """Also the reasons that providers and their routing give."""
    known = {*letters.ANYWHERE, *letters.OF_PROVIDERS, *letters.OF_THE_GATEWAY}
    raised: dict[str, Path] = {}
    for path in (
        *ROOT.glob("actors/*.py"),
        *ROOT.glob("daemon/responders/*.py"),
        *ROOT.glob("daemon/ledger/*.py"),
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            raised.update(dict.fromkeys(_listed(node), path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                reason = node.args[0]
                if node.func.id in ("TurnFailed", "TurnRefused") and isinstance(reason, ast.Constant):
                    raised[str(reason.value)] = path
    assert len(raised) >= 12
    assert not {reason: path for reason, path in raised.items() if reason not in known}


def test_each_provider_is_told_once_with_its_last_failure() -> None:
    calls = [
        FailedCall(provider="a", reason="timed_out", attempt=1, at_ms=1_000, took_ms=1),
        FailedCall(provider="b", reason="garbage", attempt=1, at_ms=2_000, took_ms=1),
        FailedCall(provider="a", reason="overloaded", attempt=2, at_ms=3_000, took_ms=1),
    ]
    told = [(one.provider, one.calls, one.reason, one.at) for one in asked_in_vain(calls)]
    assert told == [
        ("a", 2, "overloaded", "1970-01-01T00:00:03.000Z"),
        ("b", 1, "garbage", "1970-01-01T00:00:02.000Z"),
    ]
