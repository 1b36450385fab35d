"""`majlis flags`: listed, set, cleared."""

from __future__ import annotations

import json

from daemon.operate import FLAGS
from tests.daemon.cli.conftest import Typed
from tests.support.operators import DoorInThread


def test_feature_flags_are_listed_set_and_cleared(door: DoorInThread, majlis: Typed) -> None:
    assert "parallel" in majlis("flags").out
    lines = majlis("flags", "set", "cache", "off", "--instance", "acme").out.splitlines()
    assert next(line.split() for line in lines if line.startswith("cache")) == [
        *("cache", "on", "-", "on", "acme", "off")
    ]
    lines = majlis("flags", "set", "cache", "off").out.splitlines()
    assert next(line.split() for line in lines if line.startswith("cache"))[1:4] == ["on", "off", "off"]
    majlis("flags", "clear", "cache", "--instance", "acme")
    assert not door.operators.stored_flags.of("acme").cache, "what was set for the daemon holds again"
    document = json.loads(majlis("flags", "--json").out)
    assert document["node_id"] == "node-a" and [flag["flag"] for flag in document["flags"]] == list(FLAGS)
