"""`majlis show`: one conversation, or one turn and its trace."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.daemon.cli.conftest import Typed, on_a_terminal
from tests.daemon.operate import fake_operations
from tests.daemon.operate.fake_operations import CONTACT, LABEL, TEXT, DoorInThread, conversation, turn_detail


@pytest.mark.parametrize("ref", [LABEL, f"acme/{CONTACT}", f"acme/+{CONTACT}"])
def test_show_masks_numbers_and_texts_without_reveal(door: DoorInThread, majlis: Typed, ref: str) -> None:
    """I11."""
    masked = majlis("show", ref).out
    assert CONTACT not in masked and TEXT not in masked
    assert (
        "holding, 4.0 s left" in masked
        and "instance acme, contact …12" in masked
        and "(33 characters)" in masked
    )
    revealed = majlis("show", ref, "--reveal").out
    assert CONTACT in revealed and TEXT in revealed and "1. sent: A room is 80 a night." in revealed


def test_a_customers_text_cannot_control_the_terminal(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = msgspec.structs.replace(conversation().waiting[0], text="[bold]a\x1b]0;owned\x07[/bold]")
    view = msgspec.structs.replace(conversation(), waiting=[hostile])
    monkeypatch.setattr("tests.daemon.operate.fake_operations.conversation", lambda: view)
    out = majlis("show", LABEL, "--reveal").out
    assert "\x1b" not in out and "\x07" not in out and "[bold]a" in out


def test_a_conversation_shows_take_over_and_escalation_and_how_to_end_them(
    door: DoorInThread, majlis: Typed
) -> None:
    out = majlis("show", LABEL).out
    assert "until 2026-01-01 14:00:30 UTC, Majlis is silent" in out
    assert "since 2026-01-01 09:30:00 UTC: asks_for_human" in out
    assert f"majlis resume {LABEL}" in out


def test_the_turns_of_a_conversation_have_numbers_and_costs(door: DoorInThread, majlis: Typed) -> None:
    lines = majlis("show", LABEL).out.splitlines()
    row = next(line for line in lines if line.lstrip().startswith("7 "))
    assert "done" in row and "0.000412" in row and "1. sent: (21 characters)" in row


@pytest.mark.parametrize(
    ("rule", "provider", "said"), [("", "cache", "(cache)"), ("escalated", "escalation", "(escalated)")]
)
def test_an_answer_without_a_model_call_says_where_it_came_from(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch, rule: str, provider: str, said: str
) -> None:
    found = conversation()
    turns = [msgspec.structs.replace(turn, rule=rule, provider=provider) for turn in found.turns]
    kept = msgspec.structs.replace(found, turns=turns)
    monkeypatch.setattr(fake_operations, "conversation", lambda: kept)
    out = majlis("show", LABEL).out
    assert said in out and out.count("(cache)") == (provider == "cache")


def test_a_turn_shows_provider_cost_and_parts_masked_without_reveal(
    door: DoorInThread, majlis: Typed
) -> None:
    """I11."""
    masked = majlis("show", "7").out
    for words in (
        f"{LABEL} (instance acme, contact …12)",
        "1 message, closed by timeout, after 1 failed attempt",
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
def test_the_trace_of_a_turn_is_drawn_to_scale(
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


def test_a_turn_without_lookups_or_answer_is_shown(
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


def test_a_turn_as_json_is_the_daemons_document(door: DoorInThread, majlis: Typed) -> None:
    assert json.loads(majlis("show", "7", "--json", "--reveal").out) == msgspec.to_builtins(turn_detail())


def test_a_label_without_letters_is_still_a_label(door: DoorInThread, majlis: Typed) -> None:
    assert "no such conversation" in majlis("show", "1234567890").err
