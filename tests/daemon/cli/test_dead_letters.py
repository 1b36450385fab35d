"""`majlis dead`: listed, shown, retried, dropped."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Typed
from tests.daemon.cli.scene import TEXT, buried
from tests.support.operators import DoorInThread


def test_dead_letters_are_listed_shown_and_retried(door: DoorInThread, majlis: Typed) -> None:
    number = str(buried(door))
    listed = majlis("dead", "list").out
    assert "not_on_whatsapp: no account for …12" in listed and "1 open dead letter" in listed
    shown = majlis("dead", "show", number).out
    assert "after 3 attempts" in shown and f"majlis dead retry {number}" in shown and TEXT not in shown
    assert TEXT in majlis("dead", "show", number, "--reveal").out
    assert majlis("dead", "retry", number).out == "1 dead letter queued to be answered\n"
    assert [message.text for message in door.operators.appended] == [TEXT]
    assert json.loads(majlis("dead", "retry", "--all", "--json").out) == {"retried": 0}
    assert json.loads(majlis("dead", "list", "--json").out) == {"open": 0, "letters": []}


def test_a_dead_letter_is_dropped_once(door: DoorInThread, majlis: Typed) -> None:
    number = buried(door)
    assert (
        majlis("dead", "drop", str(number)).out == f"dead letter {number} dropped; it is kept in the list\n"
    )
    assert "was already dropped" in majlis("dead", "drop", str(number)).err
    assert f"There is no dead letter {number + 1}" in majlis("dead", "drop", str(number + 1)).err
    entry = door.operators.audited[0]
    assert (entry.action, entry.target) == ("dead.drop", f"dead letter {number}")
