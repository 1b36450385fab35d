"""`majlis actors`, `silent`, `flush`, `pause`, `resume`."""

from __future__ import annotations

import json
import re

import pytest

from actors.identity import Conversation
from tests.daemon.cli.conftest import Typed, on_a_terminal
from tests.daemon.cli.scene import CONTACT, HELD, LABEL, actor, show, silenced
from tests.support.operators import INSTALL, DoorInThread


def test_actors_in_a_pipe_are_one_full_line_each(door: DoorInThread, majlis: Typed) -> None:
    why = "the gateway cannot send: " + "its socket is down, " * 10
    held = actor(
        phase="holding", why=why, attempts=2, batch_number=12, instance="an-instance-with-a-long-name"
    )
    show(door, held, *(actor(index) for index in range(3)))
    lines = majlis("actors").out.splitlines()
    assert len(lines) == 1 + 4 + 1
    assert why in lines[1] and "an-instance-with-a-long-name" in lines[1] and lines[1].endswith("attempt 3")
    assert all(line == line.rstrip() for line in lines)
    assert lines[-1] == "4 active conversations"


def test_actors_wrap_to_80_columns_without_losing_text(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    why, instance = "crashed 6 times in 30 s; the next start tries again", "a-very-long-instance-name"
    parked = actor(phase="parked", why=why, instance=instance)
    show(door, parked)
    label = parked.conversation.label(INSTALL)
    terminal = on_a_terminal(monkeypatch)
    done = majlis("actors")
    assert done.err == "" and done.status == 0
    assert all(len(line) <= 80 for line in terminal.lines)
    shown = "".join("".join(terminal.lines).split())
    for word in (label, "…12", "parked", "a-very-long-", "crashed", "times", "start", "tries", "again"):
        assert word in shown


def test_10_000_actors_are_limited_and_filtered(door: DoorInThread, majlis: Typed) -> None:
    show(
        door,
        *(
            actor(index, instance=f"i{index % 10}", phase="holding" if index % 100 == 0 else "waiting")
            for index in range(10_000)
        ),
    )
    lines = majlis("actors").out.splitlines()
    assert len(lines) == 52 and lines[-1] == "10,000 active conversations; 9,950 more, use --limit and --page"
    lines = majlis("actors", "--state", "holding", "--instance", "i0", "--limit", "3").out.splitlines()
    assert (
        len(lines) == 5 and lines[-1] == "100 of 10,000 active conversations; 97 more, use --limit and --page"
    )
    assert len(json.loads(majlis("actors", "--limit", "9999", "--json").out)["actors"]) == 9_999


def test_without_actors_there_is_no_table(door: DoorInThread, majlis: Typed) -> None:
    show(door)
    assert majlis("actors").out == "0 active conversations\n"


def test_actors_are_sorted_and_paged(door: DoorInThread, majlis: Typed) -> None:
    views = [actor(place) for place in range(25)]
    show(door, *views)
    labels = [view.conversation.label(INSTALL) for view in views]
    lines = majlis("actors", "--sort", "left", "--limit", "10", "--page", "3").out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == labels[20:]
    assert lines[-1] == "25 active conversations"
    assert "sort must be one of" in majlis("actors", "--sort", "size").err


def test_silent_conversations_are_listed_with_reason_and_end(door: DoorInThread, majlis: Typed) -> None:
    silenced(door)
    silenced(door, Conversation("shop", CONTACT), heeded=False)
    lines = {line.split()[1]: line for line in majlis("silent").out.splitlines()[1:-1]}
    assert lines["acme"].startswith(f"{LABEL}  ") and "…12" in lines["acme"]
    until = r"taken over until 2199-01-01 14:00:30"
    since = r"escalated since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.search(f"{until}, {since}: asks_for_human$", lines["acme"])
    assert re.search(
        rf"{until} \(no effect: feature flag takeover is off\), "
        rf"{since}: asks_for_human \(no effect: feature flag escalation is off\)$",
        lines["shop"],
    )
    assert majlis("silent").out.endswith("\n2 silent conversations\n")
    assert majlis("silent", "--instance", "shop").out.splitlines()[-1] == "1 silent conversation"
    limited = majlis("silent", "--limit", "1", "--reveal").out
    assert CONTACT in limited and limited.endswith("2 silent conversations; 1 more, use --limit\n")
    assert len(json.loads(majlis("silent", "--json").out)["conversations"]) == 2


def test_flush_closes_the_window_at_once(door: DoorInThread, majlis: Typed) -> None:
    show(door, actor())
    assert majlis("flush", f"acme/{CONTACT}").out == f"{LABEL}: 1 message will be answered now\n"
    assert json.loads(majlis("flush", LABEL, "--json").out) == {"conversation": LABEL, "messages": 1}
    assert door.operators.actors.flushed == [HELD, HELD]


def test_pausing_a_conversation_starts_a_take_over_and_says_until_when(
    door: DoorInThread, majlis: Typed
) -> None:
    begun = majlis("pause", f"acme/{CONTACT}").out
    silent = rf"{LABEL}: taken over, Majlis is silent until \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    nobody = "; nobody has written there yet: is the number right?\n"
    assert re.fullmatch(silent + re.escape(nobody), begun)
    assert json.loads(majlis("pause", LABEL, "--seconds", "60", "--json").out)["stood"] is True
    assert door.asked[-1] == (f"/v1/conversations/{LABEL}/pause", {"seconds": "60"})
    shorter = majlis("pause", LABEL, "--seconds", "60").out
    kept = ": the take-over that was in force lasts at least as long and stays"
    assert shorter == begun.replace(nobody, kept + nobody)


def test_resume_says_what_ended_or_that_there_was_nothing_to_end(door: DoorInThread, majlis: Typed) -> None:
    silenced(door)
    show(door, actor(phase="parked"))
    done = majlis("resume", LABEL)
    assert done.out == f"{LABEL}: escalation ended, take-over ended, no longer parked\n"
    show(door)
    again = majlis("resume", f"acme/{CONTACT}")
    assert again.status == 1 and again.err.startswith(f"majlis: There is nothing to resume in {LABEL}")
    silenced(door, Conversation("shop", CONTACT))
    assert json.loads(majlis("resume", f"shop/{CONTACT}", "--json").out)["taken_over"] is True


def test_an_instance_or_all_instances_are_paused_and_resumed(door: DoorInThread, majlis: Typed) -> None:
    held = "acme: paused until `majlis resume`; messages are stored and answered later\n"
    assert majlis("pause", "--instance", "acme").out == held
    shorter = majlis("pause", "--instance", "acme").out
    assert shorter == f"{held[:-1]}; the pause before this one lasted until `majlis resume`\n"
    until = majlis("pause", "--all", "--seconds", "60").out
    assert re.match(r"all instances: paused until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC;", until)
    assert [(pause.instance, bool(pause.until)) for pause in door.operators.pauses.standing()] == [
        ("", True),
        ("acme", False),
    ]
    assert majlis("resume", "--instance", "acme").out == "acme: resumed, turns start again\n"
    assert majlis("resume", "--all").out == "all instances: resumed, turns start again\n"
    assert majlis("resume", "--instance", "acme").err.startswith("majlis: acme is not paused")
    assert majlis("pause", "--instance", "nobody").err.startswith("majlis: The database has no instance")
    targets = [entry.target for entry in door.operators.audited]
    assert targets[1:3] == ["instance acme", "all instances"]


def test_pause_and_resume_need_exactly_one_target(door: DoorInThread, majlis: Typed) -> None:
    sentence = "majlis: name a conversation, or give --instance NAME, or --all\n"
    for words in ((), (f"acme/{CONTACT}", "--all"), ("--instance", "acme", "--all")):
        for command in ("pause", "resume"):
            ended = majlis(command, *words)
            assert (ended.status, ended.err) == (2, sentence)
    assert door.asked == []
    assert majlis("pause", f"acme/{CONTACT}").status == 0
