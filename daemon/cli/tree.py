"""`majlis tree`: the daemon's tasks."""

from __future__ import annotations

from typing import Annotated

from rich.tree import Tree

from daemon.cli.client import ConfigOption, JsonOption, SetOption, client_of, option, view
from daemon.cli.render import cell, count, display, print_json
from daemon.operate.task_tree import TaskView, TreePage, TreeQuery


def tree(
    limit: Annotated[int, option(TreeQuery, "limit", metavar="N")] = TreeQuery().limit,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show the daemon's tasks as a tree, each with the line of code it waits at.

    For debugging the daemon itself. Conversations appear under their labels.

    Example: majlis tree --limit 5
    """
    document = client_of(config, set_).get("/v1/tree", {"limit": limit})
    if json:
        print_json(document)
        return
    page = view(document, TreePage)
    display(_drawn(page.tree))
    display(cell(count(page.tasks, "task"), "dim"))


def _drawn(task: TaskView) -> Tree:
    words = cell(task.task)
    if task.at:
        words.append(f"  {cell(task.at)}", style="dim")
    drawn = Tree(words, guide_style="dim")
    drawn.children = [_drawn(child) for child in task.children]
    if task.more:
        drawn.add(cell(f"{task.more:,} more, use --limit", "dim"))
    return drawn
