"""`majlis explain`: what happened to one message."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_inside import PHONE, SAID
from tests.daemon.operate.fake_operations import DoorInThread


def test_explain_fits_one_screen_and_masks_without_reveal(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("explain", "3EB0C7").out
    lines = out.splitlines()
    assert len(lines) <= 24 and PHONE not in out and SAID not in out
    assert "answered: answered 9.8 s after its burst began" in out and "majlis show 7" in out
    assert any(line.split()[:3] == ["12:00:08.004", "+8.00", "s"] for line in lines)
    assert "gateway id 3EB0AB" in out and "(21 characters)" in out
    revealed = majlis("explain", "3EB0C7", "--reveal").out
    assert PHONE in revealed and SAID in revealed and "A room is 80 a night." in revealed
    assert [entry.target for entry in door.operations.audited] == ["message 3EB0C7"]
    assert json.loads(majlis("explain", "3EB0C7", "--json").out)["state"] == "answered"


def test_explain_reports_unknown_ambiguous_and_invalid_ids(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("explain", "nope").err == "majlis: No message of this id is known.\n"
    assert "say which, with --instance acme" in majlis("explain", "3EB0C7", "-i", "other").err
    assert "at most 512 printable characters" in majlis("explain", "x" * 600).err
