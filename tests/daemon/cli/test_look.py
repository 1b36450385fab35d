"""status, actors, show: what a person reads, and what a program reads."""

from __future__ import annotations

import json
import re
import sys

import msgspec
import pytest

from daemon.cli import render
from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_operations import (
    CONTACT,
    LABEL,
    TEXT,
    DoorInThread,
    actor,
    conversation,
    status,
)


class Terminal:
    """Standard output as an 80-column terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        return re.sub(r"\x1b\[[0-9;]*m", "", self.text).splitlines()


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called within the test: pytest puts its own standard output in place after the fixtures."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def test_status_shows_everything_the_operator_asks_first(door: DoorInThread, majlis: Typed) -> None:
    done = majlis("status")
    assert done.status == 0 and done.err == ""
    for words in (
        "0.1.0 is ready",
        "127.0.0.1:8080, up 3 h 12 min",
        "256 of 256 owned",
        "12 active conversations, 3 open windows",
        "2 running",
        "14 messages, the oldest for 6.2 s",
        "1,204 in all",
        "310 answered, 3 suppressed, 1 dead",
        "group 12, reaction 3",
        "1 open: majlis dead list",
        "duplicate 2, taken_over 1",
        "2 conversations taken over, 4 escalated",
        "1 waiting",
        "main ok, backup left out for 12.0 s (5 failures, timed_out)",
        "12 answers since the start",
        "cost_per_day 1",
    ):
        assert words in done.out


def test_status_that_is_not_ready_says_why(door: DoorInThread, majlis: Typed) -> None:
    door.operations.now = msgspec.structs.replace(
        status(),
        ready=False,
        reasons=["redis: set appendfsync always"],
        stores={"redis": "weak", "postgres": "ok"},
    )
    done = majlis("status")
    assert "NOT READY" in done.out and "because       redis: set appendfsync always" in done.out


def test_status_as_json_is_the_daemons_word(door: DoorInThread, majlis: Typed) -> None:
    assert json.loads(majlis("status", "--json").out) == msgspec.to_builtins(status())


def test_actors_in_a_pipe_are_one_line_each_and_nothing_is_cut(door: DoorInThread, majlis: Typed) -> None:
    why = "the gateway cannot send: " + "its socket is down, " * 10
    door.operations.active = [
        actor(state="holding", why=why, tries=2, batch=12, instance="an-instance-with-a-long-name"),
        *(actor(index) for index in range(3)),
    ]
    lines = majlis("actors").out.splitlines()
    assert len(lines) == 1 + 4 + 1
    assert why in lines[1] and "an-instance-with-a-long-name" in lines[1] and lines[1].endswith("try 2")
    assert all(line == line.rstrip() for line in lines)
    assert lines[-1] == "4 active conversations"


def test_actors_fit_eighty_columns_and_every_word_of_them_is_there(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.operations.active = [
        actor(
            state="parked",
            why="crashed 6 times in 30 s; the next start tries again",
            instance="a-very-long-instance-name",
        )
    ]
    terminal = on_a_terminal(monkeypatch)
    done = majlis("actors")
    assert done.err == "" and done.status == 0
    assert all(len(line) <= 80 for line in terminal.lines)
    shown = "".join("".join(terminal.lines).split())
    for word in (LABEL, "…12", "parked", "a-very-long-", "crashed6timesin30", "thenextstarttries", "again"):
        assert word in shown


def test_ten_thousand_actors_are_limited_and_filtered(door: DoorInThread, majlis: Typed) -> None:
    door.operations.active = [
        actor(index, instance=f"i{index % 10}", state="holding" if index % 100 == 0 else "waiting")
        for index in range(10_000)
    ]
    lines = majlis("actors").out.splitlines()
    assert len(lines) == 52 and lines[-1] == "10,000 active conversations; 9,950 more, see --limit and --page"
    lines = majlis("actors", "--state", "holding", "--instance", "i0", "--limit", "3").out.splitlines()
    assert (
        len(lines) == 5 and lines[-1] == "100 of 10,000 active conversations; 97 more, see --limit and --page"
    )
    assert len(json.loads(majlis("actors", "--limit", "9999", "--json").out)["actors"]) == 9_999


def test_no_actors_are_no_table(door: DoorInThread, majlis: Typed) -> None:
    door.operations.active = []
    assert majlis("actors").out == "0 active conversations\n"


@pytest.mark.parametrize("ref", [LABEL, f"acme/{CONTACT}", f"acme/+{CONTACT}"])
def test_show_masks_until_reveal(door: DoorInThread, majlis: Typed, ref: str) -> None:
    """I11."""
    masked = majlis("show", ref).out
    assert CONTACT not in masked and TEXT not in masked
    assert "holding, 4.0 s left" in masked and "acme with …12" in masked and "(33 characters)" in masked
    revealed = majlis("show", ref, "--reveal").out
    assert CONTACT in revealed and TEXT in revealed and "1. sent: A room is 80 a night." in revealed


def test_a_customers_text_cannot_drive_the_terminal(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = msgspec.structs.replace(conversation().waiting[0], text="[bold]a\x1b]0;owned\x07[/bold]")
    view = msgspec.structs.replace(conversation(), waiting=[hostile])
    monkeypatch.setattr("tests.daemon.operate.fake_operations.conversation", lambda: view)
    out = majlis("show", LABEL, "--reveal").out
    assert "\x1b" not in out and "\x07" not in out and "[bold]a" in out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-1, "0.0 s"),
        (6.23, "6.2 s"),
        (192, "3 min 12 s"),
        (11_520, "3 h 12 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_are_written_for_people(seconds: float | None, words: str) -> None:
    assert render.duration(seconds) == words


def test_webhooks_with_a_wrong_token_are_named_only_when_there_are_any(
    door: DoorInThread, majlis: Typed
) -> None:
    assert "wrong token" not in majlis("status").out
    ingress = msgspec.structs.replace(status().ingress, unauthorized=3)
    door.operations.now = msgspec.structs.replace(status(), ingress=ingress)
    assert "3 with a wrong token" in majlis("status").out


def test_instances_that_wrote_and_are_unknown_are_named(door: DoorInThread, majlis: Typed) -> None:
    assert "unknown" not in majlis("status").out
    strangers = {"typo": 1, "\x1b[31mghost": 7}
    door.operations.now = msgspec.structs.replace(status(), unknown_instances=strangers)
    out = majlis("status").out
    assert "ghost 7, typo 1 (turns of instances that the database does not know)" in out and "\x1b" not in out
