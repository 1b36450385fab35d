"""Commands that look inside the daemon: its tasks, its settings, its leases."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.tree import Tree

from daemon.cli.client import view
from daemon.cli.options import ConfigOption, JsonOption, RevealOption, SetOption, client_of
from daemon.cli.render import cell, count, display, duration, print_json, table
from daemon.operate.leases import LeasePage
from daemon.operate.settings import ConfigPage
from daemon.operate.task_tree import TaskView, TreePage


def tree(
    limit: Annotated[
        int, typer.Option(min=1, max=1_000, help="The most to show of one kind under one task.")
    ] = 20,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """What runs inside: every task, under the one that waits for it, and where in the code it is.

    A conversation is named by its label.

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
        drawn.add(cell(f"{task.more:,} more, see --limit", "dim"))
    return drawn


def config(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Only settings whose key begins so, e.g. batching.")
    ] = "",
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not the default.")] = False,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """The settings that the running daemon has, and where each came from. Secrets are never shown.

    Example: majlis config batching

    Example: majlis config --changed
    """
    document = client_of(config, set_).get("/v1/config", {"reveal": reveal})
    found = [
        row
        for row in view(document, ConfigPage).values
        if row.key.startswith(key) and not (changed and row.origin == "default")
    ]
    if json:
        print_json(ConfigPage(values=found))
        return
    if found:
        shown = table("key", "value", "from", folding=("key", "value", "from"))
        for row in found:
            style = "dim" if row.origin == "default" else ""
            shown.add_row(cell(row.key), cell(row.value, style), cell(row.origin, style))
        display(shown)
    nothing = (
        f": no key begins with {key}, `majlis config` shows them all"
        if key and not found and not changed
        else ""
    )
    display(cell(f"{count(len(found), 'setting')}{nothing}", "dim"))


def leases(
    all_: Annotated[bool, typer.Option("--all", help="Each partition, too.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Which daemon owns which part of the conversations, and for how long still.

    Leases are renewed every 3 s; one that nobody renews goes to another daemon.

    Example: majlis leases --all
    """
    document = client_of(config, set_).get("/v1/leases")
    if json:
        print_json(document)
        return
    page = view(document, LeasePage)
    owners = table("daemon", "partitions", "lease ends in", right=("partitions", "lease ends in"))
    for owner in page.owners:
        name = owner.owner + (" (this one)" if owner.ours else "")
        owners.add_row(cell(name), cell(f"{owner.partitions:,}"), cell(duration(owner.seconds_left)))
    display(owners)
    if all_:
        each = table(
            "partition", "epoch", "daemon", "ends in", "state", right=("partition", "epoch", "ends in")
        )
        for lease in page.leases:
            state = "acted for" if lease.fenced else "free" if not lease.owner else "of another"
            cells = (lease.partition, lease.epoch, lease.owner or "-", duration(lease.seconds_left), state)
            each.add_row(*(cell(item) for item in cells))
        display("", each)
    unheld = page.partitions - page.held
    free = f"; {count(unheld, 'partition')} owned by nobody" if unheld else ""
    display(
        cell(f"this daemon acts for {page.fenced:,} of {count(page.partitions, 'partition')}{free}", "dim")
    )
