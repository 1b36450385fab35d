"""`majlis explain`: what happened to one message."""

from __future__ import annotations

import json

from actors.identity import Conversation
from tests.daemon.cli.conftest import Typed
from tests.daemon.cli.scene import CONTACT, MESSAGE, REPLY, TEXT, actor, answered, show
from tests.support.operators import DoorInThread


def test_explain_fits_one_screen_and_masks_without_reveal(door: DoorInThread, majlis: Typed) -> None:
    turn = answered(door)
    out = majlis("explain", MESSAGE).out
    lines = out.splitlines()
    assert len(lines) <= 24 and CONTACT not in out and TEXT not in out
    assert "answered: answered" in out and "s after its burst began" in out and f"majlis show {turn}" in out
    (closed,) = [line.split() for line in lines if "window closed" in line]
    assert closed[0].count(":") == 2 and closed[1:3] == ["+8.00", "s"]
    assert "gateway id 3EB0AB" in out and "(21 characters)" in out
    revealed = majlis("explain", MESSAGE, "--reveal").out
    assert CONTACT in revealed and TEXT in revealed and REPLY in revealed
    assert [entry.target for entry in door.operators.audited] == [f"message {MESSAGE}"]
    assert json.loads(majlis("explain", MESSAGE, "--json").out)["state"] == "answered"


def test_explain_reports_unknown_ambiguous_and_invalid_ids(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("explain", "nope").err.startswith("majlis: No message nope is known")
    show(door, actor(0), actor(0, conversation=Conversation("shop", CONTACT)))
    assert "say which, with --instance acme" in majlis("explain", "3EB0C8").err
    assert json.loads(majlis("explain", "3EB0C8", "-i", "shop", "--json").out)["state"] == "waiting"
    assert "at most 512 printable characters" in majlis("explain", "x" * 600).err
