"""show and cost: one conversation, one turn and its waterfall, what it all took."""

from __future__ import annotations

import json

import msgspec
import pytest

from daemon.cli import render
from tests.daemon.cli.conftest import Typed
from tests.daemon.cli.test_look import on_a_terminal
from tests.daemon.operate import fake_operations
from tests.daemon.operate.fake_operations import (
    CONTACT,
    LABEL,
    TEXT,
    DoorInThread,
    conversation,
    cost_report,
    turn_detail,
)


def test_a_conversation_says_who_speaks_in_it_and_how_to_end_that(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("show", LABEL).out
    assert "until 2026-01-01 14:00:30 UTC: Majlis is silent" in out
    assert "since 2026-01-01 09:30:00 UTC: asks_for_human" in out
    assert f"majlis resume {LABEL}" in out


def test_the_turns_of_a_conversation_have_number_and_cost(door: DoorInThread, majlis: Typed) -> None:
    lines = majlis("show", LABEL).out.splitlines()
    row = next(line for line in lines if line.lstrip().startswith("7 "))
    assert "done" in row and "0.000412" in row and "1. sent: (21 characters)" in row


@pytest.mark.parametrize(
    ("rule", "provider", "said"), [("", "cache", "(cache)"), ("escalated", "escalation", "(escalated)")]
)
def test_an_answer_that_was_not_bought_says_where_it_is_from(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch, rule: str, provider: str, said: str
) -> None:
    found = conversation()
    turns = [msgspec.structs.replace(turn, rule=rule, provider=provider) for turn in found.turns]
    kept = msgspec.structs.replace(found, turns=turns)
    monkeypatch.setattr(fake_operations, "conversation", lambda: kept)
    out = majlis("show", LABEL).out
    assert said in out and out.count("(cache)") == (provider == "cache")


def test_a_turn_is_shown_with_responder_cost_and_parts_masked_until_reveal(
    door: DoorInThread, majlis: Typed
) -> None:
    """I11."""
    masked = majlis("show", "7").out
    for words in (
        f"{LABEL}, acme with …12",
        "1 message, closed by timeout, after 1 failed try",
        "main, model small",
        "812 in, 64 out",
        "0.000412",
        "0.82",
        "full name, is it …12",
        "(33 characters)",
        "(21 characters)",
    ):
        assert words in masked
    assert CONTACT not in masked and TEXT not in masked and door.operations.audited == []
    revealed = majlis("show", "7", "--reveal").out
    assert CONTACT in revealed and TEXT in revealed and "A room is 80 a night." in revealed
    (entry,) = door.operations.audited
    assert (entry.action, entry.target) == ("reveal", "turn 7")


def _bars(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Where each lookup's bar begins, and how long it is."""
    drawn = {}
    for name in ("instance", "history", "interactions", "usage", "main"):
        line = next(line for line in lines if line.startswith(f"{name} "))
        drawn[name] = (line.find("█"), line.count("█"))
    return drawn


@pytest.mark.parametrize(("terminal", "columns"), [(False, 40), (True, 16)])
def test_the_waterfall_is_drawn_to_scale(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch, terminal: bool, columns: int
) -> None:
    if terminal:
        screen = on_a_terminal(monkeypatch)
        majlis("show", "7")
        lines = screen.lines
        assert all(len(line.rstrip()) <= 80 for line in lines)
    else:
        lines = majlis("show", "7").out.splitlines()
    lines = lines[next(place for place, line in enumerate(lines) if line.startswith("lookup")) :]
    bars = _bars(lines)
    begin = bars["instance"][0]
    scaled = {name: (start - begin, length) for name, (start, length) in bars.items() if length}
    assert scaled == {
        "instance": (0, round(0.1 * columns)),
        "history": (round(0.1 * columns), round(0.3 * columns)),
        "interactions": (round(0.1 * columns), round(0.2 * columns)),
        "main": (round(0.4 * columns), round(0.6 * columns)),
    }
    words = next(line.split() for line in lines if line.startswith("history"))
    assert words[:5] == ["history", "facts", "ok", "10.0", "30.0"]
    shown = "".join("".join(lines).split())
    assert "failed" in shown and "skipped" in shown
    assert terminal or "failedLedgerUnavailable" in shown


def test_a_turn_without_lookups_or_answer_is_shown_as_well(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = msgspec.structs.replace(
        turn_detail().turn,
        state="suppressed",
        rule="duplicate",
        parts=[],
        provider="",
        confidence=None,
        needs_data_collection=False,
        requested_fields=[],
    )
    detail = msgspec.structs.replace(turn_detail(), turn=bare, waterfall=[])
    monkeypatch.setattr("tests.daemon.operate.fake_operations.turn_detail", lambda: detail)
    done = majlis("show", "7")
    assert done.status == 0 and "duplicate" in done.out
    assert not any(word in done.out for word in ("tokens", "cost", "lookup", "asks for", "confidence"))


def test_a_turn_as_json_is_the_daemons_word(door: DoorInThread, majlis: Typed) -> None:
    assert json.loads(majlis("show", "7", "--json", "--reveal").out) == msgspec.to_builtins(turn_detail())


def test_a_label_without_letters_is_still_a_label(door: DoorInThread, majlis: Typed) -> None:
    assert "no such conversation" in majlis("show", "1234567890").err


def test_cost_has_a_line_for_each_day_and_instance_and_a_sum(door: DoorInThread, majlis: Typed) -> None:
    lines = [line.split() for line in majlis("cost").out.splitlines() if line]
    assert ["2026-01-31", "acme", "12", "3", "9,000", "800", "1.25"] in lines
    assert lines[-1] == ["in", "all", "24", "6", "18,000", "1,600", "2.50"]
    assert json.loads(majlis("cost", "--json").out) == msgspec.to_builtins(cost_report())


def test_cost_of_nothing_is_a_sentence(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("cost", "--instance", "nobody", "--days", "3").out
    assert out == "no answers of nobody in the last 3 days\n"


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0.0, "0"), (2.5, "2.50"), (0.000412, "0.000412"), (1234.5678, "1,234.5678"), (3.0, "3.00")],
)
def test_money_keeps_what_counts(amount: float, words: str) -> None:
    assert render.money(amount) == words


def test_silent_conversations_are_listed_with_why_and_until_when(door: DoorInThread, majlis: Typed) -> None:
    lines = majlis("silent").out.splitlines()
    assert lines[1].split("  ")[0] == LABEL and "…12" in lines[1]
    assert lines[1].endswith(
        "taken over until 2026-01-01 14:00:30, escalated since 2026-01-01 09:30:00: asks_for_human"
    )
    assert lines[2].endswith(
        "taken over until 2026-01-01 14:00:30 (not heeded: takeover is off), "
        "escalated since 2026-01-01 09:30:00 (not heeded: escalation is off)"
    )
    assert lines[-1] == "2 silent conversations"
    assert majlis("silent", "--instance", "shop").out.splitlines()[-1] == "1 silent conversation"
    limited = majlis("silent", "--limit", "1", "--reveal").out
    assert CONTACT in limited and limited.endswith("2 silent conversations; 1 more, see --limit\n")
    assert len(json.loads(majlis("silent", "--json").out)["conversations"]) == 2
