"""`majlis show`: one conversation, or one turn and its trace."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from actors.messages import Message, Swept, Waiting
from tests.daemon.cli.conftest import Typed, on_a_terminal
from tests.daemon.cli.scene import (
    ANSWER,
    CONTACT,
    HELD,
    LABEL,
    REPLY,
    TEXT,
    actor,
    answered,
    show,
    silenced,
    suppressed,
)
from tests.support.operators import DoorInThread


@pytest.mark.parametrize("ref", [LABEL, f"acme/{CONTACT}", f"acme/+{CONTACT}"])
def test_show_masks_numbers_and_texts_without_reveal(door: DoorInThread, majlis: Typed, ref: str) -> None:
    """I11."""
    answered(door)
    show(door, actor(phase="holding", why="the gateway is down", seconds_left=4.0))
    masked = majlis("show", ref).out
    assert CONTACT not in masked and TEXT not in masked
    assert (
        "holding, 4.0 s left" in masked
        and "instance acme, contact …12" in masked
        and "(33 characters)" in masked
    )
    revealed = majlis("show", ref, "--reveal").out
    assert CONTACT in revealed and TEXT in revealed and f"1. sent: {REPLY}" in revealed


def test_a_customers_text_cannot_control_the_terminal(door: DoorInThread, majlis: Typed) -> None:
    hostile = Message(*HELD, "3EB0C8", "[bold]a\x1b]0;owned\x07[/bold]", 1_767_261_660)
    show(door, actor(waiting=(Waiting(4, 1_767_261_660_000, hostile),)))
    out = majlis("show", LABEL, "--reveal").out
    assert "\x1b" not in out and "\x07" not in out and "[bold]a" in out


def test_a_conversation_shows_take_over_and_escalation_and_how_to_end_them(
    door: DoorInThread, majlis: Typed
) -> None:
    silenced(door)
    out = majlis("show", LABEL).out
    assert "until 2199-01-01 14:00:30 UTC, Majlis is silent" in out
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: asks_for_human", out)
    assert f"majlis resume {LABEL}" in out


def test_the_turns_of_a_conversation_have_numbers_and_costs(door: DoorInThread, majlis: Typed) -> None:
    turn = answered(door)
    lines = majlis("show", f"acme/{CONTACT}").out.splitlines()
    row = next(line for line in lines if line.lstrip().startswith(f"{turn} "))
    assert "done" in row and "0.000412" in row and "1. sent: (21 characters)" in row


@pytest.mark.parametrize(
    ("rule", "provider", "said"), [("", "cache", "(cache)"), ("escalated", "escalation", "(escalated)")]
)
def test_an_answer_without_a_model_call_says_where_it_came_from(
    door: DoorInThread, majlis: Typed, rule: str, provider: str, said: str
) -> None:
    answered(door, msgspec.structs.replace(ANSWER, provider=provider), rule)
    out = majlis("show", f"acme/{CONTACT}").out
    assert said in out and out.count("(cache)") == (provider == "cache")
    row = next(line for line in out.splitlines() if said in line)
    assert row.split()[1] == (rule or "done"), "not the state of a turn that a responder answered"


def test_a_turn_shows_provider_cost_and_parts_masked_without_reveal(
    door: DoorInThread, majlis: Typed
) -> None:
    """I11."""
    turn = str(answered(door))
    masked = majlis("show", turn).out
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
        assert words in masked, words
    assert CONTACT not in masked and TEXT not in masked and door.operators.audited == []
    revealed = majlis("show", turn, "--reveal").out
    assert CONTACT in revealed and TEXT in revealed and REPLY in revealed
    (entry,) = door.operators.audited
    assert (entry.action, entry.target) == ("reveal", f"turn {turn}")


def test_messages_that_were_found_later_say_so(door: DoorInThread, majlis: Typed) -> None:
    found: list[Swept] = ["", "missed", "too_old"]
    waiting = tuple(
        Waiting(seq, seq, Message("acme", CONTACT, f"M{seq}", TEXT, 1_000, swept=how))
        for seq, how in enumerate(found)
    )
    show(door, msgspec.structs.replace(actor(), waiting=waiting))
    shown = majlis("show", LABEL).out
    assert "missed: it was found in the gateway's records; no webhook brought it\n" in shown
    assert "no webhook brought it. Not answered: it was too old when it was found\n" in shown
    document = json.loads(majlis("show", LABEL, "--json").out)
    assert [one["swept"] for one in document["waiting"]] == found


def test_asides_edits_and_albums_say_what_they_are(door: DoorInThread, majlis: Typed) -> None:
    plain = Message("acme", CONTACT, "M1", TEXT, 1_000)
    messages = (
        msgspec.structs.replace(plain, id="R", kind="reaction", aside="reaction"),
        msgspec.structs.replace(plain, id="D", kind="deletion", amends="M1"),
        msgspec.structs.replace(plain, id="H", kind="album", album="H", album_size=8),
        msgspec.structs.replace(plain, id="O", aside="backlog"),
    )
    waiting = tuple(Waiting(seq, seq, message) for seq, message in enumerate(messages))
    show(door, msgspec.structs.replace(actor(), waiting=waiting))
    shown = majlis("show", LABEL).out
    for words in (
        "deletion of M1",
        "album of 8",
        "text, backlog",
        "reaction: not answered, a reaction is context",
    ):
        assert words in shown, words
    document = json.loads(majlis("show", LABEL, "--json").out)
    assert [one["aside"] for one in document["waiting"]] == ["reaction", "", "", "backlog"]


def _bars(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Where each lookup's bar begins, and how long it is."""
    drawn = {}
    for name in ("instance", "history", "interactions", "main"):
        line = next(line for line in lines if line.startswith(f"{name} "))
        drawn[name] = (line.find("█"), line.count("█"))
    return drawn


@pytest.mark.parametrize(("terminal", "columns"), [(False, 40), (True, 16)])
def test_the_trace_of_a_turn_is_drawn_to_scale(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch, terminal: bool, columns: int
) -> None:
    turn = str(answered(door))
    if terminal:
        screen = on_a_terminal(monkeypatch)
        majlis("show", turn)
        lines = screen.lines
        assert all(len(line.rstrip()) <= 80 for line in lines)
    else:
        lines = majlis("show", turn).out.splitlines()
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
    assert "failed" in shown and "skipped:usage" in shown
    assert terminal or "failedLedgerUnavailable" in shown


def test_a_turn_without_lookups_or_answer_is_shown(door: DoorInThread, majlis: Typed) -> None:
    done = majlis("show", str(suppressed(door)))
    assert done.status == 0 and "duplicate" in done.out
    assert not any(word in done.out for word in ("tokens", "cost", "lookup", "asks for", "confidence"))


def test_a_turn_as_json_is_the_daemons_document(door: DoorInThread, majlis: Typed) -> None:
    turn = answered(door)
    document = json.loads(majlis("show", str(turn), "--json", "--reveal").out)
    assert document == msgspec.to_builtins(door.do(lambda: door.operators.turns.turn(turn)))


def test_a_label_without_letters_is_still_a_label(door: DoorInThread, majlis: Typed) -> None:
    assert "No active conversation is labelled 1234567890" in majlis("show", "1234567890").err
