"""The tree of tasks: names and places, and no contact."""

from __future__ import annotations

from collections.abc import Mapping

import trio
import trio.testing

from actors.identity import Conversation
from daemon.operate.task_tree import TaskTree, TaskView


async def test_the_tree_names_tasks_and_places_and_no_contact() -> None:
    async def wait() -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for place in range(30):
            nursery.start_soon(wait, name=f"conversation/{Conversation('acme', f'55119{place:08}').key}")
        nursery.start_soon(wait, name="due poll")
        await trio.testing.wait_all_tasks_blocked()
        page = await TaskTree(lambda conversation: conversation.contact[-2:]).page(limit=5)
        nursery.cancel_scope.cancel()
    flat = _flat(page.tree)
    named = [name for name in flat if name.startswith("conversation/")]
    assert len(named) == 5 and page.tasks > 31 and not any("5511" in name for name in flat)
    assert "due poll" in flat and flat["due poll"].startswith("tests/daemon/operate/test_task_tree.py:")


def _flat(task: TaskView) -> Mapping[str, str]:
    found = {task.task: task.at}
    for child in task.children:
        found |= _flat(child)
    return found
