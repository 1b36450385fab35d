"""`majlis tree`: the daemon's tasks."""

from __future__ import annotations

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_operations import DoorInThread


def test_the_tree_is_limited_and_says_how_many_tasks_are_left_out(door: DoorInThread, majlis: Typed) -> None:
    lines = majlis("tree", "--limit", "3").out.splitlines()
    assert lines[0] == "main" and len(lines) == 6
    assert "conversation/0000000000  actors/actor.py:1 _sleep" in lines[1]
    assert "97 more, use --limit" in lines[-2] and lines[-1] == "102 tasks"
