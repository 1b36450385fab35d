"""`majlis dead`: listed, shown, retried, dropped."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_operations import TEXT, DoorInThread


def test_dead_letters_are_listed_shown_and_retried(door: DoorInThread, majlis: Typed) -> None:
    listed = majlis("dead", "list").out
    assert "not_on_whatsapp: no account for …12" in listed and "1 open dead letter" in listed
    shown = majlis("dead", "show", "17").out
    assert "after 3 attempts" in shown and "majlis dead retry 17" in shown and TEXT not in shown
    assert TEXT in majlis("dead", "show", "17", "--reveal").out
    assert majlis("dead", "retry", "17").out == "1 dead letter queued to be answered\n"
    assert json.loads(majlis("dead", "retry", "--all", "--json").out) == {"retried": 1}
    assert door.operations.retried == [17, 17]
    assert json.loads(majlis("dead", "list", "--json").out)["open"] == 1


def test_a_dead_letter_is_dropped_once(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("dead", "drop", "17").out == "dead letter 17 dropped; it is kept in the list\n"
    assert "was dropped already" in majlis("dead", "drop", "17").err
    assert "there is no dead letter 4" in majlis("dead", "drop", "4").err
    assert [(entry.action, entry.target) for entry in door.operations.audited[:1]] == [
        ("dead.drop", "dead letter 17")
    ]
