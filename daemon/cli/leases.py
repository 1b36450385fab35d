"""`majlis leases`: which daemon owns which partitions."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import ConfigOption, JsonOption, SetOption, client_of, view
from daemon.cli.render import cell, count, display, duration, print_json, table
from daemon.operate.leases import LeasePage


def leases(
    all_: Annotated[bool, typer.Option("--all", help="List every partition as well.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show which daemon owns which partitions, and when its leases expire.

    Conversations are divided into partitions; one daemon at a time owns a partition and answers its conversations.
    Leases are renewed every 3 s. When a daemon stops renewing, another one takes its partitions over.

    Example: majlis leases --all
    """
    document = client_of(config, set_).get("/v1/leases")
    if json:
        print_json(document)
        return
    page = view(document, LeasePage)
    owners = table("daemon", "partitions", "expires in", right=("partitions", "expires in"))
    for owner in page.owners:
        name = owner.owner + (" (this one)" if owner.ours else "")
        owners.add_row(cell(name), cell(f"{owner.partitions:,}"), cell(duration(owner.seconds_left)))
    display(owners)
    if all_:
        each = table(
            "partition", "epoch", "daemon", "expires in", "state", right=("partition", "epoch", "expires in")
        )
        for lease in page.leases:
            state = "active here" if lease.fenced else "owned elsewhere" if lease.owner else "unowned"
            cells = (lease.partition, lease.epoch, lease.owner or "-", duration(lease.seconds_left), state)
            each.add_row(*(cell(item) for item in cells))
        display("", each)
    unowned = page.partitions - page.held
    rest = f"; {unowned:,} unowned" if unowned else ""
    display(
        cell(f"active on this daemon: {page.fenced:,} of {count(page.partitions, 'partition')}{rest}", "dim")
    )
