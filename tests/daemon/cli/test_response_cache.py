"""`majlis cache`: counted and cleared."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_operations import DoorInThread


def test_cached_answers_are_counted_and_deleted(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("cache", "stats").out
    assert "acme" in out and "other" in out and out.endswith("4 cached answers\n")
    assert (
        json.loads(majlis("cache", "stats", "--instance", "acme", "--json").out)["instances"][0]["entries"]
        == 3
    )
    assert majlis("cache", "clear", "--instance", "acme").out == "3 cached answers deleted\n"
    assert majlis("cache", "clear").out == "1 cached answer deleted\n"
    assert "acmee had none, see `majlis cache stats`" in majlis("cache", "clear", "-i", "acmee").out
    assert [entry.target for entry in door.operations.audited] == ["acme", "all instances", "acmee"]
