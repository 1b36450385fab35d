"""`majlis tree`: the daemon's tasks."""

from __future__ import annotations

import trio

from tests.daemon.cli.conftest import Typed
from tests.support.operators import DoorInThread


def test_the_tree_is_limited_and_says_how_many_tasks_are_left_out(door: DoorInThread, majlis: Typed) -> None:
    async def crowd() -> None:
        await trio.lowlevel.checkpoint()
        for _ in range(100):
            trio.lowlevel.spawn_system_task(trio.sleep_forever, name="crowd")

    door.do(crowd)
    lines = majlis("tree", "--limit", "3").out.splitlines()
    assert sum(" crowd" in line for line in lines) == 3
    assert any("97 more, use --limit" in line for line in lines)
    assert lines[-1].endswith(" tasks") and int(lines[-1].split()[0]) > 100
